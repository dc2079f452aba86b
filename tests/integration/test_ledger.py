"""The ledger against a real engine: what is stored, what counts, and what a fault leaves behind."""

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ParamValidationError, ReadTimeoutError
from consents.aws.client import CALLS_AT_A_TIME, Boto3Client
from consents.aws.dynamodb import Table
from consents.aws.errors import call_error
from consents.capture.ledger import Ledger
from consents.domain.outcome import InsertResult
from consents.domain.record import ConsentRecord, Receipt, Status, Wire, text_hash, timestamp

from tests.integration.callers import ledger_items
from tests.integration.faults import Http
from tests.integration.watched import Watched

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOON = datetime(2026, 4, 26, 12, tzinfo=UTC)
SENDER = "+15550001111"
CONTACT = "+15554443333"
OPT_IN, OPT_OUT = Status.OPT_IN, Status.OPT_OUT


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def plenty() -> float:
    return 60.0


def receipt(at: datetime = NOON, by: str = "first") -> Receipt:
    return Receipt(at, by)


def consent(status: Status = OPT_IN, at: datetime | None = NOON, **changes: Any) -> ConsentRecord:
    dated = {"date_of_consent": at.isoformat()} if at else {}
    return ConsentRecord(
        **{
            "wire": Wire.BULK_CONSENTS,
            "sender": SENDER,
            "contact": CONTACT,
            "status": status,
            "dated_at": at,
            "evidence": {"source": "website"} | dated,
            "correlation_id": "ad388b5a46b33b874b0d41f7226db2ef",
            **changes,
        }
    )


def attested(text: str, contact: str = CONTACT) -> ConsentRecord:
    return consent(
        wire=Wire.ATTESTED,
        contact=contact,
        correlation_id=None,
        agreement_text=text,
        evidence={"agreement_text_hash": text_hash(text)},
    )


def many(count: int) -> list[ConsentRecord]:
    return [consent(contact=f"+1555{number:07}") for number in range(count)]


class Calls:
    """Counts the statements of each ledger call, and lets a test answer in the engine's place."""

    def __init__(self, client: Watched) -> None:
        self.statements: list[int] = []
        self.answer: Callable[[list[Any]], Any] | None = None
        client.watchers.append(self._answer)

    def _answer(self, operation: str, parameters: dict[str, Any]) -> Any:
        if operation != "BatchExecuteStatement":
            return None
        self.statements.append(len(parameters["Statements"]))
        return self.answer(parameters["Statements"]) if self.answer else None


@pytest.fixture
def calls(tables: Watched) -> Calls:
    return Calls(tables)


def errors(*codes: str | None) -> tuple[Http, dict[str, Any]]:
    answers = [{"Error": {"Code": code, "Message": "-"}} if code else {} for code in codes]
    return Http(200), {"Responses": answers}


@pytest.fixture
def append(ledger: Ledger, org_id: str) -> Callable[..., list[bool]]:
    def append(*records: ConsentRecord, at: datetime = NOON, by: str = "first") -> list[bool]:
        return ledger.append(org_id, records, receipt(at, by), plenty)

    return append


type Append = Callable[..., list[bool]]


def test_a_record_is_read_back_as_it_was_written(
    ledger: Ledger, append: Append, org_id: str
) -> None:
    assert append(consent(at=NOON - seconds(1))) == [True]

    (stored,) = ledger.history(org_id, CONTACT)
    assert stored.sender == SENDER
    assert stored.contact == CONTACT
    assert stored.status == OPT_IN
    assert stored.wire == Wire.BULK_CONSENTS
    assert stored.effective_at == "2026-04-26T11:59:59.000000Z"
    assert stored.received_at == "2026-04-26T12:00:00.000000Z"
    assert stored.request_id == "first"
    assert stored.evidence == {"source": "website", "date_of_consent": "2026-04-26T11:59:59+00:00"}
    assert stored.correlation_id == "ad388b5a46b33b874b0d41f7226db2ef"
    assert stored.phone_number_id is None


def test_a_repeat_is_accepted_and_the_first_receipt_stands(
    ledger: Ledger, append: Append, org_id: str
) -> None:
    append(consent(), by="first")

    assert append(consent(), at=NOON + seconds(90), by="second") == [True]
    (stored,) = ledger.history(org_id, CONTACT)
    assert (stored.request_id, stored.received_at) == ("first", timestamp(NOON))


def salts_of(dynamodb: "DynamoDBClient", org_id: str) -> list[bytes]:
    return [item["salt"]["B"] for item in ledger_items(dynamodb, org_id) if "salt" in item]


