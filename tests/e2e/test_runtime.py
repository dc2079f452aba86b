"""The built functions in AWS's own runtime client and emulator.

The emulator has no gateway, concurrency, permissions or memory limit. It truncates a payload at
6 MiB, where AWS rejects it. And boto3 is the locked version, not the one of AWS's runtime.
"""

import base64
import contextlib
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from consents_cli import demo, runtime
from consents_cli.errors import Failed
from consents_cli.local_files import PROJECT, LocalFiles
from consents_cli.runtime import Function, Runtime
from consents_cli.stack import connect_local

from tests.e2e import organizations
from tests.e2e.local_stack import LocalStack, eventually, run_consents
from tests.integration.invocation import Response
from tests.integration.test_events import EXPECTED, without_ids

EVENTS = {path.stem: path for path in sorted((PROJECT / "events").glob("*.json"))}
COMES_AGAIN: dict[str, list[str]] = {
    "fail_import.failed_file": [],
    "import_part.unknown_import": ["059f36b4-87a3-44ab-83d2-661975830a7d"],
    "plan_import.next_slice": ["059f36b4-87a3-44ab-83d2-661975830a7d"],
    "plan_import.object_created": [],
    "plan_import.test_event": [],
    "receive_message.stop": [],
    "send_message.unknown": [],
}
"""For each event of a queue, the messages that the function reports as failed."""

PAGES = (
    "answer_challenge.unknown",
    "serve_challenge.unknown",
    "serve_form.unknown",
    "serve_poster.unknown",
    "submit_form.unknown",
)
"""Events of links that do not exist."""

LOG = ("publish_log.day", "publish_log.hour", "publish_log.minute", "seal_records.insert")
"""Events that a function of the transparency log answers with nothing."""

RUNTIMES_OWN = {
    "awslambdaric",
    "boto3",
    "botocore",
    "jmespath",
    "python-dateutil",
    "s3transfer",
    "simplejson",
    "six",
    "snapshot-restore-py",
    "urllib3",
}

MIB = 2**20
PAYLOAD = 6 * MIB - 10_000
"""Bytes of a body that fits into the largest payload of Lambda."""

type Start = Callable[..., Runtime]


def function_of(event: str) -> str:
    return event.split(".")[0].replace("_", " ").title().replace(" ", "")


@pytest.fixture(scope="module")
def files(stack: LocalStack) -> LocalFiles:
    if sys.platform != "linux":
        pytest.skip("AWS's emulator runs on Linux only")
    return LocalFiles(stack.folder)


@pytest.fixture(scope="module")
def python(files: LocalFiles) -> Path:
    """The interpreter that finds the packages of AWS's runtime, and no others."""
    return runtime.prepare(files)


@pytest.fixture(scope="module")
def start(stack: LocalStack, files: LocalFiles, python: Path) -> Iterator[Start]:
    """Start a function of the stack in the runtime, with some changes."""
    with contextlib.ExitStack() as exits:
        log = exits.enter_context((stack.folder / "runtime.log").open("wb"))

        def start(name: str, variables: dict[str, str] | None = None, **changes: Any) -> Runtime:
            function = runtime.deployed(files, stack.state["aws_endpoint_url"], name)
            changes["variables"] = dict(function.variables) | (variables or {})
            changed = replace(function, **changes)
            return exits.enter_context(runtime.running(changed, python, log))

        yield start


@pytest.fixture(scope="module")
def started(start: Start) -> Callable[[str], Runtime]:
    """Return a function that runs already, or start it."""
    return cache(partial(start, variables={"PUBLIC_URL": "https://text.example.com"}))


@pytest.fixture
def organization(stack: LocalStack) -> Iterator[dict[str, Any]]:
    """An organization like the demo's, which no other test uses; it has the demo's number."""
    with organizations.lent(stack, demo.PHONE_NUMBER):
        yield demo.create(connect_local(stack.state["aws_endpoint_url"]))


