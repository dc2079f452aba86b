"""The composition root of proof packs: no other function loads what they need."""

import os
from functools import cache
from typing import TYPE_CHECKING, cast

from consents import wiring
from consents.aws import session
from consents.aws.s3 import CONFIG, Objects
from consents.decisions import wiring as decision_wiring
from consents.proof import wiring as proof_wiring
from consents.proof.judgement import judge
from consents.proof.notes import SignatureType, VerifierKey
from consents.proof.pack_store import PackStore
from consents.proof.policy import policy_text
from consents.proof.prove import Prover

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@cache
def prover() -> Prover:
    """Return the prover of this process."""
    return Prover(
        decision_wiring.reader(),
        wiring.ledger().agreement_texts,
        proof_wiring.bucket(),
        proof_wiring.table(),
        _policy,
        judge,
    )


@cache
def store() -> PackStore:
    """Return where packs wait for their download."""
    client = cast("S3Client", session.session().create_client("s3", config=CONFIG))
    return PackStore(Objects(client, os.environ["DROPS_BUCKET"]))


def _policy() -> bytes:
    """Return the stack's policy; reads the log's key once, for the first pack."""
    key = VerifierKey(
        os.environ["LOG_ORIGIN"], SignatureType.ED25519, proof_wiring.key().public_key
    )
    witnesses = proof_wiring.bucket().witness_policy()
    return policy_text(key, witnesses=witnesses).encode()
