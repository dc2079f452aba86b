"""The decision, against an oracle that looks at one pair of records at a time."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from consents.decisions.decide import Question, Reason, decide
from consents.domain.record import EVERY_SENDER, Status, StoredRecord, timestamp
from consents.domain.rules import DEFAULT_RULES, NEVER, OptOutScope, Rules
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOW, SENDER, statement

OTHER, THIRD = "+15550002222", "123456"
CONTACT = "+33612345678"
IN, OUT = Status.OPT_IN, Status.OPT_OUT
DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
BY_ORGANIZATION = Rules(1, OptOutScope.ORGANIZATION)


def question(rules: Rules = DEFAULT_RULES, sender: str = SENDER, at: datetime = NOW) -> Question:
    return Question(sender, CONTACT, at, rules)


# --- the oracle ---


def may_message(records: Sequence[StoredRecord], asked: Question) -> bool:
    """Return whether some opt-in is later than every opt-out that speaks, and young enough."""
    return any(
        record.status is IN
        and record.sender in {asked.sender, EVERY_SENDER}
        and is_young(record, asked)
        and all(other.effective_at < record.effective_at for other in opt_outs(records, asked))
        and all(other.effective_at <= record.effective_at for other in opt_ins(records, asked))
        for record in records
    )


def opt_outs(records: Sequence[StoredRecord], asked: Question) -> list[StoredRecord]:
    every = asked.rules.opt_out_scope == "organization"
    return [r for r in records if r.status is OUT and (every or is_about(r, asked))]


def opt_ins(records: Sequence[StoredRecord], asked: Question) -> list[StoredRecord]:
    return [r for r in records if r.status is IN and is_about(r, asked)]


def is_about(record: StoredRecord, asked: Question) -> bool:
    return record.sender in {asked.sender, EVERY_SENDER}


def is_young(record: StoredRecord, asked: Question) -> bool:
    prefixes = [p for p in asked.rules.opt_in_expires if asked.contact.startswith(p)]
    days = asked.rules.opt_in_expires[max(prefixes, key=len)] if prefixes else 0
    age = asked.asked_at - datetime.fromisoformat(record.effective_at)
    return not days or age < timedelta(days=days)


SENDERS = (SENDER, OTHER, THIRD, EVERY_SENDER)
EXPIRIES: tuple[dict[str, int], ...] = ({}, {"+": 3}, {"+33": 2, "+": 9}, {"+33": 0, "+": 1})


def random_record(dice: random.Random, number: int) -> StoredRecord:
    sender = dice.choice(SENDERS)
    status = OUT if sender == EVERY_SENDER else dice.choice((IN, OUT))
    at = NOW - dice.randint(0, 4) * DAY + dice.randint(-1, 1) * TICK
    return statement(status, min(at, NOW), sender, record_id=f"{number:032x}")


def random_case(dice: random.Random) -> tuple[list[StoredRecord], Question]:
    records = [random_record(dice, number) for number in range(dice.randint(0, 7))]
    scope = dice.choice(list(OptOutScope))
    return records, question(Rules(1, scope, dice.choice(EXPIRIES)), dice.choice(SENDERS[:3]))


def test_the_decision_is_that_of_the_oracle_on_random_ledgers() -> None:
    dice = random.Random(20261125)
    seen = set()
    for _ in range(8_000):
        records, asked = random_case(dice)
        found = decide(records, asked)
        seen.add(found.reason)
        assert found.allowed == may_message(records, asked)
    assert seen == {Reason.OPTED_IN, Reason.OPTED_OUT, Reason.EXPIRED, Reason.NO_RECORD}


@given(seed=st.integers(0, 2**32), late=st.integers(0, 4))
def test_an_opt_out_never_turns_a_no_into_a_yes(seed: int, late: int) -> None:
    dice = random.Random(seed)
    records, asked = random_case(dice)
    stop = statement(OUT, NOW - late * DAY, dice.choice(SENDERS), record_id="f" * 32)

    if decide([*records, stop], asked).allowed:
        assert decide(records, asked).allowed


@given(seed=st.integers(0, 2**32))
def test_the_order_of_the_records_does_not_matter(seed: int) -> None:
    dice = random.Random(seed)
    records, asked = random_case(dice)
    shuffled = dice.sample(records, len(records))

    assert decide(shuffled, asked) == decide(records, asked)


# --- what speaks ---

CASES: dict[str, tuple[Reason, list[StoredRecord], Rules]] = {
    "nothing": (Reason.NO_RECORD, [], Rules()),
    "another sender's opt-in": (
        Reason.NO_RECORD,
        [statement(IN, NOW - DAY, OTHER)],
        BY_ORGANIZATION,
    ),
    "an opt-out from every sender after the opt-in": (
        Reason.OPTED_OUT,
        [statement(IN, NOW - DAY), statement(OUT, NOW, EVERY_SENDER)],
        Rules(),
    ),
    "an opt-in after an opt-out from every sender": (
        Reason.OPTED_IN,
        [statement(OUT, NOW - DAY, EVERY_SENDER), statement(IN, NOW)],
        Rules(),
    ),
    "an opt-out from another sender": (
        Reason.OPTED_IN,
        [statement(IN, NOW - DAY), statement(OUT, NOW, OTHER)],
        Rules(),
    ),
    "an opt-out from another sender is one from all": (
        Reason.OPTED_OUT,
        [statement(IN, NOW - DAY), statement(OUT, NOW, OTHER)],
        BY_ORGANIZATION,
    ),
    "an opt-in after another sender's opt-out": (
        Reason.OPTED_IN,
        [statement(OUT, NOW - DAY, OTHER), statement(IN, NOW)],
        BY_ORGANIZATION,
    ),
    "only an opt-out from another sender": (
        Reason.OPTED_OUT,
        [statement(OUT, NOW - DAY, OTHER)],
        BY_ORGANIZATION,
    ),
    "a late opt-in that is older than the opt-out": (
        Reason.OPTED_OUT,
        [statement(OUT, NOW - DAY), statement(IN, NOW - 2 * DAY, received_at=NOW)],
        Rules(),
    ),
    "opt-in and opt-out at one instant": (
        Reason.OPTED_OUT,
        [statement(IN, NOW, record_id="f" * 32), statement(OUT, NOW, EVERY_SENDER)],
        Rules(),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_latest_record_that_speaks_decides(case: str) -> None:
    reason, records, rules = CASES[case]

    assert decide(records, question(rules)).reason is reason


def test_at_one_instant_the_greater_record_id_decides() -> None:
    low, high = (statement(IN, NOW, record_id=digit * 32) for digit in "0f")

    assert decide([high, low], question()).record is high


def test_about_every_sender_only_its_records_speak() -> None:
    records = [statement(OUT, NOW, OTHER), statement(IN, NOW - DAY)]

    assert decide(records, question(BY_ORGANIZATION, EVERY_SENDER)).reason is Reason.NO_RECORD


def test_a_hundred_senders_do_not_speak_for_each_other() -> None:
    senders = [f"+1555{number:07}" for number in range(100)]
    records = [statement(OUT, NOW, sender) for sender in senders[1:]]
    records.append(statement(IN, NOW - DAY, senders[0]))

    allowed = [sender for sender in senders if decide(records, question(sender=sender)).allowed]
    assert allowed == senders[:1]


# --- expiry ---

A_YEAR = Rules(1, opt_in_expires={"+33": 365})


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (timedelta(0), Reason.OPTED_IN),
        (365 * DAY - TICK, Reason.OPTED_IN),
        (365 * DAY, Reason.EXPIRED),
        (365 * DAY + TICK, Reason.EXPIRED),
    ],
)
def test_an_opt_in_expires_to_the_microsecond(after: timedelta, reason: Reason) -> None:
    opted_in_at = datetime(2025, 1, 1, tzinfo=UTC)
    record = statement(IN, opted_in_at)

    found = decide([record], question(A_YEAR, at=opted_in_at + after))
    assert (found.reason, found.record) == (reason, record)
    assert found.expires_at == timestamp(opted_in_at + 365 * DAY)


def test_an_opt_out_never_expires() -> None:
    found = decide([statement(OUT, NOW - 9000 * DAY)], question(A_YEAR))

    assert (found.reason, found.expires_at) == (Reason.OPTED_OUT, None)


@pytest.mark.parametrize(
    ("expires", "days"),
    [
        ({}, NEVER),
        ({"+44": 1}, NEVER),
        ({"+": 7}, 7),
        ({"+": 7, "+33": 365, "+336": 30}, 30),
        ({"+": 7, "+33": NEVER}, NEVER),
    ],
)
def test_the_longest_prefix_that_fits_counts(expires: dict[str, int], days: int) -> None:
    assert replace(A_YEAR, opt_in_expires=expires).days(CONTACT) == days
