"""The proof pack of a contact, made as `consents proof` makes it, and downloaded."""

from consents.domain.ulid import new_ulid
from consents.proof.prove import Question
from consents_cli import proof
from starlette.requests import Request
from starlette.responses import Response

from consents_console.rendering import desk_of

PATIENCE = 20.0
"""Seconds for the log to catch up; a person who waits for a page asks again."""


def make(request: Request) -> Response:
    """Return the pack as a file; the access log has an entry first."""
    desk, org_id = desk_of(request), request.path_params["org_id"]
    desk.entry(org_id)
    contact = desk.pair(org_id, request.path_params["consent_id"]).contact
    pack = proof.make(desk.stack, Question(org_id, contact), patience=PATIENCE)
    name = f'attachment; filename="proof-{new_ulid(desk.now())}.zip"'
    return Response(
        pack.content, media_type="application/zip", headers={"Content-Disposition": name}
    )
