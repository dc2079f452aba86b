"""Revoke: an opt-out record through the use case of the API; nothing is deleted."""

from datetime import UTC, datetime
from typing import Any

from consents.decisions.decide import speaking
from consents.decisions.revoke import Revocation
from consents.decisions.revoke_api import MAX_TEXT, Method
from consents.domain import dates
from consents.domain.record import EVERY_SENDER, Receipt
from consents.domain.ulid import new_ulid
from consents_cli import revoke
from consents_cli.access_log import Action
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from consents_console import contacts
from consents_console.contacts import Contact
from consents_console.forms import MAX_REASON, Invalid, reason_in
from consents_console.rendering import desk_of, page


def show(request: Request) -> Response:
    """Show the form for a contact."""
    contact = contacts.read(request, Action.CONTACT_VIEWED)
    return _form(request, contact, {"sender": contact.pair.sender})


def store(request: Request) -> Response:
    """Store the revocation, and show the contact."""
    desk, form = desk_of(request), request.state.form
    contact = contacts.read(request, Action.CONTACT_VIEWED)
    now = desk.now()
    try:
        revocation, reason = _revocation(contact, form, now), reason_in(form)
    except Invalid as invalid:
        return _form(request, contact, form, str(invalid), 422)
    receipt = Receipt(now, new_ulid(now))
    number = contact.pair.contact
    revoke.store(desk.stack, contact.org_id, number, revocation, receipt, reason=reason)
    every = desk.consent_id(contact.org_id, number)
    return RedirectResponse(f"/organizations/{contact.org_id}/consents/{every}?revoked", 303)


def _revocation(contact: Contact, form: dict[str, str], now: datetime) -> Revocation:
    if form.get("sender") not in _senders(contact):
        raise Invalid("Choose which sender the contact revoked.")
    if form.get("method") not in list(Method):
        raise Invalid("Choose how the contact said it.")
    text = form.get("text", "").strip().replace("\r\n", "\n")
    if len(text) > MAX_TEXT:
        raise Invalid(f"Shorten what the contact said to {MAX_TEXT} characters.")
    at = _said_at(form.get("said_at", ""), now)
    evidence = {"method": form["method"]}
    if at is not None:
        evidence = {"revoked_at": at.strftime("%Y-%m-%dT%H:%M:%SZ")} | evidence
    return Revocation(form["sender"], at, evidence | ({"text": text} if text else {}))


def _said_at(text: str, now: datetime) -> datetime | None:
    """Return the instant of a browser's field of date and time, which has no zone: it is in UTC."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise Invalid("Correct the date: it has the form 2026-04-26T12:00.") from None
    if dates.is_in_the_future(at, now):
        raise Invalid("Correct the date: it is in the future.")
    return at


def _senders(contact: Contact) -> list[str]:
    """Return whom the contact may revoke: every sender, and each one by itself."""
    own = {one.phone_number for one in contact.entry.senders}
    known = {record.sender for record in contact.records} | own | {contact.pair.sender}
    return [EVERY_SENDER, *sorted(known - {EVERY_SENDER})]


def _form(
    request: Request,
    contact: Contact,
    sent: dict[str, Any],
    problem: str = "",
    status: int = 200,
) -> Response:
    rules = contact.entry.organization.rules
    senders = {
        one: len(speaking(contact.records, one, rules.opt_out_scope)) for one in _senders(contact)
    }
    return page(
        request,
        "revoke.html",
        status,
        contact=contact,
        senders=senders,
        sent=sent,
        problem=problem,
        max_text=MAX_TEXT,
        max_reason=MAX_REASON,
    )
