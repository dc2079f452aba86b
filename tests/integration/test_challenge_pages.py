"""Links of challenges: the page asks, the answer is one record, and no table has the secret."""

import json
import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import StringIO
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import boto3
import pytest
from consents.aws.dynamodb import encode_item
from consents.capture.ledger import Ledger
from consents.domain.record import StoredRecord, current, text_hash
from consents.http.page_endpoint import HEADERS
from consents.opt_in import wiring as opt_in_wiring
from consents.opt_in.link_error_pages import new_stamp
from consents.opt_in.links import Question

from tests.integration.conftest import Invoke, Tenant
from tests.integration.faults import BreakCall, error_response, killed, some_times
from tests.integration.invocation import Response, event_of
from tests.integration.texting import (
    AGREEMENT,
    Texting,
    deliver,
    in_the_past,
    new_contact,
    with_own_number,
)
from tests.integration.visitors import ORIGIN, shown_stamp, title

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

QUESTION, DONE, DECLINED = (
    "Do you want these texts?",
    "You're signed up",
    "You won't get these texts",
)
GONE, NOT_FOUND, LATER, FAILED = (
    "This link is no longer open",
    "This page does not exist",
    "Please try again in a little while",
    "That did not work",
)
READ_AGAIN = "Please read this once more and send it again"
ADDRESSES = count(1)


class Asked:
    """A contact who got a link, and opens and answers it from a separate address."""

    def __init__(self, invoke: Invoke, texting: Texting, contact: str, **fields: Any) -> None:
        self._invoke, self._texting, self.contact = invoke, texting, contact
        asked = texting.ask(contact, **{"channel": "both"} | fields)
        self.challenge_id = asked.json["consent_pending_id"]
        number = next(ADDRESSES)
        self.address = f"198.52.{number // 256}.{number % 256}"

    @property
    def text(self) -> str:
        """The first text that the contact got."""
        deliver()
        return self._texting.texts(self.contact)[0]

    @property
    def token(self) -> str:
        """The secret in that text."""
        found = re.search(re.escape(f"{ORIGIN}/c/") + "([0-9A-Za-z]{22})", self.text)
        assert found is not None
        return found[1]

    @property
    def state(self) -> str:
        """The challenge's state, as the API shows it."""
        return str(self._texting.state(self.challenge_id)["state"])

    def stamp(self, seconds_ago: float = 5, lang: str = "en") -> str:
        """Return a stamp of the page, shown some seconds ago."""
        keys, challenges = opt_in_wiring.link_keys(), opt_in_wiring.challenges()
        link = challenges.link(keys.secret_hash(keys.secret(self.challenge_id)))
        challenge = challenges.find(self.challenge_id)
        assert link is not None
        assert challenge is not None
        shown_at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        return new_stamp(keys, Question(link, challenge), lang, shown_at)

    def open(self, token: str = "", *, lang: str = "", **headers: str) -> Response:
        """Open the link."""
        query = {"lang": lang} if lang else None
        sent = {"queryStringParameters": query}
        return self._call("serve_challenge.unknown", token or self.token, headers, **sent)

    def answer(self, answer: str, stamp: str, token: str = "", **fields: str) -> Response:
        """Press a button of the page."""
        sent = {"stamp": stamp, "lang": "en", "website": "", "answer": answer} | fields
        body = urlencode({name: value for name, value in sent.items() if name != "header"})
        headers = {"Origin": fields.get("header", ORIGIN)}
        return self._call("answer_challenge.unknown", token or self.token, headers, body=body)

    def _call(self, event: str, token: str, headers: dict[str, str], **changes: Any) -> Response:
        context = event_of(event)["requestContext"]
        context["identity"] = context["identity"] | {"sourceIp": self.address}
        return self._invoke(
            event,
            headers,
            pathParameters={"token": token},
            path=f"/c/{token}",
            requestContext=context,
            **changes,
        )


