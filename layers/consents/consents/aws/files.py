"""The objects of an import, in S3: the drop itself, the parts of a compressed one, the reports."""

import io
from base64 import b64encode
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import ClientError

from consents.domain.drop import Announced, Drop, drop_of, upload_key
from consents.domain.errors import BrokenGzip
from consents.domain.record import Receipt
from consents.imports import Part
from consents.wires import gzipped
from consents.wires.imports import Announcement, Link
from consents.wires.rows import UnreadableFile

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

PIECE = 1024 * 1024
"""Bytes that are held of a file at a time."""

READ_AT_ONCE = 8
"""A report is made of as many objects as its file has parts with refused rows."""

MOST_BYTES = 50 * 1024**3
"""How much a compressed file may hold; more is taken for a bomb."""

CONFIG = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
"""Links are bound to headers by this signature alone, and lead to the bucket's own region."""

LINKED_FOR = timedelta(hours=1)
"""How long a link may be called."""

_CONTENT_TYPES = {"csv": "text/csv", "jsonl": "application/x-ndjson"}

_GONE = {"NoSuchKey", "NoSuchVersion", "404"}


class Files:
    """Reads drops, and writes what comes of them, in one bucket."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def stream(self, drop: Drop, offset: int) -> Iterator[bytes]:
        """Read the decompressed file from an offset, in pieces.

        Raises:
            UnreadableFile: the object is gone, or not a whole gzip file.
        """
        if not drop.is_gzip:
            return self._pieces(drop, offset)
        return _between(offset, None, gunzipped(self._pieces(drop, 0)))

    def read_part(self, drop: Drop, part: Part) -> bytes:
        """Read the rows of a part, which is a range of the object or an object of its own.

        Raises:
            UnreadableFile: the object of which it is a range is gone.
        """
        if drop.is_gzip:
            return self._open(drop.part_key(part.place.part)).read()
        size = part.end - part.place.offset
        return b"".join(self._pieces(drop, part.place.offset, part.end))[:size]

    def write(self, key: str, content: bytes) -> None:
        """Write an object."""
        self._client.put_object(Bucket=self._bucket, Key=key, Body=content)

    def join(self, keys: Iterable[str], key: str, *, small: bool) -> None:
        """Write one object of several; small ones are each read into memory, some at once."""
        # Unbuffered, a read may be short, and the client takes a short one for the end: it would
        # hold the whole report, however long.
        pieces = self._each_whole(keys) if small else self._each_piece(keys)
        joined: Any = io.BufferedReader(_Joined(pieces), PIECE)
        self._client.upload_fileobj(joined, self._bucket, key)

    def announced(self, org_id: str, announcement: Announcement, receipt: Receipt) -> Announced:
        """Return the file that an organization announces, under a key that no other has."""
        key = upload_key(org_id, announcement.wire, announcement.format, receipt.request_id)
        drop = drop_of(self._bucket, key, version="")
        assert drop is not None  # noqa: S101 - its key was just made
        return Announced(drop, receipt.received_at, receipt.received_at + LINKED_FOR)

    def upload_link(self, announced: Announced, announcement: Announcement) -> Link:
        """Return a link to put the announced file by, once: no other length, type or content.

        S3 refuses a call whose headers are not those that were signed.
        """
        told = {
            "ContentLength": announcement.size,
            "ContentType": _CONTENT_TYPES.get(announcement.format, "application/gzip"),
            "IfNoneMatch": "*",
        }
        headers = {
            "Content-Length": str(told["ContentLength"]),
            "Content-Type": str(told["ContentType"]),
            "If-None-Match": "*",
        }
        if announcement.sha256 is not None:
            checksum = b64encode(bytes.fromhex(announcement.sha256)).decode()
            told["ChecksumSHA256"] = headers["x-amz-checksum-sha256"] = checksum
        url = self._link("put_object", announced.drop.key, **told)
        return Link(url, headers, announced.expires_at)

    def report_links(self, drop: Drop, now: datetime) -> dict[str, Link]:
        """Return the links to an import's reports."""
        names = {"summary": "summary.json", "rejected": "rejected.jsonl"}
        return {
            told: Link(self._link("get_object", drop.report_key(name)), {}, now + LINKED_FOR)
            for told, name in names.items()
        }

    def _link(self, call: str, key: str, **told: Any) -> str:
        return self._client.generate_presigned_url(
            call,
            Params={"Bucket": self._bucket, "Key": key, **told},
            ExpiresIn=int(LINKED_FOR.total_seconds()),
        )

    def _pieces(self, drop: Drop, start: int, end: int | None = None) -> Iterator[bytes]:
        """Read the object from an offset, up to another or a little further."""
        last = "" if end is None else end - 1
        try:
            answer = self._client.get_object(
                Bucket=drop.bucket,
                Key=drop.key,
                VersionId=drop.version,
                Range=f"bytes={start}-{last}",
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _GONE:
                raise UnreadableFile("the object is gone") from None
            if code == "InvalidRange":  # nothing is left behind the last row
                return
            raise
        pieces = answer["Body"].iter_chunks(PIECE)
        if answer.get("ContentRange"):
            yield from pieces
        else:  # a server may ignore a range (RFC 9110, section 14.2), and the local one does
            yield from _between(start, end, pieces)

    def _each_whole(self, keys: Iterable[str]) -> Iterator[bytes]:
        with ThreadPoolExecutor(READ_AT_ONCE) as threads:
            for some in batched(keys, READ_AT_ONCE, strict=False):
                yield from threads.map(lambda key: self._open(key).read(), some)

    def _each_piece(self, keys: Iterable[str]) -> Iterator[bytes]:
        for key in keys:
            yield from self._open(key).iter_chunks(PIECE)

    def _open(self, key: str) -> "StreamingBody":
        return self._client.get_object(Bucket=self._bucket, Key=key)["Body"]


class _Joined(io.RawIOBase):
    """Pieces as one file to read from."""

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


def gunzipped(pieces: Iterable[bytes], most_bytes: int = MOST_BYTES) -> Iterator[bytes]:
    """Decompress a gzip file of one or more members, a piece at a time, however it expands.

    Raises:
        UnreadableFile: not gzip, cut off, or of more than `most_bytes`.
    """
    total = 0
    try:
        for content in gzipped.inflated(pieces):
            total += len(content)
            if total > most_bytes:
                raise UnreadableFile(f"must hold at most {most_bytes} bytes")
            yield content
    except BrokenGzip as broken:
        raise UnreadableFile(broken.reason) from None


def _between(start: int, end: int | None, pieces: Iterable[bytes]) -> Iterator[bytes]:
    at = 0
    for piece in pieces:
        if at + len(piece) > start:
            yield piece[max(0, start - at) :]
        at += len(piece)
        if end is not None and at >= end:
            return
