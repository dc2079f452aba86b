"""`consents org`: the tenants of a stack."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from consents.aws.directory import CACHE_SECONDS, Organization
from consents.domain.record import timestamp
from rich.console import Group, RenderableType
from ulid import ULID

from consents_cli import credentials, output
from consents_cli.directory_writer import Entry
from consents_cli.errors import Failed
from consents_cli.options import AsJson, Region, StackName
from consents_cli.stack import Stack, open_stack

PLANS = ("payg", "growth", "scale", "enterprise", "starter")
"""All but the last, which is dormant, include the capture of consent."""

MOST_RECORDS_PER_MINUTE = 10_000_000
_LONGEST_NAME = 200

_IN_FORCE = f"It is in force within {CACHE_SECONDS} seconds, without a restart."

OrgIdArgument = Annotated[str | None, typer.Argument(metavar="[ORG_ID]", help="Its id.")]
OrgIdOption = Annotated[str | None, typer.Option(hidden=True)]

app = typer.Typer(no_args_is_help=True, help="Organizations: who keeps consents here.")


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What people call it.")],
    plan: Annotated[str, typer.Option(metavar="PLAN", help=", ".join(PLANS))] = "payg",
    records_per_minute: Annotated[
        int, typer.Option(help="The allowance that both wires share.", metavar="NUMBER")
    ] = 60_000,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Create an organization."""
    made = asdict(add(open_stack(stack, region), name, plan, records_per_minute))
    output.show(made, as_json=as_json, people=lambda: output.details(made))


@app.command("list")
def list_all(stack: StackName = None, region: Region = None, as_json: AsJson = False) -> None:
    """List all organizations, oldest first."""
    rows = [asdict(one) for one in open_stack(stack, region).entries.organizations()]
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
    """Show an organization, its credentials (never their secrets) and its senders."""
    named = _named(org_id or org, "show")
    told = _told(open_stack(stack, region).entries.entry(named))
    output.show(told, as_json=as_json, people=lambda: _for_people(told))


@app.command("set", help=f"Change an organization's allowance or plan. {_IN_FORCE}")
def change(
    org_id: OrgIdArgument = None,
    org: OrgIdOption = None,
    records_per_minute: Annotated[
        int | None, typer.Option(help="The allowance that both wires share.", metavar="NUMBER")
    ] = None,
    plan: Annotated[str | None, typer.Option(metavar="PLAN", help=", ".join(PLANS))] = None,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given of an organization, and nothing else."""
    named = _named(org_id or org, "set")
    sent: dict[str, str | int | None] = {"plan": plan, "records_per_minute": records_per_minute}
    changes = {name: value for name, value in sent.items() if value is not None}
    if not changes:
        raise Failed("name what to set: --records-per-minute NUMBER or --plan PLAN")
    _check(plan, records_per_minute)
    entries = open_stack(stack, region).entries
    entries.change_organization(named, changes)
    told = asdict(entries.entry(named).organization)
    output.show(told, as_json=as_json, people=lambda: Group(output.details(told), f"\n{_IN_FORCE}"))


def add(stack: Stack, name: str, plan: str, records_per_minute: int) -> Organization:
    """Add an organization to a stack's directory."""
    if not 1 <= len(name.strip()) <= _LONGEST_NAME:
        raise Failed(f"a name has 1..{_LONGEST_NAME} characters")
    _check(plan, records_per_minute)
    now = datetime.now(UTC)
    org_id = f"org_{ULID.from_datetime(now)}".lower()
    organization = Organization(org_id, name.strip(), plan, records_per_minute, timestamp(now))
    stack.entries.add_organization(organization)
    return organization


def _check(plan: str | None, records_per_minute: int | None) -> None:
    """Raise `Failed` for a plan that there is not, or an allowance that cannot be."""
    if plan is not None and plan not in PLANS:
        raise Failed(f"there is no plan {plan!r}: the plans are {', '.join(PLANS)}")
    if records_per_minute is not None and not 1 <= records_per_minute <= MOST_RECORDS_PER_MINUTE:
        raise Failed(f"records per minute must be 1..{MOST_RECORDS_PER_MINUTE}")


def _named(org_id: str | None, command: str) -> str:
    if not org_id:
        raise Failed(f"name an organization: `consents org {command} ORG_ID`")
    return org_id


def _told(entry: Entry) -> dict[str, Any]:
    return asdict(entry.organization) | {
        "credentials": [credentials.told(one) for one in entry.credentials],
        "senders": [asdict(sender) for sender in entry.senders],
    }


def _for_people(told: Mapping[str, Any]) -> RenderableType:
    now = timestamp(datetime.now(UTC))
    keys = [one | {"state": _state(one, now)} for one in told["credentials"]]
    return Group(
        output.details(told),
        "",
        output.table(
            keys,
            ("key_id", "scopes", "state"),
            title="Credentials",
            wrapped={"scopes", "state"},
        ),
        output.table(told["senders"], ("phone_number_id", "phone_number"), title="Senders"),
    )


def _state(credential: Mapping[str, Any], now: str) -> str:
    revoked_at, expires_at = credential["revoked_at"], credential["expires_at"]
    if revoked_at:
        return f"revoked {revoked_at}"
    if not expires_at:
        return "live"
    return f"live until {expires_at}" if now < expires_at else f"expired {expires_at}"
