"""Importing a part: its rows, its receipts, its counts, and the report of rejected rows."""

from dataclasses import replace
from datetime import timedelta

import pytest
from consents.domain.record import Receipt
from consents.imports.import_state import Counts, Place
from consents.imports.parts import Part
from consents.imports.worker import RowsNotStored

from tests.factories import (
    BAD_ITEM,
    CHECKBOX,
    NOT_OWNED,
    NOW,
    bulk_record,
    contact,
    item_json,
    jsonl,
    with_field,
)
from tests.unit.import_world import (
    HEADER,
    SECONDS_LEFT,
    TOO_LONG,
    Killed,
    World,
    csv_line,
    imported,
    kill,
    world_of,
)

BEFORE = Receipt(NOW - timedelta(days=1), "01JTBQH2FZ8K1RXC0WJ4Z9P3VN")
SHORT_FILE = b"".join(
    [
        HEADER,
        csv_line(item_json(1)) + b"\n" + csv_line(item_json(2), '"two\nlines"'),
        csv_line(BAD_ITEM),
        TOO_LONG,
        csv_line(item_json(1)) + csv_line(item_json(3)) + csv_line(item_json(3)),
    ]
)


def planned(content: bytes, name: str = "bulk-consents/may.jsonl") -> World:
    """Return a world in which a file is planned, and no part is imported."""
    world = world_of(content, name)
    world.deliver(world.queues.pop())
    assert world.reached().is_released
    return world


# ---------------------------------------------------------------- Rows


def test_rows_have_the_numbers_that_a_person_sees() -> None:
    world = imported(SHORT_FILE, "bulk-consents/may.csv")

    assert [row["row"] for row in world.rejected()] == [5, 6]
    assert {receipt.request_id for receipt in world.ledger.held.values()} == {
        f"{world.drop.import_id}/{row}" for row in (2, 4, 8)
    }


def test_rows_keep_their_numbers_across_parts() -> None:
    world = imported(jsonl(*[item_json(1)] * 2500, BAD_ITEM) + b"\n \r\n" + jsonl(7))

    assert world.totals() == (1, 2499, 2)
    assert [row["row"] for row in world.rejected()] == [2501, 2504]
    assert [part.rows for part in world.queues.parts.values()] == [1000, 1000, 504]


def test_the_report_has_faults_and_correlation_id_of_a_row() -> None:
    world = imported(jsonl(BAD_ITEM) + b"{\n")
    tokens = ["CORRELATION_ID", "SENDER_ID", "CONTACT_ID", "STATUS", "SOURCE"]

    assert world.rejected() == [
        {
            "row": 1,
            "code": "30646",
            "reason": "INVALID_CONTACT_ID; INVALID_DATE_OF_CONSENT",
            "correlation_id": BAD_ITEM["correlation_id"],
        },
        {"row": 2, "code": "30646", "reason": "; ".join(f"INVALID_{token}" for token in tokens)},
    ]
    assert world.summary()["rejected_by_code"] == {"30646": 2}


def test_rejected_rows_of_an_attested_file_are_counted_by_code() -> None:
    foreign = CHECKBOX | {"phone_number_id": NOT_OWNED}
    bad = with_field(CHECKBOX, "evidence.ip_address", "999")
    world = imported(jsonl(CHECKBOX, foreign, bad) + b"{\n", "attested/may.jsonl")

    assert world.totals() == (1, 0, 3)
    assert world.summary()["rejected_by_code"] == {"NOT_FOUND": 1, "VALIDATION_FAILED": 2}
    assert [row["reason"] for row in world.rejected()] == [
        "phone_number_id: not found",
        "evidence.ip_address: must be a valid IP address",
        "must be JSON in UTF-8",
    ]


def test_a_row_that_is_too_long_is_rejected_and_not_read() -> None:
    world = imported(TOO_LONG, "attested/may.jsonl")

    assert world.files.reads == 0
    assert world.rejected() == [
        {
            "row": 1,
            "code": "VALIDATION_FAILED",
            "reason": "must end in LF or CRLF, all quotes closed, within 1048576 bytes",
        }
    ]


def test_a_part_without_rejected_rows_writes_no_report() -> None:
    world = imported(jsonl(item_json(1)))

    assert not any("/rejected/" in key for key in world.files.objects)
    assert world.report("rejected.jsonl") == b""


def test_a_csv_part_before_its_header_is_a_bug() -> None:
    world = planned(HEADER + csv_line(item_json(1)), "bulk-consents/may.csv")
    import_id = world.drop.import_id
    world.imports.begun[import_id] = replace(world.reached(), header=None)

    with pytest.raises(LookupError, match="a part came before the header"):
        world.deliver(world.queues.pop())


# ---------------------------------------------------------------- Receipts and duplicates


