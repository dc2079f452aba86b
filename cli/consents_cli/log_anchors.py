"""`consents log anchor`, `cosign`, `witnesses`: what others have seen of the log."""

import re
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

MAX_PARAMETER = 4096
"""Characters of a parameter of CloudFormation."""

PARAMETER_LINE = re.compile(r"(witness|group|quorum) [!#-+\--\[\]-~ ]+")
"""A line that the template accepts in the parameter `WitnessPolicy`."""


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
    policy = policy_of(opened.parameters.get("WitnessPolicy", ""))
    event = {"anchor": True, "timestamp": with_timestamp, "witness_policy": policy}
    opened.invoke("PublishLogFunction", event)
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
    raise Failed(
        "unknown key: add it to the parameter WitnessPolicy, and run `consents log anchor`"
    )


def witnesses(
    file: Annotated[
        Path, typer.Argument(help="Lines `witness`, `group`, `quorum` (C2SP tlog-policy).")
    ],
) -> None:
    """Check the policy of the log's witnesses, and print it as the parameter `WitnessPolicy`."""
    try:
        typer.echo(parameter_of(file.read_text()))
    except OSError as error:
        raise Failed(f"{str(file)!r} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, InvalidPolicy) as error:
        raise Failed(f"{str(file)!r} is not a policy: {error}") from None


def parameter_of(policy: str) -> str:
    """Return a policy as the parameter `WitnessPolicy`: its lines, with commas between them.

    Raises:
        InvalidPolicy: it is invalid, or a parameter cannot have it.
    """
    parse_witness_policy(policy)
    lines = [" ".join(line.split()) for line in policy.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not all(map(PARAMETER_LINE.fullmatch, lines)):
        raise InvalidPolicy('a parameter has only ASCII characters, and no comma, " or \\')
    parameter = ",".join(lines)
    if len(parameter) > MAX_PARAMETER:
        raise InvalidPolicy(f"more than the {MAX_PARAMETER} characters of a parameter")
    return parameter


def policy_of(parameter: str) -> str:
    """Return the parameter `WitnessPolicy` as the lines of a policy."""
    return parameter.replace(",", "\n")
