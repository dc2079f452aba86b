"""Proof packs, judged by the verifier: what a pack shows, and what tampering makes of it."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from consents.domain.errors import LogBehind
from consents.domain.record import Status
from consents.proof import anchors
from consents.proof.prove import Pack
from consents.proof.records import Item
from consents.proof.seal import Change

from tests.factories import NOW, TEXT
from tests.unit.proof_world import CONTACT, OTHER, ProofWorld, files, words

HOUR = timedelta(hours=1)


@pytest.fixture
def world() -> ProofWorld:
    """A log that was anchored an hour ago, then an opt-in, anchored since."""
    world = ProofWorld()
    world.anchor(NOW - HOUR)
    world.capture()
    world.anchor(NOW + timedelta(minutes=2))
    return world


def lines(pack: Pack) -> list[dict[str, Any]]:
    """Return the lines of entries.jsonl."""
    return [json.loads(line) for line in files(pack)["entries.jsonl"].splitlines()]


def test_pack_proves_a_record_its_time_its_text_and_the_state(world: ProofWorld) -> None:
    pack = world.prove()

    assert pack.report["verdict"] == "VERIFIED, WITH OPEN POINTS"
    assert words(pack.report, "pack") == ["INTACT"]
    assert words(pack.report, "log_key") == ["PINNED"]
    assert words(pack.report, "witnesses") == ["2 OF 2, QUORUM"]
    assert words(pack.report, "record") == ["PROVEN"]
    assert words(pack.report, "time") == ["BETWEEN 2026-05-01T11:00:00Z AND 2026-05-01T12:02:00Z"]
    assert words(pack.report, "text") == ["MATCHES"]
    assert words(pack.report, "completeness") == ["COMPLETE AS INDEXED"]
    assert words(pack.report, "state") == ["OPTED IN"]


def test_equal_input_makes_equal_bytes(world: ProofWorld) -> None:
    assert world.prove().content == world.prove().content


def test_pack_of_an_unknown_contact_proves_that_there_is_no_record(world: ProofWorld) -> None:
    pack = world.prove(OTHER)

    assert pack.report["verdict"] == "VERIFIED, WITH OPEN POINTS"
    assert words(pack.report, "record") == []
    assert words(pack.report, "state") == ["NONE"]
    assert [line["leaf"] for line in lines(pack)] == [1]  # the entry of the organization


def test_pack_of_an_unknown_organization_has_no_key() -> None:
    world = ProofWorld(has_organization=False)
    world.anchor(NOW)
    pack = world.prove()

    assert words(pack.report, "pack") == ["INTACT"]
    assert words(pack.report, "state") == ["NONE"]
    assert lines(pack) == []
    assert json.loads(files(pack)["subject.json"])["key"] is None


def test_pack_of_an_organization_whose_entry_is_not_published_has_no_key() -> None:
    world = ProofWorld(has_organization=False)
    world.anchor(NOW)
    world.add_organization()

    assert words(world.prove().report, "state") == ["NONE"]


def test_pack_holds_across_runs_of_the_index(world: ProofWorld) -> None:
    for number in range(600):
        world.capture(contact=f"+1555555{number:04}")
        if number % 250 == 0:
            world.capture(NOW, dated_at=NOW - timedelta(days=number + 1))
    world.anchor(NOW + timedelta(minutes=3))

    assert words(world.prove().report, "record") == ["PROVEN"] * 4
    assert words(world.prove(OTHER).report, "state") == ["NONE"]


def test_record_that_was_sealed_twice_counts_once(world: ProofWorld) -> None:
    item = world.capture(NOW, status=Status.OPT_OUT, dated_at=NOW)
    world.capture(NOW, contact=OTHER)
    world.sealer.seal([Change(None, item), Change(None, item)], NOW)
    world.anchor(NOW + timedelta(minutes=3))
    pack = world.prove()

    assert words(pack.report, "record") == ["PROVEN", "PROVEN"]
    assert words(pack.report, "state") == ["OPTED OUT"]
    assert [line["leaf"] for line in lines(pack)] == [1, 2, 3, 5, 6]


def test_kept_sizes_have_a_proof_of_consistency(world: ProofWorld) -> None:
    world.capture(NOW, contact=OTHER)
    world.anchor(NOW + timedelta(minutes=3))
    times = json.loads(files(world.prove(kept=(1, 3, 4, 99)))["times.json"])

    assert [(one["size"], "checkpoint" in one) for one in times] == [
        (1, False),
        (2, True),
        (3, True),
        (4, True),
    ]


def test_pack_has_the_anchors_around_each_leaf_and_the_newest() -> None:
    assert anchors.around([2, 3, 5, 8, 9, 13], [1, 4, 8]) == {2, 3, 5, 8, 9, 13}
    assert anchors.around([2, 3, 5, 8, 9, 13], [4]) == {3, 5, 13}
    assert anchors.around([2, 3], [7]) == {3}
    assert anchors.around([], [7]) == set()


# ---------------------------------------------------------------- Tampering


def altered(item: Item) -> Item:
    """Return an item that says opt-in where it said opt-out."""
    return {**item, "status": {"S": "opt-in"}}


def insert_backdated(world: ProofWorld, *, is_sealed: bool) -> None:
    """Insert an opt-in as if it was received 90 days ago."""
    long_ago = NOW - timedelta(days=90)
    world.capture(long_ago, dated_at=long_ago, is_sealed=is_sealed)


TAMPERINGS: dict[str, tuple[Callable[[ProofWorld, Item], None], list[str]]] = {
    "removed": (lambda world, item: world.change(item, None), ["PROVEN", "ERASED"]),
    "removed while the stream is off": (
        lambda world, item: world.change(item, None, is_sealed=False),
        ["PROVEN", "WITHHELD"],
    ),
    "altered": (
        lambda world, item: world.change(item, altered(item)),
        ["PROVEN", "ERASED", "CHANGED"],
    ),
    "altered while the stream is off": (
        lambda world, item: world.change(item, altered(item), is_sealed=False),
        ["PROVEN", "WITHHELD", "NOT LOGGED"],
    ),
    "replaced by itself": (lambda world, item: world.change(item, item), ["PROVEN", "REMOVED"]),
    "backdated": (
        lambda world, _: insert_backdated(world, is_sealed=True),
        ["PROVEN", "PROVEN", "LATE"],
    ),
    "backdated while the stream is off": (
        lambda world, _: insert_backdated(world, is_sealed=False),
        ["PROVEN", "PROVEN", "NOT LOGGED"],
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_with_the_ledger_shows(world: ProofWorld, name: str) -> None:
    opt_out = world.capture(NOW, status=Status.OPT_OUT, dated_at=NOW)
    world.anchor(NOW + timedelta(minutes=3))
    tamper, expected = TAMPERINGS[name]
    tamper(world, opt_out)
    world.anchor(NOW + timedelta(minutes=30))
    pack = world.prove()

    assert words(pack.report, "record") == expected
    assert pack.report["verdict"] == "GAPS"
    assert words(pack.report, "state") == ["CANNOT BE SAID"]


def test_text_that_was_altered_in_the_ledger_differs(world: ProofWorld) -> None:
    world.stored_texts = dict.fromkeys(world.stored_texts, f"{TEXT} And calls.")
    pack = world.prove()

    assert words(pack.report, "text") == ["DIFFERS"]
    assert pack.report["verdict"] == "BROKEN"


def test_text_that_is_gone_is_an_open_point(world: ProofWorld) -> None:
    world.stored_texts.clear()

    assert words(world.prove().report, "text") == ["NOT IN THE PACK"]


def test_record_that_is_no_record_is_shown_and_judged_by_its_leaf(world: ProofWorld) -> None:
    item = {"pk": {"S": f"org_1#{CONTACT}"}, "sk": {"S": "x"}, "evidence": {"NULL": True}}
    world.ledger["x"] = item
    world.seal(None, item)
    world.anchor(NOW + timedelta(minutes=3))
    pack = world.prove()

    assert words(pack.report, "record") == ["PROVEN", "PROVEN"]
    assert words(pack.report, "state") == ["CANNOT BE SAID"]
    assert b"Record of another form" in files(pack)["COVER.html"]


def test_record_whose_status_was_altered_is_on_the_cover(world: ProofWorld) -> None:
    (name, item), *_ = world.ledger.items()
    world.ledger[name] = {**item, "status": {"S": "opted_in"}}
    world.anchor(NOW + timedelta(minutes=30))
    pack = world.prove()

    assert sorted(words(pack.report, "record")) == ["NOT LOGGED", "WITHHELD"]
    assert b"Record of another form" in files(pack)["COVER.html"]


@pytest.mark.parametrize("name", ["tile/0/000.p/3", "tile/entries/000.p/3"])
def test_tile_that_was_altered_breaks_the_pack(world: ProofWorld, name: str) -> None:
    content = world.store.objects[name]
    world.store.objects[name] = content[:-1] + bytes([content[-1] ^ 1])
    pack = world.prove()

    assert pack.report["verdict"] == "BROKEN"
    assert b"the pack contradicts its log" in files(pack)["COVER.html"]


# ---------------------------------------------------------------- A log that is behind


def test_pack_waits_for_the_first_checkpoint() -> None:
    with pytest.raises(LogBehind):
        ProofWorld().prove()


def test_pack_waits_for_the_size_that_is_asked_for(world: ProofWorld) -> None:
    assert world.prove(min_size=3).size == 3
    with pytest.raises(LogBehind):
        world.prove(min_size=4)


@pytest.mark.parametrize(
    ("request_id", "age", "waits"),
    [
        ("01JTBQH2FZ8K1RXC0WJ4Z9P3VM", timedelta(minutes=4), True),
        ("01JTBQH2FZ8K1RXC0WJ4Z9P3VM", timedelta(minutes=6), False),
        ("01JTBQH2FZ8K1RXC0WJ4Z9P3VM", timedelta(minutes=-4), True),
        ("01JTBQH2FZ8K1RXC0WJ4Z9P3VM", timedelta(minutes=-6), False),
        ("imp_1/7", timedelta(hours=23), True),
        ("imp_1/7", timedelta(hours=25), False),
    ],
)
def test_record_without_a_leaf_is_waited_for_as_long_as_one_may_take(
    world: ProofWorld, request_id: str, age: timedelta, *, waits: bool
) -> None:
    world.capture(NOW, dated_at=NOW, request_id=request_id, is_sealed=False)
    if waits:
        with pytest.raises(LogBehind):
            world.prove(at=NOW + age - HOUR)
    else:
        pack = world.prove(at=NOW + age - HOUR)
        assert words(pack.report, "record") == ["PROVEN", "NOT LOGGED"]


def test_removal_that_is_sealed_and_not_published_is_waited_for(world: ProofWorld) -> None:
    world.change(world.ledger[min(world.ledger)], None)
    with pytest.raises(LogBehind):
        world.prove()
    world.publish()

    assert words(world.prove().report, "record") == ["ERASED"]


def test_records_of_others_are_not_waited_for(world: ProofWorld) -> None:
    world.change(world.ledger[min(world.ledger)], None, is_sealed=False)
    world.capture(NOW, contact=OTHER)

    assert words(world.prove().report, "record") == ["WITHHELD"]


def test_batch_that_was_removed_is_not_waited_for(world: ProofWorld) -> None:
    world.change(world.ledger[min(world.ledger)], None)
    for name in [one for one in world.store.objects if one.startswith("batch/")]:
        del world.store.objects[name]

    assert words(world.prove().report, "record") == ["WITHHELD"]
