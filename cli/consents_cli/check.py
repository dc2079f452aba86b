"""`consents check`: may these contacts be messaged now, and why."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer
from consents.decisions import check_api
from consents.decisions.api import MAX_CONTACTS, Sender
from consents.decisions.check import Asker, valid_contacts
from consents.decisions.check import check as decide_all
from consents.decisions.decide import Reason
from consents.decisions.decision_ids import DecisionIds
from consents.domain.errors import Unavailable
from consents.domain.record import EVERY_SENDER
from consents.http.response import Response
from rich.console import RenderableType

from consents_cli import output
from consents_cli.access_log import Action, open_access_log
from consents_cli.errors import Failed, exit_on_error
from consents_cli.history import named_sender
from consents_cli.options import AsJson, OrgId, Region, StackName
from consents_cli.stack import Stack, open_stack

EXIT_NOT_ALL, EXIT_FAILED = 1, 2
_SECONDS = 60.0


@exit_on_error(EXIT_FAILED)
def check(
    contacts: Annotated[
        list[str], typer.Argument(metavar="CONTACT...", help="Phone numbers, or - for stdin.")
    ],
    org: OrgId,
    sender: Annotated[
        str,
        typer.Option(metavar="SENDER", help="Number, short code, MG SID or phone number id."),
    ],
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Check whether a sender may message contacts now, and why.

    The exit code is 0 if all are allowed, 1 if not all are, and 2 if the command failed or a
    contact could not be read.
    """
    named = _read(contacts)
    body = orjson.loads(answer(open_stack(stack, region), org, sender, named).body)
    output.show(body, as_json=as_json, people=lambda: _for_people(body, named))
    if any(result["reason"] == Reason.UNAVAILABLE for result in body["results"]):
        raise typer.Exit(EXIT_FAILED)
    if body["refused"]:
        raise typer.Exit(EXIT_NOT_ALL)


def answer(stack: Stack, org_id: str, sender: str, contacts: Sequence[str]) -> Response:
    """Return the response of the route.

    Raises:
        Failed: an unknown organization or sender, or the ledger does not answer.
    """
    rules = stack.entries.entry(org_id).organization.rules
    shown: Sender = named_sender(stack, org_id, sender)
    asker = Asker(org_id, shown.key, rules)
    open_access_log(stack).insert(Action.CONTACT_CHECKED, org_id, sorted(valid_contacts(contacts)))
    try:
        found = decide_all(
            contacts, asker, stack.reader, now=datetime.now(UTC), time_left=lambda: _SECONDS
        )
    except Unavailable:
        raise Failed("the ledger did not answer: run the command again") from None
    renderer = check_api.Renderer(stack.consent_ids, DecisionIds(stack.pepper))
    return renderer.check(found, asker, shown)


def _read(contacts: Sequence[str]) -> list[str]:
    """Return the contacts that were named, or those in the lines of stdin."""
    named = sys.stdin.read().split() if list(contacts) == ["-"] else list(contacts)
    if not 1 <= len(named) <= MAX_CONTACTS:
        raise Failed(f"invalid contacts: must be 1..{MAX_CONTACTS}, got {len(named)}")
    return named


def _for_people(body: Mapping[str, Any], named: Sequence[str]) -> RenderableType:
    rows = [
        {
            "contact": contact,
            "allowed": "yes" if result["allowed"] else "no",
            "why": in_words(result),
        }
        for contact, result in zip(named, body["results"], strict=True)
    ]
    return output.table(rows, ("contact", "allowed", "why"), wrapped={"why"})


def in_words(result: Mapping[str, Any]) -> str:
    """Return why a contact may or may not be messaged."""
    match result["reason"], result["record"]:
        case Reason.OPTED_IN, record:
            until = f", until {result['expires_at']}" if result["expires_at"] else ""
            return f"opted in since {record['effective_at']}{until}"
        case Reason.EXPIRED, record:
            return f"opted in at {record['effective_at']}, expired at {result['expires_at']}"
        case Reason.OPTED_OUT, record:
            every = record["sender_id"] == EVERY_SENDER
            of = "every sender" if every else record["sender_id"]
            return f"opted out of {of} since {record['effective_at']}"
        case Reason.NO_RECORD, _:
            return "no record about this sender"
        case Reason.INVALID_CONTACT, _:
            return "not a possible phone number in E.164"
    return "could not be read: run the command again"
