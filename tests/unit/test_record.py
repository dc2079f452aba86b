"""What makes two records the same, from when they count, and which of them counts."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any

import pytest
from consents.capture import attested
from consents.domain.record import (
    HOSTED,
    ConsentRecord,
    Status,
    StoredRecord,
    Wire,
    current,
    effective_at,
    is_opt_in,
    newest_first,
    origin,
    text_hash,
    timestamp,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import (
    CHECKBOX,
    ITEM,
    NOW,
    OWNED,
    READ_CONTEXT,
    SENDER,
    attested_record,
    bulk_record,
    verbal_json,
    with_field,
    without_field,
)

ROOT = Path(__file__).parents[2]
OPT_IN, OPT_OUT = Status.OPT_IN, Status.OPT_OUT
UNDATED = without_field(ITEM, "date_of_consent")

# --- the digest ---

PINNED = {
    "attested_record(CHECKBOX)": "4d0cb19fc679469646e36c907bd26e08",
    "attested_record(verbal_json())": "b91f8297cd7fbfd640be1e6af41bd306",
    "bulk_record(ITEM)": "58075525ac8dc95a0e92fbdf305ec82e",
    "bulk_record(UNDATED)": "15805b2fe0a7e1ebe9993b9d21f947ee",
}
"""Digests are keys of the ledger: another digest for the same content is a second record."""


def digests() -> list[str]:
    records = [
        attested_record(),
        attested_record(verbal_json()),
        bulk_record(),
        bulk_record(UNDATED),
    ]
    return [record.digest() for record in records]


def test_the_digest_of_a_record_never_changes() -> None:
    assert dict(zip(PINNED, digests(), strict=True)) == PINNED


@pytest.mark.parametrize("seed", ["1", "4242"])
def test_the_digest_is_the_same_in_every_process(seed: str) -> None:
    code = (
        "from consents.domain.record import ConsentRecord, Status, Wire\n"
        "evidence = {'date_of_consent': '2025-02-28T10:05:27Z', 'source': 'website'}\n"
        "record = ConsentRecord(Wire.BULK_CONSENTS, 'MG00000000000000000000000000000001',\n"
        "    '+19999999999', Status.OPT_OUT, None, evidence)\n"
        "print(record.digest())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONHASHSEED": seed},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == bulk_record(ITEM).digest()


def test_the_digest_is_128_bits_in_hex() -> None:
    assert {len(bytes.fromhex(digest)) for digest in digests()} == {16}


def shuffled(value: Any, random: Random) -> Any:
    """Return the same JSON value with the keys of its objects in another order."""
    if not isinstance(value, dict):
        return value
    names = random.sample(list(value), len(value))
    return {name: shuffled(value[name], random) for name in names}


@given(st.randoms(use_true_random=False), st.sampled_from([None, 1, 4, "\t\n "]))
def test_the_digest_ignores_key_order_and_white_space(
    random: Random, indent: int | str | None
) -> None:
    sent = json.loads(json.dumps(shuffled(CHECKBOX, random), indent=indent))
    item = json.loads(json.dumps(shuffled(ITEM, random), indent=indent))
    assert [attested_record(sent).digest(), bulk_record(item).digest()] == [
        attested_record(CHECKBOX).digest(),
        bulk_record(ITEM).digest(),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("phone_number_id", "00000000-0000-4000-8000-000000000000"),
        ("contact_number", "+15554443334"),
        ("opted_in", False),
        ("evidence.captured_at", "2026-04-26T12:00:00.000001Z"),
        ("evidence.ip_address", "203.0.113.43"),
        ("evidence.user_agent", "Mozilla/5.1"),
        ("evidence.agreement_text", "By signing up you agree."),
        ("evidence.form_url", "https://example.com/signup2"),
        ("evidence.consent_method", "written"),
    ],
)
def test_every_field_of_an_attested_record_is_content(field: str, value: Any) -> None:
    reading = replace(READ_CONTEXT, senders={OWNED: SENDER, value: SENDER})
    other = attested.read(with_field(CHECKBOX, field, value), reading)
    assert isinstance(other, ConsentRecord)
    assert other.digest() != attested_record(CHECKBOX).digest()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("contact_id", "+19999999998"),
        ("sender_id", "MG00000000000000000000000000000002"),
        ("sender_id", "123456"),
        ("status", "opt-in"),
        ("source", "offline"),
        ("date_of_consent", "2025-02-28T10:05:28Z"),
        ("date_of_consent", None),
    ],
)
def test_every_field_of_an_item_but_its_id_is_content(field: str, value: Any) -> None:
    assert bulk_record(with_field(ITEM, field, value)).digest() != bulk_record(ITEM).digest()


def test_the_wire_is_content() -> None:
    record = bulk_record()
    assert record._replace(wire=Wire.ATTESTED).digest() != record.digest()


def test_another_number_of_a_sender_is_content() -> None:
    record = attested_record()
    assert record._replace(sender="+15550002222").digest() != record.digest()


OTHER_ID = "0" * 32


def test_a_correlation_id_of_a_dated_record_is_not_content() -> None:
    other = bulk_record(with_field(ITEM, "correlation_id", OTHER_ID))
    assert other.digest() == bulk_record(ITEM).digest()


def test_a_correlation_id_of_an_undated_record_is_content() -> None:
    other = bulk_record(with_field(UNDATED, "correlation_id", OTHER_ID))
    assert other.digest() != bulk_record(UNDATED).digest()


def test_the_same_undated_item_sent_twice_is_one_record() -> None:
    shouted = with_field(UNDATED, "correlation_id", UNDATED["correlation_id"].upper())
    assert bulk_record(shouted).digest() == bulk_record(UNDATED).digest()


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
RECORDS = st.builds(
    ConsentRecord,
    wire=st.sampled_from(Wire),
    sender=TEXTS,
    contact=TEXTS,
    status=st.sampled_from(Status),
    dated_at=st.none() | st.just(NOW),
    evidence=st.dictionaries(TEXTS, TEXTS, max_size=4),
    phone_number_id=st.none() | TEXTS,
    correlation_id=st.none() | TEXTS,
)


@given(RECORDS, st.randoms(use_true_random=False))
def test_the_digest_ignores_the_order_of_the_evidence(
    record: ConsentRecord, random: Random
) -> None:
    assert record._replace(evidence=shuffled(record.evidence, random)).digest() == record.digest()


def content(record: ConsentRecord) -> tuple[Any, ...]:
    decision = None if record.dated_at else record.correlation_id
    parties = (record.wire, record.sender, record.contact, record.status, record.phone_number_id)
    return (*parties, dict(record.evidence), decision)


SPLIT_OTHERWISE = st.tuples(
    RECORDS.map(lambda record: record._replace(sender="a", contact="bc")),
    RECORDS.map(lambda record: record._replace(sender="ab", contact="c")),
)


@given(st.tuples(RECORDS, RECORDS) | SPLIT_OTHERWISE)
def test_records_share_a_digest_only_if_they_share_content(
    pair: tuple[ConsentRecord, ConsentRecord],
) -> None:
    first, second = pair
    assert (first.digest() == second.digest()) == (content(first) == content(second))


def test_a_text_is_hashed_as_utf_8() -> None:
    hashed = "607474ca475a9724d7360aba71a56d5df77e61350e3f724cfa1f46e857e2d85f"
    assert text_hash("\u00fc") == hashed


# --- from when a record counts ---

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("dated_at", "counts_from"),
    [
        (None, NOW),
        (NOW - SECOND, NOW - SECOND),
        (NOW, NOW),
        (NOW + timedelta(microseconds=1), NOW),
        (NOW + timedelta(minutes=5), NOW),
        (datetime(1, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_record_counts_from_its_date_or_its_receipt(
    dated_at: datetime | None, counts_from: datetime
) -> None:
    assert effective_at(dated_at, NOW) == counts_from


# --- which record counts ---


def stored(
    name: str, status: Status, dated_at: datetime | None, received_at: datetime = NOW
) -> StoredRecord:
    """Return a record as the ledger holds it, with a name to know it by."""
    return StoredRecord(
        wire=Wire.BULK_CONSENTS,
        sender="123456",
        contact="+19999999999",
        status=status,
        effective_at=timestamp(effective_at(dated_at, received_at)),
        received_at=timestamp(received_at),
        request_id=name,
        evidence={},
        phone_number_id=None,
        correlation_id=None,
        record_id=name,
    )


DAY = timedelta(days=1)
YESTERDAY, LAST_WEEK = NOW - DAY, NOW - 7 * DAY

HISTORIES = {
    "one opt-in": ("a", [stored("a", OPT_IN, LAST_WEEK)]),
    "a late opt-in does not revive a contact who opted out": (
        "stop",
        [
            stored("stop", OPT_OUT, YESTERDAY, YESTERDAY),
            stored("late", OPT_IN, LAST_WEEK, NOW),
        ],
    ),
    "an opt-in after an opt-out counts": (
        "again",
        [
            stored("in", OPT_IN, LAST_WEEK),
            stored("stop", OPT_OUT, LAST_WEEK + DAY),
            stored("again", OPT_IN, YESTERDAY),
        ],
    ),
    "at one instant opt-out wins": (
        "stop",
        [stored("in", OPT_IN, YESTERDAY), stored("stop", OPT_OUT, YESTERDAY)],
    ),
    "at one instant opt-out wins over many opt-ins": (
        "stop",
        [
            stored("in", OPT_IN, YESTERDAY),
            stored("stop", OPT_OUT, YESTERDAY),
            stored("in again", OPT_IN, YESTERDAY, NOW + DAY),
            stored("before", OPT_IN, LAST_WEEK),
        ],
    ),
    "a microsecond later counts": (
        "in",
        [
            stored("stop", OPT_OUT, YESTERDAY),
            stored("in", OPT_IN, YESTERDAY + timedelta(microseconds=1)),
        ],
    ),
    "an undated record counts from its receipt": (
        "undated",
        [
            stored("undated", OPT_OUT, None, YESTERDAY),
            stored("older", OPT_IN, LAST_WEEK, NOW),
        ],
    ),
    "a dated record after an undated one counts": (
        "newer",
        [
            stored("undated", OPT_OUT, None, LAST_WEEK),
            stored("newer", OPT_IN, YESTERDAY, NOW),
        ],
    ),
    "the later of two undated records counts": (
        "second",
        [
            stored("first", OPT_OUT, None, LAST_WEEK),
            stored("second", OPT_IN, None, YESTERDAY),
        ],
    ),
    "an opt-in of a clock that runs fast does not revive a contact who said stop since": (
        "stop",
        [
            stored("fast", OPT_IN, NOW + timedelta(minutes=5), NOW),
            stored("stop", OPT_OUT, NOW + SECOND, NOW + SECOND),
        ],
    ),
    "an opt-out received with a fast opt-in wins": (
        "stop",
        [
            stored("fast", OPT_IN, NOW + timedelta(minutes=5), NOW),
            stored("stop", OPT_OUT, None, NOW),
        ],
    ),
    "dated, undated and fast records together": (
        "stop",
        [
            stored("old", OPT_IN, LAST_WEEK, LAST_WEEK),
            stored("undated", OPT_OUT, None, YESTERDAY),
            stored("fast", OPT_IN, NOW + SECOND, NOW),
            stored("stop", OPT_OUT, NOW + 2 * SECOND, NOW + 2 * SECOND),
            stored("late", OPT_IN, YESTERDAY, NOW + DAY),
        ],
    ),
}


@pytest.mark.parametrize(("counts", "records"), HISTORIES.values(), ids=HISTORIES)
def test_the_order_of_arrival_does_not_change_what_counts(
    counts: str, records: list[StoredRecord]
) -> None:
    found = [current(order) for order in permutations(records)]
    assert {record and record.request_id for record in found} == {counts}


@pytest.mark.parametrize(("counts", "records"), HISTORIES.values(), ids=HISTORIES)
def test_newest_first_leads_with_the_record_that_counts(
    counts: str, records: list[StoredRecord]
) -> None:
    leaders = {newest_first(order)[0].request_id for order in permutations(records)}
    assert leaders == {counts}


MOMENTS = st.sampled_from([LAST_WEEK, YESTERDAY, NOW, NOW + SECOND])
STORED = st.builds(stored, st.text("abc"), st.sampled_from(Status), st.none() | MOMENTS, MOMENTS)


@given(st.lists(STORED, max_size=6))
def test_newest_first_keeps_every_record_in_order(
    records: list[StoredRecord],
) -> None:
    ordered = newest_first(records)
    steps = [(record.effective_at, record.status == OPT_OUT) for record in ordered]
    assert steps == sorted(steps, reverse=True)
    assert sorted(map(repr, ordered)) == sorted(map(repr, records))


@given(st.lists(STORED, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_latest_record_counts_and_of_these_an_opt_out(
    records: list[StoredRecord], random: Random
) -> None:
    latest = max(record.effective_at for record in records)
    says = {record.status for record in records if record.effective_at == latest}
    counts = current(random.sample(records, len(records)))
    assert counts is not None
    assert (counts.effective_at, counts.status) == (latest, OPT_OUT if OPT_OUT in says else OPT_IN)


def test_no_record_counts_where_there_are_none() -> None:
    assert current([]) is None


@pytest.mark.parametrize(
    ("records", "opted_in"),
    [
        ([], False),
        ([stored("in", OPT_IN, NOW)], True),
        ([stored("out", OPT_OUT, NOW)], False),
    ],
)
def test_only_an_opt_in_that_counts_is_an_opt_in(
    records: Sequence[StoredRecord], opted_in: bool
) -> None:
    assert is_opt_in(current(records)) is opted_in


# --- timestamps ---

INSTANTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(0))]))


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 4, 26, 12, tzinfo=UTC), "2026-04-26T12:00:00.000000Z"),
        (datetime(2026, 4, 26, 12, 0, 0, 5, tzinfo=UTC), "2026-04-26T12:00:00.000005Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000000Z"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999999Z"),
        (
            datetime(2026, 4, 26, 12, tzinfo=timezone(timedelta(hours=-5, minutes=-30))),
            "2026-04-26T17:30:00.000000Z",
        ),
    ],
)
def test_a_timestamp_is_utc_with_microseconds(at: datetime, text: str) -> None:
    assert timestamp(at) == text


@given(INSTANTS, INSTANTS)
def test_timestamps_have_one_width_and_the_order_of_time(one: datetime, two: datetime) -> None:
    assert len(timestamp(one)) == len(timestamp(two)) == 27
    assert (timestamp(one) < timestamp(two)) == (one < two)
    assert (timestamp(one) == timestamp(two)) == (one == two)


@given(INSTANTS)
def test_a_timestamp_names_its_instant(at: datetime) -> None:
    assert datetime.fromisoformat(timestamp(at)) == at


@pytest.mark.parametrize("text", [*Wire, HOSTED])
def test_an_origin_is_read_by_its_name(text: str) -> None:
    assert origin(text) == text


def test_an_unknown_origin_is_an_error() -> None:
    with pytest.raises(ValueError, match="fax"):
        origin("fax")
