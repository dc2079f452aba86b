"""Consents as they are now, their history, and its pages."""

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from consents.decisions import search_api
from consents.decisions.consent_ids import ConsentIds, Pair
from consents.decisions.decide import Reason
from consents.decisions.search import (
    Event,
    find_consent,
    find_consents,
    find_history,
    page_after,
    position_of,
)
from consents.domain.errors import Invalid, NotFound
from consents.domain.record import EVERY_SENDER, REVOCATION, Status, StoredRecord, timestamp
from consents.domain.rules import DEFAULT_RULES, OptOutScope, Rules
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOW, ORG_ID, OWNED, SENDER, statement

BOB = "+15554443333"
OTHER = "123456"
IN, OUT = Status.OPT_IN, Status.OPT_OUT
DAY = timedelta(days=1)
IDS = ConsentIds(lambda: b"pepper")
RENDERER = search_api.Renderer(IDS)
BY_ORGANIZATION = Rules(1, OptOutScope.ORGANIZATION)


def at(days_ago: int) -> str:
    return timestamp(NOW - days_ago * DAY)


# ---------------------------------------------------------------- One consent

RECORDS = [
    statement(IN, NOW - 5 * DAY, record_id="1" * 32, phone_number_id=OWNED),
    statement(OUT, NOW - 4 * DAY, record_id="2" * 32),
    statement(IN, NOW - 3 * DAY, record_id="3" * 32),
    statement(IN, NOW - 2 * DAY, OTHER, record_id="4" * 32),
    statement(OUT, NOW - DAY, EVERY_SENDER, record_id="5" * 32, wire=REVOCATION),
]


def test_a_consent_shows_what_decides_and_since_when() -> None:
    found = find_consent(RECORDS, Pair(SENDER, BOB), DEFAULT_RULES, NOW)

    assert found is not None
    assert (found.decision.reason, found.decision.record) == (Reason.OPTED_OUT, RECORDS[4])
    assert (found.opted_in_at, found.opted_out_at) == (at(3), at(1))
    assert (found.created_at, found.updated_at) == (at(5), at(3))
    assert found.phone_number_id == OWNED


def test_a_consent_of_which_only_another_sender_speaks_exists() -> None:
    found = find_consent(RECORDS, Pair("+15550009999", BOB), DEFAULT_RULES, NOW)

    assert found is not None
    assert (found.created_at, found.opted_in_at) == (at(1), None)


def test_a_consent_of_which_no_record_speaks_does_not_exist() -> None:
    others = [record for record in RECORDS if record.sender == OTHER]

    assert find_consent(others, Pair(SENDER, BOB), DEFAULT_RULES, NOW) is None


def test_a_consent_of_every_sender_covers_only_itself() -> None:
    found = find_consent(RECORDS[:4], Pair(EVERY_SENDER, BOB), BY_ORGANIZATION, NOW)

    assert found is None


def test_consents_are_ordered_by_sender_every_sender_first() -> None:
    found = find_consents(RECORDS, BOB, DEFAULT_RULES, NOW)

    assert [consent.pair.sender for consent in found] == [EVERY_SENDER, SENDER, OTHER]


# ---------------------------------------------------------------- History


def kinds(records: list[StoredRecord], rules: Rules = DEFAULT_RULES) -> list[str]:
    return [event.kind for event in find_history(records, SENDER, rules)]


def test_the_first_event_is_the_one_that_decides() -> None:
    events = find_history(RECORDS, SENDER, DEFAULT_RULES)

    assert [event.record.record_id[0] for event in events] == ["5", "3", "2", "1"]
    assert [event.kind for event in events] == ["opt_out", "opt_in", "opt_out", "opt_in"]


def test_an_opt_in_after_an_opt_in_is_a_reconfirmation() -> None:
    records = [statement(IN, NOW - days * DAY, record_id=str(days) * 32) for days in (1, 2)]

    assert kinds(records) == ["reconfirm", "opt_in"]


def test_under_the_rule_the_opt_outs_of_other_senders_are_events() -> None:
    records = [statement(IN, NOW), statement(OUT, NOW - DAY, OTHER)]

    assert kinds(records) == ["opt_in"]
    assert kinds(records, BY_ORGANIZATION) == ["opt_in", "opt_out"]


