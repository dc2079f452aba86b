"""A record: every field, its text, its receipt, and whether its digest fits."""

from consents_cli.access_log import Action
from starlette.requests import Request
from starlette.responses import Response

from consents_console import contacts
from consents_console.digests import digest_fits, text_fits
from consents_console.rendering import desk_of, page


def show(request: Request) -> Response:
    """Show a record of a contact."""
    contact = contacts.read(request, Action.RECORD_VIEWED)
    record = contacts.record_of(contact, request.path_params["record_id"])
    texts = contacts.texts(desk_of(request), contact.org_id, [record])
    text = next(iter(texts.values()), None)
    return page(
        request,
        "record.html",
        contact=contact,
        record=record,
        text=text,
        digest_fits=digest_fits(record),
        text_fits=text is not None and text_fits(record, text),
    )
