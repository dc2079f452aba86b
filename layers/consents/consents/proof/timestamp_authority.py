"""Ask a timestamp authority over HTTP, and do not wait for it for long."""

from concurrent.futures import ThreadPoolExecutor

from consents.proof.http_post import NoResponse, Reply, post
from consents.proof.rfc3161 import CONTENT_TYPE, TimestampFailed, check_response, timestamp_query

SECONDS = 15
"""Of the whole call: an authority that sends byte after byte cannot use up the publisher's time."""


def request_timestamp(url: str, digest: bytes, seconds: float = SECONDS) -> bytes:
    """Return the response of an authority for a SHA-256 digest; its signature is not verified.

    Raises:
        TimestampFailed: no response grants a timestamp in time.
    """
    reply = _reply(url, timestamp_query(digest), seconds)
    if reply.status != 200:
        raise TimestampFailed(f"status {reply.status}")
    check_response(reply.content, digest)
    return reply.content


def _reply(url: str, query: bytes, seconds: float) -> Reply:
    threads = ThreadPoolExecutor(1)
    call = threads.submit(post, url, query, CONTENT_TYPE)
    threads.shutdown(wait=False)
    try:
        return call.result(seconds)
    except NoResponse as error:
        raise TimestampFailed(str(error)) from None
    except TimeoutError:
        raise TimestampFailed("timeout") from None