@pytest.fixture
def texting(invoke: Invoke, tenant: Tenant, dynamodb: "DynamoDBClient") -> Texting:
    """An organization that asks contacts."""
    return Texting(invoke, with_own_number(dynamodb, tenant))


@pytest.fixture
def asked(invoke: Invoke, texting: Texting) -> Asked:
    """A contact whom no other test asks."""
    return Asked(invoke, texting, new_contact(), reference="patient 17")


@pytest.fixture
def records(texting: Texting, ledger: Ledger) -> Any:
    """Return the records of a contact, newest first."""

    def records(contact: str) -> list[StoredRecord]:
        return ledger.history(texting.tenant.org_id, contact)

    return records


def assert_page(page: Response, status: int, heading: str) -> None:
    assert (page.status, title(page)) == (status, heading)
    assert page.headers.items() >= HEADERS.items()
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


# ---------------------------------------------------------------- The text, and where its secret is


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ("link", "Test: Confirm here: {} to get texts. Msg"),
        ("both", "Test: Confirm here: {} or reply YES to get texts. Msg"),
    ],
)
def test_the_default_text_has_the_link(
    invoke: Invoke, texting: Texting, channel: str, said: str
) -> None:
    asked = Asked(invoke, texting, new_contact(), channel=channel)
    assert asked.text.startswith(said.format(f"{ORIGIN}/c/{asked.token}"))


def test_a_callers_text_has_the_link_in_its_place(invoke: Invoke, texting: Texting) -> None:
    text = "Hello from Test. {link} STOP to end"
    asked = Asked(invoke, texting, new_contact(), channel="link", confirmation_text=text)
    assert asked.text == f"Hello from Test. {ORIGIN}/c/{asked.token} STOP to end"


def test_no_table_and_no_queue_holds_the_secret(asked: Asked, dynamodb: "DynamoDBClient") -> None:
    waiting = boto3.client("sqs").receive_message(
        QueueUrl=os.environ["OUTBOUND_QUEUE"], VisibilityTimeout=0
    )
    token = asked.token
    items = dynamodb.scan(TableName="FormsTable", ConsistentRead=True)["Items"]
    kept = [item for item in items if item["pk"]["S"] != "OUTBOX"]  # for development

    assert token not in json.dumps([kept, waiting], default=str)
    assert any(item["pk"]["S"].startswith("LINK#") for item in kept)


def test_a_text_that_is_sent_again_has_the_same_link(
    texting: Texting, asked: Asked, dynamodb: "DynamoDBClient"
) -> None:
    first = asked.text
    bucket = f"texts#{texting.tenant.org_id}#{asked.contact}#60"
    dynamodb.delete_item(TableName="RateLimitsTable", Key=encode_item({"org_id": bucket}))
    assert texting.ask(asked.contact, resend=True).status == 202
    deliver()

    assert texting.texts(asked.contact) == [first, first]


# ---------------------------------------------------------------- The page


def test_the_page_asks_and_shows_the_last_digits(asked: Asked) -> None:
    page = asked.open()

    assert_page(page, 200, QUESTION)
    assert AGREEMENT in page.body
    assert "ending in 2671" in page.body
    assert asked.contact[:-4] not in re.sub(r"\D", "", page.body)
    assert re.findall(r'<button[^>]*value="(\w+)"', page.body) == ["yes", "no"]


def test_the_page_is_in_the_language_of_question_or_visitor(
    invoke: Invoke, texting: Texting, asked: Asked
) -> None:
    spanish = Asked(invoke, texting, new_contact(), locale="es")
    in_spanish = "¿Quiere estos mensajes?"

    assert title(asked.open()) == QUESTION
    assert title(asked.open(**{"Accept-Language": "es-MX"})) == in_spanish
    assert title(spanish.open()) == in_spanish
    assert title(spanish.open(lang="en")) == QUESTION


def test_opening_a_link_changes_nothing(asked: Asked, calls: list[str]) -> None:
    token = asked.token
    calls.clear()
    for _ in range(3):
        asked.open(token)
    assert {*calls} == {"GetItem"}
    assert asked.state == "pending"


