"""What each record of a contact does: counts, superseded, or late."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from consents.decisions.decide import Question, Reason, decide
from consents.domain.record import EVERY_SENDER, Status, StoredRecord, Wire, timestamp
from consents.domain.rules import OptOutScope, Rules
from consents_console import words
from consents_console.timeline import Standing, timeline, verdicts
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 5, 1, tzinfo=UTC)
CONTACT, ONE, TWO = "+15554443333", "+15550001111", "+15550002222"
RULES = Rules()
BY_ANY = Rules(1, OptOutScope.ORGANIZATION)


def record(number: int = 1, **changes: Any) -> StoredRecord:
    """Return an opt-in that was received when it took effect, on a day of April."""
    at = timestamp(datetime(2026, 4, number, tzinfo=UTC))
    stored = StoredRecord(
        wire=Wire.ATTESTED,
        sender=ONE,
        contact=CONTACT,
        status=Status.OPT_IN,
        effective_at=at,
        received_at=at,
        request_id="r",
        evidence={"consent_method": "verbal"},
        phone_number_id=None,
        correlation_id=None,
        record_id=f"{number:032x}",
    )
    return replace(stored, **changes)


def standings(records: list[StoredRecord], rules: Rules = RULES) -> dict[int, Standing]:
    """Return what each record does, by its number."""
    found = verdicts(records, CONTACT, [], rules, NOW)
    return {int(one.record.record_id, 16): one.standing for one in timeline(records, found, rules)}


def test_the_latest_counts_and_supersedes_the_others() -> None:
    records = [record(1), record(2, status=Status.OPT_OUT), record(3)]
    assert standings(records) == {1: "superseded", 2: "superseded", 3: "counts"}


def test_a_record_that_arrived_after_a_later_one_is_late() -> None:
    late = record(1, received_at=timestamp(NOW - timedelta(days=1)))
    assert standings([late, record(2, status=Status.OPT_OUT)]) == {1: "late", 2: "counts"}


def test_a_record_before_another_sender_s_is_not_late() -> None:
    late = record(1, received_at=timestamp(NOW - timedelta(days=1)))
    assert standings([late, record(2, sender=TWO)]) == {1: "counts", 2: "counts"}


def test_an_opt_out_of_every_sender_counts_for_each() -> None:
    stop = record(3, sender=EVERY_SENDER, status=Status.OPT_OUT)
    records = [record(1), record(2, sender=TWO), stop]
    found = verdicts(records, CONTACT, [], RULES, NOW)
    assert [one.decision.reason for one in found] == [Reason.OPTED_OUT] * 3
    (moment, *_) = timeline(records, found, RULES)
    assert (moment.record, moment.standing, moment.also_for) == (stop, "counts", [ONE, TWO])


def test_under_an_organization_s_rule_an_opt_out_counts_for_other_senders() -> None:
    stop = record(2, status=Status.OPT_OUT)
    records = [record(1, sender=TWO), stop]
    (moment, before) = timeline(records, verdicts(records, CONTACT, [], BY_ANY, NOW), BY_ANY)
    assert (moment.also_for, before.standing) == ([TWO], "superseded")


def test_senders_without_records_have_a_verdict_too() -> None:
    found = verdicts([record(1)], CONTACT, [TWO], RULES, NOW)
    assert [(one.sender, one.decision.allowed) for one in found] == [(ONE, True), (TWO, False)]
    assert words.reason(found[1].decision) == "Nothing is recorded about this sender."


def test_every_reason_has_words() -> None:
    expiring = Rules(1, OptOutScope.SENDER, {"+": 1})
    stop = record(2, status=Status.OPT_OUT, evidence={"method": "phone"})
    every = replace(stop, sender=EVERY_SENDER)

    def reason(records: list[StoredRecord], rules: Rules = RULES) -> str:
        return words.reason(decide(records, Question(ONE, CONTACT, NOW, rules)))

    assert reason([record(1)]) == "Opted in: Attested Consent API, verbally."
    assert reason([record(1)], expiring).startswith("The opt-in is older than")
    assert reason([stop]) == "Opted out: Attested Consent API, phone call."
    assert reason([every]) == "Opted out of every sender: Attested Consent API, phone call."


_DAYS = st.integers(1, 9)
_RECORDS = st.lists(
    st.builds(
        lambda number, received, sender, status: record(
            number,
            received_at=timestamp(datetime(2026, 4, max(number, received), tzinfo=UTC)),
            sender=sender,
            status=status,
        ),
        _DAYS,
        _DAYS,
        st.sampled_from([ONE, TWO, EVERY_SENDER]),
        st.sampled_from(Status),
    ),
    max_size=6,
)


@given(records=_RECORDS, rules=st.sampled_from([RULES, BY_ANY]))
def test_what_counts_is_what_decides_and_what_is_late_never_decided(
    records: list[StoredRecord], rules: Rules
) -> None:
    records = [replace(one, record_id=f"{place:032x}") for place, one in enumerate(records)]
    found = verdicts(records, CONTACT, [], rules, NOW)
    moments = timeline(records, found, rules)
    deciding = {one.decision.record.record_id for one in found if one.decision.record}
    counting = {one.record.record_id for one in moments if one.standing is Standing.COUNTS}
    assert counting == deciding
    for moment in moments:
        if moment.standing is Standing.LATE:
            known = [one for one in records if one.received_at <= moment.record.received_at]
            question = Question(moment.record.sender, CONTACT, NOW, rules)
            assert decide(known, question).record != moment.record
