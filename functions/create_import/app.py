"""POST /v1/imports: announce a file of consents, and return a presigned upload URL."""

from consents import wiring
from consents.domain.organization import Scope
from consents.http import json_api
from consents.http.endpoint import endpoint
from consents.http.request import Request
from consents.http.response import Response
from consents.imports import api
from consents.imports import wiring as import_wiring

bucket = import_wiring.bucket()
imports = import_wiring.imports()
limits = import_wiring.limits()


@endpoint(json_api, stores=wiring.stores(), scope=Scope.WRITE, max_bytes=api.MAX_BYTES)
def handler(request: Request) -> Response:
    """Create the import and return a presigned upload URL."""
    org_id, key_id = request.organization.org_id, request.credential.key_id
    announcement = api.parse_announcement(request.body, request.content_type)
    pending = bucket.pending_upload(org_id, key_id, announcement, request.receipt)
    import_id = pending.drop.import_id
    limits.open_upload(org_id, import_id, pending.announced_at, pending.expires_at)
    imports.announce(pending)
    return api.render_pending(pending, bucket.upload_link(pending, announcement))
