"""How often visitors may submit: from one address, and on one form."""

from consents.domain.record import Receipt
from consents.domain.token_bucket import Allowance
from consents.forms.form import Confirm, Form
from consents.http.rate_limits import RateLimits
from consents.pages.addresses import PER_ADDRESS, bucket_name

PER_ADDRESS_BY_TEXT = Allowance(5, 3600)
"""Of forms that ask by text message."""
PER_FORM = Allowance(600, 3600)


class VisitorLimits:
    """Counts the submissions of visitors, exactly, under any concurrency."""

    def __init__(self, rate_limits: RateLimits) -> None:
        self._rate_limits = rate_limits

    def take(self, form: Form, ip_address: str, receipt: Receipt) -> None:
        """Count one submission, or raise `RateLimited`."""
        name, form_id = bucket_name(ip_address), form.form_id
        self._rate_limits.take(name, PER_ADDRESS, receipt)
        if form.confirm is Confirm.SMS:
            self._rate_limits.take(f"{name}#texts", PER_ADDRESS_BY_TEXT, receipt)
        self._rate_limits.take(f"form#{form_id}", PER_FORM, receipt)