@pytest.mark.parametrize("by_boto3", [False, True])
def test_every_record_has_a_salt_of_16_random_bytes(
    dynamodb: "DynamoDBClient", tables: Watched, org_id: str, by_boto3: bool
) -> None:
    client = Boto3Client(lambda: dynamodb) if by_boto3 else tables
    ledger = Ledger(Table(client, "LedgerTable"))
    ledger.append(org_id, [*many(60), attested("text", "+15554443000")], receipt(), plenty)

    salts = salts_of(dynamodb, org_id)
    assert len(salts) == len({*salts}) == 61
    assert {len(salt) for salt in salts} == {16}


def test_a_repeat_keeps_the_salt_of_the_record_it_repeats(
    append: Append, dynamodb: "DynamoDBClient", org_id: str
) -> None:
    append(consent(), by="first")
    before = salts_of(dynamodb, org_id)
    append(consent(), by="second")

    assert salts_of(dynamodb, org_id) == before


def test_a_record_of_an_earlier_release_has_no_salt_and_is_read(
    append: Append, ledger: Ledger, dynamodb: "DynamoDBClient", org_id: str
) -> None:
    append(consent())
    before = ledger.history(org_id, CONTACT)
    (item,) = ledger_items(dynamodb, org_id)
    del item["salt"]
    dynamodb.put_item(TableName="LedgerTable", Item=item)

    assert ledger.history(org_id, CONTACT) == before
    assert append(consent()) == [True]


@pytest.mark.parametrize("at", [NOON, None, NOON + seconds(200)], ids=["dated", "undated", "ahead"])
def test_every_call_made_three_times_leaves_what_one_call_leaves(
    dynamodb: "DynamoDBClient", append: Append, org_id: str, at: datetime | None
) -> None:
    records = [consent(at=at, contact=f"+1555000{number:04}") for number in range(60)]
    append(*records)
    once = ledger_items(dynamodb, org_id)

    for delay in (1, 400):  # the second repeat comes when a date that was ahead has passed
        assert append(*records, at=NOON + seconds(delay), by="again") == [True] * 60
    assert ledger_items(dynamodb, org_id) == once


def test_a_record_twice_in_a_batch_is_stored_once(
    dynamodb: "DynamoDBClient", append: Append, org_id: str
) -> None:
    assert append(consent(), consent()) == [True, True]
    assert len(ledger_items(dynamodb, org_id)) == 1


def test_undated_records_differ_by_correlation_id(
    ledger: Ledger, append: Append, org_id: str
) -> None:
    append(consent(at=None, correlation_id="a" * 32), consent(at=None, correlation_id="b" * 32))

    assert len(ledger.history(org_id, CONTACT)) == 2


DECISIONS = [
    ("dated opt-in", consent(OPT_IN, NOON - seconds(300))),
    ("later opt-out", consent(OPT_OUT, NOON - seconds(200))),
    ("tied opt-in", consent(OPT_IN, NOON - seconds(200))),
    ("opt-in ahead of the clock", consent(OPT_IN, NOON + seconds(250))),
    ("undated opt-out", consent(OPT_OUT, None, correlation_id="c" * 32)),
]


@pytest.mark.parametrize("size", [2, 3, 4])
def test_in_every_order_the_latest_counts_and_opt_out_wins_ties(
    ledger: Ledger, org_id: str, size: int
) -> None:
    for number, arrival in enumerate(itertools.permutations(DECISIONS, size)):
        organization = f"{org_id}{number}"
        expected = []
        for place, (_, record) in enumerate(arrival):
            received = NOON + seconds(place)
            ledger.append(organization, [record], receipt(received), plenty)
            counts_from = min(record.dated_at or received, received)
            expected.append((timestamp(counts_from), record.status))

        current = ledger.current(organization, SENDER, CONTACT)
        assert current is not None
        assert (current.effective_at, current.status) == max(expected), [
            name for name, _ in arrival
        ]
        assert current == ledger.history(organization, CONTACT)[0]


def test_a_late_opt_in_does_not_revive_a_contact_who_opted_out(
    ledger: Ledger, append: Append, org_id: str
) -> None:
    append(consent(OPT_OUT, NOON - seconds(60)))
    append(consent(OPT_IN, NOON - seconds(120)), at=NOON + seconds(3600))

    current = ledger.current(org_id, SENDER, CONTACT)
    assert current is not None
    assert current.status == OPT_OUT


def test_an_opt_out_beats_an_earlier_opt_in_from_a_fast_clock(
    ledger: Ledger, append: Append, org_id: str
) -> None:
    append(consent(OPT_IN, NOON + seconds(240)), at=NOON)
    append(consent(OPT_OUT, NOON + seconds(10)), at=NOON + seconds(10))

    current = ledger.current(org_id, SENDER, CONTACT)
    assert current is not None
    assert current.status == OPT_OUT


