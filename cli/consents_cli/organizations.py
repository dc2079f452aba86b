"""`consents org`: the tenants of a stack."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from consents.aws.directory import Organization
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
    org_id: Annotated[str | None, typer.Argument(metavar="[ORG_ID]", help="Its id.")] = None,
    org: Annotated[str | None, typer.Option(hidden=True)] = None,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Show an organization, its credentials (never their secrets) and its senders."""
    named = org_id or org
    if not named:
        raise Failed("name an organization: `consents org show ORG_ID`")
    told = _told(open_stack(stack, region).entries.entry(named))
    output.show(told, as_json=as_json, people=lambda: _for_people(told))


def add(stack: Stack, name: str, plan: str, records_per_minute: int) -> Organization:
    """Add an organization to a stack's directory."""
    if not 1 <= len(name.strip()) <= _LONGEST_NAME:
        raise Failed(f"a name has 1..{_LONGEST_NAME} characters")
    if plan not in PLANS:
        raise Failed(f"there is no plan {plan!r}: the plans are {', '.join(PLANS)}")
    if not 1 <= records_per_minute <= MOST_RECORDS_PER_MINUTE:
        raise Failed(f"records per minute must be 1..{MOST_RECORDS_PER_MINUTE}")
    now = datetime.now(UTC)
    org_id = f"org_{ULID.from_datetime(now)}".lower()
    organization = Organization(org_id, name.strip(), plan, records_per_minute, timestamp(now))
    stack.entries.add_organization(organization)
    return organization


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
