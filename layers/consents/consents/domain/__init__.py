"""Consent: records, rules, errors. Pure: no AWS, no HTTP, no clock, no environment."""
