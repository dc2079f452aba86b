"""Every route that is not there: 404 in the envelope of the wire it lies on."""

from consents.aws import http, wiring
from consents.domain.errors import NotFound
from consents.domain.record import Receipt
from consents.wires import attested, bulk_consents
from consents.wires.answer import Answer


def handler(event: http.Event, _context: http.Context) -> http.Response:
    """Refuse the request, whoever calls."""
    if event["path"].startswith("/v1/Consents"):
        return http.respond(
            event, bulk_consents, _refuse, bulk_consents.cors_headers(wiring.allowed_origin())
        )
    return http.respond(event, attested, _refuse, {})


def _refuse(_receipt: Receipt) -> Answer:
    raise NotFound
