"""What an operator or a go-between may do to a pack, and what the verifier says of it."""

import io
import json
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from consents_verify import Options, Report, parse_policy, verify

from tests.verifier.log_model import (
    AUDITOR,
    ORGANIZATION,
    POLICY,
    RECORD,
    WITNESSES,
    Signer,
    b64,
    digest,
)
from tests.verifier.pack_model import (
    ORG_TAG,
    START,
    BucketKeys,
    Files,
    Json,
    World,
    commitment,
    record_json,
    salt_of,
    zip_of,
)

PINNED = Options(parse_policy(POLICY.encode()))
OPT_IN = record_json("opt-in", START + 100)
OPT_OUT = record_json("opt-out", START + 5000)


@pytest.fixture
def world() -> World:
    """A log of three runs of the index, with an opt-in and an opt-out among others."""
    world = World().begin()
    world.log.fill(300)
    world.anchor(START)
    world.store(OPT_IN)
    world.log.fill(200)
    world.store(OPT_OUT)
    world.log.fill(280)
    world.anchor(START + 5200, (*WITNESSES, AUDITOR))
    return world


def fault(pack: bytes) -> str:
    """Return the fault of a damaged pack, in its first statement."""
    report = verify(pack, PINNED)
    assert report.exit_code() == 3
    assert report.statements[0].word == "DAMAGED"
    return report.statements[0].text


def edited(files: Files, name: str, edit: Any) -> bytes:
    """Return the pack with a JSON file edited, and pack.json made right again."""
    value = json.loads(files[name])
    edit(value)
    return zip_of(files | {name: json.dumps(value).encode()})


def leaves_of(files: Files) -> list[int]:
    """Return the leaves of the contact's records."""
    lines = [json.loads(line) for line in files["entries.jsonl"].splitlines()]
    return [line["leaf"] for line in lines if "record" in line]


def test_a_record_cut_out_of_the_entries_is_damage(world: World) -> None:
    files = world.files()
    leaf = leaves_of(files)[1]
    lines = [
        line for line in files["entries.jsonl"].splitlines() if json.loads(line)["leaf"] != leaf
    ]
    del files[f"proofs/{leaf}.tlog-proof"]

    assert "other leaves" in fault(zip_of(files | {"entries.jsonl": b"\n".join([*lines, b""])}))


