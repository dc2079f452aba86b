"""Consent Ledger: who agreed to be messaged, and who said stop, with the proof."""
