"""`consents outbox`: the text messages of a stack whose provider is the embedded outbox."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import typer
from consents.messages.outbox import KeptText

from consents_cli import output
from consents_cli.errors import Failed
from consents_cli.options import AsJson, Region, StackName
from consents_cli.senders import number
from consents_cli.stack import Stack, open_stack

MAX_SHOWN = 100
_SEARCHED = 1000

app = typer.Typer(no_args_is_help=True, help="Text messages of the embedded outbox.")

MessageId = Annotated[str, typer.Argument(metavar="MESSAGE_ID")]
Contact = Annotated[str, typer.Argument(metavar="CONTACT", help="E.164 number of the contact.")]


@app.command("list")
def list_all(
    count: Annotated[
        int, typer.Option("--limit", min=1, max=MAX_SHOWN, metavar="NUMBER", help="At most.")
    ] = 20,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """List the newest texts, newest first."""
    rows = [described(each) for each in open_stack(stack, region).outbox.newest(count)]
    names = ("sent_at", "sender", "contact", "body")
    output.show(rows, as_json=as_json, people=lambda: output.table(rows, names, wrapped={"body"}))


@app.command()
def show(
    message_id: MessageId,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Show one text in full."""
    found = open_stack(stack, region).outbox.newest(_SEARCHED)
    kept = next((each for each in found if each.text.message_id == message_id), None)
    if kept is None:
        raise Failed(f"no text {message_id} in the outbox: run `consents outbox list --json`")
    shown = described(kept)
    output.show(shown, as_json=as_json, people=lambda: output.details(shown))


@app.command()
def reply(
    contact: Contact,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the contact texts.")],
    sender: Annotated[
        str | None,
        typer.Option(
            metavar="E164",
            help="The number that the contact texts to.",
            show_default="the sender of the last text to the contact",
        ),
    ] = None,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Text back as a contact does: the answer takes the same way as on AWS."""
    opened = open_stack(stack, region)
    named = number(sender) if sender else _last_sender(opened, number(contact))
    sent = publish(opened, contact, named, text)
    output.show(sent, as_json=as_json, people=lambda: output.details(sent))


def publish(stack: Stack, contact: str, sender: str, text: str) -> dict[str, str]:
    """Publish what AWS End User Messaging would publish for a text."""
    payload = {
        "originationNumber": contact,
        "destinationNumber": sender,
        "messageKeyword": "-",
        "messageBody": text,
        "inboundMessageId": str(uuid4()),
        "previousPublishedMessageId": None,
    }
    topic = stack.output("InboundTopic")
    stack.sns().publish(TopicArn=topic, Message=json.dumps(payload))
    return {
        "contact": contact,
        "sender": sender,
        "text": text,
        "inbound_message_id": str(payload["inboundMessageId"]),
        "published_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def described(kept: KeptText) -> Mapping[str, Any]:
    """Return a text for people and programs."""
    return {
        "message_id": kept.text.message_id,
        "sent_at": kept.sent_at,
        "sender": kept.text.sender,
        "contact": kept.text.contact,
        "body": kept.text.body,
    }


def _last_sender(stack: Stack, contact: str) -> str:
    texts = (each.text for each in stack.outbox.newest(_SEARCHED))
    found = next((text.sender for text in texts if text.contact == contact), None)
    if found is None:
        raise Failed(f"nobody texted {contact} yet: name the number with --sender")
    return found
