"""The command: exit codes, arguments, one file that needs nothing but Python."""

import ast
import base64
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from consents_verify import main

from tests.verifier.log_model import AUDITOR, POLICY, WITNESSES, Log, Signer
from tests.verifier.pack_model import START, World, record_json, zip_of

VERIFIER = Path(__file__).parents[2] / "verifier"
FILE = VERIFIER / "consents_verify.py"


@pytest.fixture
def world() -> World:
    """A log with one audited record."""
    world = World().begin()
    world.anchor(START)
    world.store(record_json("opt-in", START + 100))
    world.anchor(START + 300, (*WITNESSES, AUDITOR))
    return world


@pytest.fixture
def pack(world: World, tmp_path: Path) -> Path:
    """The pack of the world, beside a policy."""
    (tmp_path / "policy").write_text(POLICY)
    path = tmp_path / "pack.zip"
    path.write_bytes(world.pack())
    return path


def run(*words: str | Path) -> int:
    """Run the command in this process."""
    return main([str(word) for word in words])


def test_each_verdict_has_its_exit_code(world: World, pack: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    assert run(pack, "--policy", policy) == 0
    assert run(pack, "--trust-pack") == 1
    assert run(pack) == 1

    world.shown.clear()
    pack.write_bytes(world.pack())
    assert run(pack, "--policy", policy) == 2

    pack.write_bytes(zip_of(world.files() | {"extra": b""}))
    assert run(pack, "--policy", policy) == 3

    pack.write_bytes(b"no zip")
    assert run(pack, "--policy", policy) == 4


def test_json_is_one_value(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(pack, "--json") == 1

    value = json.loads(capsys.readouterr().out)
    assert value["format"] == "consent-ledger-verdict/1"
    assert value["exit"] == 1
    assert {one["statement"] for one in value["statements"]} == {
        "pack",
        "log_key",
        "witnesses",
        "record",
        "time",
        "text",
        "completeness",
        "state",
        "receipt",
        "kept",
        "not_proven",
    }


def test_a_usage_error_exits_with_64(pack: Path, tmp_path: Path) -> None:
    bad, stranger = tmp_path / "bad", tmp_path / "stranger"
    bad.write_bytes(b"\xff\x00")
    stranger.write_text(Log(key=Signer("stranger", 1)).checkpoint(1))
    unsigned = [pack, "--policy", tmp_path / "policy", "--kept", stranger]
    for words in (
        [],
        [pack, "--unknown"],
        [pack, "--policy", tmp_path / "policy", "--trust-pack"],
        [pack, "--policy", bad],
        [pack, "--policy", tmp_path / "nowhere"],
        [pack, "--kept", bad],
        [pack, "--kept", tmp_path / "nowhere"],
        [pack, "--log", tmp_path],
        [pack, "--receipt", bad],
        [tmp_path / "nowhere"],
        [tmp_path],
        unsigned,
        ["audit"],
        ["audit", tmp_path, "--policy", tmp_path / "policy"],
    ):
        assert run(*words) == 64


def test_a_false_signature_of_a_kept_checkpoint_is_a_usage_error(
    world: World, pack: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    one, other = world.log.checkpoint(2), world.log.checkpoint(3)
    kept.write_text(one.split("\n\n")[0] + "\n\n" + other.split("\n\n")[1])

    assert run(pack, "--policy", tmp_path / "policy", "--kept", kept) == 64


def test_a_kept_checkpoint_is_a_note_or_its_base64_and_may_have_a_time(
    world: World, pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    note, encoded = tmp_path / "note", tmp_path / "you@example.com"
    note.write_text(world.log.checkpoint(2))
    encoded.write_text(base64.b64encode(note.read_bytes()).decode() + "\n")
    policy = tmp_path / "policy"

    for kept in (f"{note}", f"{encoded}", f"{note}@2026-01-01T00:01:00Z"):
        assert run(pack, "--policy", policy, "--kept", kept) == 0
        assert "CONSISTENT: size 2" in capsys.readouterr().out
    assert run(pack, "--policy", policy, "--kept", f"{encoded}@2026-01-01T00:01:00Z") == 0
    assert "BETWEEN 2026-01-01T00:01:00Z AND" in capsys.readouterr().out


def test_output_has_no_control_characters_of_the_pack(tmp_path: Path) -> None:
    world = World().begin()
    world.store(record_json("opt-in", START, sender="\x1b[2J\u202eé\n"))
    pack = tmp_path / "pack.zip"
    pack.write_bytes(world.pack())
    done = subprocess.run([sys.executable, FILE, pack], capture_output=True, check=False)

    assert done.returncode == 1
    assert b"sender ?[2J?\\xe9?, effective" in done.stdout
    assert done.stdout.isascii()


def test_the_file_alone_verifies_a_pack(pack: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(FILE, alone)
    command: list[str | Path] = [sys.executable, "-S", "-I", "-W", "error", alone / FILE.name, pack]
    done = subprocess.run([*command, "--policy", tmp_path / "policy"], capture_output=True)

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"VERIFIED\n")
    done = subprocess.run([*command, "--log", tmp_path], capture_output=True)
    assert (done.returncode, done.stdout) == (64, b"")
    assert b"consents_audit.py" in done.stderr


def test_the_files_beside_each_other_audit_and_replay(
    world: World, pack: Path, tmp_path: Path
) -> None:
    policy, log = tmp_path / "policy", tmp_path / "log"
    world.log.export(log, world.log.checkpoint(world.log.size))
    done = subprocess.run(
        [sys.executable, FILE, pack, "--policy", policy, "--log", log], capture_output=True
    )
    assert b"COMPLETE, RECOMPUTED: " in done.stdout
    done = subprocess.run(
        [sys.executable, FILE, "audit", log, "--policy", policy], capture_output=True
    )
    assert done.stdout.startswith(b"CLEAN\n")
    done = subprocess.run(
        [sys.executable, FILE, "audit", tmp_path, "--policy", policy], capture_output=True
    )
    assert (done.returncode, done.stdout) == (64, b"")
    assert done.stderr.startswith(b"consents-verify: cannot read checkpoint of the log")


@pytest.mark.skipif(shutil.which("python3.11") is None, reason="needs Python 3.11")
def test_the_file_runs_with_the_oldest_python_it_names(pack: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["python3.11", "-I", FILE, pack, "--policy", tmp_path / "policy"], capture_output=True
    )

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("name", ["consents_verify.py", "consents_audit.py"])
def test_a_file_needs_only_the_standard_library_of_python_3_11(name: str) -> None:
    tree = ast.parse((VERIFIER / name).read_text(), feature_version=(3, 11))
    imported = {
        alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {
        (node.module or "").partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    }

    assert imported - sys.stdlib_module_names <= {"consents_verify"}


def test_the_verifier_can_be_read_in_an_hour() -> None:
    assert len(FILE.read_text().splitlines()) <= 1100


def test_the_wheel_has_the_files_and_no_dependency(tmp_path: Path) -> None:
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    subprocess.run(
        [uv, "build", "--quiet", "--wheel", "--offline", "--out-dir", tmp_path, VERIFIER],
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith("METADATA"))
        lines = archive.read(metadata).decode().splitlines()

    modules = {"consents_verify.py", "consents_audit.py", "consents_timestamps.py"}
    assert modules == {name for name in names if name.endswith(".py")}
    required = [line for line in lines if line.startswith("Requires-Dist: ")]
    assert all("extra == 'timestamps'" in line for line in required)


def test_the_operators_command_is_the_same_program(
    pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(pack), "--policy", str(tmp_path / "policy")]
    assert main(arguments) == 0
    printed = capfd.readouterr().out
    consents = Path(sys.executable).with_name("consents")

    done = subprocess.run([consents, "verify", *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, printed)
    assert subprocess.run([consents, "verify", "--nonsense"], capture_output=True).returncode == 64
