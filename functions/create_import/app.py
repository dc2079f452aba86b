"""POST /v1/imports: announce a file of consents, and be told where to upload it."""

from consents.aws import import_wiring, wiring
from consents.aws.http import Request, endpoint
from consents.wires import attested, imports
from consents.wires.answer import Answer

files = import_wiring.files()
progress = import_wiring.progress()


@endpoint(attested, stores=wiring.stores(), scope="consent:write", max_bytes=imports.MAX_BYTES)
def handler(request: Request) -> Answer:
    """Keep that a file is to come, and give the link to upload it by."""
    announcement = imports.parse_announcement(request.body, request.content_type)
    announced = files.announced(request.organization.org_id, announcement, request.receipt)
    progress.announce(announced)
    return imports.render_announced(announced, files.upload_link(announced, announcement))
