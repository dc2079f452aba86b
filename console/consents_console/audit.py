"""Audit: who looked at what, by day, person and contact."""

import csv
import io
import re
from collections.abc import Iterator

from consents_cli.access_log import Entry, Search
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from consents_console.csv_text import plain_cell
from consents_console.desk import Desk, NotHere
from consents_console.find import contact_in
from consents_console.rendering import desk_of, page, query

PAGE = 100
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_POSITION = re.compile("[0-9TZ:.-]{27} [0-9A-Z]{26}")
_COLUMNS = ("at", "who", "action", "org_id", "contact", "reason")


def show(request: Request) -> Response:
    """Show a page of entries, newest first."""
    return _page(request)


def search(request: Request) -> Response:
    """Redirect to the entries that fit a form: a number becomes its hash."""
    desk, form = desk_of(request), request.state.form
    sought = form.get("contact", "").strip()
    try:
        contact = desk.access_log.hash(contact_in(sought)) if sought else ""
    except NotHere as not_here:
        return _page(request, str(not_here), 422)
    named = query(day=form.get("day"), who=form.get("who", "").strip(), contact=contact)
    return RedirectResponse(f"/audit{named}", 303)


def download(request: Request) -> Response:
    """Return all entries that fit as CSV."""
    desk, wanted = desk_of(request), _search(request)
    name = {"Content-Disposition": 'attachment; filename="access-log.csv"'}
    return StreamingResponse(_csv(desk, wanted), media_type="text/csv", headers=name)


def _page(request: Request, problem: str = "", status: int = 200) -> Response:
    desk, wanted = desk_of(request), _search(request)
    newest = request.query_params.get("newest", "")
    if newest and not _POSITION.fullmatch(newest):
        raise NotHere("There is no such page of the access log.")
    found, following = desk.access_log.find(wanted, PAGE, newest)
    names = {one.org_id: one.name for one in desk.stack.entries.organizations()}
    return page(
        request,
        "audit.html",
        status,
        search=wanted,
        entries=found,
        following=following,
        names=names,
        problem=problem,
    )


def _search(request: Request) -> Search:
    """Return what the URL asks for; without a person or a contact, a day."""
    sent = request.query_params
    day, who, contact = sent.get("day", ""), sent.get("who", ""), sent.get("contact", "")
    if day and not _DAY.fullmatch(day):
        raise NotHere("There is no such day.")
    today = desk_of(request).now().date().isoformat()
    return Search(day or ("" if who or contact else today), who, contact)


def _csv(desk: Desk, wanted: Search) -> Iterator[bytes]:
    yield (",".join(_COLUMNS) + "\r\n").encode()
    newest: str | None = ""
    while newest is not None:
        found, newest = desk.access_log.find(wanted, PAGE, newest)
        yield _lines(found).encode()


def _lines(found: list[Entry]) -> str:
    written = io.StringIO()
    rows = ([plain_cell(getattr(one, name)) for name in _COLUMNS] for one in found)
    csv.writer(written).writerows(rows)
    return written.getvalue()
