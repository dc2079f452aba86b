"""`consents key` and `consents account`: the credentials that clients call the APIs with.

A secret is shown once, when it is created. The directory stores only its HMAC.
"""

import re
import secrets
import string
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from consents.accounts.directory import CACHE_SECONDS
from consents.capture import bulk_consents
from consents.domain.organization import Credential, Scope
from consents.domain.record import Wire, timestamp
from consents.http import json_api
from rich.console import Group, RenderableType
from rich.text import Text

from consents_cli import output
from consents_cli.errors import Failed
from consents_cli.options import AsJson, OrgId, Region, StackName
from consents_cli.stack import Stack, open_stack

CAPTURE: str = Scope.WRITE
"""The scope that every route of both APIs needs."""

_BASE62 = string.digits + string.ascii_letters
_SCOPE = re.compile(r"[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*")
_DURATION = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

keys = typer.Typer(no_args_is_help=True, help="Keys: bearer keys, and SIDs with a secret.")
accounts = typer.Typer(
    no_args_is_help=True, help="Accounts: SID and auth token for the Bulk Consents API."
)


@keys.command()
def create(
    org: OrgId,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE", help="What the key may do; repeatable.", show_default=CAPTURE
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="An RFC 3339 date, or a duration such as 30d or 12h."),
    ] = None,
    wire: Annotated[
        Wire,
        typer.Option(
            help="The API: `attested` takes a bearer key, `bulk-consents` an SK SID with a secret."
        ),
    ] = Wire.ATTESTED,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Create a key. Its secret is shown only now."""
    add = add_api_key if wire is Wire.ATTESTED else add_signing_key
    expires_at = expiry(expires, datetime.now(UTC)) if expires else None
    created = add(open_stack(stack, region), org, scope or [CAPTURE], expires_at)
    output.show(created, as_json=as_json, people=lambda: _with_secret(created))


@keys.command()
def revoke(
    key_id: Annotated[
        str | None, typer.Argument(metavar="[KEY_ID]", help="The id of a key, or a SID.")
    ] = None,
    key_id_option: Annotated[str | None, typer.Option("--key-id", hidden=True)] = None,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a key or an account; this cannot be undone."""
    named = key_id or key_id_option
    if not named:
        raise Failed("missing key: run `consents key revoke KEY_ID`")
    now = datetime.now(UTC)
    before = open_stack(stack, region).entries.revoke(named, now)
    revoked_at = before.revoked_at or timestamp(now)
    result = described(before) | {
        "revoked_at": revoked_at,
        "already_revoked": bool(before.revoked_at),
    }
    output.show(result, as_json=as_json, people=lambda: _revoked(result))


@accounts.command("create")
def create_account(
    org: OrgId, stack: StackName = None, region: Region = None, as_json: AsJson = False
) -> None:
    """Create an Account SID with an auth token. The token is shown only now."""
    created = add_account(open_stack(stack, region), org)
    output.show(created, as_json=as_json, people=lambda: _with_secret(created))


def add_api_key(
    stack: Stack, org_id: str, scopes: Sequence[str], expires_at: str | None = None
) -> dict[str, Any]:
    """Add a key for the Attested Consent API, and return it with its secret."""
    key_id = "".join(secrets.choice(_BASE62) for _ in range(8))
    api_key = f"am_live_{key_id}_{''.join(secrets.choice(_BASE62) for _ in range(32))}"
    secret = json_api.secret(f"Bearer {api_key}")
    added = _add(stack, _new(org_id, key_id, scopes, expires_at), secret)
    return added | {"api_key": api_key}


def add_signing_key(
    stack: Stack, org_id: str, scopes: Sequence[str], expires_at: str | None = None
) -> dict[str, Any]:
    """Add a key for the Bulk Consents API, and return it with its secret."""
    key_id, key_secret = f"SK{secrets.token_hex(16)}", secrets.token_hex(16)
    secret = _basic(key_id, key_secret)
    added = _add(stack, _new(org_id, key_id, scopes, expires_at), secret)
    return added | {"key_secret": key_secret}


def add_account(stack: Stack, org_id: str) -> dict[str, Any]:
    """Add an account for the Bulk Consents API, and return it with its auth token."""
    account_sid, auth_token = f"AC{secrets.token_hex(16)}", secrets.token_hex(16)
    secret = _basic(account_sid, auth_token)
    added = _add(stack, _new(org_id, account_sid, [CAPTURE], None), secret)
    return added | {"account_sid": account_sid, "auth_token": auth_token}


def expiry(text: str, now: datetime) -> str:
    """Parse a date or a duration from now, and return the instant in `timestamp` form.

    Raises:
        Failed: it is neither, or the instant is past.
    """
    match = _DURATION.fullmatch(text)
    try:
        at = (
            now + timedelta(**{_UNITS[match[2]]: int(match[1])})
            if match
            else datetime.fromisoformat(text)
        )
        if at.tzinfo is None:
            raise ValueError("has no zone")
        when = timestamp(at)
    except (ValueError, OverflowError):
        raise Failed(
            f"invalid --expires {text!r}: neither an RFC 3339 date nor a duration, such as 30d"
        ) from None
    if at <= now:
        raise Failed(f"invalid --expires {text!r}: not in the future")
    return when


def described(credential: Credential) -> dict[str, Any]:
    """Return a credential without its secret."""
    return {
        "org_id": credential.org_id,
        "key_id": credential.key_id,
        "scopes": sorted(credential.scopes),
        "created_at": credential.created_at,
        "expires_at": credential.expires_at,
        "revoked_at": credential.revoked_at,
    }


def _new(org_id: str, key_id: str, scopes: Sequence[str], expires_at: str | None) -> Credential:
    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            raise Failed(f"invalid scope {scope!r}: must have the form noun:verb, as {CAPTURE}")
    now = timestamp(datetime.now(UTC))
    return Credential(org_id, key_id, frozenset(scopes), now, expires_at, None)


def _basic(sid: str, sid_secret: str) -> str:
    """Return the whole secret that the Bulk Consents API parses from a Basic header."""
    return bulk_consents.secret("Basic " + b64encode(f"{sid}:{sid_secret}".encode()).decode())


def _add(stack: Stack, credential: Credential, secret: str) -> dict[str, Any]:
    stack.entries.add_credential(credential, stack.directory.hash(secret))
    return described(credential)


def _with_secret(created: Mapping[str, Any]) -> RenderableType:
    shown = {name: value for name, value in created.items() if name != "revoked_at"}
    return Group(output.details(shown), "\nSave the secret: it is stored only as a hash.")


def _revoked(result: Mapping[str, Any]) -> RenderableType:
    key_id, at = output.cell(result["key_id"]), output.cell(result["revoked_at"])
    if result["already_revoked"]:
        return Text(f"{key_id} was already revoked at {at}")
    return Text(f"{key_id} is revoked: all requests fail within {CACHE_SECONDS} seconds")
