"""Texts in both directions while calls fail and processes are killed: none twice, no STOP lost."""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from consents.aws.dynamodb import Table
from consents.capture.ledger import Ledger
from consents.domain.record import StoredRecord
from consents.opt_in.challenge import Counted, MessageState, Rate
from consents.opt_in.table import Challenges

from tests.factories import challenge
from tests.integration import function_process
from tests.integration.conftest import Invoke, Tenant
from tests.integration.fault_proxy import FAULTS, LOST_REPLY, Proxy, Rule, running_proxy
from tests.integration.function_process import AFTER, BEFORE, FunctionProcess, Kill
from tests.integration.invocation import event_of
from tests.integration.texting import Texting, deliver, inbound, new_contact, run, with_own_number
from tests.integration.watched import Watched

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def texting(invoke: Invoke, tenant: Tenant, dynamodb: "DynamoDBClient") -> Texting:
    """An organization that asks contacts."""
    return Texting(invoke, with_own_number(dynamodb, tenant))


@pytest.fixture
def contact() -> str:
    """A contact whom no other test asks."""
    return new_contact()


@pytest.fixture
def challenges(tables: Watched) -> Challenges:
    """The challenges."""
    return Challenges(Table(tables, "FormsTable"))


@pytest.fixture(scope="module")
def the_proxy(engine: None) -> Iterator[Proxy]:  # noqa: ARG001 - it stands before the engine
    with running_proxy() as proxy:
        yield proxy


@pytest.fixture
def proxy(the_proxy: Proxy) -> Iterator[Proxy]:
    the_proxy.forget()
    yield the_proxy
    the_proxy.mend()


@pytest.fixture(scope="module")
def sender(the_proxy: Proxy) -> Iterator[FunctionProcess]:
    """A process that sends texts, and reaches its tables through the proxy."""
    with function_process.running("send_message", AWS_ENDPOINT_URL=the_proxy.url) as process:
        yield process


@pytest.fixture(scope="module")
def receiver(the_proxy: Proxy) -> Iterator[FunctionProcess]:
    """A process that takes texts, and reaches its tables and its queue through the proxy."""
    with function_process.running("receive_message", AWS_ENDPOINT_URL=the_proxy.url) as process:
        yield process


@pytest.fixture
def records(texting: Texting, ledger: Ledger) -> Any:
    """Return the records of a contact, newest first."""

    def records(contact: str) -> list[StoredRecord]:
        return ledger.history(texting.tenant.org_id, contact)

    return records


# ---------------------------------------------------------------- Sending

CLAIM: Rule = {"operation": "UpdateItem", "body": "contains(UpdateExpression, 'claimed_by')"}
OUTBOX: Rule = {"operation": "PutItem", "resource": "FormsTable"}
SENT: Rule = {"operation": "UpdateItem", "body": "contains(UpdateExpression, 'provider')"}


def waiting(texting: Texting, contact: str) -> tuple[str, dict[str, Any]]:
    """Ask a contact; return the challenge, and the event that sends the text that waits."""
    deliver()  # what other tests left in the queue
    asked = texting.ask(contact).json
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName="OutboundQueue")["QueueUrl"]
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    event = event_of("send_message.unknown")
    event["Records"][0]["body"] = message["Body"]
    return asked["consent_pending_id"], event


def state(texting: Texting, challenge_id: str) -> str:
    """Return the state of a challenge's one text."""
    (message,) = texting.state(challenge_id)["messages"]
    return str(message["state"])


