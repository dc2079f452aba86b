"""Providers of text messages: what a server does decides whether a text may be sent again."""

import json
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest
from botocore.config import Config
from botocore.session import get_session
from botocore.stub import Stubber
from consents.aws import session
from consents.aws.errors import CallError
from consents.messages import aws, twilio
from consents.messages.aws import AwsMessages
from consents.messages.port import Accepted, Messages, NotAccepted, Text
from consents.messages.twilio import TwilioMessages

from tests.integration.conftest import free_port
from tests.integration.one_answer import Act, answer, garbage, reset, serving

TEXT = Text("m-1", "+15550001111", "+14155552671", "Northside: Reply YES & win 5 £?", 3600)
SETTINGS = {
    "ConfigurationSetName": "texts",
    "MaxPrice": "0.10",
    "MessageType": "TRANSACTIONAL",
    "ProtectConfigurationId": "protect-0123456789abcdef0123456789abcdef",
}
ACCOUNT_SID, TOKEN = "AC00000000000000000000000000000009", "0123456789abcdef0123456789abcdef"
SENT, REFUSED, UNKNOWN = NotAccepted.NOT_SENT, NotAccepted.REFUSED, NotAccepted.UNKNOWN
MODEL: Any = get_session().get_service_model("pinpoint-sms-voice-v2")
OPERATION = MODEL.operation_model("SendTextMessage")

type Make = Callable[[str], Messages]


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


def client_of(url: str | None = None) -> Any:
    """Return the client that functions have, for a server of a test and with short timeouts."""
    return session.session().create_client(
        "pinpoint-sms-voice-v2",
        region_name="us-east-1",
        endpoint_url=url,
        config=Config(**aws.BOTO_CONFIG | {"connect_timeout": 1, "read_timeout": 0.5}),
    )


def aws_at(url: str) -> Messages:
    client = client_of(url)
    return AwsMessages(lambda: client, SETTINGS)


def twilio_at(url: str) -> Messages:
    return TwilioMessages(url, ACCOUNT_SID, lambda: TOKEN, timeouts=(1, 0.5))


PROVIDERS: dict[str, Make] = {"aws": aws_at, "twilio": twilio_at}


@pytest.fixture(params=PROVIDERS)
def at(request: pytest.FixtureRequest) -> Make:
    return PROVIDERS[request.param]


def test_a_provider_has_the_name_of_its_parameter() -> None:
    assert {name: make("http://127.0.0.1:1").provider for name, make in PROVIDERS.items()} == {
        "aws": aws.NAME,
        "twilio": twilio.NAME,
    }


# ---------------------------------------------------------------- Outcomes of both


def silent_after(start: bytes) -> Act:
    """Return what sends the start of a response, and then nothing more, and closes."""
    return lambda connection: connection.sendall(start)


