"""Imports of an organization, and one with its progress and rejected rows."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from consents.imports.drop import Drop
from consents.imports.import_state import Import, PendingUpload
from consents_cli import imports
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from consents_console.csv_text import plain_cell
from consents_console.desk import Desk, NotHere
from consents_console.rejected import rejected_page, rejected_rows
from consents_console.rendering import desk_of, page

PAGE = 50
_POSITION = re.compile("[0-9TZ:.-]{27} [0-9a-f]{32}")
ENDED = ("completed", "failed", "expired")


def choose(request: Request) -> Response:
    """Redirect to the imports of the organization that was last chosen."""
    org_id = desk_of(request).session.org_id
    url = f"/organizations/{org_id}/imports" if org_id else "/organizations"
    return RedirectResponse(url, 303)


def list_all(request: Request) -> Response:
    """Show a page of an organization's imports, newest first."""
    desk, org_id = desk_of(request), request.path_params["org_id"]
    organization = desk.entry(org_id).organization
    desk.session.org_id = org_id
    after = request.query_params.get("after")
    if after is not None and not _POSITION.fullmatch(after):
        raise NotHere("There is no such page of imports.")
    found, following = desk.stack.imports.of_organization(org_id, PAGE, after)
    rows = imports.described(desk.stack, found)
    return page(
        request, "imports.html", org=organization, rows=rows, after=after, following=following
    )


def show(request: Request) -> Response:
    """Show an import, and a page of its rejected rows."""
    return _page(request, "import.html")


def progress(request: Request) -> Response:
    """Return the part of the page that changes while an import runs."""
    return _page(request, "import_progress.html")


def _page(request: Request, template: str) -> Response:
    desk, found = desk_of(request), _found(request)
    shown = imports.described(desk.stack, [found])[0]
    organization = desk.entry(shown["org_id"]).organization
    start = request.query_params.get("start", "0")
    offset = int(start) if start.isdecimal() and len(start) < 16 else 0
    has_report = isinstance(found, Import) and found.is_reported
    rejected = rejected_page(desk.objects, found.drop, offset) if has_report else None
    return page(
        request,
        template,
        org=organization,
        shown=shown,
        name=found.drop.key.rpartition("/")[2],
        ended=shown["state"] in ENDED,
        rejected=rejected,
        start=offset,
    )


def download(request: Request) -> Response:
    """Return the rejected rows as the API does."""
    desk, found = desk_of(request), _reported(request)
    pieces = _report(desk, found.drop)
    return _attachment(pieces, found.drop, "jsonl", "application/x-ndjson")


def download_csv(request: Request) -> Response:
    """Return the rejected rows as CSV."""
    desk, found = desk_of(request), _reported(request)
    return _attachment(
        _csv(rejected_rows(_report(desk, found.drop))), found.drop, "csv", "text/csv"
    )


def _csv(rows: Iterator[Mapping[str, Any]]) -> Iterator[bytes]:
    yield b"row,code,reason\r\n"
    for row in rows:
        line = io.StringIO()
        csv.writer(line).writerow(
            plain_cell(row.get(name, "")) for name in ("row", "code", "reason")
        )
        yield line.getvalue().encode()


def _report(desk: Desk, drop: Drop) -> Iterator[bytes]:
    return desk.objects.read(drop.report_key("rejected.jsonl"))


def _attachment(pieces: Iterator[bytes], drop: Drop, form: str, media_type: str) -> Response:
    name = f'attachment; filename="rejected-{drop.import_id}.{form}"'
    return StreamingResponse(pieces, media_type=media_type, headers={"Content-Disposition": name})


def _reported(request: Request) -> Import:
    found = _found(request)
    if not isinstance(found, Import) or not found.is_reported:
        raise NotHere("The import has no report yet.")
    return found


def _found(request: Request) -> PendingUpload | Import:
    found = desk_of(request).stack.imports.find_any(request.path_params["import_id"])
    if found is None:
        raise NotHere("There is no import of this id: no file has arrived, and none was announced.")
    return found