instants = st.integers(0, 3)
histories = st.lists(st.tuples(st.sampled_from([IN, OUT]), instants), max_size=12).map(
    lambda drawn: [
        statement(status, NOW - days * DAY, record_id=f"{number:032x}")
        for number, (status, days) in enumerate(drawn)
    ]
)


@given(records=histories, limit=st.integers(1, 4))
def test_the_pages_hold_each_event_once_in_order(records: list[StoredRecord], limit: int) -> None:
    events = find_history(records, SENDER, DEFAULT_RULES)
    seen: list[Event] = []
    while rest := page_after(events, position_of(seen[-1]) if seen else None):
        seen += rest[:limit]

    assert seen == events


@given(records=histories, new=histories)
def test_a_position_stays_good_while_records_are_added(
    records: list[StoredRecord], new: list[StoredRecord]
) -> None:
    events = find_history(records, SENDER, DEFAULT_RULES)
    for event in events[:1]:
        added = [replace(record, record_id="f" + record.record_id[1:]) for record in new]
        after = page_after(
            find_history([*records, *added], SENDER, DEFAULT_RULES), position_of(event)
        )
        assert [one.record for one in events[1:]] == [
            one.record for one in after if one.record in records
        ]


# ---------------------------------------------------------------- Pages as rendered


def events_with_texts(count: int, length: int) -> tuple[list[Event], dict[str, str]]:
    hashes = [f"{number:064x}" for number in range(count)]
    records = [
        statement(
            IN,
            NOW - number * DAY,
            record_id=f"{number:032x}",
            evidence={"agreement_text_hash": text_hash},
        )
        for number, text_hash in enumerate(hashes)
    ]
    return find_history(records, SENDER, DEFAULT_RULES), dict.fromkeys(hashes, "\x01" * length)


def history(events: list[Event], limit: int, texts: dict[str, str]) -> dict[str, object]:
    response = RENDERER.history(
        ORG_ID, events, limit, lambda _, named: {name: texts[name] for name in named}
    )
    rendered: dict[str, object] = orjson.loads(response.body)
    return rendered | {"bytes": len(response.body)}


def test_a_page_ends_at_four_mebibytes_and_goes_on() -> None:
    events, texts = events_with_texts(100, 10_000)
    page = history(events, 100, texts)
    data, meta = page["data"], page["meta"]

    assert isinstance(data, list)
    assert isinstance(meta, dict)
    assert 60 < len(data) < 100
    assert isinstance(page["bytes"], int)
    assert page["bytes"] < search_api.MAX_PAGE_BYTES + 1000
    assert page["agreement_texts"] == {
        event["evidence"]["agreement_text_hash"]: "\x01" * 10_000 for event in data
    }
    assert meta["next_cursor"] is not None


def test_a_text_of_many_events_is_on_a_page_once() -> None:
    events, texts = events_with_texts(2, 5)
    name = events[0].record.evidence["agreement_text_hash"]
    same = [replace(event, record=replace(event.record, evidence={"agreement_text_hash": name}))
            for event in events]  # fmt: skip
    page = history(same, 20, texts)

    assert page["agreement_texts"] == {name: "\x01" * 5}
    assert page["meta"] == {"limit": 20, "next_cursor": None}


def test_a_cursor_names_no_phone_number() -> None:
    event = find_history(RECORDS, SENDER, DEFAULT_RULES)[0]

    assert "+" not in position_of(event)


# ---------------------------------------------------------------- Ids and cursors


def test_an_id_of_another_organization_is_not_found() -> None:
    with pytest.raises(NotFound):
        RENDERER.pair(ORG_ID, IDS.seal("org_2", SENDER, BOB))


def test_the_cursor_of_a_search_is_of_the_same_contact() -> None:
    cursor = IDS.seal(ORG_ID, SENDER, BOB)

    assert RENDERER.sender_after(ORG_ID, BOB, cursor) == SENDER
    with pytest.raises(Invalid) as refused:
        RENDERER.sender_after(ORG_ID, "+15554443334", cursor)
    assert refused.value.details == {"cursor": "must be a next_cursor of this list"}
