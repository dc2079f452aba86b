"""Clients of AWS. Nothing here knows consents."""
