"""The `consents` command."""
