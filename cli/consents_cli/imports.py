"""`consents import`: the state of imports."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from consents.imports.api import MAX_PAGE, describe
from consents.imports.import_state import Import, PendingUpload, overdue
from rich.table import Table

from consents_cli import output
from consents_cli.errors import Failed
from consents_cli.options import AsJson, OrgId, Region, StackName
from consents_cli.stack import Stack, open_stack

app = typer.Typer(no_args_is_help=True, help="File imports and their states.")


@app.command()
def show(
    import_id: Annotated[str, typer.Argument(metavar="IMPORT_ID", help="Id of the import.")],
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Show the state of an import, its reason if there is one, and its counts."""
    found = find(open_stack(stack, region), import_id)
    if found is None:
        raise Failed(f"unknown import {import_id}: no file has arrived, and none was announced")
    output.show(found, as_json=as_json, people=lambda: output.details(flat(found)))


@app.command("list")
def list_all(
    org: OrgId, stack: StackName = None, region: Region = None, as_json: AsJson = False
) -> None:
    """List the imports of an organization, newest first."""
    opened = open_stack(stack, region)
    opened.entries.entry(org)  # else an unknown organization looks like one without imports
    rows = list(of_organization(opened, org))
    output.show(rows, as_json=as_json, people=lambda: _table(rows))


def find(stack: Stack, import_id: str) -> dict[str, Any] | None:
    """Return the state of an import, or None if it was neither announced nor begun."""
    found = stack.imports.find_any(import_id)
    return None if found is None else described(stack, [found])[0]


def of_organization(stack: Stack, org_id: str) -> Iterator[dict[str, Any]]:
    """Return the imports of an organization, newest first."""
    after = None
    while True:
        found, after = stack.imports.of_organization(org_id, MAX_PAGE, after)
        yield from described(stack, found)
        if after is None:
            return


def flat(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an import or its summary for people, one line each."""
    shown = {"API" if name == "wire" else name: value for name, value in found.items()}
    if "API" in shown:
        shown["API"] = output.API_NAMES[shown["API"]]
    source, by_code = found["source"], found["rejected_by_code"]
    return shown | {
        "rejected_by_code": [f"{code}: {count}" for code, count in by_code.items()] or None,
        "source": source
        and f"s3://{source['bucket']}/{source['key']} (version {source['version']})",
    }


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return imports as a table, with a column of reasons if any has one."""
    names = ["import_id", "state", "rows", "rejected", "started_at"]
    if any("reason" in row for row in rows):
        names.append("reason")
    return output.table(({"reason": None, **row} for row in rows), names, wrapped=names[1:])


def described(stack: Stack, found: Sequence[PendingUpload | Import]) -> list[dict[str, Any]]:
    """Return imports as the API describes them, each with its organization."""
    now = datetime.now(UTC)
    late = overdue(found, now)
    uploaded = stack.bucket.uploaded(late) if late else set()
    return [{"org_id": one.drop.org_id} | describe(one, now, uploaded) for one in found]
