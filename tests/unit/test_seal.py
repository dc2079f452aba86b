"""Stage 1 of the log: which entries a change of the ledger makes."""

import hmac
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
from consents.proof import bucket_keys, records, tlog
from consents.proof.entries import BYTES, Kind, contact_tag, organization_entry
from consents.proof.seal import Change, Sealer
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOW
from tests.unit.log_store import LogPositions, LogStore

SEED = bytes(range(32))
ROOTS = [bytes([number % 256]) * 32 for number in range(1024)]


def item(number: int = 0, status: str = "opt_in", org_id: str = "org_1") -> dict[str, Any]:
    """Return a record of a contact, as the ledger's stream has it."""
    return {
        "pk": {"S": f"{org_id}#+1555444{number:04}"},
        "sk": {"S": f"*#2026-05-01T12:00:00.000Z#{status}#{number:032x}"},
        "status": {"S": status},
        "salt": {"B": "c2l4dGVlbiBieXRlcyBvaw=="},
    }


def new_sealer(positions: LogPositions, store: LogStore) -> Sealer:
    """Return a sealer that knows no seed yet, and makes small key tables."""
    return Sealer(positions, store, lambda seed: [seed, *ROOTS])


class World:
    """A sealer that knows one organization, and what it sealed."""

    def __init__(self) -> None:
        self.store, self.positions = LogStore(), LogPositions()
        self.positions.organizations["org_1"] = SEED, ROOTS
        self.sealer = new_sealer(self.positions, self.store)

    def seal(self, *changes: Change) -> None:
        """Seal changes."""
        self.sealer.seal(changes, NOW)

    def entries(self) -> list[bytes]:
        """Return the entries that have a position, in order."""
        names = [one.batch.name for one in self.positions.positions]
        content = b"".join(self.store.batches(names))
        return [content[at : at + BYTES] for at in range(0, len(content), BYTES)]


@pytest.fixture
def world() -> World:
    """A world without entries."""
    return World()


def test_new_record_is_an_entry_with_the_tag_of_its_contact_and_its_commitment(
    world: World,
) -> None:
    world.seal(Change(None, item()))

    key = bucket_keys.bucket_key(SEED, bucket_keys.bucket_of("org_1", "+15554440000"))
    tag = contact_tag(key, "org_1", "+15554440000")
    assert world.entries() == [bytes([Kind.RECORD]) + tag + records.commitment(item(), key)]


def test_changed_record_is_logged_as_it_was_and_as_it_is(world: World) -> None:
    world.seal(Change(None, item()), Change(item(), item(status="opt_out")))

    new, was, became = world.entries()
    assert [entry[0] for entry in (new, was, became)] == [
        Kind.RECORD,
        Kind.REMOVED,
        Kind.CHANGED,
    ]
    assert new[1:] == was[1:]
    assert became[1:33] == new[1:33]
    assert became[33:] != new[33:]


def test_removed_record_is_logged_with_the_body_of_its_first_leaf(world: World) -> None:
    world.seal(Change(None, item()))
    world.seal(Change(item(), None))

    new, removed = world.entries()
    assert removed == bytes([Kind.REMOVED]) + new[1:]


def test_agreement_text_makes_no_entry(world: World) -> None:
    text = {"pk": {"S": "org_1#text#hash"}, "sk": {"S": "text"}, "text": {"S": "I agree"}}
    world.seal(Change(None, text), Change(text, None))

    assert world.entries() == []
    assert world.store.objects == {}


def test_repeated_batch_has_one_position(world: World) -> None:
    changes = [Change(None, item(number)) for number in range(5)]
    world.seal(*changes)
    world.seal(*changes)

    assert world.positions.count() == 5


@given(borders=st.lists(st.integers(1, 19), max_size=4))
def test_changes_delivered_again_with_other_borders_make_equal_entries(borders: list[int]) -> None:
    world, changes = World(), [Change(None, item(number)) for number in range(20)]
    world.seal(*changes)
    first = world.entries()
    stops = [0, *sorted(borders), 20]
    for start, end in pairwise(stops):
        world.seal(*changes[start:end])

    assert world.entries()[:20] == first
    assert set(world.entries()) == set(first)


def test_organization_is_logged_once_before_its_first_record(world: World) -> None:
    world.seal(Change(None, item(org_id="org_2")), Change(None, item(1, org_id="org_2")))
    new_sealer(world.positions, world.store).seal([Change(None, item(2, org_id="org_2"))], NOW)

    seed, roots = world.positions.organizations["org_2"]
    entries = world.entries()
    assert entries[0] == organization_entry("org_2", tlog.tree_hash(roots))
    assert [entry[0] for entry in entries] == [Kind.ORGANIZATION, *[Kind.RECORD] * 3]
    assert roots == [seed, *ROOTS]


def test_sealer_that_loses_the_race_for_an_organization_takes_the_seed_of_the_other() -> None:
    class Raced(LogPositions):
        def add_organization(self, org_id: str, *_: Any) -> bool:
            self.organizations[org_id] = SEED, ROOTS
            return False

    world = World()
    raced = Raced()
    new_sealer(raced, world.store).seal([Change(None, item(org_id="org_2"))], NOW)

    key = bucket_keys.bucket_key(SEED, bucket_keys.bucket_of("org_2", "+15554440000"))
    (position,) = raced.positions
    assert position.batch.last[1:33] == contact_tag(key, "org_2", "+15554440000")


def test_entries_are_stored_before_they_have_positions(world: World) -> None:
    world.store.writes_left = 0
    with pytest.raises(KeyboardInterrupt):
        world.seal(Change(None, item()))

    assert world.positions.count() == 0


def test_a_guess_without_a_secret_matches_no_entry() -> None:
    """Every number of a prefix, by all that a reader of the log knows, and by another seed."""
    world = World()
    world.seal(*(Change(None, item(number)) for number in range(100)))
    logged = {part for one in world.entries() for part in (one[1:33], one[33:])}
    table = tlog.tree_hash(ROOTS)
    known = [b"", bytes(32), b"org_1", table, organization_entry("org_1", table)[1:33]]

    def guesses(number: int, key: bytes) -> set[bytes]:
        guessed = item(number)
        org_id, contact = records.subject(guessed)
        record = records.record_json(guessed)
        hashed = {sha256(text).digest() for text in (contact.encode(), key + record)}
        return hashed | {contact_tag(key, org_id, contact), hmac.digest(key, record, "sha256")}

    for number in range(10_000):
        bucket = bucket_keys.bucket_of(*records.subject(item(number)))
        for key in (*known, bucket_keys.bucket_key(bytes(32), bucket)):
            assert not guesses(number, key) & logged
    true = bucket_keys.bucket_key(SEED, bucket_keys.bucket_of("org_1", "+15554440007"))
    assert guesses(7, true) & logged
