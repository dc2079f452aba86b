"""The composition root: the one place that reads the environment and makes clients."""

import os
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from consents.aws.directory import Directory
from consents.aws.ledger import CALLS_AT_A_TIME, LONGEST_WAIT, Ledger
from consents.wires import bulk_consents

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_CONNECT_SECONDS, _READ_SECONDS, _TRIES = 1, 2, 2
LONGEST_CALL = _TRIES * (_CONNECT_SECONDS + _READ_SECONDS) + 1
"""Seconds that a client's call may take until it gives up, with a second for its own back-off."""

_CONFIG = Config(
    connect_timeout=_CONNECT_SECONDS,
    read_timeout=_READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": _TRIES},
    max_pool_connections=CALLS_AT_A_TIME,
    parameter_validation=False,
)


@cache
def dynamodb() -> "DynamoDBClient":
    """Return the one client of this process."""
    return boto3.client("dynamodb", config=_CONFIG)


@cache
def ledger() -> Ledger:
    """Return the ledger of this process."""
    longest = LONGEST_CALL + LONGEST_WAIT
    return Ledger(dynamodb(), os.environ["LEDGER_TABLE"], longest_call=longest)


@cache
def directory() -> Directory:
    """Return the directory of this process."""
    return Directory(dynamodb(), os.environ["DIRECTORY_TABLE"], _pepper)


@cache
def _pepper() -> bytes:
    """Read the key of all hashes, once, when the first request needs it."""
    client = boto3.client("secretsmanager", config=_CONFIG)
    return client.get_secret_value(SecretId=os.environ["PEPPER_SECRET"])["SecretString"].encode()


@cache
def cors_headers() -> dict[str, str]:
    """Return the CORS headers of the bulk-consents wire for the stack's allowed origin."""
    return bulk_consents.cors_headers(os.environ["ALLOWED_ORIGIN"])
