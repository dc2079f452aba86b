"""The composition root: with `imports.wiring`, all that reads the environment and makes clients."""

import gc

# Imported modules stay. Scanning them for garbage while they load is a tenth of a cold start, and a
# request of 1000 records makes fewer objects than this.
gc.set_threshold(100_000)

import os
from functools import cache
from typing import Any

from consents.accounts.directory import Directory
from consents.aws import session
from consents.aws.client import DYNAMODB, SECRETS_MANAGER, Client
from consents.aws.dynamodb import BOTO_CONFIG, MAX_CALL_SECONDS, MAX_WAIT_SECONDS, Table
from consents.capture.ledger import Ledger
from consents.http.consent_log import NO_LOG, ConsentLog
from consents.http.idempotency import Idempotency
from consents.http.rate_limits import RateLimits
from consents.http.request import Stores


@cache
def dynamodb() -> Client:
    """Return the one DynamoDB client of this process; DYNAMODB_TRANSPORT=boto3 makes it boto3's."""
    is_lean = os.environ.get("DYNAMODB_TRANSPORT") != "boto3"
    return session.client(DYNAMODB, boto3_dynamodb, is_lean=is_lean)


@cache
def boto3_dynamodb() -> Any:
    """Return botocore's client of DynamoDB, which few processes need."""
    return session.boto_client("dynamodb", **BOTO_CONFIG)


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
    return Directory(table("DIRECTORY_TABLE"), pepper)


@cache
def stores() -> Stores:
    """Return the stores that every route needs."""
    return Stores(
        directory=directory(),
        idempotency=Idempotency(table("IDEMPOTENCY_TABLE")),
        rate_limits=RateLimits(table("RATE_LIMITS_TABLE")),
        consent_log=consent_log(),
    )


@cache
def consent_log() -> ConsentLog:
    """Return what knows the checkpoint of the transparency log."""
    checkpoint = session.small_object(os.environ["LOG_BUCKET"], "checkpoint")
    return ConsentLog(checkpoint.read) if checkpoint else NO_LOG


@cache
def pepper() -> bytes:
    """Read the HMAC key of the directory, once, for the first request that needs it."""
    return secret("PEPPER_SECRET").encode()


def secret(name: str) -> str:
    """Read a secret by the environment variable that holds its id."""
    found = _secrets().call("GetSecretValue", {"SecretId": os.environ[name]})
    return str(found["SecretString"])


@cache
def _secrets() -> Client:
    return session.client(
        SECRETS_MANAGER, lambda: session.boto_client("secretsmanager", **BOTO_CONFIG)
    )


def can_send() -> bool:
    """Return whether there is a provider of text messages."""
    return os.environ.get("MESSAGE_PROVIDER", "none") != "none"


def public_url() -> str:
    """Return the configured URL of links, empty if it is that of the stage."""
    return os.environ.get("PUBLIC_URL", "")


def allowed_origin() -> str:
    """Return the origin whose browsers may call the Bulk Consents API."""
    return os.environ["ALLOWED_ORIGIN"]