def test_an_unknown_link_is_not_found(asked: Asked) -> None:
    for token in ("0" * 22, asked.token[:-1], asked.token + "0", "ü"):
        assert_page(asked.open(token), 404, NOT_FOUND)
        assert_page(asked.answer("yes", asked.stamp(), token), 404, NOT_FOUND)


def test_an_expired_link_is_gone(asked: Asked, dynamodb: "DynamoDBClient", records: Any) -> None:
    stamp, token = asked.stamp(), asked.token
    in_the_past(dynamodb, asked.challenge_id)

    for page in (asked.open(token), asked.answer("yes", stamp, token)):
        assert_page(page, 410, GONE)
        assert "Ask Test for a new link." in page.body
        assert "2671" not in page.body
    assert records(asked.contact) == []


def test_by_the_challenges_id_there_is_a_specimen(asked: Asked) -> None:
    page = asked.open(asked.challenge_id)

    assert_page(page, 200, QUESTION)
    assert "2671" not in page.body
    assert page.body.count(" disabled") == 2
    assert_page(asked.answer("yes", asked.stamp(), asked.challenge_id), 404, NOT_FOUND)


# ---------------------------------------------------------------- What is recorded


def test_yes_is_an_opt_in_with_observed_evidence(asked: Asked, records: Any) -> None:
    page = asked.answer("yes", asked.stamp())
    (record,) = records(asked.contact)
    evidence = dict(record.evidence)

    assert_page(page, 200, DONE)
    assert (record.wire, record.status) == ("double-opt-in", "opt-in")
    assert record.effective_at == evidence.pop("captured_at")
    assert evidence.pop("sent_at") < record.effective_at
    assert evidence.pop("user_agent").startswith("Mozilla/5.0 (iPhone")
    assert evidence.pop("provider_message_id").startswith("outbox-")
    assert len(evidence.pop("page_hash")) == 64
    kept = asked.text.replace(asked.token, "")
    assert evidence == {
        "agreement_text_hash": text_hash(AGREEMENT),
        "channel": "link",
        "confirmation_text_hash": text_hash(kept),
        "consent_method": "double_opt_in",
        "consent_pending_id": asked.challenge_id,
        "form_url": f"{ORIGIN}/c/{asked.challenge_id}",
        "ip_address": asked.address,
        "page_lang": "en",
        "provider": "outbox",
        "reference": "patient 17",
        "verified": "sms_link",
    }


def test_page_and_text_are_kept_without_anybodys_data(
    asked: Asked, texting: Texting, records: Any, ledger: Ledger
) -> None:
    shown = asked.open()
    asked.answer("yes", asked.stamp())
    (record,) = records(asked.contact)
    org_id = texting.tenant.org_id
    page = ledger.page(org_id, record.evidence["page_hash"])
    text = ledger.agreement_text(org_id, record.evidence["confirmation_text_hash"])

    stamped = shown.body.replace(shown_stamp(shown), "")
    number = re.search(r'aria-hidden="true" dir="ltr">([^<]*)<', shown.body)
    assert number is not None
    assert stamped.replace(number[1], "").replace("2671", "") == page
    assert sha256(page.encode()).hexdigest() == record.evidence["page_hash"]
    assert text == asked.text.replace(asked.token, "")


def test_the_text_of_a_reply_is_kept_too(
    asked: Asked, texting: Texting, records: Any, ledger: Ledger
) -> None:
    asked.open()
    texting.reply(asked.contact, "YES")
    (record,) = records(asked.contact)

    kept = ledger.agreement_text(texting.tenant.org_id, record.evidence["confirmation_text_hash"])
    assert kept == asked.text.replace(asked.token, "")
    assert (record.evidence["channel"], asked.state) == ("reply", "confirmed")


