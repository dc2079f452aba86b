"""S3: the objects of one bucket, read and written in pieces."""

import io
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.config import Config
from botocore.exceptions import ClientError

from consents.aws.dynamodb import attempts
from consents.aws.errors import error_code
from consents.domain.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PIECE = 1024 * 1024
"""Bytes of an object in memory at a time."""

CALLS_AT_A_TIME = 8

CONFIG = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
"""Only this signature binds presigned URLs to headers; they name the bucket's region."""

_WRITE_TRIES = 8
_GONE = {"NoSuchKey", "NoSuchVersion", "404"}


class ObjectGone(Exception):
    """The object was deleted."""


class Lock(NamedTuple):
    """How long Object Lock keeps an object from its writing, in place of the bucket's default."""

    mode: str
    """`GOVERNANCE` or `COMPLIANCE`."""

    lifetime: timedelta

    def headers(self) -> dict[str, Any]:
        """Return the parameters of `PutObject`."""
        until = datetime.now(UTC) + self.lifetime
        return {"ObjectLockMode": self.mode, "ObjectLockRetainUntilDate": until}


class Objects:
    """The objects of one bucket."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self.bucket = bucket

    def read(
        self, key: str, version: str = "", start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        """Read an object in pieces, from an offset up to another.

        Raises:
            ObjectGone: there is no such object.
        """
        which: Any = {"Bucket": self.bucket, "Key": key}
        which |= {"VersionId": version} if version else {}
        if start or end is not None:
            which["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        try:
            response: Any = self._client.get_object(**which)
        except ClientError as error:
            if error_code(error) in _GONE:
                raise ObjectGone from None
            if error_code(error) == "InvalidRange":  # it ends before the offset
                return
            raise
        # A server may ignore a range (RFC 9110, section 14.2), and the local one does.
        is_range = bool(response.get("ContentRange"))
        pieces = response["Body"].iter_chunks(PIECE)
        yield from pieces if is_range else between(pieces, start, end)

    def get(self, key: str) -> tuple[bytes, str]:
        """Return a small object, and the ETag of this version.

        Raises:
            ObjectGone: there is no such object.
        """
        try:
            response = self._client.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error_code(error) in _GONE:
                raise ObjectGone from None
            raise
        return response["Body"].read(), response["ETag"]

    def write(self, key: str, content: bytes) -> None:
        """Write an object."""
        self._client.put_object(Bucket=self.bucket, Key=key, Body=content)

    def write_new(self, key: str, content: bytes, lock: Lock | None = None) -> bool:
        """Write an object unless one is there; return whether it did."""
        return self._write_if(key, content, {"IfNoneMatch": "*"} | (lock.headers() if lock else {}))

    def replace(self, key: str, content: bytes, etag: str) -> bool:
        """Write an object if its ETag is still this; return whether it did."""
        return self._write_if(key, content, {"IfMatch": etag})

    def _write_if(self, key: str, content: bytes, headers: Mapping[str, Any]) -> bool:
        for _ in attempts(time.sleep, _WRITE_TRIES):
            try:
                self._client.put_object(Bucket=self.bucket, Key=key, Body=content, **headers)
            except ClientError as error:
                if error_code(error) == "PreconditionFailed":
                    return False
                # Another write of the same object is on its way.
                if error_code(error) != "ConditionalRequestConflict":
                    raise
            else:
                return True
        raise Unavailable

    def join(self, keys: Iterable[str], key: str, *, small: bool) -> None:
        """Write one object that joins several; small ones are read into memory, some at once."""
        # Loaded only for a report: API functions need no uploads in parts.
        from s3transfer.manager import TransferManager

        # A short read ends the transfer, which would then hold the whole object in memory: the
        # buffer makes reads full.
        pieces = (
            self._each_whole(keys) if small else (each for one in keys for each in self.read(one))
        )
        joined: Any = io.BufferedReader(_Joined(pieces), PIECE)
        with TransferManager(self._client) as transfers:
            transfers.upload(joined, self.bucket, key).result()

    def names(self, prefix: str) -> Iterator[str]:
        """Return the keys that begin with a prefix, in order, page after page."""
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
            yield from (found["Key"] for found in page.get("Contents", []))

    def existing(self, keys: Iterable[str]) -> set[str]:
        """Return which of these keys have an object, with no permission but to list them."""
        with ThreadPoolExecutor(CALLS_AT_A_TIME) as threads:
            return {key for found in threads.map(self._listed, keys) for key in found}

    def presigned(self, call: str, key: str, lifetime: timedelta, signed: Mapping[str, Any]) -> str:
        """Return a presigned URL of a call, bound to its parameters."""
        return self._client.generate_presigned_url(
            call,
            Params={"Bucket": self.bucket, "Key": key, **signed},
            ExpiresIn=int(lifetime.total_seconds()),
        )

    def _listed(self, key: str) -> set[str]:
        response = self._client.list_objects_v2(Bucket=self.bucket, Prefix=key, MaxKeys=1)
        return {key} & {found["Key"] for found in response.get("Contents", [])}

    def _each_whole(self, keys: Iterable[str]) -> Iterator[bytes]:
        with ThreadPoolExecutor(CALLS_AT_A_TIME) as threads:
            for batch in batched(keys, CALLS_AT_A_TIME, strict=False):
                yield from threads.map(lambda key: b"".join(self.read(key)), batch)


class _Joined(io.RawIOBase):
    """Pieces as one readable file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = piece
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def between(pieces: Iterable[bytes], start: int, end: int | None) -> Iterator[bytes]:
    """Return the bytes of a stream from an offset up to another."""
    at = 0
    for piece in pieces:
        if at + len(piece) > start:
            yield piece[max(0, start - at) : None if end is None else max(0, end - at)]
        at += len(piece)
        if end is not None and at >= end:
            return