@pytest.fixture
def silent_table() -> Iterator[socket.socket]:
    """A server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield listener


def leading_to(table: socket.socket) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{table.getsockname()[1]}"}


def read(event: str, organization: dict[str, Any]) -> dict[str, Any]:
    text = demo.with_demo_credentials(EVENTS[event].read_text(), organization)
    return dict(json.loads(text))


def answer_of(running: Runtime, event: dict[str, Any]) -> Response:
    answer = running.invoke(json.dumps(event).encode())
    return Response(answer["statusCode"], answer["headers"], answer["body"])


def is_alive(running: Runtime) -> bool:
    """Return whether a function answers a request that needs no table."""
    preflight = EVENTS["create_bulk_consents.preflight"].read_bytes()
    with contextlib.suppress(Failed):
        return bool(running.invoke(preflight)["statusCode"] == 204)
    return False


def interpreter_of(running: Runtime) -> int:
    """Return the process in which the function runs: the emulator's one child."""
    lists = Path(f"/proc/{running.process.pid}/task").glob("*/children")
    (child,) = (int(child) for one in lists for child in one.read_text().split())
    return child


def test_every_event_has_an_expected_response() -> None:
    assert EVENTS.keys() == EXPECTED.keys() | COMES_AGAIN.keys() | {
        *PAGES,
        *LOG,
        "get_log_keys.policy",
    }


@pytest.mark.parametrize("event", EXPECTED)
def test_event_of_an_api_gets_the_published_response(
    event: str, started: Callable[[str], Runtime], organization: dict[str, Any]
) -> None:
    answer = answer_of(started(function_of(event)), read(event, organization))

    assert (answer.status, without_ids(answer)) == EXPECTED[event]


@pytest.mark.parametrize("event", PAGES)
def test_event_of_an_unknown_link_gets_a_page(event: str, start: Start) -> None:
    running = start(function_of(event), {"PUBLIC_URL": ""})  # then it is that of the event
    answer = running.invoke(EVENTS[event].read_bytes())

    assert (answer["statusCode"], answer["body"][:15]) == (404, "<!doctype html>")


@pytest.mark.usefixtures("organization")  # a STOP is not of the demo's organization
@pytest.mark.parametrize("event", COMES_AGAIN)
def test_function_reports_only_failed_messages(
    event: str, started: Callable[[str], Runtime]
) -> None:
    answer = started(function_of(event)).invoke(EVENTS[event].read_bytes())

    assert [one["itemIdentifier"] for one in answer["batchItemFailures"]] == COMES_AGAIN[event]


@pytest.mark.parametrize("event", LOG)
def test_function_of_the_log_ends_well(event: str, started: Callable[[str], Runtime]) -> None:
    assert started(function_of(event)).invoke(EVENTS[event].read_bytes()) is None


def test_event_for_the_keys_of_the_log_gets_a_policy(start: Start) -> None:
    answer = start("GetLogKeys").invoke(EVENTS["get_log_keys.policy"].read_bytes())

    assert (answer["statusCode"], answer["body"][:4]) == (200, "log ")


def ask(python: Path, function: Function, question: str) -> Any:
    """Run some Python in the environment of a function."""
    ran = subprocess.run(
        [python, "-c", question],
        cwd=function.code,
        env=runtime.environment(function),
        capture_output=True,
        check=True,
    )
    return json.loads(ran.stdout)


def test_runtime_has_no_package_of_development(
    python: Path, started: Callable[[str], Runtime]
) -> None:
    function = started("CaptureConsents").function
    question = """
import importlib.metadata, json, os, sys
found = importlib.metadata.distributions(path=[sys.path[-1]])
print(json.dumps([sys.path, [one.name for one in found]]))
"""
    path, distributions = ask(python, function, question)

    assert set(distributions) == RUNTIMES_OWN
    assert path[:3] == ["", str(function.code), str(function.layer / "python")]
    assert path[-1] == str(python.parents[1] / "lib" / "python3.13" / "site-packages")
    assert {Path(one).name for one in path[3:-1]} == {"python313.zip", "python3.13", "lib-dynload"}


