"""Whatever the bytes are, the verifier has a verdict, and no change of evidence passes."""

import copy
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from consents_verify import (
    VERDICTS,
    Examination,
    Options,
    Report,
    Unreadable,
    open_pack,
    parse_json,
    parse_policy,
    verify,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.verifier.log_model import POLICY, WITNESSES
from tests.verifier.pack_model import START, Files, World, record_json, zip_of

PINNED = Options(parse_policy(POLICY.encode()))
MUTATED = settings(
    max_examples=500 if os.environ.get("CI") else 150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def _world() -> World:
    world = World().begin()
    world.anchor(START, WITNESSES)
    world.store(record_json("opt-in", START + 100))
    world.store(record_json("opt-out", START + 200))
    world.anchor(START + 300, WITNESSES)
    world.log.fill(255)
    return world


FILES: Files = _world().files()
PACK = zip_of(FILES)
JSON_FILES = ("index.json", "subject.json", "times.json", "entries.jsonl")


def said(report: Report) -> list[tuple[str, str]]:
    """Return what is said of the records and their state."""
    return [(one.word, one.text) for one in report.statements if one.kind in ("record", "state")]


TRUE = said(verify(PACK, PINNED))


def check(pack: bytes) -> None:
    """Fail if a pack raises what is no verdict, or passes with other records than it has."""
    report = Report()
    try:
        manifest, files = open_pack(pack)
        Examination(files, PINNED, report).run(manifest)
    except (Unreadable, ValueError):
        return
    report.finish()
    value = json.loads(report.as_json())
    assert value["verdict"] == VERDICTS[value["exit"]] == report.as_text().partition("\n")[0]
    assert report.exit_code() >= 2 or said(report) == TRUE


@MUTATED
@given(st.data())
def test_changed_bytes_of_the_zip_never_raise_and_never_pass(data: st.DataObject) -> None:
    pack = bytearray(PACK)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(pack) - 1))
        match data.draw(st.sampled_from(("flip", "cut", "insert", "end"))):
            case "flip":
                pack[place] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del pack[place : place + data.draw(st.integers(1, 50))]
            case "insert":
                pack[place:place] = data.draw(st.binary(min_size=1, max_size=20))
            case "end":
                del pack[place:]
        if not pack:
            break
    check(bytes(pack))


@MUTATED
@given(st.data())
def test_changed_files_with_a_right_manifest_never_raise_and_never_pass(
    data: st.DataObject,
) -> None:
    name = data.draw(st.sampled_from(sorted(FILES)))
    file = bytearray(FILES[name])
    place = data.draw(st.integers(0, max(len(file) - 1, 0)))
    file[place : place + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    check(zip_of(FILES | {name: bytes(file)}))


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(0, 300),
    st.floats(),
    st.text(max_size=12),
    st.binary(min_size=32, max_size=32).map(lambda one: one.hex()),
    st.builds(list),
    st.builds(dict),
    st.builds(lambda: [[[[[[[[[[]]]]]]]]]]),
)


@MUTATED
@given(st.data())
def test_changed_json_with_a_right_manifest_never_raises_and_never_passes(
    data: st.DataObject,
) -> None:
    name = data.draw(st.sampled_from(JSON_FILES))
    texts = FILES[name].splitlines() if name == "entries.jsonl" else [FILES[name]]
    values = [json.loads(text) for text in texts]
    for _ in range(data.draw(st.integers(1, 2))):
        change(data, values)
    lines = [json.dumps(one).encode() for one in values]
    joined = b"\n".join([*lines, b""]) if name == "entries.jsonl" else lines[0] if lines else b""
    check(zip_of(FILES | {name: joined}))


def change(data: st.DataObject, node: Any) -> None:
    """Replace, remove or repeat one value somewhere below a JSON node."""
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if not isinstance(node[key], dict | list) or data.draw(st.booleans()):
            break
        node = node[key]
    match data.draw(st.sampled_from(("replace", "remove", "repeat"))):
        case "replace":
            node[key] = data.draw(VALUES)
        case "remove":
            del node[key]
        case "repeat" if isinstance(node, list):
            node.insert(key, copy.deepcopy(node[key]))
        case "repeat":
            node["copy"] = copy.deepcopy(node[key])


@MUTATED
@given(st.binary(max_size=200))
@example(b"PK\x05\x06" + bytes(18))
def test_any_bytes_have_a_verdict(data: bytes) -> None:
    check(data)


@MUTATED
@given(st.binary(max_size=300), st.sampled_from(sorted(FILES)))
def test_any_bytes_of_a_file_have_a_verdict(data: bytes, name: str) -> None:
    check(zip_of(FILES | {name: data}))


def test_every_truncation_is_found() -> None:
    for end in range(0, len(PACK), 7):
        assert verify(PACK[:end], PINNED).exit_code() >= 3


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        '{"a":' * 100_000,
        "[" + "9" * 1_000_000 + "]",
        "[1e999999]",
        "[-1]",
        "[NaN]",
        '"' + "\\" * 1_000_001,
        '["' * 500_000,
        "[" + "[]," * 2_700_000 + "[]]",
        '"\\ud800"',
        "\ufeff[]",
        '{"a": 1, "a": 1}',
    ],
    ids=len,
)
def test_hostile_json_is_rejected(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (a parser raises any of them)
        parse_json(text)


def test_a_bug_of_the_verifier_is_no_verdict_of_a_pack(raising: Callable[[], Options]) -> None:
    report = verify(PACK, raising())

    assert report.exit_code() == 3
    assert report.statements[0].word == "DAMAGED"


@pytest.fixture
def raising() -> Callable[[], Options]:
    """Options whose policy fails in a way that no parser does."""

    class Failing:
        def see(self, _: bytes) -> None:
            raise ZeroDivisionError

    return lambda: Options(Failing())  # type: ignore[arg-type]
