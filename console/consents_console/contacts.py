"""A contact: may each sender text it, and every record with its evidence."""

from collections.abc import Sequence
from dataclasses import dataclass

from consents.accounts.directory_writer import Entry
from consents.decisions.consent_ids import Pair
from consents.decisions.decide import speaking
from consents.domain.record import EVERY_SENDER, StoredRecord
from consents.domain.rules import Rules
from consents_cli.access_log import Action
from starlette.requests import Request
from starlette.responses import Response

from consents_console.desk import Desk, NotHere
from consents_console.rendering import desk_of, page
from consents_console.timeline import Moment, Standing, Verdict, timeline, verdicts

PAGE = 50
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Contact:
    """The contact that a URL names, its organization, and all its records."""

    entry: Entry
    pair: Pair
    consent_id: str
    records: list[StoredRecord]

    @property
    def org_id(self) -> str:
        """The id of its organization."""
        return self.entry.organization.org_id

    @property
    def rules(self) -> Rules:
        """The rules of its organization."""
        return self.entry.organization.rules


def read(request: Request, action: Action) -> Contact:
    """Return the contact that a request names, once the access log has an entry of it.

    Raises:
        NotHere: an unknown organization or consent id.
        Failed: the access log took no entry.
        Unavailable: the ledger does not answer.
    """
    desk = desk_of(request)
    org_id, consent_id = request.path_params["org_id"], request.path_params["consent_id"]
    entry = desk.entry(org_id)
    pair = desk.pair(org_id, consent_id)
    desk.look(entry, pair.contact, action)
    records = desk.stack.reader.records(org_id, pair.contact, lambda: _SECONDS)
    return Contact(entry, pair, consent_id, records)


def show(request: Request) -> Response:
    """Show whom the contact allows to text, and a page of its records.

    The consent id of a sender shows what speaks about that sender.
    """
    desk, contact = desk_of(request), read(request, Action.CONTACT_VIEWED)
    org_id, number = contact.org_id, contact.pair.contact
    senders = [one.phone_number for one in contact.entry.senders]
    found = verdicts(contact.records, number, senders, contact.rules, desk.now())
    only_counting = "counting" in request.query_params
    moments = _moments(contact, found, only_counting=only_counting)
    first = _first(request)
    shown = moments[first : first + PAGE]
    return page(
        request,
        "contact.html",
        contact=contact,
        verdicts=found,
        moments=shown,
        total=len(moments),
        first=first,
        older=first + PAGE if len(moments) > first + PAGE else None,
        only_counting=only_counting,
        is_revoked="revoked" in request.query_params,
        texts=texts(desk, org_id, [one.record for one in shown]),
        ids={one.sender: desk.consent_id(org_id, number, one.sender) for one in found},
        every=desk.consent_id(org_id, number),
    )


def _moments(contact: Contact, found: Sequence[Verdict], *, only_counting: bool) -> list[Moment]:
    """Return the records that speak about the sender of the URL, perhaps only what counts."""
    moments = timeline(contact.records, found, contact.rules)
    if contact.pair.sender != EVERY_SENDER:
        scope = contact.rules.opt_out_scope
        speaks = {one.record_id for one in speaking(contact.records, contact.pair.sender, scope)}
        moments = [one for one in moments if one.record.record_id in speaks]
    return [one for one in moments if not only_counting or one.standing is Standing.COUNTS]


def texts(desk: Desk, org_id: str, records: list[StoredRecord]) -> dict[str, str]:
    """Return the agreement texts of records by their hashes."""
    hashes = {one.evidence.get("agreement_text_hash") for one in records} - {None}
    return desk.stack.ledger.agreement_texts(org_id, filter(None, hashes))


def record_of(contact: Contact, record_id: str) -> StoredRecord:
    """Return a record of a contact, or raise `NotHere`."""
    for record in contact.records:
        if record.record_id == record_id:
            return record
    raise NotHere("The contact has no such record.")


def _first(request: Request) -> int:
    sent = request.query_params.get("first", "0")
    return int(sent) if sent.isdecimal() and len(sent) < 7 else 0
