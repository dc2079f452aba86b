"""RFC 3161 timestamps of an authority that OpenSSL plays."""

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from consents_verify import Options, UsageError, parse_policy, verify

from tests.verifier.log_model import POLICY
from tests.verifier.pack_model import START, World, record_json

CONFIG = """\
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[tsa]
basicConstraints = critical, CA:false
extendedKeyUsage = critical, timeStamping
keyUsage = critical, digitalSignature
[ts]
default_tsa = stamps
[stamps]
serial = {directory}/serial
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
"""
CA = "req -x509 -newkey rsa:2048 -nodes -subj /CN=ca -keyout ca.key -out ca.pem -extensions ca"
REQUEST = "req -newkey rsa:2048 -nodes -subj /CN=tsa -keyout tsa.key -out tsa.csr"
SIGN = "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -out tsa.pem -extensions tsa"


class Authority:
    """A timestamp authority."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / "config").write_text(CONFIG.format(directory=directory))
        (directory / "serial").write_text("01")
        self._openssl(f"{CA} -config config")
        self._openssl(f"{REQUEST} -config config")
        self._openssl(f"{SIGN} -CAcreateserial -extfile config")

    def _openssl(self, command: str) -> None:
        subprocess.run(
            ["openssl", *command.split()], cwd=self._directory, check=True, capture_output=True
        )

    @property
    def roots(self) -> bytes:
        """Return the certificate that a reader trusts."""
        return (self._directory / "ca.pem").read_bytes()

    def stamp(self, data: bytes) -> bytes:
        """Return the timestamp of some bytes."""
        digest = sha256(data).hexdigest()
        self._openssl(f"ts -query -digest {digest} -sha256 -cert -out query")
        self._openssl(
            "ts -reply -queryfile query -signer tsa.pem -inkey tsa.key "
            "-config config -section stamps -out reply"
        )
        return (self._directory / "reply").read_bytes()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A timestamp authority, where there is OpenSSL."""
    if shutil.which("openssl") is None and os.environ.get("CI") != "true":
        pytest.skip("needs openssl")
    return Authority(tmp_path_factory.mktemp("authority"))


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
