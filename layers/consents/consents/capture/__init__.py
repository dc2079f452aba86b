"""Capture consent records: the two APIs, and the ledger."""
