"""Ask witnesses over HTTP, several at a time, and wait for none of them for long."""

import ssl
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from aws_lambda_powertools import Logger

from consents.proof.notes import MAX_BYTES, Note, Signature
from consents.proof.tiles import NotStored, TileTree
from consents.proof.witness_client import Reply, WitnessFailed, request_cosignature
from consents.proof.witness_policy import Witness

SECONDS = 10
"""Of a call, until the next bytes come."""

ALL_SECONDS = 40
"""Of all witnesses together: a slow one cannot use up the time of the publisher."""

log = Logger(child=True)


def ask_witnesses(
    witnesses: Iterable[Witness], note: Note, tree: TileTree, seconds: float = ALL_SECONDS
) -> dict[str, Signature]:
    """Return the valid cosignatures that come in time, by witness; log each failure."""
    asked = [*witnesses]
    if not asked:
        return {}
    threads = ThreadPoolExecutor(len(asked))
    calls = {one.name: threads.submit(_ask, one, note, tree) for one in asked}
    wait(calls.values(), seconds)
    threads.shutdown(wait=False, cancel_futures=True)
    found = {name: _result(name, call) for name, call in calls.items()}
    return {name: one for name, one in found.items() if one is not None}


def _ask(witness: Witness, note: Note, tree: TileTree) -> Signature:
    return request_cosignature(witness, note, tree, post, datetime.now(UTC))


def _result(name: str, call: "Future[Signature]") -> Signature | None:
    try:
        return call.result(0)
    except WitnessFailed as failed:
        reason = str(failed)
    except TimeoutError:
        reason = "timeout"
    except NotStored:
        reason = "no proof: an object of the log is gone"
    log.warning("witness.failed", witness=name, reason=reason)
    return None


def post(url: str, body: bytes) -> Reply:
    """Send a body to a URL, without following a redirect.

    Raises:
        WitnessFailed: there is no response.
    """
    parts = urlsplit(url)
    try:
        with closing(_connection(parts.scheme, parts.netloc)) as connection:
            connection.request("POST", parts.path, body, {"Content-Type": "text/plain"})
            response = connection.getresponse()
            return Reply(response.status, response.read(MAX_BYTES))
    except (OSError, HTTPException) as error:
        raise WitnessFailed(type(error).__name__) from None


def _connection(scheme: str, netloc: str) -> HTTPConnection:
    if scheme == "http":
        return HTTPConnection(netloc, timeout=SECONDS)
    return HTTPSConnection(netloc, timeout=SECONDS, context=ssl.create_default_context())
