"""The audit: what it finds in a log, what it remembers, what it cosigns."""

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from consents_audit import parse_cosigner
from consents_verify import main, parse_policy

from tests.verifier.log_model import (
    AUDITOR,
    LOG,
    ORGANIZATION,
    POLICY,
    RECORD,
    Log,
    Signer,
    digest,
)

NOW = 1_790_000_000


def a_log(size: int) -> Log:
    """Return a log of about a size."""
    log = Log()
    log.add(ORGANIZATION, digest("org"), digest("keys"))
    log.fill(size)
    return log


@pytest.fixture(scope="module")
def large() -> Log:
    """A log with a full run of level 1, whose root is in it."""
    return a_log(66_000)


@pytest.fixture
def audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, dict[str, object]]]:
    """Return a function that audits the log in a directory."""
    (tmp_path / "policy").write_text(POLICY)

    def run(log: Path | str, *words: str | Path) -> tuple[int, dict[str, object]]:
        options = ("--policy", tmp_path / "policy", "--json", *words)
        code = main(["audit", str(log), *map(str, options)])
        return code, json.loads(capsys.readouterr().out or "{}")

    return run


def export(log: Log, directory: Path) -> Path:
    """Write a log that its key signed."""
    log.export(directory, log.checkpoint(log.size))
    return directory


Audit = Callable[..., tuple[int, dict[str, object]]]


@pytest.mark.parametrize("size", [0, 1, 253, 254, 255, 256, 510, 700])
def test_a_log_is_clean(size: int, tmp_path: Path, audit: Audit) -> None:
    log = a_log(size)
    code, value = audit(export(log, tmp_path / "log"))

    assert code == 0
    assert value == {
        "verdict": "CLEAN",
        "exit": 0,
        "origin": log.origin,
        "size": log.size,
        "leaf": None,
        "path": None,
        "fault": None,
    }


def test_a_log_with_a_run_of_level_1_is_clean(large: Log, tmp_path: Path, audit: Audit) -> None:
    assert audit(export(large, tmp_path / "log"))[0] == 0


@pytest.mark.parametrize(
    ("name", "place", "leaf"),
    [
        ("tile/0/000", 32 * 7, 7),
        ("tile/0/002.p/192", 32 * 3, 515),
        ("tile/1/000.p/2", 40, 256),
        ("tile/entries/001", 67 * 5 + 40, 261),
        ("tile/entries/001", 0, 256),
    ],
)
def test_an_altered_file_is_broken_at_its_leaf(
    name: str, place: int, leaf: int, tmp_path: Path, audit: Audit
) -> None:
    log = export(a_log(700), tmp_path / "log")
    data = bytearray((log / name).read_bytes())
    data[place] ^= 1
    (log / name).write_bytes(data)
    code, value = audit(log)

    assert (code, value["verdict"], value["leaf"]) == (3, "BROKEN", leaf)
    assert str(value["path"]).startswith("tile/")


def test_a_false_root_of_the_index_is_broken_at_its_leaf(tmp_path: Path, audit: Audit) -> None:
    log = Log(false_roots={256: digest("false")})
    log.fill(700)
    code, value = audit(export(log, tmp_path / "log"))

    assert (code, value["leaf"]) == (3, 256)
    assert value["fault"] == "the root of the last run of level 0 is wrong"


def test_a_leaf_of_kind_0_belongs_to_its_places(tmp_path: Path, audit: Audit) -> None:
    log = Log()
    log.fill(5)
    log.add(LOG, digest("a"), digest("b"))

    assert audit(export(log, tmp_path / "log"))[1]["leaf"] == 6


def test_leaf_0_names_the_origin(tmp_path: Path, audit: Audit) -> None:
    log = a_log(10)
    log.entries[0] = Log("other.example").entries[0]

    assert audit(export(log, tmp_path / "log"))[1]["leaf"] == 0


def test_a_checkpoint_of_another_log_is_broken(tmp_path: Path, audit: Audit) -> None:
    log, other = a_log(300), a_log(300)
    other.entries[5] = bytes([RECORD]) + digest("x") + digest("y")
    log.export(tmp_path / "log", other.checkpoint(other.size))

    assert audit(tmp_path / "log")[0] == 3


def test_an_unsigned_or_missing_log_cannot_be_audited(tmp_path: Path, audit: Audit) -> None:
    log = a_log(300)
    stranger = Signer("stranger.example", 1)
    log.export(tmp_path / "log", log.text(log.size) + "\n" + stranger.sign(log.text(log.size)))
    assert audit(tmp_path / "log")[0] == 64

    export(log, tmp_path / "log")
    (tmp_path / "log/tile/entries/000").unlink()
    assert audit(tmp_path / "log")[0] == 64


