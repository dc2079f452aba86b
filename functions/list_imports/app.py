"""GET /v1/imports: the imports of an organization, newest first, a page at a time."""

from consents.aws import import_wiring, wiring
from consents.aws.http import Request, endpoint
from consents.wires import attested, imports
from consents.wires.answer import Answer

progress = import_wiring.progress()


@endpoint(attested, stores=wiring.stores(), scope="consent:write", max_bytes=0)
def handler(request: Request) -> Answer:
    """List the imports of the caller's organization."""
    limit, after = imports.parse_page(request.query("limit"), request.query("cursor"))
    found, following = progress.of_organization(request.organization.org_id, limit, after)
    return imports.render_list(found, request.receipt.received_at, following)