@pytest.mark.parametrize("step", [CLAIM, OUTBOX, SENT], ids=["claim", "provider", "end"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_text_is_sent_once_whatever_call_fails_once(
    texting: Texting, contact: str, sender: FunctionProcess, proxy: Proxy, step: Rule, fault: str
) -> None:
    challenge_id, event = waiting(texting, contact)
    proxy.break_calls(step | FAULTS[fault] | {"times": 1})

    assert sender.invoke(event) == {"batchItemFailures": []}
    assert len(proxy.fired()) == 1
    assert len(texting.texts(contact)) == 1
    assert state(texting, challenge_id) == "sent"


def test_a_claim_without_any_response_sends_nothing(
    texting: Texting, contact: str, sender: FunctionProcess, proxy: Proxy
) -> None:
    challenge_id, event = waiting(texting, contact)
    proxy.break_calls(CLAIM | LOST_REPLY)
    failed = sender.invoke(event)
    proxy.mend()

    assert failed
    assert failed["batchItemFailures"]
    assert sender.invoke(event) == {"batchItemFailures": []}
    assert texting.texts(contact) == []
    assert state(texting, challenge_id) == "unknown"


CALLS = 5
"""Of one text: the challenge, the text, the claim, the provider, the end."""

KILLS = {
    **dict.fromkeys(product(range(2), (BEFORE, AFTER)), (1, "sent")),
    (2, BEFORE): (1, "sent"),
    (2, AFTER): (0, "unknown"),
    (3, BEFORE): (0, "unknown"),
    (3, AFTER): (1, "unknown"),
    (4, BEFORE): (1, "unknown"),
    (4, AFTER): (1, "sent"),
}
"""The texts that a contact gets, and what is known of the one, for each call."""


@pytest.mark.parametrize(("call", "when"), KILLS)
def test_a_sender_killed_at_any_call_sends_no_second_text(
    texting: Texting, contact: str, call: int, when: str
) -> None:
    challenge_id, event = waiting(texting, contact)
    with function_process.running("send_message") as process:
        assert process.invoke(event, Kill(call, when)) is None
    for _ in range(3):
        assert run("send_message", event) == []

    got = len(texting.texts(contact)), state(texting, challenge_id)
    assert got == KILLS[call, when]


def test_a_sender_makes_five_calls(texting: Texting, contact: str) -> None:
    _, event = waiting(texting, contact)
    with function_process.running("send_message") as process:
        assert process.invoke(event, Kill(CALLS, BEFORE)) == {"batchItemFailures": []}


def test_a_repeated_give_back_frees_no_claim_of_another(
    texting: Texting, contact: str, challenges: Challenges
) -> None:
    now = datetime.now(UTC)
    challenge_id, _ = waiting(texting, contact)
    (message,) = challenges.messages(challenge_id)
    first = challenges.claim(message, now)
    assert first is not None
    challenges.give_back(first, now)
    second = challenges.claim(message, now)
    assert second is not None
    challenges.give_back(first, now)  # the client's repeat, whose first response was lost
    challenges.end(first, MessageState.UNKNOWN, now)

    found = challenges.message(challenge_id, message.message_id)
    assert found == second
    assert (second.state, second.attempts) == (MessageState.SENDING, 2)


@pytest.mark.parametrize("counted", Counted)
def test_a_repeated_count_counts_once(
    challenges: Challenges, org_id: str, counted: Counted
) -> None:
    asked, other = challenge(org_id=org_id), challenge(org_id=org_id, challenge_id="other")
    for each in (asked, asked, other, other):
        challenges.count(each, counted)
    rate = challenges.count(other, counted)

    assert rate == Rate(**{"opened": 0, "confirmed": 0} | {counted: 2})


# ---------------------------------------------------------------- Receiving

STEPS: dict[str, Rule] = {
    "receipt": {"operation": "PutItem", "resource": "FormsTable"},
    "owner": {"operation": "GetItem", "resource": "DirectoryTable"},
    "challenge": {"operation": "GetItem", "resource": "FormsTable"},
    "record": {"operation": "BatchExecuteStatement"},
    "decision": {"operation": "UpdateItem", "resource": "FormsTable"},
}
"""What fails of a STOP."""
OF_A_YES = STEPS | {
    "question": {"operation": "Query", "resource": "FormsTable"},
    "queue": {"service": "sqs", "operation": "SendMessageBatch"},
}
SECONDS_OF_A_DELIVERY = 14
"""As few as a call needs that fails, and the ledger a second or so more."""


def deliver_once(receiver: FunctionProcess, message: dict[str, Any]) -> bool:
    """Deliver a text, and return whether it is acknowledged; else it returns to the queue."""
    done = receiver.invoke(message, milliseconds=SECONDS_OF_A_DELIVERY * 1000)
    assert done is not None
    return bool(done == {"batchItemFailures": []})


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("step", STEPS)
def test_a_stop_is_acknowledged_only_once_it_is_recorded(
    texting: Texting,
    contact: str,
    records: Any,
    receiver: FunctionProcess,
    proxy: Proxy,
    step: str,
    fault: str,
) -> None:
    asked = texting.ask(contact).json["consent_pending_id"]
    message = inbound(contact, texting.tenant.phone_number, "STOP")
    proxy.break_calls(STEPS[step] | FAULTS[fault])  # at every try
    assert not deliver_once(receiver, message) or records(contact)
    assert proxy.fired()
    proxy.mend()

    assert deliver_once(receiver, message)
    (record,) = records(contact)
    assert (record.wire, record.status) == ("inbound", "opt-out")
    assert texting.state(asked)["state"] == "declined"
    assert deliver_once(receiver, message)
    assert len(records(contact)) == 1


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("step", OF_A_YES)
def test_a_yes_is_one_record_and_one_welcome_whatever_fails(
    texting: Texting,
    contact: str,
    records: Any,
    receiver: FunctionProcess,
    proxy: Proxy,
    step: str,
    fault: str,
) -> None:
    asked = texting.ask(contact).json["consent_pending_id"]
    deliver()
    message = inbound(contact, texting.tenant.phone_number, "YES")
    proxy.break_calls(OF_A_YES[step] | FAULTS[fault])
    assert not deliver_once(receiver, message) or records(contact)
    assert proxy.fired()
    proxy.mend()
    assert deliver_once(receiver, message)
    deliver()

    (record,) = records(contact)
    assert (record.wire, record.status) == ("double-opt-in", "opt-in")
    assert texting.state(asked)["state"] == "confirmed"
    assert len(texting.texts(contact)) == 2


STORM = [
    step | fault | {"probability": 0.1} for step in OF_A_YES.values() for fault in FAULTS.values()
]


def test_texts_in_a_storm_are_recorded_once_each(
    texting: Texting, records: Any, receiver: FunctionProcess, proxy: Proxy
) -> None:
    sent = {new_contact(): text for text in ("STOP", "YES") * 3}
    for contact in sent:
        texting.ask(contact)
    deliver()
    queue = [
        (contact, inbound(contact, texting.tenant.phone_number, text))
        for contact, text in sent.items()
    ]
    proxy.break_calls(*STORM)
    waiting = deque(queue)
    while waiting:
        contact, message = waiting.popleft()
        if deliver_once(receiver, message):
            assert len(records(contact)) == 1
        else:
            waiting.append((contact, message))
    assert proxy.fired()
    proxy.mend()

    for contact, message in queue:  # the queue delivers each at least once
        assert deliver_once(receiver, message)
        (record,) = records(contact)
        assert record.status == ("opt-out" if sent[contact] == "STOP" else "opt-in")
    deliver()
    texts = [len(texting.texts(contact)) for contact in sent]
    assert texts == [1 if text == "STOP" else 2 for text in sent.values()]
