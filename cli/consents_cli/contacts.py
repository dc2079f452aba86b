"""`consents contact`: all that the ledger holds of one contact."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from consents.decisions import search_api
from consents.decisions.search import find_all_events
from consents.domain.errors import Unavailable
from consents.domain.record import StoredRecord, timestamp

from consents_cli import output
from consents_cli.access_log import Action, open_access_log
from consents_cli.errors import Failed
from consents_cli.options import AsJson, OrgId, Region, StackName
from consents_cli.senders import number
from consents_cli.stack import Stack, open_stack

_SECONDS = 60.0

app = typer.Typer(no_args_is_help=True, help="Single contacts.")


@app.command()
def export(
    contact: Annotated[str, typer.Argument(metavar="CONTACT", help="Phone number in E.164.")],
    org: OrgId,
    file: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="The file to write.")
    ] = None,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Export all records of a contact, with their texts and receipts, as JSON."""
    number(contact)
    if file is None and not as_json:
        raise Failed("missing file: pass --output FILE, or --json to print")
    opened = open_stack(stack, region)
    opened.entries.entry(org)  # else an unknown organization looks like one without records
    found = exported(opened, org, contact, datetime.now(UTC))
    if file is not None:
        file.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    wrote = f"Wrote {len(found['data'])} records of {contact} to {file}."
    output.show(found, as_json=as_json, people=lambda: wrote)


def exported(stack: Stack, org_id: str, contact: str, now: datetime) -> dict[str, Any]:
    """Return the records of a contact as the history route has them, of all senders."""
    open_access_log(stack).insert(Action.CONTACT_EXPORTED, org_id, [contact])
    records = _records(stack, org_id, contact)
    hashes = {one.evidence.get("agreement_text_hash") for one in records} - {None}
    renderer = search_api.Renderer(stack.consent_ids)
    return {
        "org_id": org_id,
        "contact_number": contact,
        "exported_at": timestamp(now),
        "data": [renderer.event(org_id, event) for event in find_all_events(records)],
        "agreement_texts": stack.ledger.agreement_texts(org_id, filter(None, hashes)),
    }


def _records(stack: Stack, org_id: str, contact: str) -> Sequence[StoredRecord]:
    try:
        return stack.reader.records(org_id, contact, lambda: _SECONDS)
    except Unavailable:
        raise Failed("the ledger did not answer: run the command again") from None
