"""The composition root: with import_wiring, all that reads the environment and makes clients."""

import os
from functools import cache
from typing import TYPE_CHECKING, cast

from botocore.session import Session, get_session

from consents.aws.directory import Directory
from consents.aws.dynamodb import CONFIG, LONGEST_CALL, LONGEST_WAIT
from consents.aws.http import Stores
from consents.aws.idempotency import Idempotency, sign_claims
from consents.aws.ledger import Ledger
from consents.aws.rate_limits import RateLimits
from consents.aws.service_models import ServiceModels

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_secretsmanager import SecretsManagerClient


@cache
def session() -> Session:
    """Return what makes the clients of this process; boto3 would load more for the same."""
    made = get_session()
    made.register_component("data_loader", ServiceModels())
    return made


@cache
def dynamodb() -> "DynamoDBClient":
    """Return the one client of this process."""
    return cast("DynamoDBClient", session().create_client("dynamodb", config=CONFIG))


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
    return Stores(
        directory=directory(),
        idempotency=Idempotency(_kept_answers),
        rate_limits=RateLimits(dynamodb(), os.environ["RATE_LIMITS_TABLE"]),
    )


@cache
def _kept_answers() -> "DynamoDBPersistenceLayer":
    """Return where answers are kept, which loads boto3: only a request with a key waits for it."""
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer

    return DynamoDBPersistenceLayer(os.environ["IDEMPOTENCY_TABLE"], boto3_client=dynamodb())


@cache
def _pepper() -> bytes:
    """Read the key of all hashes, once, when the first request needs it."""
    client = cast("SecretsManagerClient", session().create_client("secretsmanager", config=CONFIG))
    return client.get_secret_value(SecretId=os.environ["PEPPER_SECRET"])["SecretString"].encode()


def allowed_origin() -> str:
    """Return the origin that may call the bulk-consents wire from a browser."""
    return os.environ["ALLOWED_ORIGIN"]
