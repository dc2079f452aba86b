"""The composition root: with `imports.wiring`, all that reads the environment and makes clients."""

import gc

# Imported modules stay. Scanning them for garbage while they load is a tenth of a cold start, and a
# request of 1000 records makes fewer objects than this.
gc.set_threshold(100_000)

import os
from functools import cache
from typing import TYPE_CHECKING, cast

from botocore.session import Session

from consents.accounts.directory import Directory
from consents.aws.dynamodb import CONFIG, MAX_CALL_SECONDS, MAX_WAIT_SECONDS, Table
from consents.aws.session import new_session
from consents.capture.ledger import Ledger
from consents.http.idempotency import Idempotency, sign_claims
from consents.http.rate_limits import RateLimits
from consents.http.request import Stores

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_secretsmanager import SecretsManagerClient


@cache
def session() -> Session:
    """Return the botocore session of this process."""
    return new_session()


@cache
def dynamodb() -> "DynamoDBClient":
    """Return the one DynamoDB client of this process."""
    return cast("DynamoDBClient", session().create_client("dynamodb", config=CONFIG))


def table(name: str) -> Table:
    """Return a table by the environment variable that holds its name."""
    return Table(dynamodb(), os.environ[name])


@cache
def ledger() -> Ledger:
    """Return the ledger of this process."""
    return Ledger(table("LEDGER_TABLE"), max_call_seconds=MAX_CALL_SECONDS + MAX_WAIT_SECONDS)


@cache
def directory() -> Directory:
    """Return the directory of this process."""
    return Directory(table("DIRECTORY_TABLE"), _pepper)


@cache
def stores() -> Stores:
    """Return the stores that every route needs."""
    sign_claims(dynamodb())
    return Stores(
        directory=directory(),
        idempotency=Idempotency(_kept_responses),
        rate_limits=RateLimits(table("RATE_LIMITS_TABLE")),
    )


@cache
def _kept_responses() -> "DynamoDBPersistenceLayer":
    """Return the store of kept responses, which loads boto3: only requests with a key need it."""
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer

    return DynamoDBPersistenceLayer(os.environ["IDEMPOTENCY_TABLE"], boto3_client=dynamodb())


@cache
def _pepper() -> bytes:
    """Read the HMAC key of the directory, once, for the first request that needs it."""
    client = cast("SecretsManagerClient", session().create_client("secretsmanager", config=CONFIG))
    return client.get_secret_value(SecretId=os.environ["PEPPER_SECRET"])["SecretString"].encode()


def allowed_origin() -> str:
    """Return the origin whose browsers may call the Bulk Consents API."""
    return os.environ["ALLOWED_ORIGIN"]
