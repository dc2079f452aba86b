"""`consents drop`: upload a file, follow its import to the end, and show its summary."""

import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from consents.domain.drop import FAILED, Drop, drop_of
from consents.domain.record import Wire
from rich.console import Group, RenderableType
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from consents_cli import imports, output
from consents_cli.errors import Failed, failing_with
from consents_cli.options import AsJson, OrgId, Region, StackName
from consents_cli.stack import Stack, open_stack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SECONDS_TO_BEGIN = 120
"""How long an import may take to begin: a cold start, and some files before it."""

EXIT_REJECTED, EXIT_FAILED, EXIT_INTERRUPTED = 1, 2, 130

_SECONDS_BETWEEN_LOOKS = 0.25
_LONGEST_KEY = 1024  # S3's limit
_ROWS_SHOWN = 10


@failing_with(EXIT_FAILED)
def drop(
    file: Annotated[Path, typer.Argument(help="A .jsonl or .csv file, either also .gz.")],
    org: OrgId,
    wire: Annotated[Wire, typer.Option(help="The wire whose records its rows are.")],
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Stay until the import is at its end.")
    ] = True,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Import a file of consents.

    The exit code is 0 if every row is in the ledger, 1 if all were read and some refused, and 2 if
    anything failed, before, during or after the import. With --no-follow 0 says that the file is
    uploaded.
    """
    opened = open_stack(stack, region)
    dropped = upload(opened, file, org, wire)
    if not follow:
        told = {"import_id": dropped.import_id}
        output.show(told, as_json=as_json, people=lambda: dropped.import_id)
        return
    try:
        summary = wait_for_summary(opened, dropped)
    except KeyboardInterrupt:
        asked = f"`consents import show {dropped.import_id}`"
        typer.echo(f"consents: the import goes on: {asked} tells how far it is", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    output.show(summary, as_json=as_json, people=lambda: _for_people(opened, dropped, summary))
    if summary["state"] == FAILED:
        raise typer.Exit(EXIT_FAILED)
    if summary["rejected"]:
        raise typer.Exit(EXIT_REJECTED)


def upload(stack: Stack, file: Path, org_id: str, wire: Wire) -> Drop:
    """Upload a file to where it is imported, and return the drop that it is then.

    Raises:
        Failed: the file cannot be read, or is none that is imported.
    """
    bucket, key = stack.output("DropsBucket"), f"drops/{org_id}/{wire}/{file.name}"
    stack.entries.entry(org_id)  # else the import would fail, a little later
    _check_name(file, bucket, key)
    version = _put(stack.s3(), file, bucket, key)
    dropped = drop_of(bucket, key, version)
    assert dropped is not None  # noqa: S101 - its name was checked
    return dropped


def _check_name(file: Path, bucket: str, key: str) -> None:
    name = output.plain(file.name)
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise Failed(f"the name {name!r} is not UTF-8") from None
    if size > _LONGEST_KEY:
        raise Failed(f"the key of a drop may have at most {_LONGEST_KEY} bytes, and has {size}")
    if drop_of(bucket, key, "") is None:
        raise Failed(f"{name!r} is not imported: a name ends in .jsonl, .csv, .jsonl.gz or .csv.gz")


def _put(client: "S3Client", file: Path, bucket: str, key: str) -> str:
    """Upload a file, in parts if it is long, and return the version that it has become."""
    versions: list[str] = []

    def keep_version(parsed: Mapping[str, Any], **_: Any) -> None:
        versions.append(parsed.get("VersionId", "null"))

    # What the upload returns tells no version, and to ask for it later may tell that of another.
    for call in ("PutObject", "CompleteMultipartUpload"):
        client.meta.events.register(f"after-call.s3.{call}", keep_version)
    try:
        with file.open("rb") as content, _bar(DownloadColumn()) as bar:
            task = bar.add_task("uploading", total=file.stat().st_size)
            client.upload_fileobj(
                content, bucket, key, Callback=lambda sent: bar.advance(task, sent)
            )
    except OSError as error:
        raise Failed(f"{output.plain(str(file))} cannot be read: {error.strerror}") from None
    return versions[-1]


def wait_for_summary(
    stack: Stack, dropped: Drop, seconds_to_begin: float = SECONDS_TO_BEGIN
) -> dict[str, Any]:
    """Return the summary of an import once it is there, and show meanwhile how far it is.

    Raises:
        Failed: the import does not begin in time.
    """
    deadline = time.monotonic() + seconds_to_begin
    with _bar(TextColumn("{task.fields[counted]}")) as bar:
        task = bar.add_task("waiting", total=None, counted=f"import {dropped.import_id}")
        while True:
            told = imports.find(stack, dropped.import_id)
            if told is not None:
                bar.update(task, **_shown(told))
                if told["finished_at"] and (summary := _report(stack, dropped, "summary.json")):
                    return dict(orjson.loads(summary.read()))
            elif time.monotonic() > deadline:
                raise Failed(
                    f"the file is dropped, but its import has not begun in {seconds_to_begin:.0f} "
                    f"s: `consents import show {dropped.import_id}` tells whether it has since"
                )
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def _bar(column: TextColumn | DownloadColumn) -> Progress:
    """Return a progress display, which is seen on a terminal alone, and gone at its end."""
    console = output.progress_console()
    columns = TextColumn("{task.description}"), BarColumn(), column, TimeElapsedColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _shown(told: Mapping[str, Any]) -> dict[str, Any]:
    rows, done, parts = told["rows"], told["parts_done"], told["parts"]
    return {
        "description": told["state"],
        "completed": done,
        "total": parts,  # None until the file is cut to its end
        "counted": f"{rows} rows, {done} of {'?' if parts is None else parts} parts",
    }


def _report(stack: Stack, dropped: Drop, name: str) -> Any:
    """Return a report of an import as a stream, or None if it is not there yet."""
    client = stack.s3()
    try:
        answer = client.get_object(Bucket=dropped.bucket, Key=dropped.report_key(name))
    except client.exceptions.NoSuchKey:
        return None
    return answer["Body"]


def _for_people(stack: Stack, dropped: Drop, summary: Mapping[str, Any]) -> RenderableType:
    shown: list[RenderableType] = [output.details(imports.flat(summary))]
    if summary["rejected"]:
        names = ("row", "code", "reason")
        refused = output.table(_refused(stack, dropped), names, title="Refused", wrapped={"reason"})
        where = f"s3://{dropped.bucket}/{dropped.report_key('rejected.jsonl')}"
        shown += ["", refused, Text(f"All of them are in {where}", overflow="fold")]
    return Group(*shown)


def _refused(stack: Stack, dropped: Drop) -> Iterator[dict[str, Any]]:
    """Return the first refused rows, of however many there are."""
    body = _report(stack, dropped, "rejected.jsonl")
    if body is not None:
        yield from map(orjson.loads, islice(body.iter_lines(), _ROWS_SHOWN))
        body.close()
