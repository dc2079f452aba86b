"""Text messages: the port that sends them, and the adapters of providers."""
