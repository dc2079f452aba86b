"""Catch-all route: 404 in the error format of the matching API."""

from consents import wiring
from consents.capture import bulk_consents
from consents.domain.errors import NotFound
from consents.domain.record import Receipt
from consents.http import json_api
from consents.http.endpoint import GatewayResponse, respond
from consents.http.request import Context, Event
from consents.http.response import Response


def handler(event: Event, context: Context) -> GatewayResponse:
    """Return 404, to any caller."""
    if event["path"].startswith("/v1/Consents"):
        headers = bulk_consents.cors_headers(wiring.allowed_origin())
        return respond(event, context, bulk_consents, _not_found, headers=headers)
    return respond(event, context, json_api, _not_found, headers={})


def _not_found(_receipt: Receipt) -> Response:
    raise NotFound
