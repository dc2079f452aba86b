"""The local stack: its printed calls work, and it stops without a trace."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.local_stack import CONSENTS, LocalStack, ends, eventually, free_port, run_consents

ATTESTED_RESPONSE = """{
  "accepted": 1,
  "rejected": [
    {
      "index": 1,
      "code": "VALIDATION_FAILED",
      "reason": "evidence.ip_address: must be a valid IP address"
    }
  ]
}"""
BULK_RESPONSE = (
    '{"items":[{"correlation_id":"ad388b5a46b33b874b0d41f7226db2ef",'
    '"error_code":0,"error_messages":[]},'
    '{"correlation_id":"02520cfa6c432f0e3ec3a38c122d428d","error_code":30646,'
    '"error_messages":["INVALID_CONTACT_ID","INVALID_DATE_OF_CONSENT"]}]}'
)


def printed_call(stack: LocalStack, route: str) -> str:
    """Return the command that the stack printed for a route."""
    if shutil.which("curl") is None:
        if "CI" in os.environ:
            pytest.fail("curl is not installed")
        pytest.skip("curl is not installed")
    calls = re.findall(
        r"^curl .*?(?:(?<!\\)\n(?=\n|\Z)|\Z)", stack.printed, re.DOTALL | re.MULTILINE
    )
    return next(str(call) for call in calls if route in call)


def paste(command: str) -> str:
    pasted = ["sh", "-c", command]
    result = subprocess.run(pasted, capture_output=True, text=True, timeout=60, check=True)
    return result.stdout


def up_in_the_foreground(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [CONSENTS, "local", "up", "--port", str(free_port())],
        env=os.environ | {"CONSENTS_LOCAL_DIR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def engine_of(folder: Path) -> int:
    """Return the process that leads the group of a stack that starts or runs."""
    lock = folder / "engine.lock"
    assert eventually(lambda: lock.exists() and lock.read_text() != "")
    return int(lock.read_text())


def test_printed_attested_call_gets_the_published_response(stack: LocalStack) -> None:
    assert paste(printed_call(stack, "/v1/consent/bulk")) == ATTESTED_RESPONSE


def test_printed_bulk_call_gets_the_published_response(stack: LocalStack) -> None:
    assert paste(printed_call(stack, "/v1/Consents/Bulk")) == BULK_RESPONSE


def test_stack_json_has_everything_a_client_needs(stack: LocalStack) -> None:
    organization = dict(stack.organization)
    assert stack.state.keys() == {
        "api_url",
        "aws_endpoint_url",
        "drops_bucket",
        "log_bucket",
        "log_origin",
        "form_url",
        "inbound_topic_arn",
        "region",
        "stack_name",
        "tables",
        "twilio",
        "organizations",
    }
    assert re.fullmatch("AC[0-9a-f]{32}", stack.state["twilio"]["account_sid"])
    assert len(stack.state["twilio"]["auth_token"]) == 32
    assert stack.state["tables"].keys() >= {"ledger", "directory"}
    assert re.fullmatch(r"am_live_[0-9A-Za-z]{8}_[0-9A-Za-z]{32}", organization.pop("api_key"))
    assert re.fullmatch("AC[0-9a-f]{32}", organization.pop("account_sid"))
    assert re.fullmatch("[0-9a-f]{32}", organization.pop("auth_token"))
    assert re.fullmatch("org_[0-9a-z]{26}", organization.pop("org_id"))
    assert organization == {
        "name": "Demo",
        "plan": "payg",
        "records_per_minute": 60_000,
        "senders": [
            {
                "phone_number_id": "7c1f0a2d-9e8b-4c3a-9d2e-1f0a2b3c4d5e",
                "phone_number": "+15550001111",
            }
        ],
    }


def test_only_its_owner_may_read_stack_json(stack: LocalStack) -> None:
    assert (stack.folder / "stack.json").stat().st_mode & 0o777 == 0o600


def test_only_this_machine_can_reach_the_stack(stack: LocalStack) -> None:
    port = int(stack.state["aws_endpoint_url"].rpartition(":")[2])
    with closing(socket.socket()) as client:
        # Another loopback address than the one it listens on.
        assert client.connect_ex(("127.0.0.2", port)) != 0


def test_witness_is_a_process_that_stops_with_the_stack(stack: LocalStack) -> None:
    leader = (stack.folder / "engine.lock").read_text()
    search = ["pgrep", "-g", leader, "-f", "local_witness"]

    assert len(subprocess.run(search, capture_output=True).stdout.split()) == 1


def test_status_prints_the_url_of_a_running_stack(stack: LocalStack) -> None:
    result = stack.run("local", "status")
    assert (result.returncode, result.stdout) == (0, f"running at {stack.api_url}\n")


def test_status_without_a_stack_fails(tmp_path: Path) -> None:
    assert run_consents(tmp_path, "local", "status").returncode == 1


def test_second_start_is_rejected_in_one_line(stack: LocalStack) -> None:
    result = stack.run("local", "up", "--port", str(free_port()))
    assert result.returncode == 1
    assert result.stderr == (
        f"consents: the local stack is running already, at {stack.api_url}: "
        "stop it with `consents local down`\n"
    )


def test_port_in_use_is_reported_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_consents(tmp_path, "local", "up", "--port", str(port))
    assert result.returncode == 1
    assert re.fullmatch(rf"consents: port {port} .* --port\n", result.stderr)


def test_down_without_a_stack_changes_nothing(tmp_path: Path) -> None:
    result = run_consents(tmp_path, "local", "down")
    assert (result.returncode, result.stdout) == (0, "no local stack was running\n")


def test_down_stops_a_stack_that_is_still_starting(tmp_path: Path) -> None:
    with up_in_the_foreground(tmp_path) as up:
        leader = engine_of(tmp_path)
        assert run_consents(tmp_path, "local", "down").stdout == "stopped\n"
        _, printed = up.communicate(timeout=60)
    assert (up.returncode, printed) == (1, "consents: stopped before the local stack was ready\n")
    assert ends(leader)


def test_interrupted_foreground_stack_leaves_nothing(tmp_path: Path) -> None:
    with up_in_the_foreground(tmp_path) as up:
        leader = engine_of(tmp_path)
        assert eventually((tmp_path / "stack.json").exists)
        state = json.loads((tmp_path / "stack.json").read_text())
        with pytest.raises(urllib.error.HTTPError):  # a function's process is running then, too
            urllib.request.urlopen(f"{state['api_url']}/v1/consent/bulk", data=b"")
        up.send_signal(signal.SIGINT)
        _, printed = up.communicate(timeout=60)
    assert (up.returncode, printed) == (0, "")
    assert ends(leader)
    assert not (tmp_path / "stack.json").exists()
    assert not (tmp_path / "scratch").exists()


def test_state_file_of_a_dead_stack_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"aws_endpoint_url": "http://127.0.0.1:1"}')
    result = run_consents(tmp_path, "org", "list")
    assert result.returncode == 1
    assert result.stderr.startswith("consents: no local stack is running")


def test_the_printed_form_opens(stack: LocalStack) -> None:
    with urllib.request.urlopen(stack.state["form_url"], timeout=30) as response:
        page = response.read().decode()

    assert stack.state["form_url"] in stack.printed.replace("\n", "").replace(" ", "")
    assert "Get appointment reminders by text" in page
