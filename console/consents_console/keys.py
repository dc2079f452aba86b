"""Keys of an organization: created and shown once, revoked with a reason."""

from collections.abc import Callable
from typing import Any

from consents.accounts.directory_writer import Entry
from consents.domain.organization import Credential, Scope
from consents.domain.record import Wire
from consents_cli import credentials
from consents_cli.access_log import Action
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from consents_console.desk import NotHere
from consents_console.forms import MAX_REASON, Invalid, reason_in
from consents_console.organizations import EXPIRIES, page_of
from consents_console.rendering import desk_of, page


def create(request: Request) -> Response:
    """Create a key, and show its secret this once."""
    desk, form = desk_of(request), request.state.form
    entry = desk.entry(request.path_params["org_id"])
    org_id = entry.organization.org_id
    try:
        reason, scopes, expires = reason_in(form), _scopes(form), _expires(form)
        add = _api(form)
    except Invalid as invalid:
        return page_of(request, sent=form, problem=str(invalid), status=422)
    desk.access_log.insert(Action.KEY_CREATED, org_id, reason=reason)
    expires_at = credentials.expiry(expires, desk.now()) if expires else None
    created = add(desk.stack, org_id, scopes, expires_at)
    return page(request, "key.html", 201, org=entry.organization, created=created)


def ask_to_revoke(request: Request) -> Response:
    """Show the form that revokes a key."""
    return _revocation(request)


def revoke(request: Request) -> Response:
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


def _api(form: dict[str, str]) -> Callable[..., dict[str, Any]]:
    match form.get("wire"):
        case Wire.ATTESTED:
            return credentials.add_api_key
        case Wire.BULK_CONSENTS:
            return credentials.add_signing_key
    raise Invalid("Choose the API that the key is for.")
