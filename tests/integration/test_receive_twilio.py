"""What Twilio posts is in the ledger once, or Twilio does not get a 200."""

from base64 import b64encode
from collections.abc import Iterator
from io import StringIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import uuid4

import boto3
import pytest
from consents.capture.ledger import Ledger
from consents.domain.record import StoredRecord
from consents.opt_in import provider_wiring
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from tests.integration.conftest import SECRETS, Invoke, Metrics, Tenant
from tests.integration.faults import BreakCall, breaker, error_response, no_connection
from tests.integration.invocation import Response, event_of
from tests.integration.texting import Texting, deliver, new_contact, run, with_own_number

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

EVENT = "receive_twilio.wrong_signature"
URL = "https://text.example.com/inbound/twilio"
VALIDATOR = RequestValidator(SECRETS["TwilioAuthToken"])
GROUP = f"MG{'0' * 31}7"


class Twilio:
    """Posts what contacts text to a tenant, and lets the queue deliver it."""

    def __init__(self, invoke: Invoke, sender: str) -> None:
        self._invoke = invoke
        self._sender = sender
        self.contact = new_contact()

    def fields(self, text: str, **changes: str) -> dict[str, str]:
        """Return the parameters of a text, some of them changed."""
        sid = f"SM{uuid4().hex}"
        named = {"MessageSid": sid, "From": self.contact, "To": self._sender, "Body": text}
        return named | {"ToCity": ""} | changes

    def post(self, fields: dict[str, str], **headers: str) -> Response:
        """Post parameters with Twilio's signature, or with other headers."""
        sent = VALIDATOR.compute_signature(URL, fields)
        body = urlencode(fields)
        return self._invoke(EVENT, {"X-Twilio-Signature": sent} | headers, body=body)


def deliver_inbound() -> int:
    """Take all texts that wait in the queue, and return their number."""
    sqs, taken = boto3.client("sqs"), 0
    url = sqs.get_queue_url(QueueName="InboundQueue")["QueueUrl"]
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            event = event_of("receive_message.stop")
            event["Records"][0]["body"] = message["Body"]
            assert run("receive_message", event) == []
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            taken += 1
    return taken


@pytest.fixture
def owner(dynamodb: "DynamoDBClient", tenant: Tenant) -> Tenant:
    return with_own_number(dynamodb, tenant)


@pytest.fixture
def twilio(invoke: Invoke, owner: Tenant) -> Iterator[Twilio]:
    yield Twilio(invoke, owner.phone_number)
    deliver_inbound()


@pytest.fixture
def records(ledger: Ledger, owner: Tenant, twilio: Twilio) -> Any:
    def records() -> list[StoredRecord]:
        return ledger.history(owner.org_id, twilio.contact)

    return records


@pytest.fixture
def break_queue(engine: None) -> Iterator[BreakCall]:  # noqa: ARG001 - it is where the queue is
    yield from breaker(provider_wiring.inbound()._queue._client, "sqs")


def test_a_signed_stop_is_in_the_queue_and_then_in_the_ledger(twilio: Twilio, records: Any) -> None:
    fields = twilio.fields("Stop")
    answer = twilio.post(fields)

    assert (answer.status, answer.body) == (200, "<Response/>")
    assert answer.headers["Content-Type"] == "text/xml"
    assert deliver_inbound() == 1
    (record,) = records()
    assert (record.wire, record.status) == ("inbound", "opt-out")
    assert record.evidence["provider"] == "twilio"
    assert record.evidence["inbound_message_id"] == fields["MessageSid"]


def test_a_yes_confirms(invoke: Invoke, owner: Tenant, twilio: Twilio, records: Any) -> None:
    texting = Texting(invoke, owner)
    asked = texting.ask(twilio.contact).json["consent_pending_id"]
    deliver()
    twilio.post(twilio.fields("Yes please"))
    deliver_inbound()

    assert texting.state(asked)["state"] == "confirmed"
    assert [record.wire for record in records()] == ["double-opt-in"]


