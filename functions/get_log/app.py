"""GET /v1/log/...: the checkpoint, the tiles, the index and the anchors of the log."""

from consents import wiring
from consents.domain.organization import Scope
from consents.http import json_api
from consents.http.endpoint import endpoint
from consents.http.request import Request
from consents.http.response import Response
from consents.proof import api
from consents.proof import wiring as proof_wiring

log = proof_wiring.reader()


@endpoint(json_api, stores=wiring.stores(), scope=Scope.LOG, max_bytes=0, needs_capture=False)
def handler(request: Request) -> Response:
    """Return an object of the log."""
    name = request.route_path.removeprefix("/v1/log/")
    if name == "checkpoint":
        return api.checkpoint(log, request.query("min_size"))
    if name == "anchors":
        return api.anchors(log)
    return api.fixed_object(log, name, request.header("accept"))
