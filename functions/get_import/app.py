"""GET /v1/imports/{import_id}: how far an import is, and its reports when it is at its end."""

from consents.aws import import_wiring, wiring
from consents.aws.http import Request, endpoint
from consents.domain.drop import Import
from consents.domain.errors import NotFound
from consents.wires import attested, imports
from consents.wires.answer import Answer

files = import_wiring.files()
progress = import_wiring.progress()


@endpoint(attested, stores=wiring.stores(), scope="consent:write", max_bytes=0)
def handler(request: Request) -> Answer:
    """Tell of an import of the caller's organization; another's is not found."""
    now = request.receipt.received_at
    found = progress.find(imports.parse_id(request.path("import_id")))
    if found is None or found.drop.org_id != request.organization.org_id:
        raise NotFound
    ended = isinstance(found, Import) and found.is_reported
    reports = files.report_links(found.drop, now) if ended else None
    return imports.render_import(found, now, reports)
