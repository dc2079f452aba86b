"""`consents history`: opt-ins and opt-outs of a contact, with the evidence."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, Any

import typer
from consents.decisions.api import Sender
from consents.decisions.decide import Question, Reason, decide, speaking
from consents.domain import formats
from consents.domain.record import EVERY_SENDER, Status, StoredRecord, Wire
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from consents_cli import output
from consents_cli.access_log import Action, open_access_log
from consents_cli.errors import Failed
from consents_cli.options import AsJson, OrgId, Region, StackName
from consents_cli.senders import number
from consents_cli.stack import Stack, open_stack

_MAX_SHOWN_LENGTH = 240
_STATES: Mapping[Reason | None, str] = {
    Reason.OPTED_IN: "opt-in",
    Reason.OPTED_OUT: "opt-out",
    Reason.EXPIRED: "opt-in, expired",
}
"""The state of a sender by the reason of its decision."""


def history(
    org: OrgId,
    contact: Annotated[str, typer.Option(metavar="E164", help="Phone number of the contact.")],
    sender: Annotated[
        str | None,
        typer.Option(
            metavar="SENDER",
            help="Only this sender: number, short code, MG SID or phone number id.",
        ),
    ] = None,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Show the consent records of a contact, newest first, with their evidence."""
    found = records(open_stack(stack, region), org, contact, sender)
    output.show(found, as_json=as_json, people=lambda: _for_people(found, contact))


def records(stack: Stack, org_id: str, contact: str, sender: str | None) -> list[dict[str, Any]]:
    """Return the records of a contact, newest first.

    With a sender, those that speak about it. `decides_for` maps each sender for which a record
    decides now, under the rules of the organization, to the reason; `current` is whether it does
    for any.
    """
    number(contact)
    rules = stack.entries.entry(org_id).organization.rules
    open_access_log(stack).insert(Action.CONTACT_VIEWED, org_id, [contact])
    found = stack.ledger.history(org_id, contact)
    senders = {record.sender for record in found}
    shown = found
    if sender is not None:
        key = named_sender(stack, org_id, sender).key
        senders, shown = {key}, speaking(found, key, rules.opt_out_scope)
    now = datetime.now(UTC)
    decisions = {
        name: decide(found, Question(name, contact, now, rules)) for name in sorted(senders)
    }
    return [
        _described(
            stack,
            org_id,
            record,
            {name: one.reason for name, one in decisions.items() if one.record is record},
        )
        for record in shown
    ]


def named_sender(stack: Stack, org_id: str, sender: str) -> Sender:
    """Return a sender that an operator names by its number, code, SID or phone number id.

    Raises:
        Failed: it has another form, or the organization does not own the phone number id.
    """
    if formats.is_uuid(sender):
        phone_number_id = sender.lower()
        return Sender(_own_number(stack, org_id, phone_number_id), phone_number_id)
    if not formats.is_sender_id(sender) and sender != EVERY_SENDER:
        raise Failed(f"invalid sender {sender!r}: not a number, short code, MG SID or UUID")
    return Sender(sender, None)


def _own_number(stack: Stack, org_id: str, phone_number_id: str) -> str:
    numbers = stack.directory.senders(org_id, [phone_number_id])
    if phone_number_id not in numbers:
        raise Failed(f"unknown sender {phone_number_id}: the organization has no such sender")
    return numbers[phone_number_id]


def _described(
    stack: Stack, org_id: str, record: StoredRecord, decides_for: Mapping[str, Reason]
) -> dict[str, Any]:
    evidence = dict(record.evidence)
    if text_hash := evidence.get("agreement_text_hash"):
        evidence["agreement_text"] = stack.ledger.agreement_text(org_id, text_hash)
    return {
        "status": record.status,
        "sender": record.sender,
        "contact": record.contact,
        "effective_at": record.effective_at,
        "received_at": record.received_at,
        "current": bool(decides_for),
        "decides_for": decides_for,
        "record_id": record.record_id,
        "wire": record.wire,
        "request_id": record.request_id,
        **_api_fields(record),
        "evidence": evidence,
    }


def _api_fields(record: StoredRecord) -> dict[str, Any]:
    """Return the fields of a record as its API spells them."""
    if record.wire is not Wire.BULK_CONSENTS:
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


def _for_people(found: list[dict[str, Any]], contact: str) -> RenderableType:
    if not found:
        return f"No records of {contact}."
    by_sender = sorted(found, key=_by_sender)  # stable: newest first per sender
    states = {name: reason for one in found for name, reason in one["decides_for"].items()}
    groups = groupby(by_sender, key=_by_sender)
    return Group(
        *(
            part
            for sender, records in groups
            for part in _parts([*records], _STATES.get(states.get(sender), "-"))
        )
    )


def _by_sender(record: Mapping[str, Any]) -> str:
    return str(record["sender"])


def _parts(records: Sequence[Mapping[str, Any]], state: str) -> Iterator[RenderableType]:
    """Return the rendering of the records of one sender, newest first, under its state now."""
    newest = records[0]
    yield Text(f"{newest['contact']} from {_named(newest['sender'])}: {state}", style="bold")
    for record in records:
        when = output.cell(record["effective_at"])
        yield Text(f"\n  {record['status']} since {when}{_mark(record)}")
        yield Padding(output.details(_evidence(record)), (0, 0, 0, 4))
    yield ""


def _named(sender: str) -> str:
    return "every sender" if sender == EVERY_SENDER else sender


def _mark(record: Mapping[str, Any]) -> str:
    """Return for which senders a record decides, and what, if it is not what the record says."""
    decides_for = record["decides_for"]
    if not decides_for:
        return ""
    others = ", ".join(_named(one) for one in decides_for if one != record["sender"])
    own = record["sender"] in decides_for
    reach = f" for {others}" if others and not own else f", also for {others}" if others else ""
    expired = " but expired" if Reason.EXPIRED in decides_for.values() else ""
    return f" (current{expired}{reach})"


def _evidence(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields that people need; only JSON has long texts in full."""
    shown = {
        "API": output.API_NAMES[record["wire"]],
        "received_at": record["received_at"],
        "request_id": record["request_id"],
        "phone_number_id": record.get("phone_number_id"),
        "correlation_id": record.get("correlation_id"),
        **record["evidence"],
    }
    return {
        name: value if len(value) <= _MAX_SHOWN_LENGTH else f"{value[:_MAX_SHOWN_LENGTH]}..."
        for name, value in shown.items()
        if value is not None
    }