def test_after_yes_there_is_one_welcome_text(asked: Asked, texting: Texting) -> None:
    stamp = asked.stamp()
    for _ in range(3):
        assert_page(asked.answer("yes", stamp), 200, DONE)
    deliver()

    assert [text.split(": ")[1][:9] for text in texting.texts(asked.contact)] == [
        "Confirm h",
        "You're si",
    ]
    assert asked.state == "confirmed"


def test_no_is_an_opt_out_which_only_the_contact_can_undo(
    asked: Asked, texting: Texting, records: Any
) -> None:
    page = asked.answer("no", asked.stamp())
    (record,) = records(asked.contact)
    texting.reply(asked.contact, "START")

    assert_page(page, 200, DECLINED)
    assert (record.wire, record.status) == ("double-opt-in", "opt-out")
    assert (record.evidence["channel"], record.evidence["verified"]) == ("link", "sms_link")
    assert asked.state == "declined"
    assert len(records(asked.contact)) == 1
    assert texting.ask(asked.contact).status == 409


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_the_same_answer_again_is_the_same_page_and_record(
    asked: Asked, records: Any, answer: str
) -> None:
    stamp = asked.stamp()
    first, again = asked.answer(answer, stamp), asked.answer(answer, stamp)

    assert first.body == again.body
    assert len(records(asked.contact)) == 1


def test_the_first_answer_stands(asked: Asked, records: Any) -> None:
    stamp, other = asked.stamp(), asked.stamp()
    asked.answer("no", stamp)

    assert_page(asked.answer("yes", stamp), 410, GONE)
    assert_page(asked.answer("no", other), 410, GONE)
    assert_page(asked.open(), 410, GONE)
    assert len(records(asked.contact)) == 1


# ---------------------------------------------------------------- What is not recorded


@pytest.mark.parametrize("seconds_ago", [0, 25 * 3600])
def test_a_stamp_of_just_now_or_long_ago_is_read_again(
    asked: Asked, records: Any, seconds_ago: float
) -> None:
    page = asked.answer("yes", asked.stamp(seconds_ago))

    assert_page(page, 409, QUESTION)
    assert READ_AGAIN in page.body
    assert records(asked.contact) == []


def test_a_forged_stamp_or_a_filled_trap_is_read_again(asked: Asked, records: Any) -> None:
    forged = asked.stamp()[:-1] + "g"
    for stamp, trap in ((forged, ""), ("", ""), (asked.stamp(lang="es"), ""), (asked.stamp(), "x")):
        assert_page(asked.answer("yes", stamp, website=trap), 409, QUESTION)
    assert records(asked.contact) == []


def test_a_stamp_of_another_challenge_is_read_again(
    invoke: Invoke, texting: Texting, asked: Asked
) -> None:
    other = Asked(invoke, texting, new_contact())
    assert_page(asked.answer("yes", other.stamp()), 409, QUESTION)


def test_another_site_cannot_answer(asked: Asked, records: Any) -> None:
    page = asked.answer("yes", asked.stamp(), header="https://evil.example")
    assert_page(page, 403, "Please open the link itself")
    assert records(asked.contact) == []


@pytest.mark.parametrize("answer", ["", "maybe"])
def test_a_post_without_an_answer_is_no_form_of_the_page(asked: Asked, answer: str) -> None:
    assert_page(asked.answer(answer, asked.stamp()), 415, FAILED)


def test_an_address_answers_ten_times_a_minute(
    invoke: Invoke, texting: Texting, asked: Asked
) -> None:
    others = [Asked(invoke, texting, new_contact()) for _ in range(20)]
    sent = [(other, other.stamp(), other.token) for other in others]
    for other in others:
        other.address = asked.address
    with ThreadPoolExecutor(16) as threads:
        pages = list(threads.map(lambda each: each[0].answer("yes", each[1], each[2]), sent))

    counted = Counter(page.status for page in pages)
    assert counted[200] + counted[429] == 20
    assert 10 <= counted[200] <= 12  # one is allowed again every six seconds
    assert_page(next(page for page in pages if page.status == 429), 429, LATER)


