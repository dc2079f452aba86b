"""How many texts an organization may send: to one contact, to one prefix, in all.

Against SMS pumping: numbers of one prefix that a fraudster owns and is paid for.
"""

from consents.domain.record import Receipt
from consents.domain.token_bucket import Allowance
from consents.http.rate_limits import RateLimits

PER_CONTACT = (Allowance(1, 60), Allowance(3, 86_400))
PER_PREFIX = Allowance(10, 3_600)
PER_ORGANIZATION = (Allowance(60, 60), Allowance(1_000, 86_400))

_PREFIX_WITHOUT = 4  # digits


class TextLimits:
    """Counts the texts that ask for a confirmation, exactly, under any concurrency."""

    def __init__(self, rate_limits: RateLimits) -> None:
        self._rate_limits = rate_limits

    def take(self, org_id: str, contact: str, receipt: Receipt) -> None:
        """Count one text, or raise `RateLimited`; nothing is sent then."""
        prefix = contact[:-_PREFIX_WITHOUT]
        buckets = [
            *((f"texts#{org_id}#{contact}", each) for each in PER_CONTACT),
            (f"texts#{org_id}#{prefix}*", PER_PREFIX),
            *((f"texts#{org_id}", each) for each in PER_ORGANIZATION),
        ]
        for name, allowance in buckets:
            self._rate_limits.take(f"{name}#{allowance.seconds}", allowance, receipt)
