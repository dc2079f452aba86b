"""Answers to STOP and HELP where `KeywordReplies` is `ours`: at most one, and in time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from consents.accounts.directory import profile_key
from consents.aws.dynamodb import encode_item
from consents.capture.ledger import Ledger
from consents.domain.record import Status

from tests.integration import function_process
from tests.integration.conftest import Invoke, Tenant
from tests.integration.function_process import AFTER, FunctionProcess, Kill
from tests.integration.texting import Texting, deliver, inbound, new_contact, with_own_number

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

STOPPED = (
    "Northside Dental: You are unsubscribed. No more messages will be sent. "
    "Reply START to sign up again."
)
HELPED = (
    "Northside Dental: Appointment reminders. For help: 555-0100. Msg & data rates may apply. "
    "Reply STOP to opt out."
)


@pytest.fixture
def texting(invoke: Invoke, tenant: Tenant, dynamodb: "DynamoDBClient") -> Texting:
    """An organization whose sender has a profile."""
    texting = Texting(invoke, with_own_number(dynamodb, tenant))
    profile = {
        "brand": "Northside Dental",
        "program": "Appointment reminders",
        "help_contact": "555-0100",
    }
    key = profile_key(tenant.org_id, tenant.phone_number_id)
    dynamodb.put_item(TableName="DirectoryTable", Item=encode_item(key | profile))
    return texting


@pytest.fixture
def contact() -> str:
    """A contact whom no other test asks."""
    return new_contact()


@pytest.fixture(scope="module")
def receiver(engine: None) -> Iterator[FunctionProcess]:  # noqa: ARG001 - it must be up
    """A process that takes texts, and answers keywords."""
    with function_process.running("receive_message", KEYWORD_REPLIES="ours") as process:
        yield process


@pytest.fixture
def say(receiver: FunctionProcess, texting: Texting) -> Any:
    """Let a contact send texts, and return all that the contact got so far."""

    def say(contact: str, *texts: str, at: datetime | None = None) -> list[str]:
        for text in texts:
            message = inbound(contact, texting.tenant.phone_number, text, at=at)
            assert receiver.invoke(message) == {"batchItemFailures": []}
            assert receiver.invoke(message) == {"batchItemFailures": []}  # the queue's repeat
        deliver()
        return texting.texts(contact)

    return say


def test_a_stop_is_answered_once_however_often_it_is_said(say: Any, contact: str) -> None:
    assert say(contact, "STOP", "stop!", "Unsubscribe") == [STOPPED]


def test_the_stop_of_a_new_opt_in_is_answered_again(
    say: Any, contact: str, texting: Texting
) -> None:
    texting.ask(contact)
    say(contact, "YES", "STOP", "STOP", "START")
    assert say(contact, "STOP").count(STOPPED) == 2


def test_each_help_is_answered(say: Any, contact: str) -> None:
    assert say(contact, "HELP", "info") == [HELPED, HELPED]


def test_an_answer_offers_nothing_that_is_not_known(
    say: Any, contact: str, texting: Texting, dynamodb: "DynamoDBClient"
) -> None:
    key = encode_item(profile_key(texting.tenant.org_id, texting.tenant.phone_number_id))
    dynamodb.delete_item(TableName="DirectoryTable", Key=key)
    assert say(contact, "HELP") == ["Test: Msg & data rates may apply. Reply STOP to opt out."]


def test_a_late_stop_is_recorded_and_not_answered(
    say: Any, contact: str, texting: Texting, ledger: Ledger
) -> None:
    late = datetime.now(UTC) - timedelta(minutes=5)
    assert say(contact, "STOP", at=late) == []
    (record,) = ledger.history(texting.tenant.org_id, contact)
    assert record.status is Status.OPT_OUT


@pytest.mark.parametrize("contact", ["+18002345678", "+447911123456"])
def test_a_number_that_is_not_to_be_texted_gets_no_answer(say: Any, contact: str) -> None:
    assert say(contact, "STOP", "HELP") == []


@pytest.mark.parametrize("text", ["hello", "start", "YES"])
def test_no_other_text_is_answered(say: Any, contact: str, text: str) -> None:
    assert say(contact, text) == []


def test_a_stop_that_is_killed_at_any_call_is_answered_once(
    receiver: FunctionProcess, texting: Texting
) -> None:
    for call in count():
        contact = new_contact()
        message = inbound(contact, texting.tenant.phone_number, "STOP")
        with function_process.running("receive_message", KEYWORD_REPLIES="ours") as process:
            was_killed = process.invoke(message, Kill(call, AFTER)) is None
        assert receiver.invoke(message) == {"batchItemFailures": []}
        deliver()
        assert texting.texts(contact) == [STOPPED]
        if not was_killed:
            break
    assert call >= 8  # its receipt, its record, what is known of the contact, the answer
