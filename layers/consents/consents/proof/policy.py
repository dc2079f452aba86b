"""The policy that a verifier trusts: the log's key, and where the log is (C2SP tlog-policy)."""

from consents.proof.notes import VerifierKey


def policy_text(key: VerifierKey, url: str = "") -> str:
    """Return the policy of a log that has no witnesses."""
    return f"log {key} {url}".rstrip() + "\nquorum none\n"