def test_a_record_cut_out_of_the_index_too_is_damage(world: World) -> None:
    files = world.files()
    leaf = leaves_of(files)[1]
    lines = [
        line for line in files["entries.jsonl"].splitlines() if json.loads(line)["leaf"] != leaf
    ]
    del files[f"proofs/{leaf}.tlog-proof"]
    files["entries.jsonl"] = b"\n".join([*lines, b""])

    def cut(index: Json) -> None:
        run = index["runs"][leaf // 256]
        tag = b64(world.keys.tag())[:40]
        run["items"] = [one for one in run["items"] if not one["item"].startswith(tag)]

    assert "neighbors" in fault(edited(files, "index.json", cut))


@pytest.mark.parametrize("place", [0, 1, -1])
def test_an_item_of_the_index_cannot_be_left_out(world: World, place: int) -> None:
    assert "neighbors" in fault(
        edited(world.files(), "index.json", lambda index: index["runs"][1]["items"].pop(place))
    )


def test_another_bucket_key_is_damage(world: World) -> None:
    other = BucketKeys(digest("another seed"))
    files = world.files()

    def replace(subject: Json) -> None:
        subject |= {"key": b64(other.key), "path": [b64(one) for one in other.path]}

    assert "neighbors" in fault(edited(files, "subject.json", replace))


def test_another_path_of_the_bucket_key_is_damage(world: World) -> None:
    def replace(subject: Json) -> None:
        subject["path"][3] = b64(digest("another"))

    assert "bucket key" in fault(edited(world.files(), "subject.json", replace))


def test_a_second_key_table_is_damage(world: World) -> None:
    world.log.add(ORGANIZATION, ORG_TAG, BucketKeys(digest("another seed")).root)

    assert "bucket key" in fault(world.pack())


def test_the_same_key_table_twice_is_one(world: World) -> None:
    world.log.add(ORGANIZATION, ORG_TAG, world.keys.root)

    assert verify(world.pack(), PINNED).exit_code() == 0


def test_a_pack_without_the_key_of_a_logged_organization_is_damage(world: World) -> None:
    def replace(subject: Json) -> None:
        subject |= {"key": None, "path": []}

    assert "other leaves" in fault(edited(world.files(), "subject.json", replace))


def test_a_false_index_verifies_only_as_indexed(tmp_path: Path) -> None:
    world = World().begin()
    world.store(OPT_IN)
    world.store(OPT_OUT)
    hidden = world.log.size - 1
    items = _items_without(world, hidden)
    world.log.items = items  # type: ignore[method-assign]
    world.log.fill(300)
    world.anchor(START + 5200)
    files = _without_leaf(world, hidden)
    report = verify(zip_of(files), PINNED)

    assert said(report, "record") == ["PROVEN"]
    assert said(report, "completeness") == ["COMPLETE AS INDEXED"]

    world.log.export(tmp_path, world.log.checkpoint(world.log.size))
    report = verify(zip_of(files), Options(PINNED.policy, log=tmp_path))
    assert said(report, "pack") == ["DAMAGED"]
    assert said(report, "completeness") == ["NOT SHOWN"]


def _items_without(world: World, hidden: int) -> Any:
    true_items = world.log.items

    def items(level: int, number: int) -> list[bytes]:
        found = true_items(level, number)
        if (level, number) != (0, 0):
            return found
        false_item = digest("nobody") + (hidden).to_bytes(8)
        return sorted(one if int.from_bytes(one[32:]) != hidden else false_item for one in found)

    return items


def _without_leaf(world: World, hidden: int) -> Files:
    files = world.files()
    lines = files["entries.jsonl"].splitlines()
    del files[f"proofs/{hidden}.tlog-proof"]
    kept = [line for line in lines if json.loads(line)["leaf"] != hidden]
    return files | {"entries.jsonl": b"\n".join([*kept, b""])}


def said(report: Report, kind: str) -> list[str]:
    """Return the words of the statements of a kind."""
    return [one.word for one in report.statements if one.kind == kind]


def test_a_log_that_was_begun_anew_verifies_only_where_nobody_watches() -> None:
    anew = World().begin()
    anew.log.fill(10)
    anew.store(OPT_IN)

    report = verify(anew.pack(), PINNED)
    assert report.exit_code() == 1
    assert "N5" in said(report, "not_proven")


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("index.json", lambda value: value.update(levels=3)),
        ("index.json", lambda value: value["runs"].pop()),
        ("index.json", lambda value: value["runs"].reverse()),
        ("index.json", lambda value: value["runs"][0]["items"].reverse()),
        ("index.json", lambda value: value["runs"][0].update(proof=[])),
        ("index.json", lambda value: value["runs"][0]["items"][0].update(at=200)),
        ("index.json", lambda value: value["frontier"].pop()),
        ("index.json", lambda value: value["frontier"].append(value["frontier"][0])),
        ("index.json", lambda value: value["tail"].pop()),
        ("index.json", lambda value: value["tail"].reverse()),
        ("subject.json", lambda value: value.update(depth=19)),
        ("subject.json", lambda value: value["path"].pop()),
        ("subject.json", lambda value: value.update(contact="+15554443334")),
        ("subject.json", lambda value: value.update(contact="a number")),
        ("subject.json", lambda value: value.update(organization="org_other")),
        ("times.json", lambda value: value.reverse()),
        ("times.json", lambda value: value[0].update(size=value[0]["size"] - 1)),
        ("times.json", lambda value: value[0]["consistency"].pop()),
        ("times.json", lambda value: value[0].update(checkpoint="nothing")),
        ("times.json", lambda value: value[0].update(tsr="!")),
        ("times.json", lambda value: value.append({"size": 10**6, "consistency": []})),
    ],
)
def test_an_edit_with_pack_json_made_right_again_is_damage(
    world: World, name: str, edit: Any
) -> None:
    assert fault(edited(world.files(), name, edit))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"leaf": 1,', b'"leaf": 2,'),
        (b'"leaf": 1,', b'"leaf": 1e0,'),
        (b'"leaf": 1,', b'"leaf": 99999999999999999999,'),
        (b'"leaf": 1,', b'"leaf": 1, "leaf": 1,'),
        (b'"leaf": 1,', b'"leaf": null,'),
        (b'"salt"', b'"pepper"'),
        (b'"record"', b'"ledger"'),
        (b"\n", b"\n\n"),
        (b'{"leaf"', b'\xff{"leaf"'),
        (b'{"leaf"', b'{"a": "\\ud800", "leaf"'),
        (b'{"leaf"', b'{"a": ' + b"[" * 20 + b"]" * 20 + b', "leaf"'),
    ],
)
def test_a_malformed_line_of_entries_is_damage(world: World, old: bytes, new: bytes) -> None:
    files = world.files()
    assert old in files["entries.jsonl"]

    assert fault(zip_of(files | {"entries.jsonl": files["entries.jsonl"].replace(old, new, 1)}))


def test_a_proof_of_another_leaf_or_checkpoint_is_damage(world: World) -> None:
    files = world.files()
    one, other = (f"proofs/{leaf}.tlog-proof" for leaf in leaves_of(files))

    assert fault(zip_of(files | {one: files[other]}))
    assert fault(zip_of(files | {one: files[one] + b"\n"}))
    assert fault(zip_of(files | {one: files[one].replace(b"index ", b"extra eA==\nindex ")}))
    assert fault(zip_of(files | {"proofs/3.tlog-proof": files[other]}))
    assert fault(zip_of({name: data for name, data in files.items() if name != one}))


