"""How many texts an organization may send: to one contact, to one prefix, in all.

Against SMS pumping: numbers of one prefix that a fraudster owns and is paid for.
"""

from collections.abc import Callable

from consents.domain.errors import RateLimited
from consents.domain.organization import Organization
from consents.domain.record import Receipt
from consents.domain.token_bucket import Allowance, Level
from consents.http.rate_limits import RateLimits

_DAY = 86_400
PER_CONTACT = (Allowance(1, 60), Allowance(3, _DAY))
PER_PREFIX = Allowance(10, 3_600)
_PREFIX_WITHOUT = 4  # digits


class TextLimits:
    """Counts the texts that ask for a confirmation, exactly, under any concurrency."""

    def __init__(
        self, rate_limits: RateLimits, organization: Callable[[str], Organization | None]
    ) -> None:
        """`organization` returns an organization as it is now."""
        self._rate_limits = rate_limits
        self._organization = organization

    def take(self, org_id: str, contact: str, receipt: Receipt) -> None:
        """Count one text, or raise `RateLimited`; nothing is sent then."""
        found = self._organization(org_id)
        if found is None or not found.texts_per_minute or not found.texts_per_day:
            raise RateLimited(_DAY, Level(0, 0, _DAY))
        prefix = contact[:-_PREFIX_WITHOUT]
        buckets = [
            *((f"texts#{org_id}#{contact}", each) for each in PER_CONTACT),
            (f"texts#{org_id}#{prefix}*", PER_PREFIX),
            (f"texts#{org_id}", Allowance(found.texts_per_minute, 60)),
            (f"texts#{org_id}", Allowance(found.texts_per_day, _DAY)),
        ]
        for name, allowance in buckets:
            self._rate_limits.take(f"{name}#{allowance.seconds}", allowance, receipt)
