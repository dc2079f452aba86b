"""`consents drop`: upload a file, wait for its import, and show the summary."""

import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from consents.domain.record import Wire
from consents.imports.drop import Drop, parse_key
from consents.imports.import_state import FAILED
from rich.console import Group, RenderableType
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from consents_cli import imports, output
from consents_cli.errors import Failed, exit_on_error
from consents_cli.options import AsJson, OrgId, Region, StackName
from consents_cli.stack import Stack, open_stack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SECONDS_TO_BEGIN = 120
"""Time for an import to begin: a cold start, and a few files ahead of it."""

EXIT_REJECTED, EXIT_FAILED, EXIT_INTERRUPTED = 1, 2, 130

_POLL_SECONDS = 0.25
_MAX_KEY_BYTES = 1024  # limit of S3
_MAX_ROWS_SHOWN = 10


@exit_on_error(EXIT_FAILED)
def drop(
    file: Annotated[Path, typer.Argument(help="A .jsonl, .csv, .jsonl.gz or .csv.gz file.")],
    org: OrgId,
    wire: Annotated[Wire, typer.Option(help="The API whose record format the rows have.")],
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Wait until the import ends.")
    ] = True,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Import a file of consents.

    The exit code is 0 if the ledger holds every row, 1 if rows were rejected, and 2 if the command
    or the import failed. With --no-follow, it is 0 once the file is uploaded.
    """
    opened = open_stack(stack, region)
    dropped = upload(opened, file, org, wire)
    if not follow:
        uploaded = {"import_id": dropped.import_id}
        output.show(uploaded, as_json=as_json, people=lambda: dropped.import_id)
        return
    try:
        summary = wait_for_summary(opened, dropped)
    except KeyboardInterrupt:
        show = f"`consents import show {dropped.import_id}`"
        typer.echo(f"consents: the import continues: see its state with {show}", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    output.show(summary, as_json=as_json, people=lambda: _for_people(opened, dropped, summary))
    if summary["state"] == FAILED:
        raise typer.Exit(EXIT_FAILED)
    if summary["rejected"]:
        raise typer.Exit(EXIT_REJECTED)


def upload(stack: Stack, file: Path, org_id: str, wire: Wire) -> Drop:
    """Upload a file to the drops bucket, and return the drop that it has become.

    Raises:
        Failed: the file cannot be read or imported, or the organization is unknown.
    """
    bucket, key = stack.output("DropsBucket"), f"drops/{org_id}/{wire}/{file.name}"
    stack.entries.entry(org_id)  # else only the import would fail
    _check_name(file, bucket, key)
    version = _put(stack.s3(), file, bucket, key)
    dropped = parse_key(bucket, key, version)
    assert dropped is not None  # noqa: S101 - its name was checked
    return dropped


def _check_name(file: Path, bucket: str, key: str) -> None:
    name = output.plain(file.name)
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise Failed(f"invalid file name {name!r}: not UTF-8") from None
    if size > _MAX_KEY_BYTES:
        raise Failed(f"file name too long: its key has {size} bytes, at most {_MAX_KEY_BYTES}")
    if parse_key(bucket, key, "") is None:
        raise Failed(f"invalid file name {name!r}: must end in .jsonl, .csv, .jsonl.gz or .csv.gz")


def _put(client: "S3Client", file: Path, bucket: str, key: str) -> str:
    """Upload a file, in parts if it is large, and return its version."""
    versions: list[str] = []

    def keep_version(parsed: Mapping[str, Any], **_: Any) -> None:
        versions.append(parsed.get("VersionId", "null"))

    # The upload returns no version, and a later HeadObject may see a newer one.
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
    """Wait for the summary of an import, and show the progress until then.

    Raises:
        Failed: the import does not begin in time.
    """
    deadline = time.monotonic() + seconds_to_begin
    with _bar(TextColumn("{task.fields[progress]}")) as bar:
        task = bar.add_task("waiting", total=None, progress=f"import {dropped.import_id}")
        while True:
            found = imports.find(stack, dropped.import_id)
            if found is not None:
                bar.update(task, **_progress(found))
                if found["finished_at"] and (summary := _report(stack, dropped, "summary.json")):
                    return dict(orjson.loads(summary.read()))
            elif time.monotonic() > deadline:
                raise Failed(
                    f"the import has not begun within {seconds_to_begin:.0f} s: the file is "
                    f"uploaded, so run `consents import show {dropped.import_id}` later"
                )
            time.sleep(_POLL_SECONDS)


def _bar(column: TextColumn | DownloadColumn) -> Progress:
    """Return a progress display, which only a terminal shows, and which disappears."""
    console = output.progress_console()
    columns = TextColumn("{task.description}"), BarColumn(), column, TimeElapsedColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _progress(found: Mapping[str, Any]) -> dict[str, Any]:
    rows, done, parts = found["rows"], found["parts_done"], found["parts"]
    reason = f" ({found['reason']})" if found.get("reason") else ""
    return {
        "description": found["state"] + reason,
        "completed": done,
        "total": parts,  # None until the whole file is cut
        "progress": f"{rows} rows, {done} of {'?' if parts is None else parts} parts",
    }


def _report(stack: Stack, dropped: Drop, name: str) -> Any:
    """Return a report of an import as a stream, or None if it is not written yet."""
    client = stack.s3()
    try:
        response = client.get_object(Bucket=dropped.bucket, Key=dropped.report_key(name))
    except client.exceptions.NoSuchKey:
        return None
    return response["Body"]


def _for_people(stack: Stack, dropped: Drop, summary: Mapping[str, Any]) -> RenderableType:
    shown: list[RenderableType] = [output.details(imports.flat(summary))]
    if summary["rejected"]:
        names = ("row", "code", "reason")
        rejected = output.table(
            _rejected(stack, dropped), names, title="Rejected rows", wrapped={"reason"}
        )
        where = f"s3://{dropped.bucket}/{dropped.report_key('rejected.jsonl')}"
        shown += ["", rejected, Text(f"All rejected rows: {where}", overflow="fold")]
    return Group(*shown)


def _rejected(stack: Stack, dropped: Drop) -> Iterator[dict[str, Any]]:
    """Return the first rejected rows."""
    body = _report(stack, dropped, "rejected.jsonl")
    if body is not None:
        yield from map(orjson.loads, islice(body.iter_lines(), _MAX_ROWS_SHOWN))
        body.close()