def test_an_unknown_contact_has_no_current_record(ledger: Ledger, org_id: str) -> None:
    assert ledger.current(org_id, SENDER, CONTACT) is None
    assert ledger.history(org_id, CONTACT) == []


def test_senders_whose_numbers_begin_alike_are_kept_apart(
    ledger: Ledger, append: Append, org_id: str
) -> None:
    append(consent(OPT_OUT, sender="12345"), consent(OPT_IN, sender="1234"))

    current = ledger.current(org_id, "1234", CONTACT)
    assert current is not None
    assert current.status == OPT_IN
    assert [stored.sender for stored in ledger.history(org_id, CONTACT, "12345")] == ["12345"]


def test_an_organization_sees_nothing_of_another(ledger: Ledger, append: Append) -> None:
    append(attested("agreed"))

    assert ledger.history("org_other", CONTACT) == []
    assert ledger.current("org_other", SENDER, CONTACT) is None
    with pytest.raises(LookupError):
        ledger.agreement_text("org_other", text_hash("agreed"))


def test_a_history_longer_than_one_page_is_read_to_its_end(
    ledger: Ledger, append: Append, org_id: str
) -> None:
    filler = {"source": "x" * 300_000}  # a page of a query ends at 1 MB
    append(*(consent(at=NOON - seconds(number), evidence=filler) for number in range(10)))

    assert len(ledger.history(org_id, CONTACT)) == 10


def test_a_thousand_equal_agreement_texts_cost_one_write_more(
    ledger: Ledger, append: Append, org_id: str, calls: Calls
) -> None:
    records = [attested("agreed", f"+1555{number:07}") for number in range(1000)]

    append(*records)
    assert calls.statements == [1] + [25] * 40
    assert ledger.agreement_text(org_id, text_hash("agreed")) == "agreed"

    append(*records)  # the text is known by now
    assert calls.statements[41:] == [25] * 40


def test_a_text_is_stored_before_any_record_that_names_it(append: Append, calls: Calls) -> None:
    calls.answer = lambda sent: errors(*["ValidationError"] * len(sent))

    assert append(attested("agreed"), attested("agreed", "+15550000001"), consent()) == [False] * 3
    assert calls.statements == [1, 1]  # the text, then the record without one


def test_only_records_whose_text_failed_are_not_stored(
    dynamodb: "DynamoDBClient", append: Append, org_id: str, calls: Calls
) -> None:
    outcomes: Iterator[Any] = iter([errors("ValidationError"), None])
    calls.answer = lambda _: next(outcomes)

    assert append(attested("agreed"), consent(contact="+15550000001")) == [False, True]
    assert [item["pk"]["S"] for item in ledger_items(dynamodb, org_id)] == [
        f"{org_id}#+15550000001"
    ]


def test_16_concurrent_appends_store_each_record_once(
    tables: Watched, dynamodb: "DynamoDBClient", org_id: str
) -> None:
    records = [attested("agreed", f"+1555000{number:04}") for number in range(50)]

    def run(thread: int) -> list[bool]:
        own = Ledger(Table(tables, "LedgerTable"), max_call_seconds=1)
        return own.append(org_id, records, receipt(NOON + seconds(thread), str(thread)), plenty)

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(run, range(16))) == [[True] * 50] * 16
    stored = [item for item in ledger_items(dynamodb, org_id) if "request_id" in item]
    assert len(stored) == 50
    assert Counter(
        item["received_at"]["S"] == timestamp(NOON + seconds(int(item["request_id"]["S"])))
        for item in stored
    ) == {True: 50}


TRANSIENT = ["ThrottlingError", "ProvisionedThroughputExceeded", "InternalServerError"]


@pytest.mark.parametrize("code", TRANSIENT)
def test_only_throttled_statements_are_retried(
    tables: Watched, org_id: str, calls: Calls, code: str
) -> None:
    waits: list[float] = []
    ledger = Ledger(Table(tables, "LedgerTable", sleep=waits.append), max_call_seconds=1)
    outcomes: Iterator[Any] = iter([errors(None, code, None, code), errors(None, code), None])
    calls.answer = lambda _: next(outcomes)

    assert ledger.append(org_id, many(4), receipt(), plenty) == [True] * 4
    assert calls.statements == [4, 2, 1]
    assert len(waits) == 2
    assert all(0 <= wait <= limit for wait, limit in zip(waits, (0.05, 0.1), strict=True))


