"""Idempotency keys: one execution per key, its response kept for a day.

Around Powertools' Idempotency utility: a request without a key never reaches it (a missing key
would be a key like any other), it compares our digest instead of the body, and a response that must
not be kept leaves the work as an exception, which frees the key.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from zlib import compress, decompress

from consents.domain.errors import InProgress, KeyReused, Unavailable
from consents.http.response import Response

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.idempotency import BasePersistenceLayer, IdempotencyConfig
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_dynamodb import DynamoDBClient

KEPT_SECONDS = 24 * 60 * 60
"""How long a response is kept for a repeat of its key."""

REPLAYED = {"Idempotent-Replayed": "true"}
"""The header of a replayed response."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What makes two requests the same: the scope of a key, the key, and the decoded body.

    `scope` is the organization, the route and its path parameters.
    """

    scope: str
    key: str
    body: bytes


class Idempotency:
    """Runs the work of a claim once, and returns its response to every repeat."""

    def __init__(self, store: Callable[[], "BasePersistenceLayer"]) -> None:
        """`store` is called at the first claim, which loads the utility."""
        self._store = store

    def once(
        self, claim: Claim, work: Callable[[], Response], context: "LambdaContext"
    ) -> Response:
        """Return the response of the work, or the one kept from its first run.

        A crashed run holds the key until the invocation it ran in would have timed out.

        Raises:
            KeyReused: the key was used before with another body.
            InProgress: the first request is still running.
            ClientError, BotoCoreError: the table did not respond, and nothing was done.
            Exception: what the work raises; the key is free again.
        """
        from aws_lambda_powertools.utilities.idempotency import exceptions, idempotent_function

        run = _Run(work)
        execute = idempotent_function(
            run.execute,
            data_keyword_argument="claim",
            persistence_store=self._store(),
            config=_config(context),
            key_prefix="consents",
        )
        try:
            kept = execute(claim=_comparable(claim))
        except exceptions.IdempotencyValidationError:
            raise KeyReused from None
        except (
            exceptions.IdempotencyAlreadyInProgressError,
            exceptions.IdempotencyInconsistentStateError,
        ):
            raise InProgress from None
        except _NotKept:
            return run.result()
        except exceptions.IdempotencyPersistenceLayerError as error:
            return run.result(error.__cause__)
        return run.response or _replayed(kept)


def sign_claims(client: "DynamoDBClient") -> None:
    """Recognise the SDK's own retry of a claim whose response was lost.

    Each call signs the item it puts; a retry within the call that meets its own signature has
    succeeded before. No other code puts items with this client.
    """
    events: Any = client.meta.events
    events.register("provide-client-params.dynamodb.PutItem", _sign)
    events.register("after-call.dynamodb.PutItem", _accept_own)


def _sign(params: dict[str, Any], context: dict[str, Any], **_: object) -> dict[str, Any]:
    context["claimed_by"] = uuid4().hex
    return params | {"Item": params["Item"] | {"claimed_by": {"S": context["claimed_by"]}}}


def _accept_own(
    http_response: Any, parsed: dict[str, Any], context: dict[str, Any], **_: object
) -> None:
    if parsed.get("Item", {}).get("claimed_by", {}).get("S") == context["claimed_by"]:
        http_response.status_code = 200


class _NotKept(Exception):
    """The work is done, and its response is not for a repeat."""


class _Run:
    """The one execution of a claim's work, and its result."""

    def __init__(self, work: Callable[[], Response]) -> None:
        self._work = work
        self.response: Response | None = None
        self._failed: Exception | None = None

    def execute(self, *, claim: object) -> dict[str, Any]:  # noqa: ARG002 - the utility reads it
        """Do the work and return what is kept of its response."""
        try:
            self.response = self._work()
        except Exception as error:
            self._failed = error
            raise
        if not self.response.final:
            raise _NotKept
        return {"status": self.response.status, "body": _packed(self.response.body)}

    def result(self, fault: BaseException | None = None) -> Response:
        """Return the response of the work, or raise its error, where the table did not keep it.

        The key may stay locked until the invocation's time is over, and a repeat then runs the work
        again, which changes nothing in the ledger.
        """
        if self.response is not None:
            return self.response
        raise self._failed or fault or Unavailable


def _comparable(claim: Claim) -> dict[str, str]:
    return {"key": f"{claim.scope}#{claim.key}", "body": sha256(claim.body).hexdigest()}


def _config(context: "LambdaContext") -> "IdempotencyConfig":
    from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig

    return IdempotencyConfig(
        event_key_jmespath="key",
        payload_validation_jmespath="body",
        expires_after_seconds=KEPT_SECONDS,
        hash_function="sha256",
        lambda_context=context,
    )


def _packed(body: bytes) -> str:
    """Return a compressed body: an item may have 400 KB, a response has more, mostly repetitive."""
    return b64encode(compress(body)).decode()


def _replayed(kept: dict[str, Any]) -> Response:
    return Response(kept["status"], decompress(b64decode(kept["body"])), dict(REPLAYED))
