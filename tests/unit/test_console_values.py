"""Values of the console: digests, rows of reports, bars, cells, words and times."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from consents.domain.organization import Scope
from consents.domain.record import ConsentRecord, StoredRecord, effective_at, timestamp
from consents.domain.ulid import new_ulid
from consents.imports import api
from consents_cli.access_log import Action
from consents_console import rejected, words
from consents_console.charts import BASE, DAYS, WIDTH, chart
from consents_console.csv_text import plain_cell
from consents_console.digests import digest_fits, text_fits
from consents_console.rendering import person, query, section_of, time_of
from consents_console.requests import instant_of
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOW, TEXT, attested_record, bulk_record, drop, item_json, receipt

RECORDS = [
    attested_record(),
    bulk_record(item_json(1)),
    bulk_record({name: value for name, value in item_json(2).items() if name != "date_of_consent"}),
]


def stored(record: ConsentRecord) -> StoredRecord:
    """Return a record as the ledger returns it."""
    return StoredRecord(
        record.wire,
        record.sender,
        record.contact,
        record.status,
        timestamp(effective_at(record.dated_at, NOW)),
        timestamp(NOW),
        receipt().request_id,
        record.evidence,
        record.phone_number_id,
        record.correlation_id,
        record.digest(),
    )


@pytest.mark.parametrize("record", RECORDS)
def test_the_digest_of_an_unchanged_record_fits(record: ConsentRecord) -> None:
    assert digest_fits(stored(record))


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize(
    "changes",
    [
        {"contact": "+15550000000"},
        {"sender": "+15550000000"},
        {"evidence": {"source": "others"}},
        {"phone_number_id": "00000000-0000-4000-8000-000000000000"},
        {"record_id": "0" * 32},
    ],
)
def test_the_digest_of_a_changed_record_does_not_fit(
    record: ConsentRecord, changes: dict[str, Any]
) -> None:
    assert not digest_fits(replace(stored(record), **changes))


def test_only_the_text_that_a_record_names_fits() -> None:
    record = stored(attested_record())
    assert (text_fits(record, TEXT), text_fits(record, f"{TEXT} ")) == (True, False)


class Report:
    """An object of a bucket, read in pieces of some bytes."""

    def __init__(self, content: bytes, piece: int) -> None:
        self.content, self.piece = content, piece

    def read(self, _key: str, *, start: int = 0) -> Iterator[bytes]:
        """Return the pieces after an offset."""
        for at in range(start, len(self.content), self.piece):
            yield self.content[at : at + self.piece]


@given(rows=st.integers(0, 130), piece=st.integers(1, 4000))
def test_pages_of_rejected_rows_are_whole_however_they_are_read(rows: int, piece: int) -> None:
    content = b"".join(b'{"row": %d, "reason": "%s"}\n' % (row, b"x" * row) for row in range(rows))
    report: Any = Report(content, piece)
    read, start = [], 0
    while True:
        page = rejected.rejected_page(report, drop(), start)
        read += [row["row"] for row in page.rows]
        if page.following is None:
            break
        assert len(page.rows) == rejected.PAGE
        start = page.following
    assert read == [*range(rows)]
    assert [row["row"] for row in rejected.rejected_rows(report.read(""))] == [*range(rows)]


@given(values=st.dictionaries(st.dates(date(2026, 4, 10), date(2026, 5, 5)), st.integers(0, 10**9)))
def test_bars_stay_within_their_picture(values: dict[date, int]) -> None:
    drawn = chart("Captures", values, NOW)
    bars = list(drawn.bars())
    assert len(bars) == DAYS
    assert bars[-1].day == NOW.date()
    assert all(bar.y >= 0 and bar.y + bar.height <= BASE + 0.1 for bar in bars)
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for bar in bars)
    first = (NOW - timedelta(days=DAYS - 1)).date()
    assert drawn.total == sum(n for day, n in values.items() if first <= day <= NOW.date())


@pytest.mark.parametrize("text", ["=1+1", "+15554443333", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert plain_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["must be E.164", "", 17, "2026-05-01"])
def test_other_cells_stay_as_they_are(value: object) -> None:
    assert plain_cell(value) == str(value)


def test_a_request_id_says_when_it_was_received() -> None:
    at = datetime(2026, 5, 1, 12, 0, 0, 123_000, tzinfo=UTC)
    assert instant_of(new_ulid(at)) == at


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        (
            "arn:aws:sts::000000000000:assumed-role/AWSReservedSSO_Ops_1/jo@acme.example",
            "jo@acme.example",
        ),
        ("arn:aws:iam::000000000000:user/ann", "ann"),
        ("arn:aws:iam::000000000000:root", "root"),
    ],
)
def test_an_arn_names_a_person(arn: str, name: str) -> None:
    assert person(arn) == name


def test_a_query_has_the_values_that_are_set() -> None:
    assert query(day="2026-05-01", who="", contact=None) == "?day=2026-05-01"
    assert query(who="a/b c") == "?who=a%2Fb+c"
    assert query() == ""


def test_a_time_is_shown_in_utc() -> None:
    shown = '<time datetime="2026-05-01T12:00:00+00:00">1 May 2026, 12:00 UTC</time>'
    assert time_of(timestamp(NOW)) == time_of(NOW) == shown
    assert time_of(None) == time_of("-") == "-"


@pytest.mark.parametrize(
    ("path", "section"),
    [
        ("/", "/"),
        ("/organizations/org_1/consents/0a/records/0b", "/"),
        ("/requests/01", "/"),
        ("/organizations/org_1/keys/k/revoke", "/organizations"),
        ("/organizations/org_1/imports", "/imports"),
        ("/imports/0a", "/imports"),
        ("/audit", "/audit"),
    ],
)
def test_a_page_belongs_to_an_entry_of_the_navigation(path: str, section: str) -> None:
    assert section_of(path) == section


def test_numbers_are_shown_as_people_write_them() -> None:
    assert words.phone("+15554443333") == "+1 555 444 3333"
    assert words.phone("12345") == "12345"
    assert words.sender_name("*") == "Every sender"


def test_every_state_action_and_scope_has_words() -> None:
    states = {api.AWAITING_UPLOAD, api.EXPIRED, api.QUEUED, api.PLANNING, api.IMPORTING}
    assert set(words.IMPORT_STATES) == states | {"completed", "failed"}
    assert set(words.ACTIONS) == set(Action)
    assert set(words.SCOPES) == set(Scope)
