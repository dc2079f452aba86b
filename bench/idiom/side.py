"""The plain idiom: both bulk routes, written as the public templates of AWS and Powertools are.

It does what a caller would call the same: the same fields, the same credentials, one answer for
each record, the idempotency key, the allowance, 25 records a call. What it lacks is what the plain
tools do not give: an append-only ledger, an exact limit, rules as strict, every message the wire's.
"""

from typing import Any

from bench import directory
from bench.idiom import capture_consents, create_bulk_consents

HANDLERS: dict[str, Any] = {
    "capture_consents": capture_consents.handler,
    "create_bulk_consents": create_bulk_consents.handler,
}


def prepare() -> None:
    """Make the callers known."""
    directory.fill(lambda header: header)


def validate(records: list[Any]) -> None:
    """Judge every record."""
    capture_consents.read(records)


def parse_form(body: bytes) -> None:
    """Parse a form body and judge every item."""
    create_bulk_consents.read(create_bulk_consents.items_of(body.decode()))
