"""Signatures are those of botocore, for any request that the lean client could send."""

import random
import string
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from consents.aws.sigv4 import Credentials, Scope, signed_headers

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
REQUESTS = 10_000
CHARACTERS = string.printable.replace("\r", "").replace("\n", "") + "éß漢字😀"


class FixedSigner(auth.SigV4Auth):
    """Botocore's signer at an instant of our choice."""

    at = ""

    def add_auth(self, request: AWSRequest) -> None:
        """Add the headers that `SigV4Auth.add_auth` adds."""
        request.context["timestamp"] = self.at
        signer: Any = self
        signer._modify_request_before_signing(request)
        text = self.string_to_sign(request, self.canonical_request(request))
        signer._inject_signature_to_request(request, self.signature(text, request))


def botocore_signs(
    path: str,
    headers: dict[str, str],
    body: bytes,
    credentials: Credentials,
    scope: Scope,
    now: datetime,
) -> dict[str, str]:
    """Return the headers of a request that botocore has signed, by lower-case name."""
    request = AWSRequest("POST", f"https://{headers['host']}{path}", dict(headers), body)
    keys = BotoCredentials(credentials.access_key, credentials.secret_key, credentials.token)
    signer = FixedSigner(keys, scope.service, scope.region)
    signer.at = now.strftime("%Y%m%dT%H%M%SZ")
    signer.add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def text(randomly: random.Random, most: int, characters: str = CHARACTERS) -> str:
    """Return a random text."""
    return "".join(randomly.choices(characters, k=randomly.randint(1, most)))


def path(randomly: random.Random) -> str:
    """Return a random path without empty or dotted segments, which no service has."""
    letters = string.ascii_letters + string.digits + "-_~:@!$ é漢"
    return "/" + "/".join(text(randomly, 8, letters) for _ in range(randomly.randint(0, 3)))


def test_signatures_equal_those_of_botocore() -> None:
    randomly = random.Random(20261125)
    sizes = [0, 2, 100, 5_000] * 10 + [1024 * 1024]
    for _ in range(REQUESTS):
        headers = {
            "host": f"{text(randomly, 20, string.ascii_lowercase)}.amazonaws.com",
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": f"DynamoDB_20120810.{text(randomly, 20, string.ascii_letters)}",
            "x-extra": text(randomly, 40),
        }
        token = text(randomly, 400, string.ascii_letters + "+/=") if randomly.random() < 0.5 else ""
        credentials = Credentials(
            text(randomly, 20, string.ascii_uppercase),
            text(randomly, 40, string.ascii_letters + string.digits + "+/"),
            token,
        )
        scope = Scope(randomly.choice(["us-east-1", "eu-central-1", "cn-north-1"]), "dynamodb")
        now = EPOCH + timedelta(seconds=randomly.randint(0, 10**9 * 3))
        request = (path(randomly), headers, randomly.randbytes(randomly.choice(sizes)))

        ours = signed_headers(*request, credentials, scope, now)
        theirs = botocore_signs(*request, credentials, scope, now)

        assert ours["authorization"] == theirs["authorization"]
        assert ours["x-amz-date"] == theirs["x-amz-date"]
        assert ours.get("x-amz-security-token") == theirs.get("x-amz-security-token")


def test_a_signature_is_of_the_instant_in_utc() -> None:
    zoned = datetime.fromisoformat("2026-05-01T01:30:00+05:00")
    credentials, scope = Credentials("A", "B", ""), Scope("us-east-1", "dynamodb")

    signed = signed_headers("/", {"host": "h"}, b"", credentials, scope, zoned)

    assert signed["x-amz-date"] == "20260430T203000Z"
    assert "/20260430/us-east-1/dynamodb/aws4_request" in signed["authorization"]


def test_a_get_of_an_object_is_signed_as_botocore_signs_it() -> None:
    host, at = "log.s3.eu-west-1.amazonaws.com", EPOCH + timedelta(days=9000)
    hashed = {"host": host, "x-amz-content-sha256": sha256(b"").hexdigest()}
    keys, scope = Credentials("id", "secret", "token"), Scope("eu-west-1", "s3")
    request = AWSRequest("GET", f"https://{host}/checkpoint", {"host": host})

    class Signer(FixedSigner, auth.S3SigV4Auth):
        """Botocore's signer for S3."""

    signer = Signer(BotoCredentials(*keys), "s3", "eu-west-1")
    signer.at = at.strftime("%Y%m%dT%H%M%SZ")
    signer.add_auth(request)

    signed = signed_headers("/checkpoint", hashed, b"", keys, scope, at, method="GET")
    assert signed == {name.lower(): value for name, value in request.headers.items()}
