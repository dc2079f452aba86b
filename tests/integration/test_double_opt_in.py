"""Double opt-in: one challenge and one text, and what contacts text back is in the ledger."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from io import StringIO
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from consents.accounts.directory import organization_key
from consents.aws.dynamodb import encode_item
from consents.capture.ledger import Ledger
from consents.domain.record import StoredRecord, text_hash

from tests.integration.conftest import Invoke, Metrics, NewTenant, Tenant
from tests.integration.faults import BreakCall, error_response, killed, some_times
from tests.integration.texting import (
    AGREEMENT,
    Texting,
    deliver,
    in_the_past,
    inbound,
    new_contact,
    run,
    with_own_number,
)
from tests.integration.workers import at_once

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
def records(texting: Texting, ledger: Ledger) -> Any:
    """Return the records of a contact, newest first."""

    def records(contact: str) -> list[StoredRecord]:
        return ledger.history(texting.tenant.org_id, contact)

    return records


def statuses(found: list[StoredRecord]) -> list[tuple[str, str]]:
    return [(record.wire, record.status) for record in found]


# ---------------------------------------------------------------- Asking


def test_a_contact_is_asked_and_confirms(texting: Texting, contact: str, records: Any) -> None:
    asked = texting.ask(contact, reference="patient 17")
    deliver()
    sent_at = datetime.now(UTC)
    texting.reply(contact, "Yes, please", at=sent_at)
    deliver()
    (record,) = records(contact)
    shown = texting.state(asked.json["consent_pending_id"])

    assert asked.status == 202
    assert (asked.json["reused"], asked.json["already_opted_in"]) == (False, False)
    assert statuses([record]) == [("double-opt-in", "opt-in")]
    assert record.effective_at[:23] == sent_at.isoformat()[:23]
    assert record.evidence.items() >= {
        ("agreement_text_hash", text_hash(AGREEMENT)),
        ("channel", "reply"),
        ("consent_method", "double_opt_in"),
        ("consent_pending_id", asked.json["consent_pending_id"]),
        ("provider", "outbox"),
        ("reference", "patient 17"),
        ("reply_text", "Yes, please"),
        ("verified", "sms_reply"),
    }
    assert (shown["state"], [each["state"] for each in shown["messages"]]) == (
        "confirmed",
        ["sent", "sent"],
    )
    assert [text.split(": ")[1][:9] for text in texting.texts(contact)] == [
        "Reply YES",
        "You're si",
    ]


def test_an_open_challenge_is_returned_and_sends_nothing(texting: Texting, contact: str) -> None:
    first = texting.ask(contact)
    deliver()
    again = texting.ask(contact)
    deliver()

    assert (again.status, again.json["reused"]) == (200, True)
    same = ("consent_pending_id", "confirmation_message_id", "expires_at")
    assert [again.json[name] for name in same] == [first.json[name] for name in same]
    assert len(texting.texts(contact)) == 1


@pytest.mark.parametrize("_time", range(3))
def test_64_calls_at_once_are_one_challenge_and_one_text(
    texting: Texting, contact: str, _time: int
) -> None:
    answers = at_once(*[partial(texting.ask, contact)] * 64)
    deliver()

    shown = Counter((answer.status, answer.json["reused"]) for answer in answers)
    assert shown == {(202, False): 1, (200, True): 63}
    assert len({answer.json["consent_pending_id"] for answer in answers}) == 1
    assert len({answer.json["confirmation_message_id"] for answer in answers}) == 1
    assert len(texting.texts(contact)) == 1


def test_who_is_opted_in_is_not_asked(texting: Texting, contact: str) -> None:
    texting.ask(contact)
    deliver()
    texting.reply(contact, "YES")
    again = texting.ask(contact)

    assert (again.status, again.json["already_opted_in"]) == (200, True)
    assert again.json["consent_pending_id"] is None


def test_who_has_opted_out_is_not_asked(texting: Texting, contact: str) -> None:
    texting.reply(contact, "STOP")
    refused = texting.ask(contact)
    deliver()

    assert (refused.status, refused.json["error"]["code"]) == (409, "OPTED_OUT")
    assert texting.texts(contact) == []


def test_a_contact_is_asked_again_after_the_challenge_expired(
    texting: Texting, contact: str, dynamodb: "DynamoDBClient"
) -> None:
    first = texting.ask(contact).json["consent_pending_id"]
    in_the_past(dynamodb, first)

    assert texting.state(first)["state"] == "expired"
    # The contact's bucket of one text a minute stands in the way.
    assert texting.ask(contact).status == 429


def test_a_contact_gets_one_text_a_minute(texting: Texting, contact: str) -> None:
    texting.ask(contact)
    again = texting.ask(contact, resend=True)
    deliver()

    assert again.status == 429
    assert 1 <= int(again.headers["Retry-After"]) <= 60
    assert len(texting.texts(contact)) == 1


def test_a_prefix_gets_ten_texts_an_hour(texting: Texting) -> None:
    prefix = new_contact()[:-4]
    with ThreadPoolExecutor(16) as threads:
        numbers = [f"{prefix}{last:04}" for last in range(200)]
        answers = list(threads.map(texting.ask, numbers))
    deliver()

    assert Counter(answer.status for answer in answers) == {202: 10, 429: 190}
    assert len(texting.texts(prefix)) == 10


def test_texts_that_nobody_confirms_are_counted(
    texting: Texting, metrics: Metrics, dynamodb: "DynamoDBClient"
) -> None:
    set_limit(dynamodb, texting, "texts_per_minute", 1000)
    contacts = [new_contact() for _ in range(51)]
    for contact in contacts[:49]:
        texting.ask(contact)
    texting.reply(contacts[0], "YES")
    metrics()
    for contact in contacts[49:]:
        assert texting.ask(contact).status == 202

    assert sum("MessagesUnconfirmed" in line for line in metrics()) == 2


@pytest.mark.parametrize("limit", ["texts_per_minute", "texts_per_day"])
def test_an_organization_has_a_limit_of_texts(
    texting: Texting, dynamodb: "DynamoDBClient", limit: str
) -> None:
    set_limit(dynamodb, texting, limit, 3)
    statuses = [texting.ask(new_contact()).status for _ in range(4)]
    set_limit(dynamodb, texting, limit, 0)
    stopped = texting.ask(new_contact())

    assert statuses == [202, 202, 202, 429]
    assert (stopped.status, stopped.headers["Retry-After"]) == (429, "86400")


def set_limit(dynamodb: "DynamoDBClient", texting: Texting, limit: str, value: int) -> None:
    dynamodb.update_item(
        TableName="DirectoryTable",
        Key=encode_item(organization_key(texting.tenant.org_id)),
        UpdateExpression="SET #limit = :value",
        ExpressionAttributeNames={"#limit": limit},
        ExpressionAttributeValues={":value": {"N": str(value)}},
    )


def test_another_organizations_challenge_is_not_found(
    texting: Texting, contact: str, invoke: Invoke, new_tenant: NewTenant
) -> None:
    challenge_id = texting.ask(contact).json["consent_pending_id"]
    other = Texting(invoke, new_tenant())

    assert other.state(challenge_id)["error"]["code"] == "NOT_FOUND"


def test_a_text_that_is_enqueued_twice_is_sent_once(texting: Texting, contact: str) -> None:
    texting.ask(contact)
    assert texting.ask(contact).status == 200  # enqueues the text that waits once more
    deliver()
    assert len(texting.texts(contact)) == 1


# ---------------------------------------------------------------- What contacts text


def test_a_stop_is_an_opt_out_with_or_without_a_challenge(
    texting: Texting, contact: str, records: Any
) -> None:
    texting.reply(contact, "Please STOP")
    (record,) = records(contact)

    assert statuses([record]) == [("inbound", "opt-out")]
    assert record.evidence["consent_method"] == "sms_keyword"
    assert record.evidence["keyword"] == "stop"
    assert record.evidence["reply_text"] == "Please STOP"


def test_a_stop_declines_the_challenge(texting: Texting, contact: str, records: Any) -> None:
    asked = texting.ask(contact).json["consent_pending_id"]
    texting.reply(contact, "stop texting me")
    deliver()

    assert texting.state(asked)["state"] == "declined"
    assert statuses(records(contact)) == [("inbound", "opt-out")]
    assert texting.texts(contact) == []


def test_a_yes_after_a_stop_is_nothing_and_a_start_confirms(
    texting: Texting, contact: str, records: Any
) -> None:
    asked = texting.ask(contact).json["consent_pending_id"]
    texting.reply(contact, "STOP")
    texting.reply(contact, "YES")
    assert statuses(records(contact)) == [("inbound", "opt-out")]

    texting.reply(contact, "START")
    assert statuses(records(contact))[0] == ("double-opt-in", "opt-in")
    assert texting.state(asked)["state"] == "confirmed"


def test_a_start_revives_the_agreement_that_a_stop_took_back(
    texting: Texting, contact: str, records: Any
) -> None:
    texting.ask(contact)
    texting.reply(contact, "YES")
    texting.reply(contact, "STOP")
    texting.reply(contact, "unstop")
    newest = records(contact)[0]

    assert statuses(records(contact)) == [
        ("inbound", "opt-in"),
        ("inbound", "opt-out"),
        ("double-opt-in", "opt-in"),
    ]
    assert newest.evidence["agreement_text_hash"] == text_hash(AGREEMENT)


@pytest.mark.parametrize("texts", [["START"], ["YES"], ["HELP"], ["STOP", "STOP", "START"]])
def test_a_start_without_an_agreement_opts_nobody_in(
    texting: Texting, contact: str, records: Any, texts: list[str]
) -> None:
    for text in texts:
        texting.reply(contact, text)
    assert {record.status for record in records(contact)} <= {"opt-out"}


def test_a_late_yes_records_nothing(
    texting: Texting, contact: str, records: Any, dynamodb: "DynamoDBClient"
) -> None:
    asked = texting.ask(contact).json["consent_pending_id"]
    in_the_past(dynamodb, asked)
    texting.reply(contact, "YES")

    assert records(contact) == []
    assert texting.state(asked)["state"] == "expired"


def test_a_yes_that_was_sent_in_time_and_handled_late_confirms(
    texting: Texting, contact: str, records: Any, dynamodb: "DynamoDBClient"
) -> None:
    asked = texting.ask(contact).json["consent_pending_id"]
    in_the_past(dynamodb, asked)
    texting.reply(contact, "YES", at=datetime.now(UTC) - timedelta(minutes=2))

    assert statuses(records(contact)) == [("double-opt-in", "opt-in")]
    assert texting.state(asked)["state"] == "confirmed"


def test_a_repeated_message_is_one_record_and_one_welcome(
    texting: Texting, contact: str, records: Any
) -> None:
    texting.ask(contact)
    deliver()
    message = texting.reply(contact, "YES")
    for _ in range(3):
        run("receive_message", message)
    deliver()

    assert len(records(contact)) == 1
    assert len(texting.texts(contact)) == 2


def test_a_repeated_stop_is_one_record(texting: Texting, contact: str, records: Any) -> None:
    message = texting.reply(contact, "STOP")
    run("receive_message", message)
    assert len(records(contact)) == 1


def test_a_reaction_to_our_text_is_nothing(texting: Texting, contact: str, records: Any) -> None:
    texting.ask(contact)
    deliver()
    (text,) = texting.texts(contact)
    texting.reply(contact, f"Liked \u201c{text}\u201d")
    assert records(contact) == []


def test_a_text_to_nobodys_number_is_counted_and_not_recorded(
    contact: str, logged: StringIO, metrics: Metrics
) -> None:
    metrics()
    assert run("receive_message", inbound(contact, "+15559999999", "STOP")) == []

    assert "reply.unassigned" in logged.getvalue()
    assert any("MessagesUnassigned" in line for line in metrics())


# ---------------------------------------------------------------- Faults

WRITES = ["PutItem", "UpdateItem", "BatchExecuteStatement", "GetItem", "Query"]


@pytest.mark.parametrize(
    ("text", "call"),
    [*(("YES", call) for call in WRITES), *(("STOP", call) for call in WRITES[:4])],
)
def test_no_text_is_lost_when_a_call_fails(
    texting: Texting, contact: str, records: Any, break_call: BreakCall, call: str, text: str
) -> None:
    texting.ask(contact)
    deliver()
    message = inbound(contact, texting.tenant.phone_number, text)
    break_call(call, some_times(2, error_response(500, "InternalServerError")))
    while run("receive_message", message):  # the queue delivers it again
        pass
    deliver()

    assert [record.status for record in records(contact)] == [
        "opt-out" if text == "STOP" else "opt-in"
    ]
    assert len(texting.texts(contact)) == (1 if text == "STOP" else 2)


@pytest.mark.parametrize("call", WRITES)
@pytest.mark.parametrize("after", range(3))
def test_a_reply_killed_at_a_call_is_healed_by_its_repeat(
    texting: Texting, contact: str, records: Any, break_call: BreakCall, call: str, after: int
) -> None:
    asked = texting.ask(contact).json["consent_pending_id"]
    deliver()
    message = inbound(contact, texting.tenant.phone_number, "YES")
    seen = count()
    break_call(call, lambda **sent: killed(**sent) if next(seen) == after else None)
    with suppress(KeyboardInterrupt):
        run("receive_message", message)
    seen = count(100)
    run("receive_message", message)
    deliver()

    assert len(records(contact)) == 1
    assert texting.state(asked)["state"] == "confirmed"
    assert len(texting.texts(contact)) == 2


def test_a_repeat_has_the_same_record_after_its_question_was_sent(
    texting: Texting, contact: str, records: Any, break_call: BreakCall
) -> None:
    texting.ask(contact)
    message = inbound(contact, texting.tenant.phone_number, "YES")
    break_call("UpdateItem", some_times(1, killed))
    with suppress(KeyboardInterrupt):
        run("receive_message", message)
    assert len(records(contact)) == 1
    deliver()  # the text that asked gets another state, and a provider's id
    run("receive_message", message)

    assert len(records(contact)) == 1


def test_no_log_line_has_what_a_contact_texts(
    texting: Texting, contact: str, logged: StringIO
) -> None:
    asked = texting.ask(contact, reference="patient 17").json["consent_pending_id"]
    deliver()
    texting.reply(contact, "my secret illness")
    texting.reply(contact, "STOP")
    text = logged.getvalue()

    assert "POST /v1/consent/double-opt-in" in text
    secrets = (contact, texting.tenant.phone_number, asked, "secret", "patient", "appointment")
    assert [each for each in secrets if each in text] == []
