"""Find: one field for a number, a consent id, an import id or a request id."""

import re

from consents.domain import formats
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from consents_console.desk import Desk, NotHere
from consents_console.rendering import desk_of, page
from consents_console.requests import REQUEST_ID

_SEPARATORS = re.compile(r"[\s().\u2010-\u2015/-]")
_CONSENT_ID = re.compile("[0-9a-f]{48,80}")
_IMPORT_ID = re.compile("[0-9a-f]{32}")
_ROW_ID = re.compile("([0-9a-f]{32})/[0-9]+")
_HINT = (
    "Not understood: type a number with its country code, such as +1 555 444 3333, "
    "or the id of a consent, an import or a request."
)


def show(request: Request) -> Response:
    """Show the field, and what was looked at in this session."""
    return _page(request)


def search(request: Request) -> Response:
    """Redirect to what was found: a number is in a form, never in a URL."""
    form, desk = request.state.form, desk_of(request)
    sought, org_id = form.get("sought", "").strip(), form.get("org_id", "")
    desk.session.org_id = org_id
    try:
        return RedirectResponse(url_of(desk, org_id, sought), 303)
    except NotHere as not_here:
        return _page(request, sought, str(not_here), 422)


def url_of(desk: Desk, org_id: str, sought: str) -> str:
    """Return the URL of what was sought, or raise `NotHere`."""
    text = sought.lower()
    if row := _ROW_ID.fullmatch(text):
        return f"/imports/{row[1]}"
    if _IMPORT_ID.fullmatch(text):
        return _import_url(desk, text)
    if REQUEST_ID.fullmatch(sought.upper()):
        return f"/requests/{sought.upper()}"
    if not org_id:
        raise NotHere("Choose an organization first.")
    if _CONSENT_ID.fullmatch(text):
        desk.pair(org_id, text)
        return f"/organizations/{org_id}/consents/{text}"
    return f"/organizations/{org_id}/consents/{desk.consent_id(org_id, contact_in(sought))}"


def contact_in(sought: str) -> str:
    """Return the number in what a person typed, or raise `NotHere`."""
    number = _SEPARATORS.sub("", sought)
    if not formats.is_contact(number):
        raise NotHere(_HINT)
    return number


def _import_url(desk: Desk, import_id: str) -> str:
    if desk.stack.imports.find_any(import_id) is None:
        raise NotHere("There is no import of this id: no file has arrived, and none was announced.")
    return f"/imports/{import_id}"


def _page(request: Request, sought: str = "", problem: str = "", status: int = 200) -> Response:
    desk = desk_of(request)
    organizations = desk.stack.entries.organizations()
    return page(
        request, "find.html", status, organizations=organizations, sought=sought, problem=problem
    )
