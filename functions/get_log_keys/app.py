"""GET /v1/log/keys: the policy by which anybody verifies the log."""

from consents import wiring
from consents.domain.record import Receipt
from consents.http import json_api
from consents.http.endpoint import GatewayResponse, respond
from consents.http.public_url import public_url
from consents.http.request import Context, Event
from consents.http.response import Response
from consents.proof import api
from consents.proof import wiring as proof_wiring

policy = proof_wiring.policy()
configured_url = wiring.public_url()


def handler(event: Event, context: Context) -> GatewayResponse:
    """Return the policy, to any caller."""

    def run(_receipt: Receipt) -> Response:
        return api.policy(policy(public_url(configured_url, event)))

    return respond(event, context, json_api, run, headers={})
