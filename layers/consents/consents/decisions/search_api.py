"""The responses of search, get and history."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from consents.decisions import api
from consents.decisions.consent_ids import ConsentIds, Pair
from consents.decisions.search import Consent, Event, position_of
from consents.domain.errors import Invalid, NotFound
from consents.http import json_text
from consents.http.response import Response

MAX_PAGE_BYTES = 4 * 1024 * 1024
"""Lambda returns at most 6 MB; a hundred agreement texts may have more."""

type Texts = Callable[[str, Iterable[str]], Mapping[str, str]]
"""Returns the agreement texts of an organization by their hashes."""


class Renderer:
    """Renders the consents of an organization, each with its sealed id."""

    def __init__(self, consent_ids: ConsentIds) -> None:
        self._consent_ids = consent_ids

    def pair(self, org_id: str, consent_id: str) -> Pair:
        """Return the pair that an id names, or raise `NotFound`."""
        pair = self._consent_ids.open(org_id, consent_id)
        if pair is None:
            raise NotFound
        return pair

    def sender_after(self, org_id: str, contact: str, cursor: str | None) -> str:
        """Return the sender after which a page of a search begins.

        Raises:
            Invalid: the cursor is not the id of a consent of this contact.
        """
        if cursor is None:
            return ""
        pair = self._consent_ids.open(org_id, cursor)
        if pair is None or pair.contact != contact:
            raise Invalid({"cursor": api.MESSAGES["cursor"]})
        return pair.sender

    def consent(self, org_id: str, consent: Consent) -> Response:
        """Return one consent, bare."""
        return Response(200, json_text.indented(self._described(org_id, consent)))

    def consents(self, org_id: str, found: Sequence[Consent], limit: int) -> Response:
        """Return the first consents of those found, and the cursor of the next page."""
        data = [self._described(org_id, consent) for consent in found[:limit]]
        following = data[-1]["id"] if len(found) > limit else None
        return Response(200, json_text.indented(_listed(data, limit, following)))

    def history(self, org_id: str, events: Sequence[Event], limit: int, texts: Texts) -> Response:
        """Return the first events of those found, with their texts, in at most 4 MiB.

        A page has at least one event.
        """
        shown = [self.event(org_id, event) for event in events[:limit]]
        data, used = _that_fit(shown, texts(org_id, _text_hashes(shown)))
        more = len(data) < len(events)
        following = api.cursor_of(position_of(events[len(data) - 1])) if more else None
        listed = _listed(data, limit, following)
        return Response(200, orjson.dumps(listed | {"agreement_texts": used}))

    def event(self, org_id: str, event: Event) -> dict[str, Any]:
        """Return a record as an event of a history."""
        record = event.record
        return {
            "id": record.record_id,
            "consent_id": self._consent_ids.seal(org_id, record.sender, record.contact),
            "sender_id": record.sender,
            "event": event.kind,
            "source": record.wire,
            "occurred_at": record.effective_at,
            "received_at": record.received_at,
            "request_id": record.request_id,
            "correlation_id": record.correlation_id,
            "evidence": record.evidence,
        }

    def _described(self, org_id: str, consent: Consent) -> dict[str, Any]:
        sender, contact = consent.pair
        decision = consent.decision
        record = decision.record
        return {
            "id": self._consent_ids.seal(org_id, sender, contact),
            "org_id": org_id,
            "phone_number_id": consent.phone_number_id,
            "sender_id": sender,
            "contact_number": contact,
            "opted_in": decision.allowed,
            "reason": decision.reason,
            "opted_in_at": consent.opted_in_at,
            "opted_out_at": consent.opted_out_at,
            "expires_at": decision.expires_at,
            "record_id": record.record_id if record else None,
            "source": record.wire if record else None,
            "created_at": consent.created_at,
            "updated_at": consent.updated_at,
        }


def _text_hashes(events: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    named = (event["evidence"].get("agreement_text_hash") for event in events)
    return (text_hash for text_hash in named if text_hash)


def _that_fit(
    events: Sequence[dict[str, Any]], texts: Mapping[str, str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the first events that fit into a page, at least one, and the texts they name."""
    used: dict[str, str] = {}
    size = 0
    for number, event in enumerate(events):
        new = {name: texts[name] for name in _text_hashes([event]) if name not in used}
        size += len(orjson.dumps(event)) + len(orjson.dumps(new))
        if number and size > MAX_PAGE_BYTES:
            return [*events[:number]], used
        used |= new
    return [*events], used


def _listed(data: list[dict[str, Any]], limit: int, following: str | None) -> dict[str, Any]:
    return {
        "success": True,
        "data": data,
        "meta": {"limit": limit, "next_cursor": following},
    }
