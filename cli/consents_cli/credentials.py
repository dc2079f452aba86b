"""`consents key` and `consents account`: what a client proves with that it may call.

A secret is shown once, when it is made. The directory holds a keyed hash of it.
"""

import re
import secrets
import string
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer
from consents.aws.directory import CACHE_SECONDS, Credential
from consents.domain.record import timestamp
from consents.wires import attested, bulk_consents
from rich.console import Group, RenderableType
from rich.text import Text

from consents_cli import output
from consents_cli.errors import Failed
from consents_cli.options import AsJson, OrgId, Region, StackName
from consents_cli.stack import Stack, open_stack

CAPTURE = "consent:write"
"""The scope that every route of both wires asks for."""

_BASE62 = string.digits + string.ascii_letters
_SCOPE = re.compile(r"[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*")
_DURATION = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

keys = typer.Typer(no_args_is_help=True, help="Keys: what a client calls with.")
accounts = typer.Typer(
    no_args_is_help=True, help="Accounts: the SID and auth token of the bulk-consents wire."
)


class KeyWire(StrEnum):
    """Which wire a key is for; each has its own form of key."""

    ATTESTED = "attested"
    BULK_CONSENTS = "bulk-consents"


@keys.command()
def create(
    org: OrgId,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="What it may do; repeatable.", show_default=CAPTURE),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="An RFC 3339 date, or a duration such as 30d or 12h."),
    ] = None,
    wire: Annotated[
        KeyWire, typer.Option(help="The wire it is for: a bearer key, or an SK sid and secret.")
    ] = KeyWire.ATTESTED,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Create a key. Its secret is shown this once."""
    add = add_api_key if wire is KeyWire.ATTESTED else add_signing_key
    expires_at = expiry(expires, datetime.now(UTC)) if expires else None
    made = add(open_stack(stack, region), org, scope or [CAPTURE], expires_at)
    output.show(made, as_json=as_json, people=lambda: _once(made))


@keys.command()
def revoke(
    key_id: Annotated[str | None, typer.Argument(metavar="[KEY_ID]", help="Its id or SID.")] = None,
    key_id_option: Annotated[str | None, typer.Option("--key-id", hidden=True)] = None,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a key or an account, for good."""
    named = key_id or key_id_option
    if not named:
        raise Failed("name a key: `consents key revoke KEY_ID`")
    now = datetime.now(UTC)
    before = open_stack(stack, region).entries.revoke(named, now)
    revoked_at = before.revoked_at or timestamp(now)
    result = told(before) | {"revoked_at": revoked_at, "already_revoked": bool(before.revoked_at)}
    output.show(result, as_json=as_json, people=lambda: _revoked(result))


@accounts.command("create")
def create_account(
    org: OrgId, stack: StackName = None, region: Region = None, as_json: AsJson = False
) -> None:
    """Create an Account SID and auth token. The token is shown this once."""
    made = add_account(open_stack(stack, region), org)
    output.show(made, as_json=as_json, people=lambda: _once(made))


def add_api_key(
    stack: Stack, org_id: str, scopes: Sequence[str], expires_at: str | None = None
) -> dict[str, Any]:
    """Add a key for the attested wire, and return it with its secret."""
    key_id = "".join(secrets.choice(_BASE62) for _ in range(8))
    api_key = f"am_live_{key_id}_{''.join(secrets.choice(_BASE62) for _ in range(32))}"
    secret = attested.secret(f"Bearer {api_key}")
    made = _add(stack, _new(org_id, key_id, scopes, expires_at), secret)
    return made | {"api_key": api_key}


def add_signing_key(
    stack: Stack, org_id: str, scopes: Sequence[str], expires_at: str | None = None
) -> dict[str, Any]:
    """Add a key for the bulk-consents wire, and return it with its secret."""
    key_id, key_secret = f"SK{secrets.token_hex(16)}", secrets.token_hex(16)
    secret = _basic(key_id, key_secret)
    made = _add(stack, _new(org_id, key_id, scopes, expires_at), secret)
    return made | {"key_secret": key_secret}


def add_account(stack: Stack, org_id: str) -> dict[str, Any]:
    """Add an account for the bulk-consents wire, and return it with its auth token."""
    account_sid, auth_token = f"AC{secrets.token_hex(16)}", secrets.token_hex(16)
    secret = _basic(account_sid, auth_token)
    made = _add(stack, _new(org_id, account_sid, [CAPTURE], None), secret)
    return made | {"account_sid": account_sid, "auth_token": auth_token}


def expiry(text: str, now: datetime) -> str:
    """Return the instant that a date or a duration from now names, in `timestamp` form.

    Raises:
        Failed: it names none, or one that is past.
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
            f"--expires {text!r} is neither an RFC 3339 date nor a duration such as 30d or 12h"
        ) from None
    if at <= now:
        raise Failed(f"--expires {text!r} is not in the future")
    return when


def told(credential: Credential) -> dict[str, Any]:
    """Return the public side of a credential."""
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
            raise Failed(f"the scope {scope!r} does not have the form noun:verb, as {CAPTURE} has")
    now = timestamp(datetime.now(UTC))
    return Credential(org_id, key_id, frozenset(scopes), now, expires_at, None)


def _basic(sid: str, proof: str) -> str:
    """Return what the bulk-consents wire reads from the header of a SID and its secret."""
    return bulk_consents.secret("Basic " + b64encode(f"{sid}:{proof}".encode()).decode())


def _add(stack: Stack, credential: Credential, secret: str) -> dict[str, Any]:
    stack.entries.add_credential(credential, stack.directory.hash(secret))
    return told(credential)


def _once(made: Mapping[str, Any]) -> RenderableType:
    shown = {name: value for name, value in made.items() if name != "revoked_at"}
    return Group(output.details(shown), "\nThe secret is shown this once: only a hash is kept.")


def _revoked(result: Mapping[str, Any]) -> RenderableType:
    key_id, at = output.cell(result["key_id"]), output.cell(result["revoked_at"])
    if result["already_revoked"]:
        return Text(f"{key_id} was revoked already, at {at}")
    return Text(f"{key_id} is revoked; where it is in use it may live {CACHE_SECONDS} seconds more")
