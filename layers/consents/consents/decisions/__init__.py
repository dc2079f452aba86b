"""Decisions: whether a contact may be messaged, what the ledger holds of it, and revocations."""
