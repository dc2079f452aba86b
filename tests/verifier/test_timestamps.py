"""RFC 3161 timestamps of an authority that OpenSSL plays."""

import shutil
import subprocess
from pathlib import Path

import pytest
from consents_verify import Options, UsageError, parse_policy, verify

from tests.timestamp_authority import Authority, new_authority
from tests.verifier.log_model import POLICY
from tests.verifier.pack_model import START, World, record_json


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A timestamp authority, where there is OpenSSL."""
    return new_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def world(authority: Authority) -> World:
    """A log with an anchor that only the authority saw."""
    world = World().begin()
    world.store(record_json("opt-in", START))
    size = world.anchor(START, ())
    world.stamps[size] = authority.stamp(world.anchors[size].encode())
    return world


def options(roots: bytes) -> Options:
    """Return the policy with trusted roots of timestamps."""
    return Options(parse_policy(POLICY.encode()), tsa_roots=roots)


def times(world: World, roots: bytes) -> list[tuple[str, str]]:
    """Return what is said of times."""
    statements = verify(world.pack(), options(roots)).statements
    return [(one.key, one.text) for one in statements if one.kind == "time"]


def test_a_timestamp_that_verifies_is_an_anchor(world: World, authority: Authority) -> None:
    ((key, text),) = times(world, authority.roots)

    assert key == "NOT LATER THAN"
    assert text == "leaf 2 (timestamp authority)"


def test_a_timestamp_of_other_bytes_or_of_another_authority_is_none(
    world: World, authority: Authority, tmp_path: Path
) -> None:
    assert times(world, Authority(tmp_path).roots)[0][0] == "CLAIMED"

    world.stamps = {3: authority.stamp(b"other bytes")}
    assert times(world, authority.roots)[0][0] == "CLAIMED"

    world.stamps = {3: b"no timestamp"}
    assert times(world, authority.roots)[0][0] == "CLAIMED"


def test_without_roots_the_command_of_openssl_is_printed_and_verifies(
    world: World, authority: Authority, tmp_path: Path
) -> None:
    report = verify(world.pack(), Options(parse_policy(POLICY.encode())))
    (line,) = (one for one in report.as_text().splitlines() if one.startswith("TIMESTAMP: "))
    (tmp_path / "PACK.zip").write_bytes(world.pack())
    (tmp_path / "TSA.pem").write_bytes(authority.roots)

    assert [one.key for one in report.statements if one.kind == "time"] == ["CLAIMED"]
    if shutil.which("jq") is None or shutil.which("unzip") is None:
        pytest.skip("needs jq and unzip")
    command = line.removeprefix("TIMESTAMP: ")
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert "Verification: OK" in done.stdout + done.stderr


def test_roots_that_are_no_certificates_are_a_usage_error(world: World) -> None:
    with pytest.raises(UsageError):
        verify(world.pack(), options(b"no certificates"))
