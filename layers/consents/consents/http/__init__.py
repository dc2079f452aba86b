"""HTTP: requests, responses, errors, idempotency keys and rate limits."""
