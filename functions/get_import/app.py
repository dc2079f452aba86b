"""GET /v1/imports/{import_id}: the progress of an import, and links to its reports."""

from consents import wiring
from consents.domain.errors import NotFound
from consents.domain.organization import Scope
from consents.http import json_api
from consents.http.endpoint import endpoint
from consents.http.request import Request
from consents.http.response import Response
from consents.imports import api
from consents.imports import wiring as import_wiring
from consents.imports.import_state import Import, overdue

bucket = import_wiring.bucket()
imports = import_wiring.imports()


@endpoint(json_api, stores=wiring.stores(), scope=Scope.WRITE, max_bytes=0)
def handler(request: Request) -> Response:
    """Return an import of the caller's organization; another's is not found."""
    now = request.receipt.received_at
    import_id = api.parse_id(request.path("import_id"))
    found = imports.find(request.organization.org_id, import_id)
    if found is None:
        raise NotFound
    ended = isinstance(found, Import) and found.is_reported
    reports = bucket.report_links(found.drop, now) if ended else None
    return api.render_import(found, now, reports, bucket.uploaded(overdue([found], now)))
