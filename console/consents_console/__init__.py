"""The operator's console: pages about a ledger, for one person at a time."""
