"""The side that is measured: the entry points as they are deployed."""

from datetime import UTC, datetime
from typing import Any

from consents.wires import attested, bulk_consents

from bench import directory
from bench.bodies import PHONE_NUMBER_ID
from functions.capture_consents import app as capture_consents
from functions.create_bulk_consents import app as create_bulk_consents

HANDLERS: dict[str, Any] = {
    "capture_consents": capture_consents.handler,
    "create_bulk_consents": create_bulk_consents.handler,
}


def prepare() -> None:
    """Make the callers known."""
    directory.fill(lambda header: attested.secret(header) or bulk_consents.secret(header))


def validate(records: list[Any]) -> None:
    """Read every record: the verdict, and what will be stored of a good one."""
    reading = attested.Reading(datetime.now(UTC), {PHONE_NUMBER_ID: directory.PHONE_NUMBER})
    for record in records:
        attested.read(record, reading)


def parse_form(body: bytes) -> None:
    """Parse a form body and judge every item."""
    bulk_consents.read_batch(bulk_consents.parse_batch(body), datetime.now(UTC))