def test_no_log_line_has_number_or_secret(asked: Asked, logged: StringIO) -> None:
    asked.open()
    asked.answer("yes", asked.stamp())

    assert "serve_challenge" in logged.getvalue() or "/c/{token}" in logged.getvalue()
    assert asked.contact[1:] not in logged.getvalue()
    assert asked.token not in logged.getvalue()


# ---------------------------------------------------------------- At once, and with faults


def test_32_answers_of_one_stamp_at_once_are_one_record(
    asked: Asked, texting: Texting, records: Any
) -> None:
    stamp, token = asked.stamp(), asked.token
    with ThreadPoolExecutor(16) as threads:
        pages = list(threads.map(lambda _: asked.answer("yes", stamp, token), range(32)))
    deliver()

    assert Counter(page.status for page in pages)[200] >= 1
    assert {page.status for page in pages} <= {200, 429}
    assert len(records(asked.contact)) == 1
    assert len(texting.texts(asked.contact)) == 2


def test_32_different_answers_at_once_are_one_record(asked: Asked, records: Any) -> None:
    token = asked.token
    sent = [(asked.stamp(), ("yes", "no")[number % 2]) for number in range(32)]
    with ThreadPoolExecutor(16) as threads:
        pages = list(threads.map(lambda each: asked.answer(each[1], each[0], token), sent))

    assert Counter(page.status for page in pages)[200] == 1
    (record,) = records(asked.contact)
    decided = {"opt-in": "confirmed", "opt-out": "declined"}
    assert asked.state == decided[record.status]


@pytest.mark.parametrize("answer", ["yes", "no"])
@pytest.mark.parametrize("reply", ["YES", "STOP"])
def test_an_answer_by_page_and_by_reply_at_once_ends_alike(
    asked: Asked, texting: Texting, records: Any, answer: str, reply: str
) -> None:
    token, stamp = asked.token, asked.stamp()
    with ThreadPoolExecutor(2) as threads:
        page = threads.submit(asked.answer, answer, stamp, token)
        threads.submit(texting.reply, asked.contact, reply).result()

    assert page.result().status in {200, 410}
    counted = current(records(asked.contact))
    assert counted is not None
    if counted.status == "opt-in":
        assert asked.state == "confirmed"
    elif reply == "YES":
        assert asked.state == "declined"
    # A STOP opts out whatever was confirmed before it.


@pytest.mark.parametrize("call", ["BatchExecuteStatement", "TransactWriteItems", "PutItem"])
def test_an_answer_that_fails_can_be_sent_again(
    asked: Asked, records: Any, break_call: BreakCall, call: str
) -> None:
    stamp, token = asked.stamp(), asked.token
    break_call(call, some_times(1, error_response(400, "ValidationException")))
    failed, again = asked.answer("yes", stamp, token), asked.answer("yes", stamp, token)

    assert_page(failed, 503 if call == "BatchExecuteStatement" else 500, FAILED)
    assert 'name="answer" value="yes"' in failed.body
    assert_page(again, 200, DONE)
    assert len(records(asked.contact)) == 1
    assert asked.state == "confirmed"


@pytest.mark.parametrize(
    ("call", "after"),
    [
        ("BatchExecuteStatement", 0),
        ("BatchExecuteStatement", 1),
        ("TransactWriteItems", 0),
        ("BatchExecuteStatement", 2),
        ("UpdateItem", 1),
        ("PutItem", 0),
    ],
)
def test_an_answer_whose_function_is_killed_can_be_sent_again(
    asked: Asked, texting: Texting, records: Any, break_call: BreakCall, call: str, after: int
) -> None:
    stamp, token, seen = asked.stamp(), asked.token, count()
    break_call(call, lambda **sent: killed(**sent) if next(seen) == after else None)
    with suppress(KeyboardInterrupt):
        asked.answer("yes", stamp, token)
    again = asked.answer("yes", stamp, token)
    deliver()

    assert_page(again, 200, DONE)
    assert len(records(asked.contact)) == 1
    assert len(texting.texts(asked.contact)) == 2
