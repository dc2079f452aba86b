"""`consents org`: the organizations of a stack, its tenants."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from consents.accounts.directory import CACHE_SECONDS
from consents.accounts.directory_writer import Entry
from consents.domain.organization import (
    DEFAULT_PARTS_PER_DAY,
    DEFAULT_RECORDS_PER_MINUTE,
    Bucket,
    Organization,
    Plan,
)
from consents.domain.record import timestamp
from consents.domain.ulid import new_ulid
from rich.console import Group, RenderableType

from consents_cli import credentials, output
from consents_cli.errors import Failed
from consents_cli.options import AsJson, Region, StackName
from consents_cli.stack import Stack, open_stack

PLANS = tuple(str(plan) for plan in Plan)

MAX_RECORDS_PER_MINUTE = 10_000_000
MAX_CONTACTS_PER_MINUTE = 100_000_000
MAX_PARTS_PER_DAY = 10_000_000
MAX_TEXTS = 1_000_000
_MAX_NAME_LENGTH = 200

_RECORDS_HELP = "Records per minute of both APIs together."
_CONTACTS_HELP = "Contacts per minute to check and, apart from that, to revoke."
_PARTS_HELP = "Parts of files, at most 1000 rows each, to import per UTC day."
_TEXTS_HELP = "Texts that ask contacts for a confirmation; 0 stops all."
_IN_FORCE = f"Functions apply the change within {CACHE_SECONDS} seconds."

OrgIdArgument = Annotated[
    str | None, typer.Argument(metavar="[ORG_ID]", help="Id of the organization.")
]
OrgIdOption = Annotated[str | None, typer.Option(hidden=True)]

app = typer.Typer(no_args_is_help=True, help="Organizations: the tenants of a stack.")


@app.command()
def create(
    name: Annotated[str, typer.Option(help="Display name.")],
    plan: Annotated[str, typer.Option(metavar="PLAN", help=", ".join(PLANS))] = "payg",
    records_per_minute: Annotated[
        int, typer.Option(help=_RECORDS_HELP, metavar="NUMBER")
    ] = DEFAULT_RECORDS_PER_MINUTE,
    parts_per_day: Annotated[
        int, typer.Option(help=_PARTS_HELP, metavar="NUMBER")
    ] = DEFAULT_PARTS_PER_DAY,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Create an organization."""
    opened = open_stack(stack, region)
    created = described(add(opened, name, plan, records_per_minute, parts_per_day))
    output.show(created, as_json=as_json, people=lambda: output.details(created))


@app.command("list")
def list_all(stack: StackName = None, region: Region = None, as_json: AsJson = False) -> None:
    """List all organizations, oldest first."""
    rows = [described(one) for one in open_stack(stack, region).entries.organizations()]
    names = ("org_id", "plan", "records_per_minute", "name")
    output.show(rows, as_json=as_json, people=lambda: output.table(rows, names, wrapped={"name"}))


