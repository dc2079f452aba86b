"""The composition root: with import_wiring, all that reads the environment and makes clients."""

import os
from functools import cache
from typing import TYPE_CHECKING

import boto3
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer

from consents.aws.directory import Directory
from consents.aws.dynamodb import CONFIG, LONGEST_CALL
from consents.aws.http import Stores
from consents.aws.idempotency import Idempotency, sign_claims
from consents.aws.ledger import LONGEST_WAIT, Ledger
from consents.aws.rate_limits import RateLimits
from consents.wires import bulk_consents

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@cache
def dynamodb() -> "DynamoDBClient":
    """Return the one client of this process."""
    return boto3.client("dynamodb", config=CONFIG)


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
def stores() -> Stores:
    """Return what stands behind every route."""
    sign_claims(dynamodb())
    kept = DynamoDBPersistenceLayer(os.environ["IDEMPOTENCY_TABLE"], boto3_client=dynamodb())
    return Stores(
        directory=directory(),
        idempotency=Idempotency(kept),
        rate_limits=RateLimits(dynamodb(), os.environ["RATE_LIMITS_TABLE"]),
    )


@cache
def _pepper() -> bytes:
    """Read the key of all hashes, once, when the first request needs it."""
    client = boto3.client("secretsmanager", config=CONFIG)
    return client.get_secret_value(SecretId=os.environ["PEPPER_SECRET"])["SecretString"].encode()


@cache
def cors_headers() -> dict[str, str]:
    """Return the CORS headers of the bulk-consents wire for the stack's allowed origin."""
    return bulk_consents.cors_headers(os.environ["ALLOWED_ORIGIN"])
