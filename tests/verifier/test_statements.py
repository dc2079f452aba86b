"""Every word of every statement, each from a pack in which exactly that is the case."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from consents_verify import Options, Report, parse_policy, verify

from tests.verifier.log_model import (
    AUDITOR,
    BACKFILLED,
    CHANGED,
    ORIGIN,
    POLICY,
    REMOVED,
    WITNESSES,
    Signer,
)
from tests.verifier.pack_model import (
    CONTACT,
    DAY,
    ORG,
    SENDER,
    START,
    World,
    record_json,
    salt_of,
    timestamp,
    zip_of,
)

PINNED = Options(parse_policy(POLICY.encode()))
NO_QUORUM = Options(parse_policy(POLICY.replace("quorum both", "quorum none").encode()))
OPT_IN = record_json("opt-in", START + 100)
OPT_OUT = record_json("opt-out", START + 5000)


def said(report: Report, kind: str) -> list[str]:
    """Return the words of the statements of a kind."""
    return [one.word for one in report.statements if one.kind == kind]


def verdict(report: Report) -> str:
    """Return the first line."""
    return report.as_text().partition("\n")[0]


@pytest.fixture
def world() -> World:
    """A log with an opt-in, between two anchors, the second of them audited."""
    world = World().begin()
    world.log.fill(10)
    world.anchor(START)
    world.store(OPT_IN)
    world.anchor(START + 300, (*WITNESSES, AUDITOR))
    return world


def test_a_whole_pack_is_verified(world: World) -> None:
    report = verify(world.pack(), PINNED)

    assert report.as_text().splitlines() == [
        "VERIFIED",
        "INTACT: 10 files, every hash and proof fits",
        f"PINNED: the log is {ORIGIN}",
        "3 OF 3, QUORUM: at size 13",
        f"PROVEN: leaf 12: opt-in, sender {SENDER}, effective {timestamp(START + 100)}",
        "BETWEEN 2026-01-01T00:00:00Z AND 2026-01-01T00:05:00Z: leaf 12 (one, two, carol)",
        f"MATCHES: leaf 12: agreement text {sha256(b'I agree').hexdigest()}",
        "COMPLETE: below size 13; audited to size 13",
        f"OPTED IN: {SENDER} since {timestamp(START + 100)} (leaf 12); rules are not applied",
        "NONE GIVEN: receipts are of a later release",
        "NONE GIVEN: no checkpoint was given with --kept",
        *[line for line in report.as_text().splitlines() if line.startswith("NOT PROVEN: ")],
    ]
    assert said(report, "not_proven") == ["N1", "N2", "N3", "N6", "N7"]
    assert report.exit_code() == 0


def test_json_has_the_same_statements(world: World) -> None:
    value = json.loads(verify(world.pack(), PINNED).as_json())

    statements = value.pop("statements")
    assert value == {
        "format": "consent-ledger-verdict/1",
        "verdict": "VERIFIED",
        "exit": 0,
        "origin": ORIGIN,
        "size": 13,
        "organization": ORG,
        "contact": CONTACT,
        "open_points": [],
    }
    by_kind = {one["statement"]: one for one in statements}
    assert by_kind["witnesses"] | {"cosigned": 3, "known": 3, "size": 13} == by_kind["witnesses"]
    assert by_kind["record"]["leaf"] == 12
    assert by_kind["time"]["not_before"] == "2026-01-01T00:00:00Z"
    assert by_kind["time"]["not_after"] == "2026-01-01T00:05:00Z"
    assert by_kind["completeness"]["audited_size"] == 13
    assert by_kind["state"]["sender"] == SENDER
    assert by_kind["state"]["record_leaf"] == 12


def test_no_record_is_a_state_too() -> None:
    world = World().begin()
    world.anchor(START, (*WITNESSES, AUDITOR))
    report = verify(world.pack(), PINNED)

    assert verdict(report) == "VERIFIED"
    assert said(report, "record") == []
    assert said(report, "state") == ["NONE"]
    assert "N6" not in said(report, "not_proven")


def test_an_organization_without_a_leaf_needs_no_bucket_key() -> None:
    world = World(texts=[])
    world.log.fill(700)
    world.anchor(START, (*WITNESSES, AUDITOR))
    report = verify(world.pack(), PINNED)

    assert verdict(report) == "VERIFIED"
    assert said(report, "state") == ["NONE"]


# --- Key and witnesses


def test_keys_of_the_pack_leave_points_open(world: World) -> None:
    report = verify(world.pack(), Options())

    assert verdict(report) == "VERIFIED, WITH OPEN POINTS"
    assert said(report, "log_key") == ["FROM THE PACK"]
    assert said(report, "witnesses") == ["3 OF 3, NO QUORUM"]
    (time,) = (one for one in report.statements if one.kind == "time")
    assert time.word == "CLAIMED 2026-01-01T00:01:40Z"
    assert time.more == {"not_before": None, "not_after": None, "leaf": 12}
    assert said(report, "completeness") == ["COMPLETE AS INDEXED"]
    assert "N5" in said(report, "not_proven")


def test_a_log_of_another_key_is_not_signed(world: World) -> None:
    policy = POLICY.replace(f"log {ORIGIN}+", "# ")
    report = verify(world.pack(), Options(parse_policy(policy.encode())))

    assert verdict(report) == "BROKEN"
    assert said(report, "log_key") == ["NOT SIGNED"]


@pytest.mark.parametrize(
    ("witnesses", "word"),
    [
        (WITNESSES[:1], "1 OF 3, NO QUORUM"),
        (WITNESSES, "2 OF 3, QUORUM"),
        ((), "NONE"),
    ],
)
def test_witnesses_are_counted(witnesses: tuple[Signer, ...], word: str) -> None:
    world = World().begin()
    world.anchor(START, witnesses)

    assert said(verify(world.pack(), PINNED), "witnesses") == [word]


def test_the_best_cosigned_checkpoint_of_the_pack_counts(world: World) -> None:
    world.log.fill(3)
    report = verify(world.pack(), PINNED)

    assert said(report, "witnesses") == ["3 OF 3, QUORUM"]
    assert next(one.more["size"] for one in report.statements if one.kind == "witnesses") == 13


# --- Records


def test_a_record_received_long_before_an_anchor_without_it_is_late(world: World) -> None:
    world.anchor(START + 90 * DAY)
    world.store(record_json("opt-in", START + 500, effective_at=timestamp(START + 400)))
    world.anchor(START + 90 * DAY + 300)
    report = verify(world.pack(), PINNED)

    assert verdict(report) == "GAPS"
    assert said(report, "record") == ["PROVEN", "LATE"]
    assert said(report, "time")[1] == "BETWEEN 2026-04-01T00:00:00Z AND 2026-04-01T00:05:00Z"
    assert said(report, "state") == ["CANNOT BE SAID"]


@pytest.mark.parametrize(
    ("received", "request_id", "word"),
    [
        (START + 10_000 - 300, "req", "PROVEN"),
        (START + 10_000 - 301, "req", "LATE"),
        (START + 10_000 - 301, "imp/1", "PROVEN"),
        (START + 100_000 - 86_401, "imp/1", "LATE"),
        (START + 100_600, "req", "PROVEN"),
        (START + 100_601, "req", "FUTURE"),
    ],
)
def test_a_record_may_be_logged_within_the_merge_delay(
    received: int, request_id: str, word: str
) -> None:
    last = (
        START + 100_000
        if received > START + 50_000 or (word == "LATE" and "/" in request_id)
        else START + 10_000
    )
    world = World().begin()
    world.anchor(last)
    world.store(record_json("opt-in", received, request_id=request_id))
    world.anchor(last + 300)
    report = verify(world.pack(), PINNED)

    assert said(report, "record") == [word]
    assert verdict(report) == ("VERIFIED, WITH OPEN POINTS" if word == "PROVEN" else "GAPS")


def test_a_changed_record_shows_what_was_and_what_is(world: World) -> None:
    after = record_json("opt-out", START + 100)
    world.add_leaf(REMOVED, OPT_IN)
    world.store(after, CHANGED)
    world.hide(OPT_IN)
    report = verify(world.pack(), PINNED)

    assert verdict(report) == "GAPS"
    assert said(report, "record") == ["ERASED", "CHANGED"]


def test_a_deleted_record_is_erased_or_withheld(world: World) -> None:
    world.hide(OPT_IN)
    assert said(verify(world.pack(), PINNED), "record") == ["WITHHELD"]

    world.add_leaf(REMOVED, OPT_IN)
    report = verify(world.pack(), PINNED)
    assert said(report, "record") == ["ERASED"]
    assert said(report, "time") == ["BETWEEN 2026-01-01T00:00:00Z AND 2026-01-01T00:05:00Z"]
    assert said(report, "text") == ["NONE NAMED"]
    assert verdict(report) == "GAPS"


def test_a_record_that_is_shown_and_logged_as_removed_is_removed(world: World) -> None:
    world.add_leaf(REMOVED, OPT_IN)

    assert said(verify(world.pack(), PINNED), "record") == ["REMOVED"]


def test_a_record_of_the_ledger_without_a_leaf_is_not_logged(world: World) -> None:
    world.loose = [OPT_OUT, record_json("opt-in", START + 1)]
    report = verify(world.pack(), PINNED)

    assert verdict(report) == "GAPS"
    assert said(report, "record") == ["PROVEN", "NOT LOGGED", "NOT LOGGED"]
    assert said(report, "time")[1:] == [
        "CLAIMED 2026-01-01T00:00:01Z",  # in the order of the records' text
        "CLAIMED 2026-01-01T01:23:20Z",
    ]
    assert [one.text[:7] for one in report.statements if one.kind == "record"] == [
        "leaf 12",
        "no leaf",
        "no leaf",
    ]


def test_a_record_that_does_not_open_its_leaf_is_altered(world: World) -> None:
    body = next(iter(world.shown))
    world.shown[body] = OPT_IN.replace("opt-in", "opt-out"), salt_of(OPT_IN)
    report = verify(world.pack(), PINNED)

    assert verdict(report) == "BROKEN"
    assert said(report, "pack") == ["INTACT"]
    assert said(report, "record") == ["ALTERED"]


def test_a_record_of_another_contact_is_altered(world: World) -> None:
    world.store(record_json("opt-in", START + 100, pk=f"{ORG}#+15557778888"))

    assert said(verify(world.pack(), PINNED), "record") == ["PROVEN", "ALTERED"]


def test_a_record_that_was_delivered_twice_counts_once(world: World) -> None:
    world.store(OPT_IN)
    world.anchor(START + 600, (*WITNESSES, AUDITOR))
    report = verify(world.pack(), PINNED)

    assert verdict(report) == "VERIFIED"
    assert said(report, "record") == ["PROVEN"]
    assert next(one.more["leaf"] for one in report.statements if one.kind == "record") == 12


def test_a_backfilled_record_is_an_open_point() -> None:
    world = World().begin()
    world.store(OPT_IN, BACKFILLED)
    world.anchor(START + 200)
    report = verify(world.pack(), PINNED)

    assert verdict(report) == "VERIFIED, WITH OPEN POINTS"
    assert said(report, "record") == ["BACKFILLED"]
    assert said(report, "state") == ["OPTED IN"]


def test_a_record_is_not_backfilled_after_the_log_was_seen(world: World) -> None:
    world.store(OPT_OUT, BACKFILLED)

    assert said(verify(world.pack(), PINNED), "record") == ["PROVEN", "LATE"]


def test_a_backfill_ends(world: World, tmp_path: Path) -> None:
    before, after = record_json("opt-in", START - 2), record_json("opt-in", START - 1)
    world.store(before, BACKFILLED)
    world.log.add(BACKFILLED, bytes(32), bytes(32))
    world.store(after, BACKFILLED)
    world.log.export(tmp_path, world.log.checkpoint(world.log.size))
    report = verify(world.pack(), Options(PINNED.policy, log=tmp_path))

    assert said(report, "record") == ["PROVEN", "BACKFILLED", "LATE"]


@pytest.mark.parametrize(
    "record",
    [
        "no JSON",
        "[]",
        '{"pk": {"S": "typed"}, "sk": {"S": "JSON"}}',
        record_json("opt-in", START + 100, received_at=None),
        record_json("opt-in", START + 100, received_at="2026-99-01T00:00:00.000000Z"),
        record_json("opt-in", START + 100, effective_at="yesterday"),
        record_json("maybe", START + 100),
        record_json("opt-in", START + 100, sk=None),
    ],
)
def test_a_record_without_its_fields_is_judged_by_its_leaf(record: str) -> None:
    world = World().begin()
    world.anchor(START)
    world.store(record)
    world.anchor(START + 300)
    report = verify(world.pack(), PINNED)

    assert verdict(report) == "VERIFIED, WITH OPEN POINTS"
    assert said(report, "record") == ["PROVEN"]
    assert said(report, "time") == ["CLAIMED"]
    assert said(report, "state") == ["CANNOT BE SAID"]


def test_a_leaf_of_unknown_kind_is_an_open_point(world: World) -> None:
    world.log.add(9, world.keys.tag(), bytes(32))
    world.anchor(START + 400, (*WITNESSES, AUDITOR))
    report = verify(world.pack(), PINNED)

    assert verdict(report) == "VERIFIED, WITH OPEN POINTS"
    assert report.open_points() == [
        "UNKNOWN KIND: a verifier that knows this kind of leaf (leaf 13, of kind 9)"
    ]
    assert said(report, "record") == ["PROVEN"]


# --- Times


def test_a_leaf_before_every_anchor_is_not_later_than_the_first() -> None:
    world = World().begin()
    world.store(OPT_IN)
    world.anchor(START + 300)
    report = verify(world.pack(), PINNED)

    assert said(report, "time") == ["NOT LATER THAN 2026-01-01T00:05:00Z"]
    assert verdict(report) == "VERIFIED, WITH OPEN POINTS"


def test_a_leaf_after_every_anchor_is_claimed_with_its_lower_bound(world: World) -> None:
    world.store(OPT_OUT)
    report = verify(world.pack(), PINNED)
    times = [one for one in report.statements if one.kind == "time"]

    assert times[1].word == "CLAIMED 2026-01-01T01:23:20Z"
    assert times[1].text == "leaf 13 (not before 2026-01-01T00:05:00Z, by one, two, carol)"


def test_a_leaf_without_anchors_says_that_late_is_not_found() -> None:
    world = World().begin()
    world.store(OPT_IN)
    report = verify(world.pack(), PINNED)
    time = next(one for one in report.statements if one.kind == "time")

    assert time.word == "CLAIMED 2026-01-01T00:01:40Z"
    assert "LATE is not found" in time.text


def test_an_anchor_of_several_times_bounds_by_the_widest() -> None:
    world = World().begin()
    size = world.log.size
    world.anchors[size] = world.log.checkpoint(
        size, {WITNESSES[0]: START, WITNESSES[1]: START + 60}
    )
    world.store(OPT_IN)
    size = world.log.size
    world.anchors[size] = world.log.checkpoint(
        size, {WITNESSES[0]: START + 300, WITNESSES[1]: START + 200}
    )
    report = verify(world.pack(), PINNED)

    assert said(report, "time") == ["BETWEEN 2026-01-01T00:00:00Z AND 2026-01-01T00:05:00Z"]


def test_an_anchor_without_a_quorum_bounds_nothing() -> None:
    world = World().begin()
    world.store(OPT_IN)
    world.anchor(START + 300, WITNESSES[:1])

    assert said(verify(world.pack(), PINNED), "time") == ["CLAIMED 2026-01-01T00:01:40Z"]
    assert said(verify(world.pack(), NO_QUORUM), "time") == ["NOT LATER THAN 2026-01-01T00:05:00Z"]


# --- Agreement texts


def test_an_agreement_text_is_compared_with_its_hash(world: World) -> None:
    files = world.files()
    name = next(name for name in files if name.startswith("texts/"))

    assert said(verify(zip_of(files), PINNED), "text") == ["MATCHES"]

    report = verify(zip_of(files | {name: b"I agree to everything"}), PINNED)
    assert said(report, "text") == ["DIFFERS"]
    assert verdict(report) == "BROKEN"

    del files[name]
    report = verify(zip_of(files), PINNED)
    assert said(report, "text") == ["NOT IN THE PACK"]
    assert verdict(report) == "VERIFIED, WITH OPEN POINTS"


def test_a_record_may_name_no_text(world: World) -> None:
    world.store(record_json("opt-out", START + 200, evidence={"source": "api"}))

    assert said(verify(world.pack(), PINNED), "text") == ["MATCHES", "NONE NAMED"]


# --- Completeness and state


def test_completeness_is_as_indexed_beyond_the_audited_size(world: World) -> None:
    world.log.fill(300)
    report = verify(world.pack(), PINNED)

    assert said(report, "completeness") == ["COMPLETE AS INDEXED"]
    assert "N4" in said(report, "not_proven")
    completeness = next(one for one in report.statements if one.kind == "completeness")
    assert completeness.more == {"audited_size": 13}


def test_completeness_is_recomputed_from_the_log(world: World, tmp_path: Path) -> None:
    world.log.fill(600)
    pack, size = world.pack(), world.log.size
    world.log.fill(300)
    world.log.export(tmp_path, world.log.checkpoint(world.log.size))
    report = verify(pack, Options(PINNED.policy, log=tmp_path))

    assert said(report, "completeness") == ["COMPLETE, RECOMPUTED"]
    assert "N4" not in said(report, "not_proven")
    assert report.subject["size"] == size


def test_a_record_under_a_run_of_level_1_is_proven() -> None:
    world = World().begin()
    world.anchor(START)
    world.store(OPT_IN)
    world.anchor(START + 300)
    world.log.fill(66_000)
    report = verify(world.pack(), PINNED)

    assert said(report, "pack") == ["INTACT"]
    assert said(report, "record") == ["PROVEN"]


@pytest.mark.parametrize(
    ("records", "states"),
    [
        ([("opt-in", 100, {}), ("opt-out", 200, {})], ["OPTED OUT"]),
        ([("opt-out", 100, {}), ("opt-in", 200, {})], ["OPTED IN"]),
        ([("opt-in", 200, {}), ("opt-out", 100, {})], ["OPTED IN"]),
        ([("opt-in", 100, {}), ("opt-out", 100, {})], ["OPTED OUT"]),
        ([("opt-in", 100, {"sender": "+1999"}), ("opt-out", 90, {})], ["OPTED OUT", "OPTED IN"]),
        ([("opt-out", 200, {"sender": "*"}), ("opt-in", 100, {})], ["OPTED OUT", "OPTED OUT"]),
        ([("opt-out", 100, {"sender": "*"}), ("opt-in", 200, {})], ["OPTED OUT", "OPTED IN"]),
    ],
)
def test_the_latest_record_of_a_sender_counts(
    records: list[tuple[str, int, dict[str, str]]], states: list[str]
) -> None:
    world = World().begin()
    for status, at, changes in records:
        world.store(record_json(status, START + at, **changes))
    world.anchor(START + 300)

    assert said(verify(world.pack(), PINNED), "state") == states


# --- Kept checkpoints


def _kept(note: str, time: float = float("nan")) -> Options:
    return Options(PINNED.policy, kept=[("kept", note.encode(), time)])


@pytest.mark.parametrize(
    ("size", "asked", "word"),
    [
        (13, (), "CONSISTENT"),  # an anchor
        (700, (), "CONSISTENT"),  # within the tail
        (714, (), "CONSISTENT"),  # the pack's
        (300, (), "NOT COMPARABLE"),
        (300, (300,), "CONSISTENT"),
        (256, (256,), "CONSISTENT"),
    ],
)
def test_a_kept_checkpoint_is_compared(
    world: World, size: int, asked: tuple[int, ...], word: str
) -> None:
    world.log.fill(699)
    assert world.log.size == 714
    report = verify(world.pack(asked), _kept(world.log.checkpoint(size)))

    assert said(report, "kept") == [word]
    assert verdict(report) == "VERIFIED, WITH OPEN POINTS"


@pytest.mark.parametrize("size", [13, 300, 700, 714])
def test_a_kept_checkpoint_of_a_log_that_was_begun_anew_is_a_fork(
    world: World, tmp_path: Path, size: int
) -> None:
    other = World().begin()
    other.log.fill(720)
    world.log.fill(699)
    world.log.export(tmp_path, world.log.checkpoint(world.log.size))
    kept = [("kept", other.log.checkpoint(size).encode(), float("nan"))]
    report = verify(world.pack(), Options(PINNED.policy, kept=kept, log=tmp_path))

    assert said(report, "kept") == ["FORK"]
    assert verdict(report) == "BROKEN"


def test_a_kept_checkpoint_that_a_proof_does_not_lead_to_is_damage(world: World) -> None:
    other = World().begin()
    other.log.fill(720)
    world.log.fill(699)
    report = verify(world.pack((300,)), _kept(other.log.checkpoint(300)))

    assert said(report, "pack") == ["DAMAGED"]


def test_two_signed_roots_of_one_size_in_a_pack_are_a_fork(world: World) -> None:
    other = World().begin()
    other.log.fill(20)
    files = world.files()
    times = json.loads(files["times.json"])
    times[-1]["checkpoint"] = other.log.checkpoint(13)
    report = verify(zip_of(files | {"times.json": json.dumps(times).encode()}), PINNED)

    assert said(report, "kept") == ["FORK"]
    assert verdict(report) == "BROKEN"


def test_the_time_of_a_kept_checkpoint_is_an_anchor_by_you() -> None:
    world = World().begin()
    world.log.fill(3)
    note = world.log.checkpoint(world.log.size)
    world.store(OPT_IN)
    world.anchor(START + 300)
    report = verify(world.pack(), _kept(note, START + 50.0))

    assert said(report, "time") == ["BETWEEN 2026-01-01T00:00:50Z AND 2026-01-01T00:05:00Z"]
    assert "(you, one, two)" in next(one.text for one in report.statements if one.kind == "time")
    assert said(report, "kept") == ["CONSISTENT"]


def test_a_kept_checkpoint_that_an_auditor_cosigned_makes_complete(world: World) -> None:
    del world.anchors[13]
    world.log.fill(300)
    size = world.log.size
    note = world.log.checkpoint(size, {AUDITOR: START + 500})

    assert said(verify(world.pack(), _kept(note)), "completeness") == ["COMPLETE"]


def test_a_kept_checkpoint_shows_one_history(world: World) -> None:
    world.anchors.clear()
    report = verify(world.pack(), _kept(world.log.checkpoint(13)))

    assert said(report, "witnesses") == ["NONE"]
    assert "N5" not in said(report, "not_proven")
