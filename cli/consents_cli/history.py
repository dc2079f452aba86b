"""`consents history`: what a contact agreed to, or stopped, with the proof."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any

import typer
from consents.domain import fields
from consents.domain.record import Status, StoredRecord, Wire
from consents.wires.bulk_consents import canonical_sender
from pydantic import TypeAdapter, ValidationError
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from consents_cli import output
from consents_cli.errors import Failed
from consents_cli.options import AsJson, OrgId, Region, StackName
from consents_cli.senders import number
from consents_cli.stack import Stack, open_stack

_LONGEST_SHOWN = 240
_SENDER_ID: TypeAdapter[str] = TypeAdapter(fields.SenderId)


def history(
    org: OrgId,
    contact: Annotated[str, typer.Option(metavar="E164", help="Whose history.")],
    sender: Annotated[
        str | None,
        typer.Option(
            metavar="SENDER", help="One alone: its number, short code, MG sid or phone number id."
        ),
    ] = None,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Show a contact's consents, newest first, with the proof of each."""
    told = records(open_stack(stack, region), org, contact, sender)
    output.show(told, as_json=as_json, people=lambda: _for_people(told, contact))


def records(stack: Stack, org_id: str, contact: str, sender: str | None) -> list[dict[str, Any]]:
    """Return what the ledger holds of a contact, newest first; `current` is what counts."""
    number(contact)
    stack.entries.entry(org_id)  # else an unknown organization looks like one without records
    known: set[str] = set()
    told = []
    for record in stack.ledger.history(org_id, contact, _sender(stack, org_id, sender)):
        told.append(_told(stack, org_id, record, current=record.sender not in known))
        known.add(record.sender)
    return told


def _sender(stack: Stack, org_id: str, sender: str | None) -> str | None:
    """Return a sender as the ledger spells it."""
    if sender is None:
        return None
    if fields.is_uuid(sender):
        return _own_number(stack, org_id, sender.lower())
    try:
        known = _SENDER_ID.validate_python(sender)
    except ValidationError:
        raise Failed(f"the sender {sender!r} is no number, short code, MG sid or UUID") from None
    return canonical_sender(known)


def _own_number(stack: Stack, org_id: str, phone_number_id: str) -> str:
    numbers = stack.directory.senders(org_id, [phone_number_id])
    if phone_number_id not in numbers:
        raise Failed(f"the organization has no sender {phone_number_id}")
    return numbers[phone_number_id]


def _told(stack: Stack, org_id: str, record: StoredRecord, *, current: bool) -> dict[str, Any]:
    evidence = dict(record.evidence)
    if text_hash := evidence.get("agreement_text_hash"):
        evidence["agreement_text"] = stack.ledger.agreement_text(org_id, text_hash)
    return {
        "status": record.status,
        "sender": record.sender,
        "contact": record.contact,
        "effective_at": record.effective_at,
        "received_at": record.received_at,
        "current": current,
        "wire": record.wire,
        "request_id": record.request_id,
        **_as_sent(record),
        "evidence": evidence,
    }


def _as_sent(record: StoredRecord) -> dict[str, Any]:
    """Return what a record says in the words of the wire it came by."""
    if record.wire is Wire.ATTESTED:
        return {
            "phone_number_id": record.phone_number_id,
            "contact_number": record.contact,
            "opted_in": record.status is Status.OPT_IN,
        }
    return {
        "correlation_id": record.correlation_id,
        "sender_id": record.sender,
        "contact_id": record.contact,
        "source": record.evidence["source"],
        "date_of_consent": record.evidence.get("date_of_consent"),
    }


def _for_people(told: list[dict[str, Any]], contact: str) -> RenderableType:
    if not told:
        return f"There is no record of {contact}."
    by_sender = sorted(told, key=_by_sender)  # stable: newest first in each
    return Group(
        *(part for _, records in groupby(by_sender, key=_by_sender) for part in _parts([*records]))
    )


def _by_sender(record: Mapping[str, Any]) -> str:
    return str(record["sender"])


def _parts(records: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """Return what is told of one sender's records, newest first."""
    newest = records[0]
    yield Text(f"{newest['contact']} from {newest['sender']}: {newest['status']}", style="bold")
    for record in records:
        current = " (current)" if record["current"] else ""
        when = output.cell(record["effective_at"])
        yield Text(f"\n  {record['status']} since {when}{current}")
        yield Padding(output.details(_proof(record)), (0, 0, 0, 4))
    yield ""


def _proof(record: Mapping[str, Any]) -> dict[str, str]:
    """Return what a person wants to see of a record; only JSON has a long text in full."""
    shown = {
        "wire": record["wire"],
        "received_at": record["received_at"],
        "request_id": record["request_id"],
        "phone_number_id": record.get("phone_number_id"),
        "correlation_id": record.get("correlation_id"),
        **record["evidence"],
    }
    return {
        name: value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}..."
        for name, value in shown.items()
        if value is not None
    }
