"""`consents log export`: the log as files, for an auditor or a bucket in another account."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from consents.aws.s3 import Objects
from consents.proof import export as files
from consents.proof.anchors import ANCHORS
from consents.proof.bucket import LogBucket
from consents.proof.growth import LogObject

from consents_cli import output
from consents_cli.errors import Failed
from consents_cli.options import AsJson, Region, StackName
from consents_cli.stack import open_stack


def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder; made if missing.")],
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Write the log up to its newest anchor to a folder; files that are there are kept.

    `consents-verify audit DIR` checks it. `consents log anchor` before it makes it up to date.
    """
    opened = open_stack(stack, region)
    objects = Objects(opened.s3(), opened.output("LogBucket"))
    size, written = write_log(LogBucket(objects), objects.names(ANCHORS), directory)
    made = {"directory": str(directory), "size": size, "files": written}
    output.show(made, as_json=as_json, people=lambda: output.details(made))


def write_log(bucket: LogBucket, anchors: Iterable[str], directory: Path) -> tuple[int, int]:
    """Write the log, the checkpoint last; return its size, and how many files are new.

    Raises:
        Failed: nothing is published yet.
    """
    log = bucket.anchored_snapshot() or bucket.snapshot()
    if log is None:
        raise Failed("the log has no checkpoint yet: wait a minute, and run the command again")
    names = [*files.full_names(log.size), *anchors]
    new = [name for name in names if not (directory / name).exists()]
    for one in zip(new, log.each(log.read, new), strict=True):
        _write(directory, one)
    partial = [*files.partial_objects(log)]
    for one in partial:
        _write(directory, one)
    return log.size, len(new) + len(partial)


def _write(directory: Path, one: LogObject) -> None:
    """Write a file whole or not at all: a file that is there is never read again."""
    name, content = one
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(path)