def test_package_missing_from_the_layer_is_an_import_error(
    start: Start, started: Callable[[str], Runtime], tmp_path: Path
) -> None:
    whole = started("CaptureConsents").function.layer
    (tmp_path / "python").mkdir()
    for path in (whole / "python").iterdir():
        if path.name != "orjson":
            (tmp_path / "python" / path.name).symlink_to(path)

    with pytest.raises(Failed, match=r"ImportModuleError: .*No module named 'orjson'"):
        start("CaptureConsents", layer=tmp_path).invoke(b"{}")


def test_every_package_of_the_layer_is_imported(
    python: Path, started: Callable[[str], Runtime]
) -> None:
    functions = [started(name).function for name in sorted(map(function_of, EVENTS))]
    question = f"""
import json, runpy, sys
for function in {[str(one.code) for one in functions]}:
    runpy.run_path(function + "/app.py")
from consents.pages import phone_numbers
from consents.decisions.consent_ids import ConsentIds
phone_numbers.read("+15554443333", "+15550001111")  # the first number loads the library
ConsentIds(lambda: b"pepper").seal("org_1", "*", "+15554443333")  # the first id the cipher
print(json.dumps(sorted({{name.split(".")[0] for name in sys.modules}})))
"""
    variables = {name: text for one in functions for name, text in one.variables.items()}
    imported = ask(python, replace(functions[0], variables=variables), question)
    held = {
        path.name.split(".")[0]
        for path in (functions[0].layer / "python").iterdir()
        if path.suffix != ".dist-info" and path.name != "__pycache__"
    }

    assert held - set(imported) == set()


def test_unresponsive_table_gives_503_before_the_timeout(
    start: Start, silent_table: socket.socket, organization: dict[str, Any]
) -> None:
    running = start("CaptureConsents", leading_to(silent_table))
    answer = answer_of(running, read("capture_consents.mixed", organization))

    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json["error"]["code"] == "UNAVAILABLE"


def test_function_starts_again_after_a_timeout(
    start: Start, silent_table: socket.socket, organization: dict[str, Any]
) -> None:
    event = json.dumps(read("create_bulk_consents.two_items", organization)).encode()
    running = start("CreateBulkConsents", leading_to(silent_table), seconds=3)

    with pytest.raises(Failed, match=r"Task timed out after 3\.00 seconds"):
        running.invoke(event)
    assert eventually(lambda: is_alive(running))


def test_function_starts_again_after_it_is_killed(
    start: Start, silent_table: socket.socket, organization: dict[str, Any]
) -> None:
    event = json.dumps(read("create_bulk_consents.two_items", organization)).encode()
    running = start("CreateBulkConsents", leading_to(silent_table))

    with ThreadPoolExecutor() as threads:
        answer = threads.submit(running.invoke, event)
        silent_table.accept()[0].close()
        os.kill(interpreter_of(running), signal.SIGKILL)
        with pytest.raises(Failed, match=r"Runtime\.ExitError: .*signal: killed"):
            answer.result()
    assert eventually(lambda: is_alive(running))


