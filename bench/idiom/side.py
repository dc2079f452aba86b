"""The plain idiom: the bulk routes and the check, as the templates of AWS and Powertools are.

It has the same fields and credentials, one result per record, the idempotency key, the rate limit,
and 25 records per call. It lacks what the plain tools do not offer: an append-only ledger, an exact
rate limit, rules as strict, and the error messages of each API.
"""

from typing import Any

from bench import directory
from bench.idiom import capture_consents, check_consents, create_bulk_consents

HANDLERS: dict[str, Any] = {
    "capture_consents": capture_consents.handler,
    "check_consents": check_consents.handler,
    "create_bulk_consents": create_bulk_consents.handler,
}


def prepare() -> None:
    """Write the callers to the directory."""
    directory.fill(lambda header: header)


def validate(records: list[Any]) -> None:
    """Validate every record."""
    capture_consents.read(records)


def parse_form(body: bytes) -> None:
    """Parse a form body and validate every item."""
    create_bulk_consents.read(create_bulk_consents.items_of(body.decode()))