def test_a_record_without_a_leaf_that_has_one_is_damage(world: World) -> None:
    world.loose = [OPT_IN]

    assert fault(world.pack()) == "a record without a leaf has one"


def test_a_false_signature_of_a_known_key_is_damage(world: World) -> None:
    files = world.files()
    text = files["checkpoint"].decode()
    lines = text.splitlines(keepends=True)
    other = world.log.checkpoint(5, {WITNESSES[0]: START}).splitlines(keepends=True)

    def pack(changed: list[str]) -> bytes:
        checkpoint = "".join(changed).encode()
        proofs = {
            name: data.replace(text.encode(), checkpoint)
            for name, data in files.items()
            if name.startswith("proofs/")
        }
        return zip_of(files | proofs | {"checkpoint": checkpoint})

    assert verify(pack(lines), PINNED).exit_code() == 0
    assert "does not verify" in fault(pack([*lines[:4], other[4], *lines[5:]]))
    assert "does not verify" in fault(pack([*lines[:5], other[5], *lines[6:]]))
    assert "signature" in fault(pack([*lines, lines[4]]))  # two of one key
    stranger = Signer("stranger.example", 4).cosign("another text", START)
    assert verify(pack([*lines, stranger]), PINNED).exit_code() == 0
    assert fault(pack([*lines[:3], "an extension\n", *lines[3:]]))
    strangers = [Signer(f"s{i}.example", 4).cosign("text", START) for i in range(70)]
    assert fault(pack([*lines, *strangers]))


# --- The zip


def test_a_file_that_is_no_pack_is_unreadable(world: World) -> None:
    files = world.files()
    packs = [
        b"",
        b"PK\x05\x06",
        b"a text",
        zip_of(files, format="consent-ledger-proof-pack/2"),
        zip_of(files, format=None),
        _zipped({"pack.json": b"[]"}),
        _zipped({"pack.json": b"{"}),
        _zipped({"other": b"{}"}),
    ]
    for pack in packs:
        report = verify(pack, PINNED)
        lines = report.as_text().splitlines()
        assert report.exit_code() == 4
        assert lines[0] == "UNREADABLE"
        assert lines[1].startswith("DAMAGED: ")
        assert len(lines) == 2


@pytest.mark.parametrize(
    "name",
    ["README", "../checkpoint", "/etc/passwd", "texts/", "proofs/01.tlog-proof", "texts/xyz.txt"],
)
def test_an_unknown_name_is_damage(world: World, name: str) -> None:
    assert "unknown name" in fault(zip_of(world.files() | {name: b""}))


def test_a_missing_file_is_damage(world: World) -> None:
    files = world.files()
    del files["COVER.html"]

    assert fault(zip_of(files))


def test_a_file_that_is_there_twice_is_damage(world: World) -> None:
    packed = io.BytesIO(world.pack())
    with zipfile.ZipFile(packed, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("policy", b"another")

    assert fault(packed.getvalue())


def test_a_file_of_another_hash_is_damage(world: World) -> None:
    files = world.files()
    hashes = {name: sha256(data).hexdigest() for name, data in files.items()}

    assert "another hash" in fault(zip_of(files | {"COVER.html": b"another"}, files=hashes))


@pytest.mark.parametrize("changes", [{"size": 5}, {"origin": "other.example"}, {"files": []}])
def test_a_manifest_of_another_log_is_damage(world: World, changes: Json) -> None:
    assert fault(zip_of(world.files(), **changes))


def test_a_bomb_is_damage_before_it_is_unpacked(world: World) -> None:
    bomb = world.files() | {"COVER.html": bytes(65 * 1024 * 1024)}

    assert fault(zip_of(bomb)) == "the pack has more names or bytes than it may"


def test_a_bomb_that_understates_its_size_is_damage(world: World) -> None:
    size = 60 * 1024 * 1024
    pack = zip_of(world.files() | {"COVER.html": bytes(size)})
    understated = pack.replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little"))

    assert understated != pack
    assert fault(understated)


def test_too_many_names_are_damage() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for i in range(100_001):
            archive.writestr(f"proofs/{i}.tlog-proof", b"")

    assert fault(packed.getvalue()) == "the pack has more names or bytes than it may"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_another_compression_is_damage(world: World, method: int) -> None:
    packed = io.BytesIO(world.pack())
    with zipfile.ZipFile(packed) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    again = io.BytesIO()
    with zipfile.ZipFile(again, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data, method if name == "policy" else zipfile.ZIP_STORED)

    assert "method" in fault(again.getvalue())


def _zipped(files: Files) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def test_the_model_commits_to_records_as_the_format_says() -> None:
    body = commitment(OPT_IN, salt_of(OPT_IN))
    world = World().begin()
    leaf = world.log.add(RECORD, world.keys.tag(), body)

    assert world.log.entries[leaf] == bytes([1]) + world.keys.tag() + body
