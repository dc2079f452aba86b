"""Ask witnesses over HTTP, several at a time, and wait for none of them for long."""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from functools import partial

from aws_lambda_powertools import Logger

from consents.proof.http_post import NoResponse, post
from consents.proof.notes import Note, Signature
from consents.proof.tiles import NotStored, TileTree
from consents.proof.witness_client import WitnessFailed, request_cosignature
from consents.proof.witness_policy import Witness

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
    send = partial(post, content_type="text/plain")
    return request_cosignature(witness, note, tree, send, datetime.now(UTC))


def _result(name: str, call: "Future[Signature]") -> Signature | None:
    try:
        return call.result(0)
    except (NoResponse, WitnessFailed) as failed:
        reason = str(failed)
    except TimeoutError:
        reason = "timeout"
    except NotStored:
        reason = "no proof: an object of the log is gone"
    log.warning("witness.failed", witness=name, reason=reason)
    return None
