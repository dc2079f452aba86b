"""`consents import`: how far the imports of dropped files are."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from consents.domain.drop import Announced, Import
from consents.wires.imports import MOST_LISTED, describe

from consents_cli import output
from consents_cli.errors import Failed
from consents_cli.options import AsJson, OrgId, Region, StackName
from consents_cli.stack import Stack, open_stack

app = typer.Typer(no_args_is_help=True, help="Imports of dropped files.")


@app.command()
def show(
    import_id: Annotated[str, typer.Argument(metavar="IMPORT_ID", help="Its id.")],
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Show how far an import is."""
    told = find(open_stack(stack, region), import_id)
    if told is None:
        raise Failed(f"there is no import {import_id}, or it has not begun")
    output.show(told, as_json=as_json, people=lambda: output.details(flat(told)))


@app.command("list")
def list_all(
    org: OrgId, stack: StackName = None, region: Region = None, as_json: AsJson = False
) -> None:
    """List the imports of an organization, newest first."""
    opened = open_stack(stack, region)
    opened.entries.entry(org)  # else an unknown organization looks like one without imports
    rows = list(of_organization(opened, org))
    names = ("import_id", "state", "rows", "rejected", "started_at")
    output.show(rows, as_json=as_json, people=lambda: output.table(rows, names, wrapped=names[1:]))


def find(stack: Stack, import_id: str) -> dict[str, Any] | None:
    """Return what is known of an import, or None if it has neither begun nor been announced."""
    found = stack.progress.find(import_id)
    return None if found is None else _told(found)


def of_organization(stack: Stack, org_id: str) -> Iterator[dict[str, Any]]:
    """Return the imports of an organization, newest first."""
    after = None
    while True:
        found, after = stack.progress.of_organization(org_id, MOST_LISTED, after)
        yield from map(_told, found)
        if after is None:
            return


def flat(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of an import in values of one line each, for people."""
    source, by_code = told["source"], told["rejected_by_code"]
    return dict(told) | {
        "rejected_by_code": [f"{code}: {count}" for code, count in by_code.items()] or None,
        "source": source
        and f"s3://{source['bucket']}/{source['key']} (version {source['version']})",
    }


def _told(found: Announced | Import) -> dict[str, Any]:
    return {"org_id": found.drop.org_id} | describe(found, datetime.now(UTC))
