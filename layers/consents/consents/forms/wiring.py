"""The composition root of hosted forms."""

from functools import cache

from consents import wiring
from consents.forms.keys import FormKeys
from consents.forms.table import FormsTable


@cache
def forms() -> FormsTable:
    """Return the forms, and what visitors submit."""
    return FormsTable(wiring.table("FORMS_TABLE"))


@cache
def keys() -> FormKeys:
    """Return the keys of links and pages."""
    return FormKeys(wiring.directory().hash)
