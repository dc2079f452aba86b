"""`consents log export` and `cosign` on the local engine, with the verifier as the auditor."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from consents.proof.anchor import Anchorer
from consents.proof.anchors import ANCHORS
from consents.proof.policy import policy_text
from consents.proof.witnesses import ask_witnesses
from consents_cli.errors import Failed
from consents_cli.log_anchors import keep_cosignature, newest
from consents_cli.log_export import write_log
from consents_verify import main

from tests.integration.transparency import Log, inserted
from tests.integration.watched import Watched
from tests.unit.witness_model import WitnessModel


@pytest.fixture
def log(tables: Watched, template: dict[str, Any]) -> Log:
    """A log of some records that is anchored, and knows an auditor."""
    made = Log(tables, template["Resources"]["LogTable"]["Properties"])
    auditor = WitnessModel("auditor.example", made.verifier)
    made.bucket.write_witness_policy(
        f"witness auditor {auditor.verifier}\ngroup auditors any auditor\nquorum none\n"
    )
    grow(made, range(600))
    return made


def grow(log: Log, numbers: range) -> None:
    """Publish and anchor some records."""
    log.seal(*inserted(numbers))
    log.publish()
    assert Anchorer(log.bucket, ask_witnesses).anchor() is not None


def export(log: Log, folder: Path) -> tuple[int, int]:
    """Export the log."""
    anchors = [f"{ANCHORS}{size:020}" for size in log.bucket.anchor_sizes()]
    return write_log(log.bucket, anchors, folder)


def audit(
    log: Log, folder: Path, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[int, str]:
    """Audit an export; return the exit code and the output."""
    policy = folder.with_name("policy")
    policy.write_text(policy_text(log.verifier, witnesses=log.bucket.witness_policy()))
    return main(["audit", str(folder), "--policy", str(policy), *options]), capsys.readouterr().out


def test_export_passes_the_audit_and_grows(
    log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "log"
    size, written = export(log, folder)
    assert size == log.checkpoint().size
    code, printed = audit(log, folder, capsys, "--json")
    assert (code, json.loads(printed)["size"]) == (0, size)
    assert export(log, folder) == (size, 4)  # two partial tiles, a bundle, the checkpoint
    assert written == 4 + 2 * 2 + 1  # two full tiles and bundles, an anchor

    grow(log, range(600, 900))
    assert export(log, folder)[0] == log.checkpoint().size
    assert audit(log, folder, capsys)[0] == 0


def test_cosignature_of_an_audit_is_kept_beside_its_anchor(
    log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size, _ = export(log, tmp_path / "log")
    verifier = WitnessModel("auditor.example", log.verifier).verifier
    seed = b"\x04" + b"auditor.example".ljust(32)
    key = tmp_path / "key"
    encoded = b64encode(seed).decode()
    key.write_text(f"PRIVATE+KEY+{verifier.name}+{verifier.key_id.hex()}+{encoded}\n")
    _, printed = audit(log, tmp_path / "log", capsys, "--cosign", str(key))
    (line,) = [one for one in printed.splitlines() if one.startswith("—")]
    grow(log, range(600, 610))

    assert keep_cosignature(log.bucket, line) == {"size": size, "witness": "auditor"}
    assert newest(log.bucket)["cosigners"] == []
    assert b"auditor.example" in log.bucket.read_anchor(size).checkpoint


@pytest.mark.parametrize("line", ["", "nonsense", "— a AAAA\n— b AAAA"])
def test_other_text_is_no_cosignature(log: Log, line: str) -> None:
    with pytest.raises(Failed, match="signature line"):
        keep_cosignature(log.bucket, line)


def test_cosignature_of_an_unknown_key_or_another_checkpoint_is_rejected(log: Log) -> None:
    text = log.checkpoint().text()
    stranger = WitnessModel("stranger.example", log.verifier).cosignature(text)
    with pytest.raises(Failed, match="unknown key"):
        keep_cosignature(log.bucket, stranger)
    other = WitnessModel("auditor.example", log.verifier).cosignature(f"other\n{text}")
    with pytest.raises(Failed, match="newest 48 anchors"):
        keep_cosignature(log.bucket, other)


def test_log_without_a_checkpoint_has_no_export(
    tables: Watched, template: dict[str, Any], tmp_path: Path
) -> None:
    empty = Log(tables, template["Resources"]["LogTable"]["Properties"])

    with pytest.raises(Failed, match="no checkpoint yet"):
        export(empty, tmp_path)