LOST: dict[str, Act] = {
    "a reset": reset,
    "the end of the connection": lambda _: None,
    "what is no response": garbage,
    "half a response": silent_after(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
    "half a header": silent_after(b"HTTP/1.1 200 OK\r\nContent-Le"),
    **{f"a {status}": answer(status, b"{}") for status in (500, 502, 503, 504)},
    "a 500 without a body": answer(500, b""),
    "a success without content": answer(200, b""),
    "a success without an id": answer(200, b"{}"),
    "a success that is not JSON": answer(200, b'{"sid'),
}


@pytest.mark.parametrize("act", LOST)
def test_a_lost_response_is_unknown_and_nothing_is_sent_again(at: Make, act: str) -> None:
    with serving(LOST[act]) as server:
        assert at(server.url).send(TEXT) is UNKNOWN
    assert len(server.requests) == 1


def test_a_silent_server_is_unknown_and_nothing_is_sent_again(at: Make) -> None:
    with serving() as server:
        assert at(server.url).send(TEXT) is UNKNOWN
    assert len(server.requests) == 1


def test_without_a_connection_nothing_is_sent(at: Make) -> None:
    assert at(f"http://127.0.0.1:{free_port()}").send(TEXT) is SENT


def test_an_unknown_host_gets_nothing(at: Make) -> None:
    assert at("http://nobody.invalid").send(TEXT) is SENT


@pytest.fixture
def full_listener() -> Iterator[str]:
    """A port that completes no handshake: its queue is full."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_connection_that_is_not_accepted_carries_nothing(at: Make, full_listener: str) -> None:
    assert at(full_listener).send(TEXT) is SENT


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 429, 499])
def test_a_client_error_was_surely_not_sent(at: Make, status: int) -> None:
    with serving(answer(status, b"{}")) as server:
        assert at(server.url).send(TEXT) is SENT
    assert len(server.requests) == 1


def test_two_texts_have_two_connections(at: Make) -> None:
    accepted = answer(200, b'{"MessageId": "1", "sid": "1"}', Connection="keep-alive")
    with serving(accepted) as server:
        provider = at(server.url)
        assert [provider.send(TEXT), provider.send(TEXT)] == [Accepted("1"), Accepted("1")]
    assert len(server.requests) == 2


# ---------------------------------------------------------------- AWS

AWS_ERRORS = {
    "AccessDeniedException": SENT,
    "ConflictException": REFUSED,
    "InternalServerException": UNKNOWN,
    "ResourceNotFoundException": SENT,
    "ServiceQuotaExceededException": SENT,
    "ThrottlingException": SENT,
    "ValidationException": SENT,
}


def test_every_error_of_the_service_model_has_an_outcome() -> None:
    assert {error.name for error in OPERATION.error_shapes} == AWS_ERRORS.keys()


@pytest.mark.parametrize("code", AWS_ERRORS)
def test_an_error_of_aws_says_whether_a_text_was_sent(code: str) -> None:
    status = 500 if code == "InternalServerException" else 400
    with serving(answer(status, json.dumps({"__type": code, "Message": "-"}).encode())) as server:
        assert aws_at(server.url).send(TEXT) is AWS_ERRORS[code]
    assert len(server.requests) == 1


def test_every_parameter_is_one_of_the_service_model() -> None:
    client = client_of()
    expected = {
        "DestinationPhoneNumber": TEXT.contact,
        "OriginationIdentity": TEXT.sender,
        "MessageBody": TEXT.body,
        "TimeToLive": 3600,
    }
    with Stubber(client) as stubber:
        stubber.add_response("send_text_message", {"MessageId": "abc"}, expected | SETTINGS)
        assert AwsMessages(lambda: client, SETTINGS).send(TEXT) == Accepted("abc")


@pytest.mark.parametrize(("left", "sent"), [(0, 5), (604_800, 259_200), (None, None)])
def test_time_to_live_is_within_the_limits_of_the_service_model(
    left: int | None, sent: int | None
) -> None:
    limits = OPERATION.input_shape.members["TimeToLive"].metadata
    with serving(answer(200, b'{"MessageId": "1"}')) as server:
        aws_at(server.url).send(replace(TEXT, seconds_to_live=left))
    body = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])

    assert body.get("TimeToLive") == sent
    assert (limits["min"], limits["max"]) == (aws.MIN_SECONDS, aws.MAX_SECONDS)


def test_a_text_that_the_model_forbids_is_not_sent() -> None:
    with serving() as server:
        provider = AwsMessages(lambda: client_of(server.url), SETTINGS | {"MaxPrice": ""})
        assert provider.send(TEXT) is SENT
    assert server.requests == []


# ---------------------------------------------------------------- Twilio


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(21211, REFUSED), (21610, REFUSED), (21614, REFUSED), (20429, SENT), ("x", SENT), ([], SENT)],
)
def test_the_code_of_an_error_says_whether_to_try_again(code: Any, outcome: NotAccepted) -> None:
    with serving(answer(400, json.dumps({"code": code, "status": 400}).encode())) as server:
        assert twilio_at(server.url).send(TEXT) is outcome


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"sid": 1}', b"\xff", b'{"sid": "SM'])
def test_a_success_without_an_id_is_unknown(body: bytes) -> None:
    with serving(answer(201, body)) as server:
        assert twilio_at(server.url).send(TEXT) is UNKNOWN


def test_a_redirect_is_unknown_and_not_followed() -> None:
    with serving(answer(307, b"", Location="/elsewhere")) as server:
        assert twilio_at(server.url).send(TEXT) is UNKNOWN
    assert len(server.requests) == 1


def posted(text: Text, path: str = "") -> tuple[bytes, dict[str, list[str]]]:
    """Return the head and the fields of the request of a text."""
    with serving(answer(201, b'{"sid": "SM1"}')) as server:
        assert twilio_at(server.url + path).send(text) == Accepted("SM1")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    return head, parse_qs(body.decode(), strict_parsing=True)


def test_a_request_has_the_form_of_the_messages_api() -> None:
    head, fields = posted(TEXT)

    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
    assert head.startswith(f"POST {path} HTTP/1.1\r\n".encode())
    assert b"Basic " + b64encode(f"{ACCOUNT_SID}:{TOKEN}".encode()) in head
    assert b"\r\nContent-Type: application/x-www-form-urlencoded" in head
    assert fields == {
        "To": [TEXT.contact],
        "From": [TEXT.sender],
        "Body": [TEXT.body],
        "ValidityPeriod": ["3600"],
    }


def test_the_path_of_a_base_url_comes_first() -> None:
    head, _ = posted(TEXT, "/gateway")
    assert head.startswith(b"POST /gateway/2010-04-01/Accounts/")


def test_a_messaging_service_sends_by_its_id() -> None:
    service = f"MG{'0' * 32}"
    _, fields = posted(replace(TEXT, sender=service))

    assert fields["MessagingServiceSid"] == [service]
    assert "From" not in fields


@pytest.mark.parametrize(("left", "sent"), [(0, ["1"]), (604_800, ["36000"]), (None, None)])
def test_the_validity_period_is_within_the_limits_of_twilio(
    left: int | None, sent: list[str] | None
) -> None:
    _, fields = posted(replace(TEXT, seconds_to_live=left))
    assert fields.get("ValidityPeriod") == sent


def test_without_a_token_nothing_is_sent() -> None:
    def no_token() -> str:
        raise CallError("ServiceUnavailable", is_transient=True)

    with serving() as server:
        assert TwilioMessages(server.url, ACCOUNT_SID, no_token).send(TEXT) is SENT
    assert server.requests == []


def test_a_certificate_of_nobody_known_gets_nothing() -> None:
    with serving(garbage) as server:
        assert twilio_at(server.url.replace("http:", "https:")).send(TEXT) is SENT
