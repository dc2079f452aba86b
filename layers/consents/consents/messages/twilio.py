"""Twilio's Messages API: one request for a text, never a second one.

https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
"""

import ssl
from base64 import b64encode
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from consents.aws.errors import CallError
from consents.messages.port import Accepted, NotAccepted, Sent, Text

NAME = "twilio"

TIMEOUTS = (3, 10)
"""Seconds to connect, and until a response begins."""

MIN_SECONDS, MAX_SECONDS = 1, 36_000
"""Limits of the service for `ValidityPeriod`."""

_MESSAGING_SERVICE = "MG"
_MAX_BYTES = 64 * 1024

_REFUSED = (
    21211,  # not a number
    21610,  # the contact has opted out there
    21614,  # not a mobile number
)
"""Codes of errors that no retry changes."""


class TwilioMessages:
    """Sends texts from a number or a messaging service of an account."""

    provider = NAME

    def __init__(
        self,
        base_url: str,
        account_sid: str,
        auth_token: Callable[[], str],
        *,
        timeouts: tuple[float, float] = TIMEOUTS,
    ) -> None:
        """`auth_token` returns the token that is valid now, or raises."""
        self._url = urlsplit(base_url)
        self._path = f"{self._url.path}/2010-04-01/Accounts/{account_sid}/Messages.json"
        self._account_sid = account_sid
        self._auth_token = auth_token
        self._connect_seconds, self._read_seconds = timeouts

    def send(self, text: Text) -> Sent:
        """Send a text once, over a new connection: a kept one may be dead."""
        connection = self._connection()
        try:
            headers = self._headers()
            connection.connect()
        except (CallError, LookupError, OSError):
            return NotAccepted.NOT_SENT
        try:
            connection.sock.settimeout(self._read_seconds)
            connection.request("POST", self._path, urlencode(_fields(text)), headers)
            response = connection.getresponse()
            return _outcome(response.status, response.read(_MAX_BYTES))
        except (OSError, HTTPException):
            return NotAccepted.UNKNOWN
        finally:
            connection.close()

    def _headers(self) -> dict[str, str]:
        credentials = f"{self._account_sid}:{self._auth_token()}"
        return {
            "Authorization": f"Basic {b64encode(credentials.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }

    def _connection(self) -> HTTPConnection:
        host = self._url.hostname or ""
        if self._url.scheme == "http":
            return HTTPConnection(host, self._url.port, timeout=self._connect_seconds)
        context = ssl.create_default_context()
        return HTTPSConnection(host, self._url.port, timeout=self._connect_seconds, context=context)


def _fields(text: Text) -> dict[str, str]:
    is_service = text.sender.startswith(_MESSAGING_SERVICE)
    fields = {
        "To": text.contact,
        "MessagingServiceSid" if is_service else "From": text.sender,
        "Body": text.body,
    }
    if text.seconds_to_live is not None:
        fields["ValidityPeriod"] = str(min(max(text.seconds_to_live, MIN_SECONDS), MAX_SECONDS))
    return fields


def _outcome(status: int, body: bytes) -> Sent:
    content = _object(body)
    if 400 <= status < 500:
        return NotAccepted.REFUSED if content.get("code") in _REFUSED else NotAccepted.NOT_SENT
    sid = content.get("sid")
    if 200 <= status < 300 and isinstance(sid, str):
        return Accepted(sid)
    return NotAccepted.UNKNOWN


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}
