"""One small object of S3, read without botocore, which few processes load."""

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256

from consents.aws.connections import Connections, Response
from consents.aws.sigv4 import Credentials, Scope, signed_headers

_NO_BODY = sha256(b"").hexdigest()


class SmallObject:
    """An object that is read whole, by one request that is not repeated."""

    def __init__(
        self,
        connections: Connections,
        host: str,
        path: str,
        region: str,
        credentials: Callable[[], Credentials],
    ) -> None:
        self._connections = connections
        self._host, self._path = host, path
        self._scope = Scope(region, "s3")
        self._credentials = credentials

    def read(self, seconds: float) -> bytes | None:
        """Return the object, or None if S3 does not return one in time."""
        headers = {"host": self._host, "x-amz-content-sha256": _NO_BODY}
        now, credentials = datetime.now(UTC), self._credentials()
        signed = signed_headers(
            self._path, headers, b"", credentials, self._scope, now, method="GET"
        )
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        request = f"GET {self._path} HTTP/1.1\r\n{lines}user-agent: consent-ledger\r\n\r\n"
        (response,) = self._connections.exchange([request.encode()], seconds)
        is_found = isinstance(response, Response) and response.status == 200
        return response.body if isinstance(response, Response) and is_found else None
