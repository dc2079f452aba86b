"""The objects of an import in S3: the file, the parts of a gzip file, the reports."""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from consents.aws.s3 import ObjectGone, Objects, between
from consents.domain.errors import BrokenGzip
from consents.domain.record import Receipt
from consents.http import gzip_body
from consents.imports.api import Announcement, Link
from consents.imports.drop import Drop, parse_key, upload_key
from consents.imports.import_state import PendingUpload
from consents.imports.parts import Part
from consents.imports.rows import UnreadableFile

MAX_BYTES = 50 * 1024**3
"""Of a decompressed file; a longer one is taken for a bomb."""

LINK_LIFETIME = timedelta(hours=1)

_CONTENT_TYPES = {"csv": "text/csv", "jsonl": "application/x-ndjson"}


class Bucket:
    """Reads files, and writes their parts and reports, in one bucket."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def stream(self, drop: Drop, offset: int) -> Iterator[bytes]:
        """Read the decompressed file from an offset, in pieces.

        Raises:
            UnreadableFile: the object is gone, or not a complete gzip file.
        """
        if not drop.is_gzip:
            return self._file(drop, offset)
        return between(gunzipped(self._file(drop)), offset, None)

    def read_part(self, drop: Drop, part: Part) -> bytes:
        """Read the rows of a part: a range of the object, or a separate object.

        Raises:
            UnreadableFile: the object is gone.
        """
        if drop.is_gzip:
            return b"".join(self._objects.read(drop.part_key(part.place.part)))
        return b"".join(self._file(drop, part.place.offset, part.end))

    def write(self, key: str, content: bytes) -> None:
        """Write an object."""
        self._objects.write(key, content)

    def join(self, keys: Iterable[str], key: str, *, small: bool) -> None:
        """Write one object that joins several; small ones are read into memory, some at once."""
        self._objects.join(keys, key, small=small)

    def pending_upload(
        self, org_id: str, key_id: str, announcement: Announcement, receipt: Receipt
    ) -> PendingUpload:
        """Return the upload that an organization announces, under a unique key."""
        key = upload_key(org_id, announcement.wire, announcement.format, receipt.request_id)
        drop = parse_key(self._objects.bucket, key, version="")
        assert drop is not None  # noqa: S101 - the key was just made
        expires_at = receipt.received_at + LINK_LIFETIME
        return PendingUpload(drop, receipt.received_at, expires_at, key_id)

    def uploaded(self, pending: Sequence[PendingUpload]) -> set[str]:
        """Return the ids of the uploads whose object is there."""
        there = self._objects.existing(one.drop.key for one in pending) if pending else set()
        return {one.drop.import_id for one in pending if one.drop.key in there}

    def upload_link(self, pending: PendingUpload, announcement: Announcement) -> Link:
        """Return a presigned URL that accepts the announced file once: its length, type, content.

        S3 rejects a request whose headers are not those that were signed.
        """
        content_type = _CONTENT_TYPES.get(announcement.format, "application/gzip")
        signed: dict[str, Any] = {
            "ContentLength": announcement.size,
            "ContentType": content_type,
            "IfNoneMatch": "*",
        }
        headers = {
            "Content-Length": str(announcement.size),
            "Content-Type": content_type,
            "If-None-Match": "*",
        }
        if announcement.sha256 is not None:
            checksum = b64encode(bytes.fromhex(announcement.sha256)).decode()
            signed["ChecksumSHA256"] = headers["x-amz-checksum-sha256"] = checksum
        url = self._objects.presigned("put_object", pending.drop.key, LINK_LIFETIME, signed)
        return Link(url, headers, pending.expires_at)

    def report_links(self, drop: Drop, now: datetime) -> dict[str, Link]:
        """Return presigned URLs of an import's reports."""

        def link(name: str) -> Link:
            url = self._objects.presigned("get_object", drop.report_key(name), LINK_LIFETIME, {})
            return Link(url, {}, now + LINK_LIFETIME)

        return {"summary": link("summary.json"), "rejected": link("rejected.jsonl")}

    def _file(self, drop: Drop, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        try:
            yield from self._objects.read(drop.key, drop.version, start, end)
        except ObjectGone:
            raise UnreadableFile("the object is gone") from None


def gunzipped(pieces: Iterable[bytes], max_bytes: int = MAX_BYTES) -> Iterator[bytes]:
    """Decompress a gzip file of one or more members, a piece at a time.

    Raises:
        UnreadableFile: not gzip, truncated, or longer than `max_bytes`.
    """
    total = 0
    try:
        for content in gzip_body.inflated(pieces):
            total += len(content)
            if total > max_bytes:
                raise UnreadableFile(f"must have at most {max_bytes} bytes")
            yield content
    except BrokenGzip as broken:
        raise UnreadableFile(broken.reason) from None
