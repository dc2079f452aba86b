"""Organizations, credentials and senders."""