# --- What it saw last


def test_a_log_that_grew_is_audited_from_where_it_was(
    large: Log, tmp_path: Path, audit: Audit
) -> None:
    state, log = tmp_path / "state", tmp_path / "log"
    assert audit(export(large, log), "--state", state)[0] == 0
    assert json.loads(state.read_text())["start"] == 65_536

    grown = Log(entries=large.entries[1:])
    grown.entries = [*large.entries]
    grown.fill(400)
    export(grown, log)
    (log / "tile/entries/000").unlink()  # not read again
    code, value = audit(log, "--state", state)
    assert (code, value["size"]) == (0, grown.size)


def test_a_log_that_was_begun_anew_is_broken(tmp_path: Path, audit: Audit) -> None:
    state, log = tmp_path / "state", tmp_path / "log"
    assert audit(export(a_log(300), log), "--state", state)[0] == 0
    before = state.read_text()

    anew = Log()
    anew.fill(600)
    code, value = audit(export(anew, tmp_path / "anew"), "--state", state)
    assert code == 3
    assert value["fault"] == "not the log that was seen at size 303"
    assert state.read_text() == before


def test_a_log_that_shrank_is_broken(tmp_path: Path, audit: Audit) -> None:
    state = tmp_path / "state"
    assert audit(export(a_log(300), tmp_path / "long"), "--state", state)[0] == 0

    assert audit(export(a_log(100), tmp_path / "short"), "--state", state)[0] == 3


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1, "origin": 2}', "[]"])
def test_a_state_of_another_log_cannot_be_used(text: str, tmp_path: Path, audit: Audit) -> None:
    (tmp_path / "state").write_text(text)

    assert audit(export(a_log(10), tmp_path / "log"), "--state", tmp_path / "state")[0] == 64


# --- Cosigning


def test_a_clean_log_is_cosigned_by_an_auditor(tmp_path: Path, audit: Audit) -> None:
    key, log = tmp_path / "key", a_log(300)
    key.write_text(AUDITOR.private + "\n")
    code, value = audit(export(log, tmp_path / "log"), "--cosign", key)

    note = f"{log.checkpoint(log.size)}{value['cosignature']}\n"
    seen = parse_policy(POLICY.encode()).see(note.encode())
    assert code == 0
    assert "auditors" in parse_policy(POLICY.encode()).satisfied(seen)


def test_a_cosignature_is_the_one_of_another_implementation() -> None:
    log = a_log(5)
    seen = parse_policy(POLICY.encode()).see(log.checkpoint(log.size).encode())

    assert parse_cosigner(AUDITOR.private).line(seen, NOW) + "\n" == AUDITOR.cosign(
        log.text(log.size), NOW
    )


def test_a_broken_log_is_not_cosigned(tmp_path: Path, audit: Audit) -> None:
    (tmp_path / "key").write_text(AUDITOR.private)
    log = Log(false_roots={256: digest("false")})
    log.fill(300)
    code, value = audit(export(log, tmp_path / "log"), "--cosign", tmp_path / "key")

    assert code == 3
    assert "cosignature" not in value


@pytest.mark.parametrize(
    "text",
    [
        "",
        AUDITOR.vkey,
        AUDITOR.private.replace("PRIVATE", "PUBLIC"),
        AUDITOR.private.replace("carol", "mallory").replace(AUDITOR.id.hex(), "00000000"),
        Signer(AUDITOR.name, 1).private,
    ],
)
def test_another_key_does_not_cosign(text: str, tmp_path: Path, audit: Audit) -> None:
    (tmp_path / "key").write_text(text)

    assert audit(export(a_log(5), tmp_path / "log"), "--cosign", tmp_path / "key")[0] == 64


# --- Over HTTP


class Handler(SimpleHTTPRequestHandler):
    """Serves files to whom has the key, and sends others elsewhere."""

    def do_GET(self) -> None:
        """Serve a file, or redirect."""
        if self.headers.get("Authorization") != "Bearer secret":
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """Serve the directory of a log."""
    (tmp_path / "log").mkdir()
    handler = partial(Handler, directory=tmp_path / "log")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_log_is_audited_over_http_with_a_bearer(
    served: str, tmp_path: Path, audit: Audit
) -> None:
    (tmp_path / "bearer").write_text("secret\n")
    log = a_log(700)
    export(log, tmp_path / "log")

    assert audit(served, "--bearer-file", tmp_path / "bearer")[1]["size"] == log.size
    assert audit(served)[0] == 64  # a redirect is not followed

    (tmp_path / "log/tile/0/001").unlink()
    assert audit(served, "--bearer-file", tmp_path / "bearer")[0] == 64
