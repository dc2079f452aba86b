"""Every route that is not there: 404 in the envelope of the wire it lies on."""

from consents.aws import http, wiring
from consents.domain.errors import NotFound
from consents.domain.record import Receipt
from consents.wires import attested, bulk_consents
from consents.wires.answer import Answer


def handler(event: http.Event, context: http.Context) -> http.Response:
    """Refuse the request, whoever calls."""
    if event["path"].startswith("/v1/Consents"):
        headers = bulk_consents.cors_headers(wiring.allowed_origin())
        return http.respond(event, context, bulk_consents, _refuse, headers=headers)
    return http.respond(event, context, attested, _refuse, headers={})


def _refuse(_receipt: Receipt) -> Answer:
    raise NotFound
