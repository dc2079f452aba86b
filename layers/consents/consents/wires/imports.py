"""The imports API: JSON that announces a file, and tells how far its import is."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, TypedDict, get_args

from pydantic import Field, Strict, StringConstraints, TypeAdapter, ValidationError

from consents.domain.drop import Announced, Counts, Drop, Import
from consents.domain.errors import Invalid, NotFound
from consents.domain.record import Wire, timestamp
from consents.wires import attested, json_text
from consents.wires.answer import Answer

MAX_BYTES = 16 * 1024
"""Of a body: it announces a file, and holds none."""

MOST_FILE_BYTES = 5 * 1024**3
"""What S3 takes in one PUT (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""

MOST_LISTED, LISTED = 100, 20
"""How many imports a page may hold, and holds where the caller does not say."""

AWAITING_UPLOAD, EXPIRED = "awaiting_upload", "expired"
"""The file is announced and not there: it may still be uploaded, or no longer."""

PLANNING, IMPORTING = "planning", "importing"
"""The file is being cut into parts; it is, and they are not all done and reported."""

type Format = Literal["csv", "csv.gz", "jsonl", "jsonl.gz"]
type _WireName = Literal["attested", "bulk-consents"]

MESSAGES: Mapping[str, str] = {
    "wire": "must be one of " + ", ".join(get_args(_WireName.__value__)),
    "format": "must be one of " + ", ".join(get_args(Format.__value__)),
    "size": f"must be 1..{MOST_FILE_BYTES} bytes",
    "sha256": "must be 64 hex digits",
    "limit": f"must be 1..{MOST_LISTED}",
    "cursor": "must be a next_cursor of this list",
}

_ID = re.compile("[0-9a-f]{32}")
_LIMIT = re.compile("[0-9]{1,3}")
_POSITION = re.compile("[0-9TZ:.-]{27} [0-9a-f]{32}")


class _Announcement(TypedDict):
    wire: _WireName
    format: Format
    size: Annotated[int, Strict(), Field(ge=1, le=MOST_FILE_BYTES)]
    sha256: NotRequired[Annotated[str, StringConstraints(pattern="^[0-9a-fA-F]{64}$")] | None]


_RULES = TypeAdapter(_Announcement)


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a caller says of the file that it will upload. `sha256` is in hex, or None."""

    wire: Wire
    format: Format
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Link:
    """A URL that whoever has it may call until it expires, with these headers."""

    url: str
    headers: Mapping[str, str]
    expires_at: datetime


def parse_announcement(body: bytes, content_type: str | None) -> Announcement:
    """Return what a caller says of a file.

    Raises:
        UnsupportedMediaType: the content type is given and is not JSON.
        MalformedBody: not JSON, or not an object.
        Invalid: some fields are missing or break their rule.
    """
    try:
        sent = _RULES.validate_python(attested.parse_single(body, content_type))
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
    """Return the id of an import as it was sent, or raise `NotFound` if it can be none's."""
    if not _ID.fullmatch(sent):
        raise NotFound
    return sent


def parse_page(limit: str | None, cursor: str | None) -> tuple[int, str | None]:
    """Return how many imports a list may hold, and behind which it begins.

    Raises:
        Invalid: the limit is out of bounds, or the cursor is none of ours.
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
        return LISTED
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MOST_LISTED:
        return None
    return int(limit)


def _position(cursor: str) -> str | None:
    try:
        position = urlsafe_b64decode(cursor).decode()
    except ValueError:  # not base64, or not UTF-8
        return None
    return position if _POSITION.fullmatch(position) else None


def render_announced(announced: Announced, link: Link) -> Answer:
    """Return the id of an import to come, and where to put its file."""
    told = {
        "import_id": announced.drop.import_id,
        "state": AWAITING_UPLOAD,
        "upload": {
            "method": "PUT",
            "url": link.url,
            "headers": link.headers,
            "expires_at": timestamp(link.expires_at),
        },
    }
    return Answer(201, json_text.indented(told))


def render_import(
    found: Announced | Import, now: datetime, reports: Mapping[str, Link] | None
) -> Answer:
    """Return how far an import is, with the links to its reports where they are written."""
    told = describe(found, now)
    told["reports"] = None if reports is None else _links(reports)
    return Answer(200, json_text.indented(told))


def _links(reports: Mapping[str, Link]) -> dict[str, str]:
    expires_at = min(timestamp(link.expires_at) for link in reports.values())
    return {name: link.url for name, link in reports.items()} | {"expires_at": expires_at}


def render_list(
    found: Sequence[Announced | Import], now: datetime, following: str | None
) -> Answer:
    """Return a page of imports, newest first, and the cursor of the next one, or null."""
    cursor = None if following is None else urlsafe_b64encode(following.encode()).decode()
    told = {"imports": [describe(each, now) for each in found], "next_cursor": cursor}
    return Answer(200, json_text.indented(told))


def describe(found: Announced | Import, now: datetime) -> dict[str, Any]:
    """Return what is known of an import; it is not at its end before its reports are written."""
    if isinstance(found, Announced):
        state = AWAITING_UPLOAD if now < found.expires_at else EXPIRED
        return _described(found.drop, state, Counts())
    ended = found.is_reported
    running = PLANNING if found.parts is None and found.outcome is None else IMPORTING
    told = _described(found.drop, found.outcome if ended else running, found.counts)
    told |= {"reason": found.reason} if ended and found.reason else {}
    return told | {
        "parts": found.parts,
        "parts_done": found.parts_done,
        "started_at": timestamp(found.started_at),
        "finished_at": timestamp(found.finished_at) if ended and found.finished_at else None,
        "source": _source(found.drop),
    }


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
    """Return the report that an import ends with."""
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
