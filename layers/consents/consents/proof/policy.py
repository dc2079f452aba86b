"""The policy that a verifier trusts: the keys of log and witnesses (C2SP tlog-policy)."""

from consents.proof.notes import VerifierKey

NO_WITNESSES = "quorum none\n"


def policy_text(key: VerifierKey, url: str = "", witnesses: str = "") -> str:
    """Return the policy of a log: of its key, its URL, and the policy of its witnesses."""
    return f"log {key} {url}".rstrip() + f"\n{witnesses or NO_WITNESSES}"
