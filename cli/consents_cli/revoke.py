"""`consents revoke`: take back a contact's consent."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer
from consents.decisions import revoke_api
from consents.decisions.api import Sender
from consents.decisions.revoke import Revocation, Revoker
from consents.domain import dates
from consents.domain.errors import Unavailable
from consents.domain.record import EVERY_SENDER, Receipt
from consents.domain.ulid import new_ulid
from rich.text import Text

from consents_cli import output
from consents_cli.access_log import Action, open_access_log
from consents_cli.errors import Failed
from consents_cli.history import named_sender
from consents_cli.options import AsJson, OrgId, Region, StackName
from consents_cli.senders import number
from consents_cli.stack import Stack, open_stack

_SECONDS = 60.0


def revoke(
    contact: Annotated[str, typer.Argument(metavar="CONTACT", help="Phone number in E.164.")],
    org: OrgId,
    method: Annotated[revoke_api.Method, typer.Option(help="How the contact said it.")],
    sender: Annotated[
        str | None,
        typer.Option(metavar="SENDER", help="Number, short code, MG SID or phone number id."),
    ] = None,
    all_senders: Annotated[
        bool, typer.Option("--all-senders", help="Revoke for every sender.")
    ] = False,
    revoked_at: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="When the contact said it: an RFC 3339 date."),
    ] = None,
    text: Annotated[str | None, typer.Option(help="What the contact said.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be stored, and store nothing.")
    ] = False,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a contact's consent for a sender, or for every sender."""
    number(contact)
    if bool(sender) == all_senders:
        raise Failed("name one sender: pass --sender SENDER or --all-senders")
    now = datetime.now(UTC)
    receipt = Receipt(now, new_ulid(now))
    at, evidence = _evidence(method, text, revoked_at, receipt.received_at)
    opened = open_stack(stack, region)
    opened.entries.entry(org)  # else an unknown organization looks like one without records
    every = Sender(EVERY_SENDER, None)
    key = every.key if sender is None else named_sender(opened, org, sender).key
    body = store(opened, org, contact, Revocation(key, at, evidence), receipt, dry_run=dry_run)
    output.show(body, as_json=as_json, people=lambda: _for_people(contact, body, dry_run=dry_run))


def _evidence(
    method: str, text: str | None, revoked_at: str | None, now: datetime
) -> tuple[datetime | None, Mapping[str, str]]:
    """Return when the contact revoked, and the evidence as the ledger keeps it."""
    if text is not None and not 1 <= len(text) <= revoke_api.MAX_TEXT:
        raise Failed(f"invalid --text: must have 1..{revoke_api.MAX_TEXT} characters")
    sent = {"revoked_at": revoked_at, "method": method, "text": text}
    evidence = {name: value for name, value in sent.items() if value is not None}
    if revoked_at is None:
        return None, evidence
    try:
        at = dates.rfc3339(revoked_at)
    except ValueError:
        raise Failed(f"invalid --revoked-at {revoked_at!r}: not an RFC 3339 date") from None
    if dates.is_in_the_future(at, now):
        raise Failed(f"invalid --revoked-at {revoked_at!r}: in the future")
    return at, evidence


def store(
    stack: Stack,
    org_id: str,
    contact: str,
    revocation: Revocation,
    receipt: Receipt,
    *,
    reason: str = "",
    dry_run: bool = False,
) -> Mapping[str, Any]:
    """Store a revocation through the use case of the API, and return the route's body.

    The access log has an entry first, with the operator's `reason`.

    Raises:
        Failed: the ledger did not answer, or the access log took no entry.
    """
    open_access_log(stack).insert(Action.CONSENT_REVOKED, org_id, [contact], reason)
    revoker = Revoker(org_id, stack.ledger, stack.reader, receipt, lambda: _SECONDS, dry_run)
    try:
        found = stack.reader.statements(org_id, [contact], lambda: _SECONDS)
        revoked = revoker.revoke(found, revocation)
    except Unavailable:
        raise Failed("the ledger did not answer: run the command again") from None
    renderer = revoke_api.Renderer(stack.consent_ids)
    response = renderer.revoked(org_id, revocation.sender, [contact], revoked)
    body: Mapping[str, Any] = orjson.loads(response.body)
    return body


def _for_people(contact: str, body: Mapping[str, Any], *, dry_run: bool) -> Text:
    (result,) = body["results"]
    since = output.cell(result["effective_at"])
    would = "would be" if dry_run else "is"
    if result["opted_in"]:
        return Text(f"{contact}: the revocation {would} stored; a later opt-in still allows")
    before = ", and was before" if result["already_opted_out"] else ""
    return Text(f"{contact} {would} opted out since {since}{before}")
