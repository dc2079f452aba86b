"""The composition root of the log."""

import os
from collections.abc import Callable
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, cast

from botocore.config import Config

from consents import wiring
from consents.aws import session
from consents.aws.client import Boto3Client
from consents.aws.kms import SigningKey
from consents.aws.s3 import CONFIG, Lock, Objects
from consents.proof.anchor import Anchorer
from consents.proof.bucket import CALLS_AT_A_TIME, LogBucket
from consents.proof.log_reader import LogReader
from consents.proof.notes import SignatureType, VerifierKey
from consents.proof.policy import policy_text
from consents.proof.publish import Publisher
from consents.proof.seal import Sealer
from consents.proof.table import LogTable
from consents.proof.timestamp import Timestamper
from consents.proof.timestamp_authority import request_timestamp
from consents.proof.witnesses import ask_witnesses

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


PARTIAL_LIFETIME = timedelta(days=1)
"""Of the lock of partial tiles: the next checkpoint has larger ones."""


@cache
def table() -> LogTable:
    """Return the table of the log."""
    return LogTable(wiring.table("LOG_TABLE"))


@cache
def bucket() -> LogBucket:
    """Return the bucket of the log."""
    return LogBucket(_objects())


@cache
def reader() -> LogReader:
    """Return the log as its routes serve it."""
    return LogReader(_objects())


@cache
def policy() -> Callable[[str], str]:
    """Return what makes the policy of the log, of the URL of the API."""
    origin = os.environ["LOG_ORIGIN"]

    def text(api_url: str) -> str:
        verifier = VerifierKey(origin, SignatureType.ED25519, key().public_key)
        return policy_text(verifier, f"{api_url}/v1/log", bucket().witness_policy())

    return text


@cache
def key() -> SigningKey:
    """Return the key that signs the log."""
    return SigningKey(Boto3Client(lambda: session.boto_client("kms")), os.environ["LOG_KEY_ID"])


@cache
def _objects() -> Objects:
    config = CONFIG.merge(Config(max_pool_connections=CALLS_AT_A_TIME))
    client = cast("S3Client", session.session().create_client("s3", config=config))
    return Objects(client, os.environ["LOG_BUCKET"])


@cache
def sealer() -> Sealer:
    """Return the sealer of this process."""
    return Sealer(table(), bucket())


@cache
def publisher() -> Publisher:
    """Return the publisher of this process."""
    partial_lock = Lock(os.environ["LOG_LOCK"].upper(), PARTIAL_LIFETIME)
    objects = LogBucket(_objects(), partial_lock)
    return Publisher(os.environ["LOG_ORIGIN"], table(), objects, key())


@cache
def anchorer() -> Anchorer:
    """Return what anchors the log of this process."""
    return Anchorer(bucket(), ask_witnesses)


@cache
def timestamper() -> Timestamper | None:
    """Return what timestamps the anchors of this process, or None without an authority."""
    url = os.environ["TIMESTAMP_URL"]
    return Timestamper(bucket(), partial(request_timestamp, url)) if url else None
