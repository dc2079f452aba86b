"""AWS Signature Version 4, for a POST with a JSON body, and for a GET without a query.

Each function is a step of the specification:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(NamedTuple):
    """What signs a request. `token` is empty for credentials of long standing."""

    access_key: str
    secret_key: str
    token: str


class Scope(NamedTuple):
    """Where a signature is valid."""

    region: str
    service: str


def signed_headers(
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    credentials: Credentials,
    scope: Scope,
    now: datetime,
    *,
    method: str = "POST",
) -> dict[str, str]:
    """Return the headers of a request, with its date, security token and signature.

    `path` is not yet percent-encoded; `headers` include `host`, with names in lower case.
    """
    at = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    dated = {**headers, "x-amz-date": at}
    if credentials.token:
        dated["x-amz-security-token"] = credentials.token
    text = string_to_sign(canonical_request(path, dated, body, method), at, scope)
    key = signing_key(credentials.secret_key, at[:8], scope)
    signature = hmac.new(key, text.encode(), sha256).hexdigest()
    names = ";".join(sorted(dated))
    credential = f"{credentials.access_key}/{credential_scope(at, scope)}"
    dated["authorization"] = (
        f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    )
    return dated


def canonical_request(
    path: str, headers: Mapping[str, str], body: bytes, method: str = "POST"
) -> str:
    """Return the request in the one form that both sides sign."""
    names = sorted(headers)
    lines = [f"{name}:{canonical_value(headers[name])}" for name in names]
    return "\n".join(
        [method, canonical_path(path), "", *lines, "", ";".join(names), sha256(body).hexdigest()]
    )


def canonical_path(path: str) -> str:
    """Return a path, percent-encoded but for `/` and `~`."""
    return quote(path or "/", safe="/~")


def canonical_value(value: str) -> str:
    """Return a header's value with its white space trimmed and folded."""
    return " ".join(value.split())


def string_to_sign(request: str, at: str, scope: Scope) -> str:
    """Return the text whose HMAC is the signature."""
    digest = sha256(request.encode()).hexdigest()
    return "\n".join((ALGORITHM, at, credential_scope(at, scope), digest))


def credential_scope(at: str, scope: Scope) -> str:
    """Return date, region and service, as they are named in a request."""
    return f"{at[:8]}/{scope.region}/{scope.service}/aws4_request"


@lru_cache(maxsize=8)
def signing_key(secret_key: str, day: str, scope: Scope) -> bytes:
    """Return the key of a day, region and service."""
    key = f"AWS4{secret_key}".encode()
    for text in (day, scope.region, scope.service, "aws4_request"):
        key = hmac.new(key, text.encode(), sha256).digest()
    return key
