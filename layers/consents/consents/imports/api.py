"""The imports API: announce a file, and show the progress of its import."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, TypedDict, get_args

from pydantic import Field, Strict, StringConstraints, TypeAdapter, ValidationError

from consents.domain.errors import Invalid, NotFound
from consents.domain.record import Wire, timestamp
from consents.http import json_text
from consents.http.json_api import parse_object
from consents.http.response import Response
from consents.imports.drop import Drop
from consents.imports.import_state import Counts, Import, PendingUpload

MAX_BYTES = 16 * 1024
"""Of a body, which announces a file and does not contain it."""

MAX_FILE_BYTES = 5 * 1024**3
"""The limit of one S3 PUT (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""

MAX_PAGE, DEFAULT_PAGE = 100, 20
"""Imports per page."""

AWAITING_UPLOAD, EXPIRED = "awaiting_upload", "expired"
"""Announced and not uploaded: the link may still be used, or has expired."""

QUEUED = "queued"
"""Uploaded, and waiting for its turn or for the next day."""

PLANNING, IMPORTING = "planning", "importing"
"""The file is being cut into parts; it is cut, and not all parts are done and reported."""

type Format = Literal["csv", "csv.gz", "jsonl", "jsonl.gz"]
type _WireName = Literal["attested", "bulk-consents"]

MESSAGES: Mapping[str, str] = {
    "wire": "must be one of " + ", ".join(get_args(_WireName.__value__)),
    "format": "must be one of " + ", ".join(get_args(Format.__value__)),
    "size": f"must be 1..{MAX_FILE_BYTES} bytes",
    "sha256": "must be 64 hex digits",
    "limit": f"must be 1..{MAX_PAGE}",
    "cursor": "must be a next_cursor of this list",
}

_ID = re.compile("[0-9a-f]{32}")
_LIMIT = re.compile("[0-9]{1,3}")
_POSITION = re.compile("[0-9TZ:.-]{27} [0-9a-f]{32}")


class _Announcement(TypedDict):
    wire: _WireName
    format: Format
    size: Annotated[int, Strict(), Field(ge=1, le=MAX_FILE_BYTES)]
    sha256: NotRequired[Annotated[str, StringConstraints(pattern="^[0-9a-fA-F]{64}$")] | None]


_RULES = TypeAdapter(_Announcement)


@dataclass(frozen=True, slots=True)
class Announcement:
    """The file that a caller announces. `sha256` is in hex, or None."""

    wire: Wire
    format: Format
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Link:
    """A presigned URL, its headers, and when it expires."""

    url: str
    headers: Mapping[str, str]
    expires_at: datetime


def parse_announcement(body: bytes, content_type: str | None) -> Announcement:
    """Return an announcement.

    Raises:
        UnsupportedMediaType: there is a content type and it is not JSON.
        MalformedBody: not JSON, or not an object.
        Invalid: some fields are missing or break their rule.
    """
    try:
        sent = _RULES.validate_python(parse_object(body, content_type))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise Invalid(
            {
                field: "is required" if fault["type"] == "missing" else MESSAGES[field]
                for fault, field in ((fault, str(fault["loc"][0])) for fault in faults)
            }
        ) from None
    digest = sent.get("sha256")
    return Announcement(
        Wire(sent["wire"]), sent["format"], sent["size"], digest.lower() if digest else None
    )


def parse_id(sent: str) -> str:
    """Return the id of an import, or raise `NotFound` if it is not in the form of one."""
    if not _ID.fullmatch(sent):
        raise NotFound
    return sent


def parse_page(limit: str | None, cursor: str | None) -> tuple[int, str | None]:
    """Return the page size, and the position after which the page begins.

    Raises:
        Invalid: the limit is out of bounds, or the cursor is invalid.
    """
    faults = {}
    size = _size(limit)
    position = None if cursor is None else _position(cursor)
    if size is None:
        faults["limit"] = MESSAGES["limit"]
    if cursor is not None and position is None:
        faults["cursor"] = MESSAGES["cursor"]
    if size is None or faults:
        raise Invalid(faults)
    return size, position


def _size(limit: str | None) -> int | None:
    if limit is None:
        return DEFAULT_PAGE
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MAX_PAGE:
        return None
    return int(limit)


def _position(cursor: str) -> str | None:
    try:
        position = urlsafe_b64decode(cursor).decode()
    except ValueError:  # not base64, or not UTF-8
        return None
    return position if _POSITION.fullmatch(position) else None


def render_pending(pending: PendingUpload, link: Link) -> Response:
    """Return the id of the import and the upload link."""
    rendered = {
        "import_id": pending.drop.import_id,
        "state": AWAITING_UPLOAD,
        "upload": {
            "method": "PUT",
            "url": link.url,
            "headers": link.headers,
            "expires_at": timestamp(link.expires_at),
        },
    }
    return Response(201, json_text.indented(rendered))


def render_import(
    found: PendingUpload | Import,
    now: datetime,
    reports: Mapping[str, Link] | None,
    uploaded: Collection[str],
) -> Response:
    """Return the progress of an import, with links to its reports once they are written."""
    rendered = describe(found, now, uploaded)
    rendered["reports"] = None if reports is None else _links(reports)
    return Response(200, json_text.indented(rendered))


def _links(reports: Mapping[str, Link]) -> dict[str, str]:
    expires_at = min(timestamp(link.expires_at) for link in reports.values())
    return {name: link.url for name, link in reports.items()} | {"expires_at": expires_at}


def render_list(
    found: Sequence[PendingUpload | Import],
    now: datetime,
    following: str | None,
    uploaded: Collection[str],
) -> Response:
    """Return a page of imports, newest first, and the cursor of the next one, or null."""
    cursor = None if following is None else urlsafe_b64encode(following.encode()).decode()
    imports = [describe(each, now, uploaded) for each in found]
    return Response(200, json_text.indented({"imports": imports, "next_cursor": cursor}))


def describe(
    found: PendingUpload | Import, now: datetime, uploaded: Collection[str]
) -> dict[str, Any]:
    """Return the fields of an import in the API.

    `uploaded` are the ids of overdue pending uploads whose object is there. An import has not ended
    before its reports are written.
    """
    if isinstance(found, PendingUpload):
        return _described(found.drop, _upload_state(found, now, uploaded), Counts())
    state, reason = _state(found, now)
    described = _described(found.drop, state, found.counts)
    described |= {"reason": reason} if reason else {}
    ended = found.is_reported
    return described | {
        "parts": found.parts,
        "parts_done": found.parts_done,
        "started_at": timestamp(found.started_at),
        "finished_at": timestamp(found.finished_at) if ended and found.finished_at else None,
        "source": _source(found.drop),
    }


def _upload_state(pending: PendingUpload, now: datetime, uploaded: Collection[str]) -> str:
    if now < pending.expires_at:
        return AWAITING_UPLOAD
    return QUEUED if pending.drop.import_id in uploaded else EXPIRED


def _state(found: Import, now: datetime) -> tuple[str, str | None]:
    """Return the state of an import that has begun, and the reason for it if there is one."""
    if found.is_reported and found.outcome:
        return found.outcome, found.reason
    if found.outcome is not None:
        return IMPORTING, None  # its reports are being written
    if found.is_queued:
        return QUEUED, None
    if found.paused_until and now < found.paused_until:
        return QUEUED, f"the daily bound of parts is reached: continues {_day(found.paused_until)}"
    return PLANNING if found.parts is None else IMPORTING, None


def _day(at: datetime) -> str:
    return timestamp(at)[:10]


def _described(drop: Drop, state: str | None, counts: Counts) -> dict[str, Any]:
    return {
        "import_id": drop.import_id,
        "wire": drop.wire,
        "state": state,
        **_counted(counts),
        "parts": None,
        "parts_done": 0,
        "started_at": None,
        "finished_at": None,
        "source": None,
    }


def render_summary(ended: Import) -> bytes:
    """Return the summary that an import ends with."""
    summary = {
        "import_id": ended.drop.import_id,
        "state": ended.outcome,
        **({"reason": ended.reason} if ended.reason else {}),
        **_counted(ended.counts),
        "started_at": timestamp(ended.started_at),
        "finished_at": timestamp(ended.finished_at or ended.started_at),
        "source": _source(ended.drop),
    }
    return json_text.indented(summary)


def _counted(counts: Counts) -> dict[str, Any]:
    return {
        "rows": counts.rows,
        "accepted": counts.accepted,
        "duplicates": counts.duplicates,
        "rejected": sum(counts.rejected.values()),
        "rejected_by_code": dict(sorted(counts.rejected.items())),
    }


def _source(drop: Drop) -> dict[str, str]:
    return {"bucket": drop.bucket, "key": drop.key, "version": drop.version}
