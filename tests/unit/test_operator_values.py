"""The `consents` command: the values it parses and shows, and the environment of its programs."""

import json
import os
import shlex
import site
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from consents.domain.organization import PLANS_WITH_CAPTURE
from consents_cli import demo, engine, locks, output, sam
from consents_cli.credentials import expiry
from consents_cli.errors import Failed
from consents_cli.local_files import LocalFiles
from consents_cli.organizations import PLANS
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 4, 26, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("30m", "2026-04-26T12:30:00.000000Z"),
        ("12h", "2026-04-27T00:00:00.000000Z"),
        ("30d", "2026-05-26T12:00:00.000000Z"),
        ("2w", "2026-05-10T12:00:00.000000Z"),
        ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00.000000Z"),
        ("2027-01-01T00:00:00.25+02:00", "2026-12-31T22:00:00.250000Z"),
    ],
)
def test_expiry_is_a_date_or_a_time_from_now(text: str, at: str) -> None:
    assert expiry(text, NOW) == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "30",
        "30y",
        "-1d",
        "0d",
        "1.5h",
        "٣d",
        "999999w",
        "2027-01-01",
        "2027-01-01T00:00:00",
        "0001-01-01T00:00:00+14:00",
        "2026-04-26T12:00:00Z",
        "2026-04-26T11:59:59Z",
    ],
)
def test_expiry_in_the_past_or_without_a_unit_is_rejected(text: str) -> None:
    with pytest.raises(Failed, match="--expires"):
        expiry(text, NOW)


def test_every_plan_with_capture_can_be_chosen() -> None:
    assert set(PLANS) == PLANS_WITH_CAPTURE | {"starter"}


@given(st.text())
def test_no_shown_text_can_control_a_terminal(text: str) -> None:
    assert output.plain(text).isprintable()


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_printable_text_is_shown_as_it_is(text: str) -> None:
    assert output.plain(text) == text


def test_times_are_shown_to_the_second() -> None:
    assert str(output.cell("2026-04-26T12:00:00.123456Z")) == "2026-04-26 12:00:00Z"


def test_printed_calls_are_the_published_examples() -> None:
    organization = {"api_key": "KEY", "account_sid": "AC", "auth_token": "TOKEN"}
    calls = demo.calls("http://127.0.0.1:4566/x", organization)
    attested = shlex.split(calls["Attested Consent API"].replace("\\\n", ""))
    assert attested[:2] == ["curl", "http://127.0.0.1:4566/x/v1/consent/bulk"]
    assert "Authorization: Bearer KEY" in attested
    records = json.loads(attested[-1])["records"]
    assert [one["contact_number"] for one in records] == ["+15554443333", "+15554443334"]
    assert [one["evidence"]["ip_address"] for one in records] == ["203.0.113.42", ""]
    bulk = shlex.split(calls["Bulk Consents API"].replace("\\\n", ""))
    assert bulk[:4] == ["curl", "http://127.0.0.1:4566/x/v1/Consents/Bulk", "-u", "AC:TOKEN"]
    items = [json.loads(one.removeprefix("Items=")) for one in bulk if one.startswith("Items=")]
    assert [one["contact_id"] for one in items] == ["+19999999999", "+19"]


@pytest.fixture
def users_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a user who works with AWS, inside make."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "mine",
        "AWS_PROFILE": "mine",
        "AWS_SESSION_TOKEN": "mine",
        "AWS_ENDPOINT_URL_S3": "https://mine",
        "MAKEFLAGS": "n -- PORT=mine",
        "NO_PROXY": "internal.example.com",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("users_environment")
def test_sam_gets_no_credentials_or_endpoints_of_the_user() -> None:
    environment = sam.environment()
    assert "mine" not in str(environment)
    assert environment["AWS_ACCESS_KEY_ID"] == "test"
    assert environment["NO_PROXY"] == "internal.example.com,127.0.0.1"


@pytest.mark.usefixtures("users_environment")
def test_functions_get_no_environment_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMBDA_EXECUTOR", "mine")
    assert "mine" not in str(engine.environment(LocalFiles(tmp_path), 4566))


@pytest.mark.parametrize("tool", ["sam", "uv", "python3.13", "make"])
def test_missing_program_is_named(tool: str, tmp_path: Path) -> None:
    for other in {"sam", "uv", "python3.13", "make"} - {tool}:
        (tmp_path / other).touch(mode=0o755)
    with pytest.raises(Failed, match=f"^{tool} is not on PATH"):
        sam.check_tools(str(tmp_path))


def test_the_local_layer_puts_the_built_layer_first_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = LocalFiles(tmp_path / "a folder's name")
    (files.build / "ConsentsLayer" / "python").mkdir(parents=True)
    (files.build / "template.yaml").write_text("Resources: {}")
    monkeypatch.setattr(sys, "path", ["the function", "this environment"])

    sam.link_layer(files)
    sam.link_layer(files)
    site.addsitedir(str(*files.linked_build.glob("ConsentsLayer/python/lib/python*/*")))

    assert sys.path[0] == str(files.build / "ConsentsLayer" / "python")
    assert sys.path[1:3] == ["the function", "this environment"]
    assert (files.linked_build / "template.yaml").read_text() == "Resources: {}"


def test_only_the_owner_can_read_stack_json(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    files.write_state({"api_url": "http://127.0.0.1:4566"})
    assert files.state.stat().st_mode & 0o777 == 0o600
    assert files.read_state() == {"api_url": "http://127.0.0.1:4566"}


def test_lock_is_held_once_and_names_its_holder(tmp_path: Path) -> None:
    lock = locks.take(tmp_path / "lock")
    assert lock is not None
    locks.name_holder(lock, os.getpid())
    assert locks.take(tmp_path / "lock", timeout_seconds=0) is None
    assert locks.holder(tmp_path / "lock") == os.getpid()
    os.close(lock)
    assert locks.holder(tmp_path / "lock") is None


def test_lock_is_held_by_a_process_that_inherited_it(tmp_path: Path) -> None:
    lock = locks.take(tmp_path / "lock")
    assert lock is not None
    with subprocess.Popen(
        [sys.executable, "-c", "input()"],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=[lock],
    ) as heir:
        locks.name_holder(lock, heir.pid)
        os.close(lock)
        assert locks.holder(tmp_path / "lock") == heir.pid
        heir.kill()
    assert locks.holder(tmp_path / "lock") is None