def filled(start: str, middle: str, end: str, size: int = PAYLOAD) -> str:
    """Return a body with a size in an event, where a quote or backslash takes two bytes."""
    taken = len(json.dumps(middle)) - 2
    return start + middle * ((size - 2 * len(start + end)) // taken) + end


def gzipped(body: bytes, members: int = 1) -> dict[str, Any]:
    encoded = base64.b64encode(gzip.compress(body) * members).decode()
    return {"body": encoded, "isBase64Encoded": True, "type": "application/gzip"}


def records(changes: dict[str, str]) -> str:
    """Return a batch of records with different contacts and changed evidence."""
    event = json.loads(EVENTS["capture_consents.mixed"].read_text())
    good = json.loads(event["body"])["records"][0]
    return json.dumps(
        {
            "records": [
                good
                | {
                    "contact_number": f"+1555{n:07}",
                    "evidence": good["evidence"]
                    | {name: f"{n:04}{text}" for name, text in changes.items()},
                }
                for n in range(1000)
            ]
        }
    )


def batches() -> Iterator[dict[str, Any]]:
    """Return the largest bodies, compressed or not."""
    yield {"body": records({"agreement_text": "x" * 5000})}
    yield {"body": records({"agreement_text": "x" * 5000, "form_url": "x"})}
    yield {"body": filled('{"records":[', "{},", "{}]}")}
    yield {"body": filled('{"records":[', "1e9,", "1]}")}
    yield {"body": filled('{"records":', "[", "")}
    yield {"body": filled('{"x":"\\ud800","records":[', "[],", "[]]}")}  # orjson rejects it
    yield gzipped(records({"agreement_text": "x" * 7500}).encode())
    yield gzipped(filled('{"records":[', "{},", "{}]}", 8 * MIB).encode())
    yield gzipped(bytes(64 * MIB), members=16)


def forms() -> Iterator[dict[str, Any]]:
    """Return the largest forms, compressed or not."""
    yield {"body": filled("", "Items=1&", "")}
    yield {"body": filled("", "Items[9][a]=1&", "")}
    yield {"body": filled("", "Items=%7B%7D&", "")}
    yield {"body": filled("Items=", "%7B", "")}
    yield {"body": filled("Items=[", "{},", "{}]")}
    yield gzipped(filled("", "Items=1&", "", 8 * MIB).encode())
    yield gzipped(bytes(64 * MIB), members=16)


@pytest.mark.parametrize(
    ("event", "bodies"),
    [("capture_consents.mixed", batches), ("create_bulk_consents.two_items", forms)],
)
def test_no_body_exceeds_the_memory_of_a_function(
    event: str,
    bodies: Callable[[], Iterator[dict[str, Any]]],
    start: Start,
    organization: dict[str, Any],
) -> None:
    running = start(function_of(event))
    sent = read(event, organization)

    for body in bodies():
        kind = body.pop("type", sent["headers"]["Content-Type"])
        headers = sent["headers"] | {"Content-Type": kind}
        assert answer_of(running, sent | body | {"headers": headers}).status < 500
    status = Path(f"/proc/{interpreter_of(running)}/status").read_text()
    (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert int(peak) / 1024 < running.function.megabytes


@pytest.mark.usefixtures("python")
def test_invoke_prints_the_response_and_logs_to_stderr(stack: LocalStack) -> None:
    done = stack.run("local", "invoke", "CaptureConsents", str(EVENTS["capture_consents.mixed"]))
    answer = json.loads(done.stdout)

    assert done.returncode == 0
    assert (answer["statusCode"], json.loads(answer["body"])) == EXPECTED["capture_consents.mixed"]
    assert '"request.completed"' in done.stderr


@pytest.mark.parametrize(
    ("function", "event", "reason"),
    [
        (
            "Nothing",
            "events/not_found.attested.json",
            "unknown function 'Nothing' (choose from Answer",
        ),
        ("NotFound", "events/nothing.json", "'events/nothing.json' cannot be read: No such file"),
        ("NotFound", "README.md", "'README.md' is not JSON"),
    ],
)
def test_invoke_reports_a_wrong_argument_in_one_line(
    stack: LocalStack, function: str, event: str, reason: str
) -> None:
    done = stack.run("local", "invoke", function, event)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"consents: {reason}")


def test_invoke_without_a_stack_explains_how_to_start_one(tmp_path: Path) -> None:
    event = str(EVENTS["not_found.attested"])
    done = run_consents(tmp_path, "local", "invoke", "NotFound", event)

    assert done.returncode == 1
    assert done.stderr == "consents: no local stack is running: start one with `make run`\n"
