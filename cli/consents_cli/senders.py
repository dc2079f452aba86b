"""`consents sender`: the numbers that an organization sends from."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import typer
from consents.accounts.directory_writer import Sender
from consents.domain import formats

from consents_cli import output
from consents_cli.errors import Failed
from consents_cli.options import AsJson, OrgId, Region, StackName
from consents_cli.stack import Stack, open_stack

app = typer.Typer(no_args_is_help=True, help="Numbers that organizations send from.")


@app.command("add")
def add_one(
    org: OrgId,
    phone_number: Annotated[str, typer.Option(metavar="E164", help="The phone number.")],
    phone_number_id: Annotated[
        str | None,
        typer.Option(
            metavar="UUID",
            help="Its id in the Attested Consent API.",
            show_default="the id it has, else a new one",
        ),
    ] = None,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Add a sender. Adding the same sender again changes nothing."""
    sender = add(open_stack(stack, region), org, phone_number, phone_number_id)
    added: Mapping[str, str] = {"org_id": org} | asdict(sender)
    output.show(added, as_json=as_json, people=lambda: output.details(added))


def add(stack: Stack, org_id: str, phone_number: str, phone_number_id: str | None) -> Sender:
    """Add a sender to an organization; without an id, a known number keeps its id."""
    number(phone_number)
    if phone_number_id is None:
        for known in stack.entries.entry(org_id).senders:
            if known.phone_number == phone_number:
                phone_number_id = known.phone_number_id
    elif not formats.is_uuid(phone_number_id):
        raise Failed(f"invalid phone number id {phone_number_id!r}: not a UUID")
    sender = Sender((phone_number_id or str(uuid4())).lower(), phone_number)
    stack.entries.add_sender(org_id, sender, datetime.now(UTC))
    return sender


def number(text: str) -> str:
    """Return a possible E.164 number.

    Raises:
        Failed: it is not one.
    """
    if not formats.is_contact(text):
        raise Failed(f"invalid number {text!r}: not an E.164 number, such as +15550001111")
    return text
