"""The composition root of the pages of links: only their functions load the templates."""

from functools import cache

from consents import wiring
from consents.domain.record import Receipt
from consents.opt_in import wiring as opt_in_wiring
from consents.opt_in.answering import Answers
from consents.opt_in.link_error_pages import LinkErrorPages
from consents.pages.addresses import PER_ADDRESS, bucket_name


@cache
def error_pages() -> LinkErrorPages:
    """Return the pages of errors."""
    return LinkErrorPages(opt_in_wiring.link_keys())


@cache
def answers() -> Answers:
    """Return what takes answers."""
    rate_limits = wiring.stores().rate_limits

    def limit(ip_address: str, receipt: Receipt) -> None:
        rate_limits.take(bucket_name(ip_address), PER_ADDRESS, receipt)

    return Answers(
        opt_in_wiring.challenges(),
        wiring.ledger(),
        opt_in_wiring.link_keys(),
        limit=limit,
        enqueue=opt_in_wiring.enqueue,
    )
