"""`consents proof`: the proof pack of a contact, made without the API."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from consents.aws.client import Boto3Client
from consents.aws.dynamodb import Table
from consents.aws.kms import SigningKey
from consents.domain.errors import LogBehind, Unavailable
from consents.domain.ulid import new_ulid
from consents.proof import proof_api
from consents.proof.judgement import judge
from consents.proof.notes import SignatureType, VerifierKey
from consents.proof.policy import policy_text
from consents.proof.prove import Pack, Prover, Question
from consents.proof.table import LogTable

from consents_cli import output
from consents_cli.access_log import Action, open_access_log
from consents_cli.errors import Failed
from consents_cli.log_anchors import log_bucket
from consents_cli.options import AsJson, OrgId, Region, StackName
from consents_cli.senders import number
from consents_cli.stack import Stack, open_stack

_SECONDS = 60.0
_PATIENCE = 180.0
"""Seconds for a new record to reach the published log; it takes about one minute."""

_PAUSE = 2.0


def proof(
    org: OrgId,
    contact: Annotated[str, typer.Option(metavar="E164", help="Phone number of the contact.")],
    file: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The file; default proof-<id>.zip."),
    ] = None,
    kept_size: Annotated[
        list[int] | None,
        typer.Option(metavar="SIZE", min=1, help="Size of a kept checkpoint; repeatable."),
    ] = None,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Make the proof pack of a contact; waits until the log has its records."""
    number(contact)
    kept = kept_size or []
    if len(kept) > proof_api.MAX_KEPT:
        raise Failed(f"too many sizes: pass --kept-size at most {proof_api.MAX_KEPT} times")
    opened = open_stack(stack, region)
    opened.entries.entry(org)  # else an unknown organization looks like one without records
    pack = make(opened, Question(org, contact, kept))
    proof_id = new_ulid(datetime.now(UTC))
    path = file or Path(f"proof-{proof_id}.zip")
    path.write_bytes(pack.content)
    made = proof_api.summary(proof_id, pack) | {"file": str(path)}
    output.show(made, as_json=as_json, people=lambda: output.details(made))


def make(stack: Stack, question: Question, *, patience: float = _PATIENCE) -> Pack:
    """Return a pack, as soon as the log has the records of its contact, within some seconds.

    Raises:
        Failed: it does not have them in time, or the access log took no entry.
    """
    open_access_log(stack).insert(Action.PROOF_MADE, question.org_id, [question.contact])
    prover = _prover(stack)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            return prover.prove(question, datetime.now(UTC), lambda: _SECONDS)
        except LogBehind:
            time.sleep(_PAUSE)  # the log is published once a minute
        except Unavailable:
            raise Failed("the ledger did not answer: run the command again") from None
    raise Failed("the log is behind: see `consents log show`, and run the command again later")


def _prover(stack: Stack) -> Prover:
    return Prover(
        stack.reader,
        stack.ledger.agreement_texts,
        log_bucket(stack),
        LogTable(Table(Boto3Client(lambda: stack.dynamodb), stack.output("LogTable"))),
        lambda: _policy(stack),
        judge,
    )


def _policy(stack: Stack) -> bytes:
    key = SigningKey(Boto3Client(stack.kms), stack.output("LogKey"))
    origin = stack.output("LogOrigin")
    witnesses = log_bucket(stack).witness_policy()
    verifier = VerifierKey(origin, SignatureType.ED25519, key.public_key)
    return policy_text(verifier, witnesses=witnesses).encode()
