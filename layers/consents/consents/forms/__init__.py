"""Hosted forms: links to pages on which people agree to messages, and what they submit there."""
