"""Forms that change something: what breaks a rule, and why an operator acts."""

from collections.abc import Mapping

MAX_REASON = 200


class Invalid(Exception):
    """A field of a form breaks its rule; the text says what to do."""


def reason_in(form: Mapping[str, str]) -> str:
    """Return why an operator acts, for the access log, or raise `Invalid`."""
    reason = form.get("reason", "").strip()
    if not 1 <= len(reason) <= MAX_REASON:
        raise Invalid(f"Say why you do this, in 1 to {MAX_REASON} characters.")
    return reason