@app.command()
def show(
    org_id: OrgIdArgument = None,
    org: OrgIdOption = None,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Show an organization with its senders and credentials, without their secrets."""
    named = _named(org_id or org, "show")
    entry = _described(open_stack(stack, region).entries.entry(named))
    output.show(entry, as_json=as_json, people=lambda: _for_people(entry))


@app.command("set", help=f"Change the plan or the limits of an organization. {_IN_FORCE}")
def change(
    org_id: OrgIdArgument = None,
    org: OrgIdOption = None,
    records_per_minute: Annotated[
        int | None, typer.Option(help=_RECORDS_HELP, metavar="NUMBER")
    ] = None,
    contacts_per_minute: Annotated[
        int | None, typer.Option(help=_CONTACTS_HELP, metavar="NUMBER")
    ] = None,
    parts_per_day: Annotated[int | None, typer.Option(help=_PARTS_HELP, metavar="NUMBER")] = None,
    texts_per_minute: Annotated[
        int | None, typer.Option(help=_TEXTS_HELP, metavar="NUMBER", min=0, max=MAX_TEXTS)
    ] = None,
    texts_per_day: Annotated[
        int | None, typer.Option(help=_TEXTS_HELP, metavar="NUMBER", min=0, max=MAX_TEXTS)
    ] = None,
    plan: Annotated[str | None, typer.Option(metavar="PLAN", help=", ".join(PLANS))] = None,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Change the given attributes of an organization."""
    named = _named(org_id or org, "set")
    sent: dict[str, str | int | None] = {
        "plan": plan,
        "records_per_minute": records_per_minute,
        "contacts_per_minute": contacts_per_minute,
        "parts_per_day": parts_per_day,
        "texts_per_minute": texts_per_minute,
        "texts_per_day": texts_per_day,
    }
    changes = {name: value for name, value in sent.items() if value is not None}
    if not changes:
        limits = ", ".join(f"--{name.replace('_', '-')} NUMBER" for name in sent if name != "plan")
        raise Failed(f"nothing to set: pass {limits} or --plan PLAN")
    _check(plan, records_per_minute, parts_per_day)
    if contacts_per_minute is not None and not 1 <= contacts_per_minute <= MAX_CONTACTS_PER_MINUTE:
        raise Failed(f"invalid contacts per minute: must be 1..{MAX_CONTACTS_PER_MINUTE}")
    entries = open_stack(stack, region).entries
    entries.change_organization(named, changes)
    changed = described(entries.entry(named).organization)
    output.show(
        changed, as_json=as_json, people=lambda: Group(output.details(changed), f"\n{_IN_FORCE}")
    )


def add(
    stack: Stack,
    name: str,
    plan: str,
    records_per_minute: int = DEFAULT_RECORDS_PER_MINUTE,
    parts_per_day: int = DEFAULT_PARTS_PER_DAY,
) -> Organization:
    """Add an organization to a stack's directory."""
    if not 1 <= len(name.strip()) <= _MAX_NAME_LENGTH:
        raise Failed(f"invalid name: must have 1..{_MAX_NAME_LENGTH} characters")
    _check(plan, records_per_minute, parts_per_day)
    now = datetime.now(UTC)
    org_id = f"org_{new_ulid(now)}".lower()
    organization = Organization(
        org_id, name.strip(), plan, records_per_minute, timestamp(now), parts_per_day
    )
    stack.entries.add_organization(organization)
    return organization


def _check(plan: str | None, records_per_minute: int | None, parts_per_day: int | None) -> None:
    """Raise `Failed` for an unknown plan, or a number out of bounds."""
    if plan is not None and plan not in PLANS:
        raise Failed(f"unknown plan {plan!r} (choose from {', '.join(PLANS)})")
    if parts_per_day is not None and not 0 <= parts_per_day <= MAX_PARTS_PER_DAY:
        raise Failed(f"invalid parts per day: must be 0..{MAX_PARTS_PER_DAY}")
    if records_per_minute is not None and not 1 <= records_per_minute <= MAX_RECORDS_PER_MINUTE:
        raise Failed(f"invalid records per minute: must be 1..{MAX_RECORDS_PER_MINUTE}")


def _named(org_id: str | None, command: str) -> str:
    if not org_id:
        raise Failed(f"missing organization: run `consents org {command} ORG_ID`")
    return org_id


def described(organization: Organization) -> dict[str, Any]:
    """Return an organization with its limits as they are in force."""
    return {
        "org_id": organization.org_id,
        "name": organization.name,
        "plan": organization.plan,
        "records_per_minute": organization.records_per_minute,
        "contacts_per_minute": organization.per_minute(Bucket.CONTACTS),
        "parts_per_day": organization.parts_per_day,
        "texts_per_minute": organization.texts_per_minute,
        "texts_per_day": organization.texts_per_day,
        "rules_version": organization.rules.version,
        "created_at": organization.created_at,
    }


def _described(entry: Entry) -> dict[str, Any]:
    return described(entry.organization) | {
        "credentials": [credentials.described(one) for one in entry.credentials],
        "senders": [asdict(sender) for sender in entry.senders],
    }


def _for_people(entry: Mapping[str, Any]) -> RenderableType:
    now = timestamp(datetime.now(UTC))
    keys = [one | {"state": _state(one, now)} for one in entry["credentials"]]
    return Group(
        output.details(entry),
        "",
        output.table(
            keys,
            ("key_id", "scopes", "state"),
            title="Credentials",
            wrapped={"scopes", "state"},
        ),
        output.table(entry["senders"], ("phone_number_id", "phone_number"), title="Senders"),
    )


def _state(credential: Mapping[str, Any], now: str) -> str:
    revoked_at, expires_at = credential["revoked_at"], credential["expires_at"]
    if revoked_at:
        return f"revoked {revoked_at}"
    if not expires_at:
        return "active"
    return f"active until {expires_at}" if now < expires_at else f"expired {expires_at}"
