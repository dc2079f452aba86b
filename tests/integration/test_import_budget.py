"""Which packages a function loads: each costs every cold start, so a new one is a decision.

A function that needs nothing but DynamoDB has no client of botocore until one of its calls fails.
"""

import json
import subprocess
import sys

import pytest

from tests.integration.callers import BULK, BULK_CONSENTS, SINGLE, headers
from tests.integration.conftest import Tenant
from tests.integration.invocation import ROOT, event_of

CLIENT = {"botocore.session", "dateutil", "six", "urllib3"}
PYDANTIC = {
    "annotated_types",
    "pydantic",
    "pydantic_core",
    "typing_inspection",
}
CORE = {"pydantic_core"}
POWERTOOLS = {"aws_lambda_powertools", "botocore", "jmespath"}
"""Of botocore it takes the name, to add its own to that of clients."""
WITHOUT_PYDANTIC = POWERTOOLS | {"cachetools", "orjson", "typing_extensions"}
ONLY_HERE = {
    "OpenSSL",
    "_awscrt",
    "_cffi_backend",
    "_distutils_hack",
    "awscrt",
    "certifi",
    "cryptography",
}
"""What botocore and urllib3 take where they find it: neither layer nor runtime needs to have it."""

WITH_CLIENT = {"create_import", "fail_import", "get_import", "import_part", "list_imports"}
OF_THE_LOG = {"get_log", "get_log_keys", "publish_log", "seal_records"}
WITH_CLIENT |= OF_THE_LOG | {"make_proof", "plan_import"}
"""They have clients of S3, SQS or KMS."""

OF_PAGES = {
    "answer_challenge",
    "serve_challenge",
    "serve_form",
    "serve_poster",
    "submit_form",
}
TEMPLATES = {"jinja2", "markupsafe"}
"""Only the functions of pages load them, and that of packs, which have a cover."""

WITHOUT_FIELDS = OF_THE_LOG | OF_PAGES | {"receive_message", "receive_twilio", "send_message"}
WITHOUT_FIELDS |= {"check_consents", "get_consent", "list_consent_history", "make_proof"}
WITHOUT_FIELDS |= {"revoke_consent", "revoke_consents", "search_consents", "verify_decision"}
"""They load neither pydantic nor its core: they validate with few rules, or nothing."""

OF_TYPES = {"close_form", "create_form", "open_challenge", "show_challenge", "show_form"}
OF_TYPES |= {"create_import", "fail_import", "get_import", "list_imports"}
OF_TYPES |= {"import_part", "plan_import"}
"""Their types are not compiled ahead."""

FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))

PROGRAM = """
import json, sys
from importlib import import_module

def loaded():
    names = {name.partition(".")[0] for name in sys.modules} | {"botocore.session"}
    return sorted(
        name
        for name in names - set(sys.stdlib_module_names)
        if "site-packages" in str(getattr(sys.modules.get(name), "__file__", ""))
    )

class Context:
    aws_request_id = "the invocation's"
    def get_remaining_time_in_millis(self):
        return 29_000

handler = import_module(f"functions.{sys.argv[1]}.app").handler
shown = {"import": loaded()}
for event in json.loads(sys.stdin.read()):
    shown["status"] = handler(event, Context())["statusCode"]
    shown["answer"] = loaded()
print(json.dumps(shown))
"""


def load(function: str, *events: object) -> dict[str, list[str]]:
    """Return what a process has loaded once it has imported a function, and answered events."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, function],
        cwd=ROOT,
        input=json.dumps(events),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    shown = json.loads(ran.stdout.splitlines()[-1])  # what comes before is the log
    return {stage: shown[stage] for stage in ("import", "answer") if stage in shown}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.usefixtures("engine")
def test_a_function_loads_these_packages_and_no_others(function: str) -> None:
    needed = WITHOUT_PYDANTIC | (PYDANTIC if function in OF_TYPES else set())
    needed |= set() if function in WITHOUT_FIELDS else CORE
    needed |= CLIENT if function in WITH_CLIENT else set()
    needed |= TEMPLATES if function in OF_PAGES | {"make_proof"} else set()
    needed |= {"segno"} if function == "serve_poster" else set()
    if function == "get_log_keys":  # it makes its client for the first request
        needed -= {"botocore.session"}
    assert set(load(function)["import"]) - ONLY_HERE == needed


@pytest.mark.parametrize("event", [BULK, SINGLE, BULK_CONSENTS])
def test_responses_load_no_client_of_botocore(tenant: Tenant, event: str) -> None:
    sent = event_of(event)
    sent["headers"] |= headers(tenant, event, "one")

    loaded = set(load(event.partition(".")[0], sent, sent)["answer"])  # and a replay

    assert loaded - ONLY_HERE == WITHOUT_PYDANTIC | CORE


@pytest.mark.parametrize("event", [f"{function}.unknown" for function in sorted(OF_PAGES)])
@pytest.mark.usefixtures("engine")
def test_a_page_loads_no_client_of_botocore(event: str) -> None:
    loaded = set(load(event.partition(".")[0], event_of(event))["answer"])
    assert loaded - ONLY_HERE - {"segno"} == WITHOUT_PYDANTIC | TEMPLATES
