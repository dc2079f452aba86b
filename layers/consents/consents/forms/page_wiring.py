"""The composition root of pages: only the functions of pages load the templates."""

from functools import cache

from consents import wiring
from consents.forms import wiring as form_wiring
from consents.forms.error_pages import FormErrorPages
from consents.forms.limits import VisitorLimits
from consents.forms.submit import AskVisitor, Submissions


@cache
def error_pages() -> FormErrorPages:
    """Return the pages of errors."""
    return FormErrorPages(form_wiring.keys)


def submissions(ask: AskVisitor) -> Submissions:
    """Return what takes submissions; `ask` asks a visitor by text message."""
    limits = VisitorLimits(wiring.stores().rate_limits)
    return Submissions(form_wiring.forms(), wiring.ledger(), limits, form_wiring.keys, ask)
