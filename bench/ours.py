"""Our side: the handlers as they are deployed."""

from datetime import UTC, datetime
from typing import Any

from consents.capture import attested, bulk_consents
from consents.http import json_api

from bench import directory
from bench.bodies import PHONE_NUMBER_ID
from functions.capture_consents import app as capture_consents
from functions.check_consents import app as check_consents
from functions.create_bulk_consents import app as create_bulk_consents

HANDLERS: dict[str, Any] = {
    "capture_consents": capture_consents.handler,
    "check_consents": check_consents.handler,
    "create_bulk_consents": create_bulk_consents.handler,
}


def prepare() -> None:
    """Write the callers to the directory."""
    directory.fill(lambda header: json_api.secret(header) or bulk_consents.secret(header))


def validate(records: list[Any]) -> None:
    """Validate every record, and build the record to store of a valid one."""
    reading = attested.ReadContext(datetime.now(UTC), {PHONE_NUMBER_ID: directory.PHONE_NUMBER})
    for record in records:
        attested.read(record, reading)


def parse_form(body: bytes) -> None:
    """Parse a form body and validate every item."""
    bulk_consents.read_batch(bulk_consents.parse_batch(body), datetime.now(UTC))
