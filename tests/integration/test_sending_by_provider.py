"""A text is one request to a provider, whatever the provider, the queue and the function do."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from consents.aws.errors import CallError
from consents.messages.port import Accepted, Messages, Text
from consents.messages.twilio import TwilioMessages
from consents.opt_in import provider_wiring
from consents.opt_in import wiring as opt_in_wiring
from consents.opt_in.sending import MAX_ATTEMPTS, NotSent, send

from tests.integration.conftest import Invoke, Tenant
from tests.integration.faults import BreakCall, error_response, killed
from tests.integration.one_answer import Act, Server, answer, reset, serving
from tests.integration.texting import Texting, new_contact, with_own_number

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TEXT = Text("m-1", "+15550001111", "+14155552671", "Reply YES or STOP")
ACCEPTED = answer(201, b'{"sid": "SM1"}')


@pytest.fixture
def texting(invoke: Invoke, dynamodb: "DynamoDBClient", tenant: Tenant) -> Texting:
    return Texting(invoke, with_own_number(dynamodb, tenant))


def provider_at(server: Server) -> Messages:
    return TwilioMessages(server.url, f"AC{'0' * 32}", lambda: "token", timeouts=(1, 0.5))


type Run = Callable[[], None]


def run_of(texting: Texting, server: Server) -> tuple[str, Run]:
    """Ask a contact; return the challenge, and what delivers its text to the function once."""
    asked = texting.ask(new_contact()).json
    challenge_id, message_id = asked["consent_pending_id"], asked["confirmation_message_id"]
    store, provider = opt_in_wiring.challenges(), provider_at(server)
    complete = opt_in_wiring.link_keys().complete

    def run() -> None:
        with suppress(NotSent, KeyboardInterrupt):
            send(challenge_id, message_id, store, provider, datetime.now(UTC), complete=complete)

    return challenge_id, run


def states(texting: Texting, challenge_id: str) -> tuple[str, list[str]]:
    """Return the state of a challenge, and those of its texts."""
    shown = texting.state(challenge_id)
    return shown["state"], [each["state"] for each in shown["messages"]]


@pytest.mark.parametrize(
    ("act", "requests", "state", "text"),
    [
        (ACCEPTED, 1, "pending", "sent"),
        (reset, 1, "pending", "unknown"),
        (answer(500, b""), 1, "pending", "unknown"),
        (answer(400, b'{"code": 21610}'), 1, "undeliverable", "refused"),
        (answer(429, b"{}"), MAX_ATTEMPTS, "undeliverable", "refused"),
    ],
    ids=["accepted", "reset", "500", "opted out", "throttled"],
)
def test_an_answer_of_the_provider_is_the_state_of_the_text(
    texting: Texting, act: Act, requests: int, state: str, text: str
) -> None:
    with serving(act) as server:
        challenge_id, run = run_of(texting, server)
        for _ in range(8):
            run()

    assert len(server.requests) == requests
    assert states(texting, challenge_id) == (state, [text])


def test_deliveries_at_once_are_one_request(texting: Texting) -> None:
    with serving() as server, ThreadPoolExecutor(16) as threads:
        _, run = run_of(texting, server)
        list(threads.map(lambda _: run(), range(16)))

    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", [killed, error_response(500, "InternalServerError")])
def test_a_function_that_is_killed_after_the_request_sends_no_second_one(
    texting: Texting, break_call: BreakCall, fault: Callable[..., object]
) -> None:
    faults = iter([fault])
    with serving(ACCEPTED) as server:
        challenge_id, run = run_of(texting, server)

        def once_sent(**call: object) -> object:
            broken = next(faults, None) if server.requests else None
            return broken(**call) if broken else None

        break_call("UpdateItem", once_sent)
        with suppress(CallError):
            run()
        run()
        run()

    assert len(server.requests) == 1
    assert states(texting, challenge_id) == ("pending", ["unknown"])


# ---------------------------------------------------------------- Configuration


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Messages]:
    """Make the provider of an environment, as a new process does."""

    def configured(name: str, **changes: str) -> Messages:
        deployed = {
            "MESSAGE_PROVIDER": name,
            "CONFIGURATION_SET_NAME": "",
            "MAX_PRICE_PER_TEXT": "0.10",
            "MESSAGE_TYPE": "TRANSACTIONAL",
            "PROTECT_CONFIGURATION_ID": "",
            "TWILIO_API_URL": "https://api.twilio.com",
        }
        for variable, value in (deployed | changes).items():
            monkeypatch.setenv(variable, value)
        return provider_wiring.provider.__wrapped__()

    return configured


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("name", ["aws", "outbox", "twilio"])
def test_the_parameter_names_the_provider(configured: Callable[..., Messages], name: str) -> None:
    assert configured(name).provider == name


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(("name", "account"), [("none", "AC1"), ("twilio", ""), ("x", "AC1")])
def test_without_a_provider_or_its_account_no_text_is_claimed(
    configured: Callable[..., Messages], name: str, account: str
) -> None:
    with pytest.raises(LookupError):
        configured(name, TWILIO_ACCOUNT_SID=account)


@pytest.mark.usefixtures("engine")
def test_a_parameter_that_is_not_set_is_not_sent_to_aws(
    configured: Callable[..., Messages], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(answer(200, b'{"MessageId": "1"}')) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2", server.url)
        provider_wiring._sms_voice.cache_clear()
        sent = configured("aws", PROTECT_CONFIGURATION_ID="protect-1").send(TEXT)
        provider_wiring._sms_voice.cache_clear()
    (request,) = server.requests

    assert sent == Accepted("1")
    assert json.loads(request.partition(b"\r\n\r\n")[2]) == {
        "DestinationPhoneNumber": TEXT.contact,
        "OriginationIdentity": TEXT.sender,
        "MessageBody": TEXT.body,
        "MaxPrice": "0.10",
        "MessageType": "TRANSACTIONAL",
        "ProtectConfigurationId": "protect-1",
    }
