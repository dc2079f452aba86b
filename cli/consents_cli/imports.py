"""`consents import`: how far the imports of dropped files are."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from consents.domain.record import timestamp
from consents.imports import Import

from consents_cli import output
from consents_cli.errors import Failed
from consents_cli.options import AsJson, OrgId, Region, StackName
from consents_cli.stack import Stack, open_stack

PLANNING, IMPORTING = "planning", "importing"
"""The file is being cut into parts; it is, and they are not all done."""

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
    rows = of_organization(opened, org)
    names = ("import_id", "state", "rows", "rejected", "started_at")
    output.show(rows, as_json=as_json, people=lambda: output.table(rows, names, wrapped=names[1:]))


def find(stack: Stack, import_id: str) -> dict[str, Any] | None:
    """Return what is known of an import, or None if it has not begun."""
    try:
        reached = stack.progress.get(import_id)
    except KeyError:  # the table has no such item
        return None
    return _told(reached)


def of_organization(stack: Stack, org_id: str) -> list[dict[str, Any]]:
    """Return the imports of an organization, newest first."""
    pages = stack.dynamodb.get_paginator("scan").paginate(
        TableName=stack.output("ImportsTable"),
        FilterExpression="#item = :import AND org_id = :org_id",
        ProjectionExpression="import_id",
        ExpressionAttributeNames={"#item": "item"},
        ExpressionAttributeValues={":import": {"S": "IMPORT"}, ":org_id": {"S": org_id}},
    )
    found = [item["import_id"]["S"] for page in pages for item in page["Items"]]
    told = (_told(stack.progress.get(import_id)) for import_id in found)
    return sorted(told, key=lambda one: str(one["started_at"]), reverse=True)


def flat(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of an import in values of one line each, for people."""
    source, by_code = told["source"], told["rejected_by_code"]
    return dict(told) | {
        "rejected_by_code": [f"{code}: {count}" for code, count in by_code.items()] or None,
        "source": f"s3://{source['bucket']}/{source['key']} (version {source['version']})",
    }


def _told(reached: Import) -> dict[str, Any]:
    drop, counts, finished_at = reached.drop, reached.counts, reached.finished_at
    return {
        "import_id": drop.import_id,
        "org_id": drop.org_id,
        "wire": drop.wire,
        "state": reached.outcome or (PLANNING if reached.parts is None else IMPORTING),
        **({"reason": reached.reason} if reached.reason else {}),
        "rows": counts.rows,
        "accepted": counts.accepted,
        "duplicates": counts.duplicates,
        "rejected": sum(counts.rejected.values()),
        "rejected_by_code": dict(sorted(counts.rejected.items())),
        "parts": reached.parts,
        "parts_done": reached.parts_done,
        "started_at": timestamp(reached.started_at),
        "finished_at": timestamp(finished_at) if finished_at else None,
        "source": {"bucket": drop.bucket, "key": drop.key, "version": drop.version},
    }
