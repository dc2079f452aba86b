"""AWS End User Messaging SMS: one call for a text, never a second one.

https://docs.aws.amazon.com/pinpoint/latest/apireference_smsvoicev2/API_SendTextMessage.html
"""

from collections.abc import Callable, Mapping
from typing import Any

from consents.aws.errors import CallError, call_error
from consents.messages.port import Accepted, NotAccepted, Sent, Text

NAME = "aws"

BOTO_CONFIG: dict[str, Any] = {
    "connect_timeout": 3,
    "read_timeout": 10,
    "retries": {"mode": "standard", "total_max_attempts": 1},
}
"""The service has no idempotency token: a retry of the client might text a contact twice."""

MIN_SECONDS, MAX_SECONDS = 5, 259_200
"""Limits of the service for `TimeToLive`."""

_REFUSED = "ConflictException"
"""The contact has opted out there, or the account blocks the number."""

_NEVER_LEFT = {"ConnectTimeoutError", "EndpointConnectionError", "ParamValidationError"}
"""Errors of botocore before it sends anything."""


class AwsMessages:
    """Sends texts from a number of the account."""

    provider = NAME

    def __init__(self, client: Callable[[], Any], settings: Mapping[str, str]) -> None:
        """`client` returns botocore's client; `settings` are parameters of every call."""
        self._client = client
        self._settings = settings

    def send(self, text: Text) -> Sent:
        """Send a text once."""
        client = self._client()
        try:
            response = client.send_text_message(**self._parameters(text))
        except Exception as error:
            failed = call_error(error)
            if failed is None:
                raise
            return _outcome(failed)
        finally:
            client.close()  # a connection that is kept may be dead by the next text
        message_id = response.get("MessageId")
        return Accepted(message_id) if message_id else NotAccepted.UNKNOWN

    def _parameters(self, text: Text) -> dict[str, Any]:
        to_live = text.seconds_to_live
        lives = {} if to_live is None else {"TimeToLive": _within_limits(to_live)}
        return {
            "DestinationPhoneNumber": text.contact,
            "OriginationIdentity": text.sender,
            "MessageBody": text.body,
            **self._settings,
            **lives,
        }


def _within_limits(seconds: int) -> int:
    return min(max(seconds, MIN_SECONDS), MAX_SECONDS)


def _outcome(error: CallError) -> NotAccepted:
    if error.code == _REFUSED:
        return NotAccepted.REFUSED
    if 400 <= error.status < 500 or error.code in _NEVER_LEFT:
        return NotAccepted.NOT_SENT
    return NotAccepted.UNKNOWN
