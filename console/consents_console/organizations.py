"""Organizations: their limits, senders and keys; a key is created, shown once, revoked."""

from typing import Any

from consents.accounts.directory_writer import Entry
from consents.domain.organization import Credential, Scope
from consents.domain.record import Wire
from consents_cli import credentials, organizations
from consents_cli.access_log import Action
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from consents_console import usage
from consents_console.desk import NotHere
from consents_console.rendering import desk_of, page
from consents_console.revocations import MAX_REASON, Invalid, reason_in

EXPIRIES = {"": "never", "30d": "in 30 days", "90d": "in 90 days", "365d": "in a year"}


def list_all(request: Request) -> Response:
    """Show all organizations, oldest first."""
    desk = desk_of(request)
    rows = desk.stack.entries.organizations()
    charts = usage.of_stack(desk.stack, desk.now())
    return page(request, "organizations.html", rows=rows, charts=charts)


def show(request: Request) -> Response:
    """Show an organization."""
    return _page(request)


def create_key(request: Request) -> Response:
    """Create a key, and show its secret this once."""
    desk, form = desk_of(request), request.state.form
    entry = desk.entry(request.path_params["org_id"])
    org_id = entry.organization.org_id
    try:
        reason, scopes, expires = reason_in(form), _scopes(form), _expires(form)
        add = _api(form)
    except Invalid as invalid:
        return _page(request, sent=form, problem=str(invalid), status=422)
    desk.access_log.insert(Action.KEY_CREATED, org_id, reason=reason)
    expires_at = credentials.expiry(expires, desk.now()) if expires else None
    created = add(desk.stack, org_id, scopes, expires_at)
    return page(request, "key.html", 201, org=entry.organization, created=created)


def ask_to_revoke_key(request: Request) -> Response:
    """Show the form that revokes a key."""
    return _revocation(request)


def revoke_key(request: Request) -> Response:
    """Revoke a key, and show its organization."""
    desk = desk_of(request)
    entry, credential = _credential(request)
    org_id = entry.organization.org_id
    try:
        reason = reason_in(request.state.form)
    except Invalid as invalid:
        return _revocation(request, str(invalid), 422)
    desk.access_log.insert(Action.KEY_REVOKED, org_id, reason=f"{credential.key_id}: {reason}")
    desk.stack.entries.revoke(credential.key_id, desk.now())
    return RedirectResponse(f"/organizations/{org_id}?revoked#keys", 303)


def _revocation(request: Request, problem: str = "", status: int = 200) -> Response:
    entry, credential = _credential(request)
    return page(
        request,
        "revoke_key.html",
        status,
        org=entry.organization,
        key=credential,
        problem=problem,
        max_reason=MAX_REASON,
    )


def _credential(request: Request) -> tuple[Entry, Credential]:
    entry = desk_of(request).entry(request.path_params["org_id"])
    for credential in entry.credentials:
        if credential.key_id == request.path_params["key_id"]:
            return entry, credential
    raise NotHere("The organization has no such key.")


def _scopes(form: dict[str, str]) -> list[str]:
    scopes = [scope for scope in Scope if scope in form]
    if not scopes:
        raise Invalid("Choose at least one scope: what the key may do.")
    return [*map(str, scopes)]


def _expires(form: dict[str, str]) -> str:
    expires = form.get("expires", "")
    if expires not in EXPIRIES:
        raise Invalid("Choose when the key expires.")
    return expires


def _api(form: dict[str, str]) -> Any:
    match form.get("wire"):
        case Wire.ATTESTED:
            return credentials.add_api_key
        case Wire.BULK_CONSENTS:
            return credentials.add_signing_key
    raise Invalid("Choose the API that the key is for.")


def _page(
    request: Request,
    *,
    sent: dict[str, str] | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    desk = desk_of(request)
    entry = desk.entry(request.path_params["org_id"])
    desk.session.org_id = entry.organization.org_id
    now = desk.now()
    return page(
        request,
        "organization.html",
        status,
        org=entry.organization,
        limits=organizations.described(entry.organization),
        senders=entry.senders,
        keys=[(key, _state(key, key.is_live(now))) for key in entry.credentials],
        charts=usage.of_organization(desk.stack, entry.organization.org_id, now),
        sent=sent or {Scope.WRITE: "on", "wire": Wire.ATTESTED},
        problem=problem,
        is_revoked="revoked" in request.query_params,
        scopes=[*Scope],
        expiries=EXPIRIES,
        max_reason=MAX_REASON,
    )


def _state(key: Credential, is_live: bool) -> str:
    if is_live:
        return "live"
    return "revoked" if key.revoked_at else "expired"