def test_a_stop_to_a_messaging_service_is_recorded_for_the_number_and_for_it(
    twilio: Twilio, records: Any, owner: Tenant
) -> None:
    fields = twilio.fields("STOP", MessagingServiceSid=GROUP)
    twilio.post(fields)
    twilio.post(fields)
    deliver_inbound()

    assert {(record.sender, record.status) for record in records()} == {
        (owner.phone_number, "opt-out"),
        (GROUP, "opt-out"),
    }
    assert len(records()) == 2


def test_what_twilio_takes_for_a_stop_is_one(twilio: Twilio, records: Any) -> None:
    twilio.post(twilio.fields("Schluss", OptOutType="STOP"))
    deliver_inbound()
    assert [record.status for record in records()] == ["opt-out"]


def test_a_repeated_webhook_is_one_record_whatever_comes_first(
    twilio: Twilio, records: Any
) -> None:
    fields = twilio.fields("STOP")
    for _ in range(3):
        assert twilio.post(fields).status == 200
    assert deliver_inbound() == 3
    assert twilio.post(fields).status == 200
    deliver_inbound()

    assert len(records()) == 1


# ---------------------------------------------------------------- What is rejected


def test_a_wrong_signature_is_counted_and_puts_nothing_in_the_queue(
    twilio: Twilio, metrics: Metrics
) -> None:
    metrics()
    answer = twilio.post(twilio.fields("STOP"), **{"X-Twilio-Signature": "AAAA"})

    assert (answer.status, answer.body) == (403, "")
    assert any("MessagesUnverified" in line for line in metrics())
    assert deliver_inbound() == 0


def test_no_signature_is_rejected_and_no_sign_of_a_fault(twilio: Twilio, metrics: Metrics) -> None:
    metrics()
    answer = twilio.post(twilio.fields("STOP"), **{"X-Twilio-Signature": ""})

    assert (answer.status, answer.body) == (403, "")
    assert not any("MessagesUnverified" in line for line in metrics())


@pytest.mark.parametrize("name", ["From", "To", "MessageSid"])
def test_a_text_without_its_numbers_or_its_id_is_a_bad_request(twilio: Twilio, name: str) -> None:
    answer = twilio.post(twilio.fields("STOP", **{name: ""}))
    assert (answer.status, answer.body) == (400, "")


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("refused", error_response(403, "AccessDenied")),
        ("down", error_response(500, "InternalError")),
        ("partly", lambda **_: (type("Http", (), {"status_code": 200})(), {"Failed": [{}]})),
        ("away", no_connection),
    ],
)
def test_a_text_that_is_not_in_the_queue_gets_a_503(
    twilio: Twilio, break_queue: BreakCall, call: str, fault: Any
) -> None:
    del call
    break_queue("SendMessageBatch", fault)
    answer = twilio.post(twilio.fields("STOP"))

    assert (answer.status, answer.body) == (503, "")


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.one_of(
        st.text().map(lambda text: {"body": text}),
        st.binary().map(lambda raw: {"body": b64encode(raw).decode(), "isBase64Encoded": True}),
    ),
    st.text(),
)
def test_no_body_and_no_signature_is_a_500(invoke: Invoke, body: dict[str, Any], sent: str) -> None:
    answer = invoke(EVENT, {"X-Twilio-Signature": sent}, **body)
    assert (answer.status, answer.body) == (403, "")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(st.sampled_from(["Body", "OptOutType", "MessagingServiceSid"]), TEXTS))
def test_a_signed_text_of_any_content_is_taken(twilio: Twilio, content: dict[str, str]) -> None:
    assert twilio.post(twilio.fields("") | content).status == 200
    assert deliver_inbound() == 1


def test_a_body_over_the_limit_is_rejected(twilio: Twilio) -> None:
    answer = twilio.post(twilio.fields("x" * 40_000))
    assert (answer.status, answer.body) == (403, "")


def test_no_log_line_has_what_twilio_posts(twilio: Twilio, logged: StringIO) -> None:
    fields = twilio.fields("my secret illness")
    twilio.post(fields)
    twilio.post(fields, **{"X-Twilio-Signature": "AAAA"})
    deliver_inbound()
    text = logged.getvalue()

    assert text.count("POST /inbound/twilio") == 2
    secrets = [*filter(None, fields.values()), "secret", SECRETS["TwilioAuthToken"]]
    assert [each for each in secrets if each in text] == []
