"""Idempotency keys: one execution per key, its response kept for a day.

One conditional put claims a key, one update keeps the response, one delete frees the key again. The
items have the form of the release before, which used Powertools: each reads those of the other.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4
from zlib import compress, decompress

from aws_lambda_powertools import Logger

from consents.aws.dynamodb import Table, Values, encode_item
from consents.aws.errors import call_error, error_code
from consents.domain.errors import InProgress, KeyReused
from consents.http.response import Response

KEPT_FOR = timedelta(days=1)
"""How long a response is kept for a repeat of its key."""

REPLAYED = {"Idempotent-Replayed": "true"}
"""The header of a replayed response."""

_IN_PROGRESS, _COMPLETED = "INPROGRESS", "COMPLETED"

_UNUSED = "attribute_not_exists(id)"
_EXPIRED = "expiration < :now"
_CRASHED = "(#status = :in_progress AND in_progress_expiration < :now_ms)"
_OURS = "claimed_by = :us"

log = Logger(child=True)


class Replay(Exception):
    """The key was used before, by the same request: this is its response."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class Claim:
    """A key that is claimed for one run of the work."""

    def __init__(self, table: Table | None = None, key: Values | None = None, us: str = "") -> None:
        """Without a table nothing is kept: the request has no key."""
        self._table, self._key, self._us = table, key or {}, us
        self._is_open = table is not None

    def keep(self, response: Response) -> Response:
        """Keep a response for repeats of the request, and return it.

        A response that is not final frees the key. If the table does not answer, the caller still
        gets the response; the key stays locked until the invocation would have timed out.
        """
        if not response.final:
            self.free()
        elif self._table is not None and self._is_open:
            self._is_open = False
            with _logged("idempotency.keep_failed"):
                self._table.update(
                    self._key,
                    "SET #data = :data, #status = :completed",
                    _OURS,  # not where this run was too slow and another took the key
                    us=self._us,
                    data=_packed(response),
                    completed=_COMPLETED,
                )
        return response

    def free(self) -> None:
        """Let another request use the key."""
        if self._table is not None and self._is_open:
            self._is_open = False
            with _logged("idempotency.free_failed"):
                self._table.delete(self._key, _OURS, us=self._us)


class Idempotency:
    """Claims idempotency keys."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @contextmanager
    def claim(
        self, scope: str, key: str, body: bytes, now: datetime, time_left: timedelta
    ) -> Iterator[Claim]:
        """Claim a key for the work in the `with` block; an error in it frees the key.

        Args:
            scope: organization, route and path parameters: keys of different scopes never meet.
            body: the decoded body.
            time_left: until the invocation times out. A crashed run holds the key for as long.

        Raises:
            Replay: the request was made before, and has a response.
            KeyReused: the key was used before with another body.
            InProgress: the first request is still running.
            CallError: the table did not answer, and nothing was done.
        """
        claim = self._claimed(f"{scope}#{key}", body, now, time_left)
        try:
            yield claim
        except Exception:
            claim.free()
            raise
        claim.free()  # unless its response was kept

    def _claimed(self, key: str, body: bytes, now: datetime, time_left: timedelta) -> Claim:
        us, validation = uuid4().hex, _digest(sha256(body).hexdigest())
        item = {
            "id": f"consents#{_digest(key)}",
            "status": _IN_PROGRESS,
            "expiration": int((now + KEPT_FOR).timestamp()),
            "in_progress_expiration": _milliseconds(now + time_left),
            "validation": validation,
            "claimed_by": us,
        }
        held, found = self._table.put(
            encode_item(item),
            f"{_UNUSED} OR {_EXPIRED} OR {_CRASHED}",
            now=int(now.timestamp()),
            now_ms=_milliseconds(now),
            in_progress=_IN_PROGRESS,
        )
        # A repeat of the put whose response was lost meets its own item.
        if held or found.get("claimed_by") == us:
            return Claim(self._table, {"id": item["id"]}, us)
        if found["validation"] != validation:
            raise KeyReused
        if found["status"] == _IN_PROGRESS:
            raise InProgress
        raise Replay(_unpacked(found["data"]))


@contextmanager
def _logged(event: str) -> Iterator[None]:
    """Log that a call failed, and go on."""
    try:
        yield
    except Exception as error:
        if call_error(error) is None:
            raise
        log.warning(event, code=error_code(error))


def _digest(text: str) -> str:
    """Return the hash of a text as Powertools makes it: of its JSON."""
    return sha256(json.dumps(text).encode()).hexdigest()


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _packed(response: Response) -> str:
    """Return a compressed response: an item may have 400 KB, a response has more, mostly alike."""
    body = b64encode(compress(response.body)).decode()
    return json.dumps({"status": response.status, "body": body})


def _unpacked(data: str) -> Response:
    kept: Mapping[str, Any] = json.loads(data)
    return Response(kept["status"], decompress(b64decode(kept["body"])), dict(REPLAYED))
