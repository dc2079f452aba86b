"""A deployment: for minutes, this release and the one before share the table of keys.

The release before used Powertools; `Before` makes its items the same way.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from zlib import compress, decompress

import pytest
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    exceptions,
    idempotent_function,
)
from consents.aws.dynamodb import Table
from consents.domain.errors import InProgress, KeyReused
from consents.http.idempotency import Idempotency, Replay
from consents.http.response import Response

from tests.factories import lambda_context
from tests.integration.watched import Watched

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCOPE = "org_1#POST /v1/consent/bulk"
BODY, OTHER_BODY = b'{"records": []}', b"{}"
DONE = Response(200, b'{"accepted": 1}')


class Now:
    """This release: the response of a key and a body."""

    def __init__(self, table: Table) -> None:
        self._idempotency = Idempotency(table)

    def call(
        self, key: str, body: bytes, work: Callable[[], Response], seconds: float = 25
    ) -> Response:
        left = timedelta(seconds=seconds)
        try:
            with self._idempotency.claim(SCOPE, key, body, datetime.now(UTC), left) as claim:
                return claim.keep(work())
        except Replay as replay:
            return replay.response


class Before:
    """The release before."""

    def __init__(self, client: "DynamoDBClient") -> None:
        self._store = DynamoDBPersistenceLayer("IdempotencyTable", boto3_client=client)

    def call(
        self, key: str, body: bytes, work: Callable[[], Response], seconds: float = 25
    ) -> Response:
        def execute(*, claim: object) -> dict[str, Any]:  # noqa: ARG001 - the utility reads it
            response = work()
            return {
                "status": response.status,
                "body": b64encode(compress(response.body)).decode(),
            }

        config = IdempotencyConfig(
            event_key_jmespath="key",
            payload_validation_jmespath="body",
            expires_after_seconds=24 * 60 * 60,
            hash_function="sha256",
            lambda_context=lambda_context(seconds),
        )
        run = idempotent_function(
            execute,
            data_keyword_argument="claim",
            persistence_store=self._store,
            config=config,
            key_prefix="consents",
        )
        claim = {"key": f"{SCOPE}#{key}", "body": sha256(body).hexdigest()}
        try:
            kept = run(claim=claim)
        except exceptions.IdempotencyValidationError:
            raise KeyReused from None
        except exceptions.IdempotencyAlreadyInProgressError:
            raise InProgress from None
        return Response(kept["status"], decompress(b64decode(kept["body"])))


@pytest.fixture(params=["now, then before", "before, then now"])
def releases(
    tables: Watched, dynamodb: "DynamoDBClient", request: pytest.FixtureRequest
) -> list[Now | Before]:
    """Both releases, in both orders."""
    both: list[Now | Before] = [Now(Table(tables, "IdempotencyTable")), Before(dynamodb)]
    return both if request.param.startswith("now") else both[::-1]


def not_again() -> Response:
    raise AssertionError("the work was done twice")


def test_a_response_is_replayed_by_the_other_release(releases: list[Now | Before]) -> None:
    first, second = releases
    key = uuid4().hex
    first.call(key, BODY, lambda: DONE)

    replayed = second.call(key, BODY, not_again)
    assert (replayed.status, replayed.body) == (DONE.status, DONE.body)


def test_a_key_with_another_body_is_reused_for_both(releases: list[Now | Before]) -> None:
    first, second = releases
    key = uuid4().hex
    first.call(key, BODY, lambda: DONE)

    with pytest.raises(KeyReused):
        second.call(key, OTHER_BODY, not_again)


def test_a_running_request_holds_its_key_for_both(releases: list[Now | Before]) -> None:
    first, second = releases
    key = uuid4().hex

    def meanwhile() -> Response:
        with pytest.raises(InProgress):
            second.call(key, BODY, not_again)
        return DONE

    assert first.call(key, BODY, meanwhile).body == DONE.body


def test_a_failed_request_frees_its_key_for_both(releases: list[Now | Before]) -> None:
    first, second = releases
    key = uuid4().hex

    def fail() -> Response:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - it is the one above
        first.call(key, BODY, fail)
    assert second.call(key, BODY, lambda: DONE).body == DONE.body


def test_a_crashed_request_frees_its_key_in_time_for_both(releases: list[Now | Before]) -> None:
    first, second = releases
    key = uuid4().hex

    def crash() -> Response:
        raise SystemExit

    with pytest.raises(SystemExit):
        first.call(key, BODY, crash, seconds=0)  # its time was over at once
    assert second.call(key, BODY, lambda: DONE).body == DONE.body
