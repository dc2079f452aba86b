"""The commands and programs of README.md and docs/ run as printed against the local stack."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest
from consents_cli.local_files import PROJECT

from tests.e2e import organizations
from tests.e2e.local_stack import CONSENTS, LocalStack

NODE_MODULES = PROJECT / "tests" / "e2e" / "node_modules"
END_OF_OUTPUT = "\036"
DEMO_SENDER = ("+15550001111", "7c1f0a2d-9e8b-4c3a-9d2e-1f0a2b3c4d5e")


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str


class Command(NamedTuple):
    """A shell block, and the block of its output where the page shows one."""

    text: str
    output: str


def blocks(page: str) -> list[Block]:
    text = (PROJECT / page).read_text()
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [Block(*each) for each in found]


def commands(page: str) -> Iterator[Command]:
    """Return the shell blocks of a page, without those that start the stack."""
    found = [*blocks(page), Block("", "")]
    for block, following in pairwise(found):
        if block.language == "sh" and not block.text.startswith("make run"):
            shown = following.text if following.language in {"json", "text"} else ""
            yield Command(block.text, shown.strip())


def missing(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def demo(stack: LocalStack, tmp_path: Path) -> Iterator[Path]:
    """A `stack.json` whose demo organization belongs to this test only."""
    with organizations.lent(stack, DEMO_SENDER[0]):
        organization = organizations.create(stack, sender=DEMO_SENDER)
        demo = tmp_path / "stack.json"
        demo.write_text(json.dumps(stack.state | {"organizations": [organization]}))
        yield demo


def session(stack: LocalStack, demo: Path, page: str) -> list[tuple[Command, str]]:
    """Run the commands of a page in one shell; return each with its output."""
    if shutil.which("curl") is None:
        missing("curl is not installed")
    run = [*commands(page)]
    script = "\n".join(f"{each.text}\nprintf '{END_OF_OUTPUT}'" for each in run)
    script = script.replace(". .venv/bin/activate", ":").replace("curl ", "curl -sS ")
    ran = subprocess.run(
        ["sh", "-c", script.replace(".local/stack.json", str(demo))],
        cwd=PROJECT,
        env=os.environ
        | {
            "COLUMNS": "80",
            "CONSENTS_LOCAL_DIR": str(stack.folder),
            "PATH": f"{CONSENTS.parent}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.stderr == ""
    printed = [
        re.sub(" +$", "", each, flags=re.MULTILINE) for each in ran.stdout.split(END_OF_OUTPUT)
    ]
    return list(zip(run, printed[:-1], strict=True))


def test_the_commands_of_the_tutorial_print_what_it_shows(stack: LocalStack, demo: Path) -> None:
    for command, printed in session(stack, demo, "docs/tutorial.md"):
        assert command.output in printed, command.text


def test_the_commands_of_the_guide_to_checks_print_what_it_shows(
    stack: LocalStack, demo: Path
) -> None:
    for command, printed in session(stack, demo, "docs/guides/checking-consent.md"):
        assert command.output in printed, command.text


@pytest.mark.usefixtures("sealing")
def test_the_commands_of_the_guide_to_proofs_print_what_it_shows(
    stack: LocalStack, demo: Path
) -> None:
    for command, printed in session(stack, demo, "docs/guides/prove-a-consent.md"):
        assert command.output in printed, command.text


def test_the_campaign_of_the_guide_sends_only_to_those_who_are_allowed(stack: LocalStack) -> None:
    known: dict[str, Any] = {
        "API_URL": stack.api_url,
        "API_KEY": stack.organization["api_key"],
    }
    programs = [
        each for each in blocks("docs/guides/checking-consent.md") if each.language == "python"
    ]
    exec("\n".join(each.text for each in programs), known)
    contacts = [f"+1555{number:07}" for number in range(1001)]
    opted_in = contacts[1000]
    organizations.opt_in(stack, opted_in)
    sent: list[str] = []
    kept: list[dict[str, Any]] = []
    again = known["run_campaign"](contacts, sent.append, kept.append)

    assert (sent, again) == ([opted_in], [])
    assert kept[0]["result"]["contact_number"] == opted_in


def test_the_curl_of_the_readme_stores_a_record_with_a_history(
    stack: LocalStack, demo: Path
) -> None:
    known = json.loads(demo.read_text())
    organization = known["organizations"][0]
    (request,) = (each for each in commands("README.md") if each.text.startswith("curl"))
    (history,) = (each for each in commands("README.md") if "consents history" in each.text)
    variables = {
        "API_URL": known["api_url"],
        "API_KEY": organization["api_key"],
        "ORG_ID": organization["org_id"],
        "CONSENTS_LOCAL_DIR": str(stack.folder),
        "PATH": f"{CONSENTS.parent}{os.pathsep}{os.environ['PATH']}",
    }

    def run(command: Command) -> str:
        ran = ["sh", "-c", command.text.replace("curl ", "curl -sS ")]
        environment = os.environ | variables
        return subprocess.run(
            ran, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert run(request).strip() == request.output
    assert "opt-in since 2026-04-26 12:00:00Z (current)" in run(history)


def test_the_python_program_of_the_twilio_guide_prints_a_result(
    stack: LocalStack, demo: Path
) -> None:
    account = json.loads(demo.read_text())["organizations"][0]
    known = {
        "API_URL": stack.api_url,
        "ACCOUNT_SID": account["account_sid"],
        "AUTH_TOKEN": account["auth_token"],
    }
    printed = io.StringIO()
    programs = [each for each in blocks("docs/guides/twilio-sdk.md") if each.language == "python"]
    with contextlib.redirect_stdout(printed):
        exec("\n".join(each.text for each in programs), known)

    assert printed.getvalue() == "ad388b5a46b33b874b0d41f7226db2ef 0 []\n"


def test_the_node_program_of_the_twilio_guide_returns_a_result(
    stack: LocalStack, demo: Path
) -> None:
    if not (NODE_MODULES / "twilio").is_dir() or shutil.which("node") is None:
        missing("the Node client is not installed: npm ci --prefix tests/e2e")
    account = json.loads(demo.read_text())["organizations"][0]
    (program,) = (each for each in blocks("docs/guides/twilio-sdk.md") if each.language == "js")
    item = {
        "contact_id": "+19999999999",
        "correlation_id": "ad388b5a46b33b874b0d41f7226db2ef",
        "sender_id": "123456",
        "status": "opt-out",
        "source": "website",
    }
    known = {
        "API_URL": stack.api_url,
        "ACCOUNT_SID": account["account_sid"],
        "AUTH_TOKEN": account["auth_token"],
        "ITEMS": [item],
    }
    constants = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in known.items())
    ran = subprocess.run(
        ["node", "--input-type=module", "-"],
        cwd=NODE_MODULES.parent,
        input=f"{constants}{program.text}console.log(items[0].error_code);\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("0\n", "")
