"""POST /v1/consent/proof: what is asked, and the response."""

import re
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from consents.decisions.api import MESSAGES, REQUIRED, refuse
from consents.domain import formats
from consents.domain.record import timestamp
from consents.http import json_text
from consents.http.json_api import parse_object
from consents.http.request import Request, not_known
from consents.http.response import Response
from consents.proof.prove import Pack, Question

MAX_BYTES = 64 * 1024
COST = 100
"""Of the organization's bucket of contacts."""

MAX_KEPT = 16

_WHOLE_NUMBER = re.compile("[0-9]{1,19}")

_KEPT = f"must be an array of at most {MAX_KEPT} sizes"


class Link(NamedTuple):
    """A presigned URL."""

    url: str
    expires_at: datetime


def parse_question(request: Request) -> Question:
    """Return what is asked.

    Raises:
        UnsupportedMediaType, MalformedBody: as for every JSON body.
        Invalid: some members or parameters break their rule.
    """
    sent = parse_object(request.body, request.content_type)
    min_size, kept = request.query("min_size") or "0", sent.get("kept", [])
    faults = not_known(sent, {"contact_number", "kept"}) | request.unknown_query({"min_size"})
    contact = sent.get("contact_number")
    if "contact_number" not in sent:
        faults["contact_number"] = REQUIRED
    elif not formats.is_contact(contact):
        faults["contact_number"] = MESSAGES["contact_number"]
    if not _are_sizes(kept):
        faults["kept"] = _KEPT
    if not _WHOLE_NUMBER.fullmatch(min_size):
        faults["min_size"] = "must be a whole number"
    refuse(faults)
    return Question(request.organization.org_id, sent["contact_number"], kept, int(min_size))


def _are_sizes(kept: Any) -> bool:
    is_short = isinstance(kept, list) and len(kept) <= MAX_KEPT
    return is_short and all(type(one) is int and one > 0 for one in kept)


def render(proof_id: str, pack: Pack, link: Link) -> Response:
    """Return the response that links to a pack."""
    described = summary(proof_id, pack) | {
        "url": link.url,
        "expires_at": timestamp(link.expires_at),
    }
    return Response(201, json_text.indented(described))


def summary(proof_id: str, pack: Pack) -> dict[str, Any]:
    """Return what identifies a pack, and the verdict under the stack's own policy."""
    return {
        "proof_id": proof_id,
        "sha256": sha256(pack.content).hexdigest(),
        "bytes": len(pack.content),
        "size": pack.size,
        "verdict": pack.report["verdict"],
    }
