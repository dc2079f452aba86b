"""The calling organizations, written to the stub's tables in the format that both sides read."""

import hmac
import os
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import boto3

from bench.bodies import PHONE_NUMBER_ID
from bench.cases import LIMITED_ORG, ORG, Case
from bench.stub import SECRET

ALLOWANCES = {ORG: 10_000_000, LIMITED_ORG: 1000}
"""Records per minute."""

PHONE_NUMBER = "+15550001111"
_SID = f"AC{7:032x}"


def authorization(case: Case) -> str:
    """Return the Authorization header of a case."""
    return _basic(case.org) if case.route == "create_bulk_consents" else _bearer(case.org)


def _bearer(org: str) -> str:
    return f"Bearer am_live_{org}"


def _basic(org: str) -> str:
    return "Basic " + b64encode(f"{_SID}:{org}".encode()).decode()


def fill(secret_of: Callable[[str], str]) -> None:
    """Write the organizations; `secret_of` returns the part of a header that a side hashes."""
    for org, per_minute in ALLOWANCES.items():
        allowance = {"records_per_minute": {"N": str(per_minute)}}
        _put(f"ORG#{org}", "ORGANIZATION", org, plan={"S": "payg"}, **allowance)
        sender = {"phone_number_id": {"S": PHONE_NUMBER_ID}, "phone_number": {"S": PHONE_NUMBER}}
        _put(f"ORG#{org}", f"SENDER#{PHONE_NUMBER_ID}", org, **sender)
        for header in (_bearer(org), _basic(org)):
            secret = secret_of(header).encode()
            name = hmac.new(SECRET.encode(), secret, sha256).hexdigest()
            scopes = {"SS": ["consent:check", "consent:write"]}
            _put(f"CREDENTIAL#{name}", "CREDENTIAL", org, key_id={"S": "-"}, scopes=scopes)


def _put(pk: str, sk: str, org: str, **others: Any) -> None:
    texts = {"pk": pk, "sk": sk, "org_id": org, "name": "Bench", "created_at": "-"}
    item = {name: {"S": text} for name, text in texts.items()} | others
    boto3.client("dynamodb").put_item(TableName=os.environ["DIRECTORY_TABLE"], Item=item)
