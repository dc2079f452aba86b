"""`consents log anchor`, `cosign`, `witnesses`: what others have seen of the log."""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from consents.aws.s3 import Objects
from consents.proof import notes
from consents.proof.bucket import LogBucket
from consents.proof.cosignatures import parse_lines, valid_cosignature
from consents.proof.notes import InvalidNote, Signature
from consents.proof.witness_policy import InvalidPolicy, Witness, parse_witness_policy

from consents_cli import output
from consents_cli.errors import Failed
from consents_cli.options import AsJson, Region, StackName
from consents_cli.stack import Stack, open_stack

MAX_TRIED = 48
"""Anchors, the newest, of which one may be what an auditor cosigned."""


def log_bucket(stack: Stack) -> LogBucket:
    """Return the bucket of a stack's log."""
    return LogBucket(Objects(stack.s3(), stack.output("LogBucket")))


def anchor(
    with_timestamp: Annotated[
        bool, typer.Option("--timestamp", help="Also timestamp it, at the URL `TimestampUrl`.")
    ] = False,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Publish what is sealed, ask the witnesses, write the anchor, and show it."""
    opened = open_stack(stack, region)
    opened.invoke("PublishLogFunction", {"anchor": True, "timestamp": with_timestamp})
    made = newest(log_bucket(opened))
    if as_json:
        output.show(made, as_json=True, people=lambda: "")
    else:  # a signed note: no line may be broken
        typer.echo(made["checkpoint"], nl=False)
    if with_timestamp and not made["timestamp"]:
        raise Failed(
            "the anchor has no timestamp: set the parameter TimestampUrl, "
            "or see the `timestamp.failed` line of publish_log"
        )


def newest(bucket: LogBucket) -> dict[str, Any]:
    """Return the newest anchor, who cosigned it, and whether it has a timestamp.

    Raises:
        Failed: the log was not anchored yet.
    """
    log = bucket.anchored_snapshot()
    if log is None:
        raise Failed("the log was not anchored: see `consents log show`")
    policy = parse_witness_policy(bucket.witness_policy())
    cosigners = policy.cosigners(notes.parse_note(log.note))
    return {
        "size": log.size,
        "checkpoint": log.note.decode(),
        "cosigners": sorted(cosigners),
        "quorum": policy.is_met(cosigners),
        "timestamp": bucket.has_timestamp(log.size),
    }


def cosign(
    line: Annotated[str, typer.Argument(metavar="LINE", help="What `audit --cosign` prints.")],
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Check the cosignature of an auditor, and keep it beside the anchor that it is of."""
    kept = keep_cosignature(log_bucket(open_stack(stack, region)), line)
    output.show(kept, as_json=as_json, people=lambda: output.details(kept))


def keep_cosignature(bucket: LogBucket, line: str) -> dict[str, Any]:
    """Keep a cosignature; return the size that is cosigned, and the name of its key.

    Raises:
        Failed: its key is not in the policy, or it is of none of the newest anchors.
    """
    one = _parsed(line)
    witness = _witness(bucket, one)
    for size in islice(sorted(bucket.anchor_sizes(), reverse=True), MAX_TRIED):
        note = notes.parse_note(bucket.read_anchor(size).checkpoint)
        if valid_cosignature(note, witness.key, [one], datetime.now(UTC)):
            bucket.add_cosignature(size, one)
            return {"size": size, "witness": witness.name}
    raise Failed(
        f"not a cosignature of one of the newest {MAX_TRIED} anchors: audit a new export of the log"
    )


def _parsed(line: str) -> Signature:
    try:
        (one,) = parse_lines(line.strip().encode())
    except (InvalidNote, ValueError):
        raise Failed("not a signature line: pass the line that begins with a dash") from None
    return one


def _witness(bucket: LogBucket, one: Signature) -> Witness:
    policy = parse_witness_policy(bucket.witness_policy())
    for witness in policy.witnesses.values():
        if (witness.key.name, witness.key.key_id) == one[:2]:
            return witness
    raise Failed("unknown key: add it to the policy with `consents log witnesses`")


def witnesses(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="Lines `witness`, `group`, `quorum` (C2SP tlog-policy)."
        ),
    ] = None,
    stack: StackName = None,
    region: Region = None,
) -> None:
    """Print the policy of the log's witnesses, or replace it with a file."""
    bucket = log_bucket(open_stack(stack, region))
    if file is not None:
        bucket.write_witness_policy(_valid(file))
    typer.echo(bucket.witness_policy(), nl=False)


def _valid(file: Path) -> str:
    try:
        text = file.read_text()
        parse_witness_policy(text)
    except OSError as error:
        raise Failed(f"{str(file)!r} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, InvalidPolicy) as error:
        raise Failed(f"{str(file)!r} is not a policy: {error}") from None
    return text.rstrip("\n") + "\n" if text.strip() else ""