def test_processes_from_one_snapshot_back_off_differently(
    tables: Watched, org_id: str, calls: Calls
) -> None:
    """The state of `random` would be in the snapshot, and all of them come back at one instant."""
    waits: list[float] = []
    ledger = Ledger(Table(tables, "LedgerTable", sleep=waits.append), max_call_seconds=1)
    for _ in range(2):
        outcomes: Iterator[Any] = iter([errors("ThrottlingError"), None])
        calls.answer = lambda _, outcomes=outcomes: next(outcomes)
        random.seed(0)
        ledger.append(org_id, many(1), receipt(), plenty)

    assert waits[0] != waits[1]


def test_records_still_throttled_at_the_timeout_are_named(
    tables: Watched, org_id: str, calls: Calls
) -> None:
    left = [10.0, 9.0, 7.0, 6.9]
    ledger = Ledger(Table(tables, "LedgerTable", sleep=lambda _: None), max_call_seconds=7)
    first: Iterator[Any] = iter([errors(None, "ThrottlingError", None)])
    calls.answer = lambda sent: next(first, None) or errors(*["ThrottlingError"] * len(sent))

    assert ledger.append(org_id, many(3), receipt(), lambda: left[len(calls.statements)]) == [
        True,
        False,
        True,
    ]
    assert calls.statements == [3, 1, 1]


def test_a_table_that_never_responds_leaves_time_to_respond(
    tables: Watched, org_id: str, calls: Calls
) -> None:
    ledger = Ledger(Table(tables, "LedgerTable"), max_call_seconds=7)
    left = [20.0]

    def time_out(_: Sequence[Any]) -> Any:
        left[0] -= 6.0
        raise ReadTimeoutError(endpoint_url="-")

    calls.answer = time_out
    assert ledger.append(org_id, many(1000), receipt(), lambda: left[0]) == [False] * 1000
    assert len(calls.statements) <= 3 + CALLS_AT_A_TIME  # of 40, and of their repeats


def test_a_write_with_a_lost_response_succeeds_when_repeated(
    tables: Watched, dynamodb: "DynamoDBClient", ledger: Ledger, org_id: str, calls: Calls
) -> None:
    other = Ledger(Table(tables, "LedgerTable"), max_call_seconds=1)
    attempts: list[int] = []

    def lose_the_first_answer(sent: Sequence[Any]) -> Any:
        attempts.append(len(sent))
        if len(attempts) > 1:
            return None
        calls.answer = None
        other.append(org_id, many(30)[:25], receipt(), plenty)  # the write itself goes through
        calls.answer = lose_the_first_answer
        raise ReadTimeoutError(endpoint_url="-")

    calls.answer = lose_the_first_answer
    assert ledger.append(org_id, many(25), receipt(), plenty) == [True] * 25
    assert len(ledger_items(dynamodb, org_id)) == 25


def test_a_missing_table_is_not_retried(tables: Watched, org_id: str, calls: Calls) -> None:
    ledger = Ledger(Table(tables, "NoSuchTable"), max_call_seconds=1)

    assert ledger.append(org_id, many(30), receipt(), plenty) == [False] * 30
    assert sorted(calls.statements) == [5, 25]


def test_a_row_recognises_its_record_and_those_of_others(ledger: Ledger, org_id: str) -> None:
    records = [consent(contact=f"+1555000000{number}") for number in (1, 2, 2)]
    ledger.append(org_id, [records[0]], receipt(by="somebody"), plenty)
    receipts = [receipt(by=f"import/{row}") for row in (1, 2, 3)]

    for _ in range(2):
        arrivals = ledger.append_rows(org_id, records, receipts, plenty)
        assert arrivals == [InsertResult.DUPLICATE, InsertResult.NEW, InsertResult.DUPLICATE]


def test_unprocessed_keys_of_holders_are_read_again(tables: Watched, org_id: str) -> None:
    waits: list[float] = []
    ledger = Ledger(Table(tables, "LedgerTable", sleep=waits.append), max_call_seconds=1)
    ledger.append(org_id, many(2), receipt(), plenty)

    def hand_back(operation: str, parameters: dict[str, Any]) -> Any:
        if operation != "BatchGetItem" or len(waits) == 3:
            return None
        return Http(200), {"Responses": {}, "UnprocessedKeys": parameters["RequestItems"]}

    tables.watchers.append(hand_back)
    receipts = [receipt(), receipt(by="another")]
    arrivals = ledger.append_rows(org_id, many(2), receipts, plenty)
    assert arrivals == [InsertResult.NEW, InsertResult.DUPLICATE]
    assert len(waits) == 3


def test_a_call_that_could_never_succeed_is_not_repeated() -> None:
    failures = [
        call_error(error)
        for error in (ParamValidationError(report="-"), ReadTimeoutError(endpoint_url="-"))
    ]
    assert [failed and failed.is_transient for failed in failures] == [False, True]
