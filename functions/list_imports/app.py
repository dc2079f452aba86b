"""GET /v1/imports: the imports of an organization, newest first, a page at a time."""

from consents import wiring
from consents.domain.organization import Scope
from consents.http import json_api
from consents.http.endpoint import endpoint
from consents.http.request import Request
from consents.http.response import Response
from consents.imports import api
from consents.imports import wiring as import_wiring
from consents.imports.import_state import overdue

bucket = import_wiring.bucket()
imports = import_wiring.imports()


@endpoint(json_api, stores=wiring.stores(), scope=Scope.WRITE, max_bytes=0)
def handler(request: Request) -> Response:
    """Return a page of the imports of the caller's organization."""
    now = request.receipt.received_at
    limit, after = api.parse_page(request.query("limit"), request.query("cursor"))
    found, following = imports.of_organization(request.organization.org_id, limit, after)
    return api.render_list(found, now, following, bucket.uploaded(overdue(found, now)))
