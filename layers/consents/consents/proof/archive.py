"""The zip of a proof pack: the same bytes for the same files."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import orjson

from consents.proof.notes import Checkpoint

FORMAT = "consent-ledger-proof-pack/1"


def write_pack(checkpoint: Checkpoint, files: Mapping[str, bytes], made_at: datetime) -> bytes:
    """Return the zip of a pack's files and of pack.json, which names their hashes."""
    described: dict[str, Any] = {
        "format": FORMAT,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "made_at": f"{made_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "files": {name: sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    manifest = orjson.dumps(described, option=orjson.OPT_INDENT_2)
    return _zip({**files, "pack.json": manifest})


def _zip(files: Mapping[str, bytes]) -> bytes:
    """Return the zip of some files: what people open is first, and no entry has a date."""
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name in sorted(files, key=lambda name: (name != "COVER.html", name)):
            entry = ZipInfo(name)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name], ZIP_DEFLATED)
    return buffer.getvalue()
