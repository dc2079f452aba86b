"""How often visitors may submit: from one address, and on one form."""

from ipaddress import IPv6Address, ip_network

from consents.domain.record import Receipt
from consents.domain.token_bucket import Allowance
from consents.forms.form import Confirm, Form
from consents.http.rate_limits import RateLimits

PER_ADDRESS = Allowance(10, 60)
PER_ADDRESS_BY_TEXT = Allowance(5, 3600)
"""Of forms that ask by text message."""
PER_FORM = Allowance(600, 3600)

_IPV6_PREFIX = 64
"""One subscriber has all addresses of a /64."""


class VisitorLimits:
    """Counts the submissions of visitors, exactly, under any concurrency."""

    def __init__(self, rate_limits: RateLimits) -> None:
        self._rate_limits = rate_limits

    def take(self, form: Form, ip_address: str, receipt: Receipt) -> None:
        """Count one submission, or raise `RateLimited`."""
        name, form_id = f"address#{network(ip_address)}", form.form_id
        self._rate_limits.take(name, PER_ADDRESS, receipt)
        if form.confirm is Confirm.SMS:
            self._rate_limits.take(f"{name}#texts", PER_ADDRESS_BY_TEXT, receipt)
        self._rate_limits.take(f"form#{form_id}", PER_FORM, receipt)


def network(ip_address: str) -> str:
    """Return an IPv4 address, or the /64 network of an IPv6 address."""
    if ":" not in ip_address:
        return ip_address
    address = IPv6Address(ip_address.partition("%")[0])
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ip_network((address, _IPV6_PREFIX), strict=False))