def test_a_stored_record_is_a_duplicate_unless_of_this_row() -> None:
    world = world_of(jsonl(item_json(1), item_json(2), item_json(3), item_json(3)))
    world.ledger.held = {
        bulk_record(item_json(1)).digest(): BEFORE,
        bulk_record(item_json(2)).digest(): Receipt(NOW, f"{world.drop.import_id}/2"),
    }
    world.run()

    assert world.totals() == (2, 2, 0)


def test_every_row_is_received_when_the_import_began() -> None:
    world = planned(jsonl(item_json(1)) + TOO_LONG + jsonl(item_json(2)))
    began = world.reached().started_at
    for part in world.sent_parts():
        world.queues.now += timedelta(hours=1)
        world.deliver(part)

    assert {receipt.received_at for receipt in world.ledger.held.values()} == {began}


def test_a_date_after_the_begin_of_the_import_is_in_the_future() -> None:
    late = item_json(1, date_of_consent="2026-05-01T13:00:00Z")
    world = planned(jsonl(late))
    world.queues.now += timedelta(hours=2)
    world.run()

    assert world.rejected()[0]["reason"] == "INVALID_DATE_OF_CONSENT"


# ---------------------------------------------------------------- Counting


def test_rows_that_cannot_be_stored_are_counted_once_they_are() -> None:
    world = planned(jsonl(item_json(1), item_json(2), 7))
    world.ledger.out_of_reach = {contact(2)}
    (part,) = world.sent_parts()
    with pytest.raises(RowsNotStored):
        world.deliver(part)
    assert world.reached().counts == Counts()

    world.ledger.out_of_reach = set()
    world.run()
    assert world.totals() == (2, 0, 1)


def test_a_part_that_is_counted_is_not_read_again() -> None:
    world = planned(jsonl(item_json(1)) + TOO_LONG + jsonl(item_json(2)))
    part = world.sent_parts()[0]
    world.deliver(part)
    world.ledger.held.clear()
    reads = world.files.reads
    world.deliver(part)

    assert world.ledger.held == {}
    assert world.files.reads == reads


def test_a_part_counted_before_a_crash_is_reported_next_time() -> None:
    world = planned(jsonl(item_json(1)))
    world.steps.before["end"] = kill
    with pytest.raises(Killed):
        world.deliver(world.queues.pop())
    assert world.reached().parts_done == 1

    world.deliver(world.sent_parts()[0])
    assert world.totals() == (1, 0, 0)


def test_a_part_of_a_failed_import_stores_and_reports_nothing() -> None:
    world = planned(jsonl(item_json(1)) + TOO_LONG)
    world.fail("part 2 could not be stored")
    world.files.objects.clear()
    for part in world.sent_parts():
        world.deliver(part)

    assert world.files.objects == {}
    assert world.ledger.held == {}


def test_parts_after_a_failure_change_neither_report_nor_ledger() -> None:
    world = planned(jsonl(item_json(1), 7) + TOO_LONG + jsonl(item_json(2), 7))
    world.deliver(world.queues.pop())
    world.fail("part 2 could not be stored")
    before = world.summary(), world.rejected(), dict(world.ledger.held)
    world.run()

    assert world.reason() == "part 2 could not be stored"
    assert (world.summary(), world.rejected(), world.ledger.held) == before


def test_a_part_under_way_when_its_import_fails_is_not_counted() -> None:
    world = planned(jsonl(7) + TOO_LONG)
    first, second = world.sent_parts()
    world.deliver(first)
    world.steps.before["add"] = lambda: world.fail("part 2 could not be stored")
    world.deliver(second)

    assert world.totals() == (0, 0, 1)
    assert world.reached().counts == Counts(rejected={"30646": 1})


def test_a_part_whose_object_is_gone_fails_its_import() -> None:
    world = planned(jsonl(item_json(1)))
    world.files.dropped.clear()
    world.run()

    assert world.reason() == "the object is gone"
    assert world.ledger.held == {}


def test_a_part_of_an_unknown_import_is_an_error() -> None:
    world = World()

    with pytest.raises(LookupError):
        world.worker.import_part("0" * 32, Part(Place(), 1, 1), NOW, lambda: SECONDS_LEFT)


# ---------------------------------------------------------------- What ends an import


def test_the_last_part_completes_the_import() -> None:
    world = planned(jsonl(item_json(1)) + TOO_LONG)
    first, last = world.sent_parts()
    world.deliver(last)
    assert world.reached().outcome is None
    world.deliver(first)

    assert world.summary()["state"] == "completed"
    assert world.reached().is_reported


def test_all_parts_done_before_the_file_is_cut_end_nothing() -> None:
    world = world_of(jsonl(item_json(1)) + TOO_LONG * 12, window=100)
    world.has_time = False
    world.plan()
    for part in world.sent_parts():
        world.deliver(part)
    assert (world.reached().parts, world.reached().outcome) == (None, None)

    world.has_time = True
    world.run()
    assert world.totals() == (1, 0, 12)
