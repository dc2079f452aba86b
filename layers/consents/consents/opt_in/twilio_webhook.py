"""What Twilio posts when a contact texts: the signature, and the reply that it carries.

https://www.twilio.com/docs/usage/webhooks/webhooks-security
"""

import hmac
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime
from urllib.parse import parse_qsl

from consents.aws import metrics
from consents.domain.errors import MalformedBody, RequestError, Unauthenticated
from consents.http.response import Response
from consents.messages.twilio import NAME
from consents.opt_in.records import Reply
from consents.opt_in.replies import MAX_LENGTH

PATH = "/inbound/twilio"

MAX_BYTES = 32 * 1024
"""A text of 1600 characters and all that Twilio says of it have half as much."""

TAKEN = Response(200, b"<Response/>", {"Content-Type": "text/xml"})
"""Acknowledges a text, and answers nothing."""

_MAX_FIELDS = 500
_STATUSES: dict[type[RequestError], tuple[int, str]] = {
    Unauthenticated: (403, "FORBIDDEN"),
    MalformedBody: (400, "INVALID_INPUT"),
}

type Parameters = Sequence[tuple[str, str]]


def signature(url: str, parameters: Parameters, token: str) -> str:
    """Return what Twilio sends as `X-Twilio-Signature`; a repeated pair counts once."""
    text = url + "".join(name + value for name, value in sorted({*parameters}))
    return b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()


def verify(body: bytes, sent: str, url: str, tokens: Iterable[str]) -> Parameters:
    """Return the parameters of a request that one of the tokens signed.

    Raises:
        Unauthenticated: no signature, a wrong one, or a body that nobody could sign.
    """
    parameters = _parse(body)
    given = sent.encode(errors="replace")
    expected = [signature(url, parameters, token).encode() for token in tokens]
    if any(hmac.compare_digest(each, given) for each in expected):
        return parameters
    if sent:
        metrics.write({"MessagesUnverified": 1})
    raise Unauthenticated


def reply(parameters: Parameters, at: datetime) -> Reply:
    """Return the text of a contact.

    Raises:
        MalformedBody: it does not say from whom, to whom, or under which id.
    """
    sent = dict(parameters)
    try:
        message_id, sender, contact = sent["MessageSid"], sent["To"], sent["From"]
    except KeyError:
        raise MalformedBody from None
    if not (message_id and sender and contact):
        raise MalformedBody
    return Reply(
        provider=NAME,
        message_id=message_id,
        sender=sender,
        contact=contact,
        text=sent.get("Body", "")[:MAX_LENGTH],
        at=at,
        opt_out_type=sent.get("OptOutType", ""),
        messaging_service=sent.get("MessagingServiceSid", ""),
    )


def render_error(error: RequestError, request_id: str) -> Response:
    """Return an empty response, after which Twilio tries the fallback URL of the number."""
    del request_id  # a header has it
    status, code = _STATUSES.get(type(error), (503, "UNAVAILABLE"))
    return Response(status, b"", code=code)


def _parse(body: bytes) -> Parameters:
    if len(body) > MAX_BYTES:
        raise Unauthenticated
    try:
        return parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError:
        raise Unauthenticated from None
