"""Import files of consents."""
