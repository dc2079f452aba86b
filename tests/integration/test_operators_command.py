"""The operator's commands, against a local AWS with the template's tables and secret."""

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ConnectionClosedError
from consents.accounts.directory import CACHE_SECONDS, Directory, number_key
from consents.accounts.directory_writer import DirectoryError, DirectoryWriter, Sender
from consents.aws.client import Boto3Client
from consents.aws.dynamodb import Table, encode_item
from consents.capture import attested, bulk_consents
from consents.domain.errors import MissingScope, Unauthenticated
from consents.domain.organization import Caller, Organization, Scope
from consents.domain.record import ConsentRecord, Receipt, Wire, timestamp
from consents.domain.rules import Rules
from consents.http import json_api
from consents.imports.drop import Drop, parse_key
from consents.imports.import_state import Counts
from consents_cli import engine
from consents_cli.__main__ import app
from consents_cli.drop import upload, wait_for_summary
from consents_cli.errors import Failed
from consents_cli.local_files import LocalFiles
from consents_cli.stack import LOCAL_NAME, LOCAL_REGION, Stack, connect_local
from typer.testing import CliRunner, Result

NOW = datetime.now(UTC)
AGREED = "By signing up you agree to receive appointment reminders. Reply STOP to opt out."
MG = "MG00000000000000000000000000000001"

type Ask = Callable[..., Any]
type Refusal = Callable[..., str]


@dataclass(frozen=True)
class Local:
    """A local stack, and the environment in which a command finds it."""

    endpoint: str
    environment: dict[str, str]

    def run(self, *arguments: str) -> Result:
        """Run a command on a terminal of 80 columns."""
        return CliRunner(env=self.environment).invoke(app, arguments)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, template: dict[str, Any]) -> Iterator[Local]:
    """A local stack with the tables, the secret and the outputs of the template, and no more."""
    files = LocalFiles(tmp_path_factory.mktemp("local"))
    port = free_port()
    process = engine.start(files, port)
    try:
        engine.wait_until_ready(process, files, port)
        deploy(engine.url(port), template)
        files.write_state({"aws_endpoint_url": engine.url(port)})
        environment = {"CONSENTS_LOCAL_DIR": str(files.folder), "COLUMNS": "80"}
        yield Local(engine.url(port), environment)
    finally:
        engine.stop(files)
        process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def aws(service: Any, endpoint_url: str) -> Any:
    """Return a client of the local AWS."""
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=LOCAL_REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def deploy(endpoint_url: str, template: dict[str, Any]) -> None:
    kinds = ("AWS::DynamoDB::Table", "AWS::SecretsManager::Secret")
    kept = {name: one for name, one in template["Resources"].items() if one["Type"] in kinds}
    outputs = {
        name: one for name, one in template["Outputs"].items() if one["Value"].get("Ref") in kept
    }
    client = aws("cloudformation", endpoint_url)
    body = json.dumps({"Resources": kept, "Outputs": outputs})
    client.create_stack(StackName=LOCAL_NAME, TemplateBody=body)
    deadline = time.monotonic() + 30
    while client.describe_stacks(StackName=LOCAL_NAME)["Stacks"][0]["StackStatus"] != (
        "CREATE_COMPLETE"
    ):
        assert time.monotonic() < deadline


@pytest.fixture
def stack(local: Local) -> Stack:
    """The stack, with new caches."""
    return connect_local(local.endpoint)


@pytest.fixture
def ask(local: Local) -> Ask:
    """Run a command with --json, and return its output."""

    def ask(*arguments: str) -> Any:
        result = local.run(*arguments, "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        return json.loads(result.stdout)

    return ask


@pytest.fixture
def refusal(local: Local) -> Refusal:
    """Run a command that fails, and return the one line it says why in."""

    def refusal(*arguments: str) -> str:
        result = local.run(*arguments)
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
        return result.stderr

    return refusal


@pytest.fixture
def org_id(ask: Ask, stack: Stack) -> str:
    """The id of a new organization; the numbers of the tests before belong to nobody."""
    for last in range(8):
        key = encode_item(number_key(f"+1555000111{last}"))
        stack.dynamodb.delete_item(TableName=stack.tables["directory"], Key=key)
    return str(ask("org", "create", "--name", "Clinic")["org_id"])


def authenticate(
    stack: Stack, made: dict[str, Any], scope: str = "consent:write", now: datetime = NOW
) -> str:
    """Return the organization that a new credential calls for, as its wire would."""
    caller = caller_of(stack.directory, made, now)
    caller.check_may(Scope(scope))
    return caller.organization.org_id


def caller_of(directory: Directory, made: dict[str, Any], now: datetime = NOW) -> Caller:
    if "api_key" in made:
        secret = json_api.secret(f"Bearer {made['api_key']}")
    else:
        proof = made.get("auth_token") or made["key_secret"]
        secret = f"basic:{made['key_id']}:{proof}"
    return directory.authenticate(secret, now)


def test_created_organization_is_returned_in_full(ask: Ask) -> None:
    made = ask(
        "org",
        "create",
        "--name",
        "Ω",
        "--plan",
        "scale",
        "--records-per-minute",
        "60",
        "--parts-per-day",
        "7",
    )
    assert re.fullmatch("org_[0-9a-z]{26}", made.pop("org_id"))
    assert made.pop("created_at").endswith("Z")
    assert made == {
        "name": "Ω",
        "plan": "scale",
        "records_per_minute": 60,
        "contacts_per_minute": 600,
        "parts_per_day": 7,
        "texts_per_minute": 60,
        "texts_per_day": 1000,
        "rules_version": 0,
    }


def test_every_organization_is_listed_once(ask: Ask, org_id: str) -> None:
    assert [one["org_id"] for one in ask("org", "list")].count(org_id) == 1


@pytest.mark.parametrize("arguments", [["{}"], ["--org", "{}"]])
def test_organization_is_shown_by_argument_or_option(
    ask: Ask, org_id: str, arguments: Sequence[str]
) -> None:
    shown = ask("org", "show", *(one.format(org_id) for one in arguments))
    assert (shown["org_id"], shown["credentials"], shown["senders"]) == (org_id, [], [])


def test_organization_is_shown_with_credentials_but_no_secret(ask: Ask, org_id: str) -> None:
    key = ask("key", "create", "--org", org_id)
    account = ask("account", "create", "--org", org_id)
    sender = ask("sender", "add", "--org", org_id, "--phone-number", "+15550001111")
    shown = ask("org", "show", org_id)
    assert [one["key_id"] for one in shown["credentials"]] == [key["key_id"], account["key_id"]]
    assert shown["senders"] == [{name: sender[name] for name in shown["senders"][0]}]
    assert key["api_key"] not in str(shown)
    assert account["auth_token"] not in str(shown)


@pytest.mark.parametrize("arguments", [["{}"], ["--org", "{}"]])
def test_changed_organization_is_returned_as_it_is_then(
    ask: Ask, org_id: str, arguments: Sequence[str]
) -> None:
    (before,) = (one for one in ask("org", "list") if one["org_id"] == org_id)
    named = (one.format(org_id) for one in arguments)
    shown = ask("org", "set", *named, "--records-per-minute", "90", "--plan", "scale")
    limits = {"records_per_minute": 90, "contacts_per_minute": 900}
    assert shown == before | limits | {"plan": "scale"}
    assert ask("org", "show", org_id).items() >= shown.items()


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        (
            ["--records-per-minute", "1"],
            {"records_per_minute": 1, "contacts_per_minute": 10},
        ),
        (["--contacts-per-minute", "7"], {"contacts_per_minute": 7}),
        (["--plan", "starter"], {"plan": "starter"}),
    ],
)
def test_what_is_not_named_of_an_organization_stays(
    ask: Ask, org_id: str, arguments: Sequence[str], changed: dict[str, Any]
) -> None:
    key = ask("key", "create", "--org", org_id)
    before = ask("org", "show", org_id)
    ask("org", "set", org_id, *arguments)
    assert ask("org", "show", org_id) == before | changed
    assert before["credentials"][0]["key_id"] == key["key_id"]


def test_same_change_of_an_organization_again_changes_nothing(ask: Ask, org_id: str) -> None:
    arguments = ("org", "set", org_id, "--records-per-minute", "90")
    assert ask(*arguments) == ask(*arguments)


def test_changed_allowance_applies_when_the_cache_expires(
    ask: Ask, org_id: str, stack: Stack, local: Local
) -> None:
    made = ask("key", "create", "--org", org_id)
    clock = [0.0]
    directory = Directory(
        Table(Boto3Client(lambda: aws("dynamodb", local.endpoint)), stack.tables["directory"]),
        lambda: pepper(stack, local),
        clock=lambda: clock[0],
    )

    def allowance() -> int:
        return caller_of(directory, made).organization.records_per_minute

    before = allowance()
    ask("org", "set", org_id, "--records-per-minute", "90")
    assert allowance() == before == 60_000
    clock[0] = CACHE_SECONDS
    assert allowance() == 90


def test_organization_that_is_not_there_is_not_made_by_a_change(ask: Ask, refusal: Refusal) -> None:
    shown = refusal("org", "set", "org_nobody", "--records-per-minute", "60")
    assert shown == "consents: unknown organization org_nobody\n"
    assert "org_nobody" not in str(ask("org", "list"))


def test_output_says_when_a_changed_allowance_is_in_force(local: Local, org_id: str) -> None:
    shown = local.run("org", "set", org_id, "--records-per-minute", "90").stdout
    assert "within 30 seconds" in shown


@pytest.mark.parametrize("number", ["many", "1.5", ""])
def test_allowance_that_is_no_whole_number_is_a_wrong_use(
    ask: Ask, local: Local, org_id: str, number: str
) -> None:
    result = local.run("org", "set", org_id, "--records-per-minute", number)
    assert (result.exit_code, result.stdout) == (2, "")
    assert ask("org", "show", org_id)["records_per_minute"] == 60_000


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["org", "show", "org_nobody"], "unknown organization org_nobody"),
        (["org", "show"], "missing organization: run `consents org show ORG_ID`"),
        (["org", "create", "--name", " "], "invalid name: must have 1..200 characters"),
        (["org", "create", "--name", "x", "--plan", "gold"], "unknown plan 'gold' (choose from"),
        (["org", "create", "--name", "x", "--records-per-minute", "0"], "records per minute"),
        (["org", "set", "--records-per-minute", "60"], "`consents org set ORG_ID`"),
        (["org", "set", "x"], "nothing to set: pass --records-per-minute"),
        (["org", "set", "x", "--records-per-minute", "0"], "must be 1..10000000"),
        (["org", "set", "x", "--records-per-minute", "-1"], "must be 1..10000000"),
        (["org", "set", "x", "--records-per-minute", "10000001"], "must be 1..10000000"),
        (["org", "set", "x", "--plan", "gold"], "unknown plan 'gold' (choose from"),
        (["key", "create", "--org", "org_nobody"], "unknown organization org_nobody"),
        (
            ["key", "create", "--org", "org_nobody", "--wire", "bulk-consents"],
            "unknown organization",
        ),
        (["key", "create", "--org", "x", "--scope", "everything"], "noun:verb"),
        (
            ["key", "create", "--org", "x", "--expires", "soon"],
            "neither an RFC 3339 date nor a duration",
        ),
        (["key", "create", "--org", "x", "--expires", "2020-01-01T00:00:00Z"], "not in the future"),
        (["key", "revoke", "nothing"], "unknown key or account nothing"),
        (["key", "revoke"], "missing key: run `consents key revoke KEY_ID`"),
        (["account", "create", "--org", "org_nobody"], "unknown organization org_nobody"),
        (["sender", "add", "--org", "org_nobody", "--phone-number", "+15550001111"], "org_nobody"),
        (["sender", "add", "--org", "x", "--phone-number", "5550001111"], "not an E.164 number"),
        (["history", "--org", "org_nobody", "--contact", "+15554443333"], "org_nobody"),
        (["history", "--org", "x", "--contact", "someone"], "not an E.164 number"),
        (["import", "show", "nothing"], "unknown import nothing"),
        (["import", "list", "--org", "org_nobody"], "unknown organization org_nobody"),
    ],
)
def test_an_invalid_argument_is_an_error_of_one_line(
    refusal: Refusal, arguments: Sequence[str], reason: str
) -> None:
    assert reason in refusal(*arguments)


def test_new_key_of_the_attested_wire_authenticates(ask: Ask, org_id: str, stack: Stack) -> None:
    made = ask("key", "create", "--org", org_id)
    assert re.fullmatch(f"am_live_{made['key_id']}_[0-9A-Za-z]{{32}}", made["api_key"])
    assert (made["scopes"], made["expires_at"]) == (["consent:write"], None)
    assert authenticate(stack, made) == org_id


def test_new_key_of_the_bulk_consents_wire_authenticates(
    ask: Ask, org_id: str, stack: Stack
) -> None:
    made = ask("key", "create", "--org", org_id, "--wire", "bulk-consents")
    assert re.fullmatch("SK[0-9a-f]{32}", made["key_id"])
    assert authenticate(stack, made) == org_id


def test_new_account_authenticates(ask: Ask, org_id: str, stack: Stack) -> None:
    made = ask("account", "create", "--org", org_id)
    assert re.fullmatch("AC[0-9a-f]{32}", made["account_sid"])
    assert re.fullmatch("[0-9a-f]{32}", made["auth_token"])
    assert authenticate(stack, made) == org_id


def test_key_does_only_what_its_scopes_say(ask: Ask, org_id: str, stack: Stack) -> None:
    made = ask("key", "create", "--org", org_id, "--scope", "drops:read", "--scope", "a:b")
    assert made["scopes"] == ["a:b", "drops:read"]
    with pytest.raises(MissingScope):
        authenticate(stack, made)


def test_key_lives_until_it_expires(ask: Ask, org_id: str, stack: Stack) -> None:
    made = ask("key", "create", "--org", org_id, "--expires", "12h")
    assert authenticate(stack, made, now=NOW + timedelta(hours=11)) == org_id
    with pytest.raises(Unauthenticated):
        authenticate(stack, made, now=NOW + timedelta(hours=13))


@pytest.mark.parametrize(
    "create",
    [
        ["key", "create"],
        ["key", "create", "--wire", "bulk-consents"],
        ["account", "create"],
    ],
)
def test_revoked_credential_is_rejected(
    ask: Ask, org_id: str, stack: Stack, create: Sequence[str]
) -> None:
    made = ask(*create, "--org", org_id)
    revoked = ask("key", "revoke", made["key_id"])
    assert (revoked["key_id"], revoked["already_revoked"]) == (made["key_id"], False)
    with pytest.raises(Unauthenticated):
        authenticate(stack, made)


def test_second_revocation_says_so_and_keeps_the_first(ask: Ask, org_id: str) -> None:
    made = ask("key", "create", "--org", org_id)
    first = ask("key", "revoke", made["key_id"])
    again = ask("key", "revoke", "--key-id", made["key_id"])
    assert again == first | {"already_revoked": True}
    assert ask("org", "show", org_id)["credentials"][0]["revoked_at"] == first["revoked_at"]


def test_revocations_at_once_all_succeed(ask: Ask, org_id: str, stack: Stack) -> None:
    made = ask("key", "create", "--org", org_id)
    moments = [NOW + timedelta(seconds=second) for second in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda now: stack.entries.revoke(made["key_id"], now), moments))
    listed = ask("org", "show", org_id)["credentials"][0]
    assert listed["revoked_at"] == ask("key", "revoke", made["key_id"])["revoked_at"]


def test_no_secret_is_in_the_table(ask: Ask, org_id: str, stack: Stack, local: Local) -> None:
    made = [
        ask("key", "create", "--org", org_id)["api_key"].rpartition("_")[2],
        ask("key", "create", "--org", org_id, "--wire", "bulk-consents")["key_secret"],
        ask("account", "create", "--org", org_id)["auth_token"],
    ]
    items = aws("dynamodb", local.endpoint).scan(TableName=stack.tables["directory"])["Items"]
    kept = str(items)
    assert org_id in kept
    assert not [secret for secret in made if secret in kept]


def test_created_sender_is_resolved_by_the_attested_wire(
    ask: Ask, org_id: str, stack: Stack
) -> None:
    name = str(uuid4())
    made = ask(*sender_of(org_id, "+15550001111"), "--phone-number-id", name.upper())
    assert made == {"org_id": org_id, "phone_number_id": name, "phone_number": "+15550001111"}
    assert stack.directory.senders(org_id, [name]) == {name: "+15550001111"}


def test_sender_without_an_id_gets_one_and_keeps_it(ask: Ask, org_id: str) -> None:
    made = ask(*sender_of(org_id, "+15550001111"))
    assert ask(*sender_of(org_id, "+15550001111")) == made
    assert len(ask("org", "show", org_id)["senders"]) == 1


def test_same_sender_again_changes_nothing(ask: Ask, org_id: str) -> None:
    arguments = (*sender_of(org_id, "+15550001111"), "--phone-number-id", str(uuid4()))
    assert ask(*arguments) == ask(*arguments)


def test_id_of_a_sender_never_gets_another_number(
    ask: Ask, refusal: Refusal, org_id: str, stack: Stack
) -> None:
    name = str(uuid4())
    ask(*sender_of(org_id, "+15550001111"), "--phone-number-id", name)
    shown = refusal(*sender_of(org_id, "+15550001112"), "--phone-number-id", name)
    assert "another number already" in shown
    assert stack.directory.senders(org_id, [name]) == {name: "+15550001111"}


def test_one_of_many_numbers_given_to_an_id_at_once_stands(org_id: str, stack: Stack) -> None:
    name = str(uuid4())

    def add(number: str) -> bool:
        try:
            stack.entries.add_sender(org_id, Sender(name, number), NOW)
        except DirectoryError:
            return False
        return True

    numbers = [f"+1555000111{last}" for last in range(8)]
    with ThreadPoolExecutor(8) as threads:
        added = list(threads.map(add, numbers))
    assert added.count(True) == 1
    assert stack.directory.senders(org_id, [name]) == {name: numbers[added.index(True)]}


def test_the_texts_of_an_organization_can_be_stopped(ask: Ask, org_id: str) -> None:
    changed = ask("org", "set", org_id, "--texts-per-minute", "0", "--texts-per-day", "50")
    assert (changed["texts_per_minute"], changed["texts_per_day"]) == (0, 50)


def test_a_number_belongs_to_one_organization(
    ask: Ask, refusal: Refusal, org_id: str, stack: Stack
) -> None:
    ask(*sender_of(org_id, "+15550001111"))
    other = str(ask("org", "create", "--name", "Other")["org_id"])

    assert "belongs to another organization" in refusal(*sender_of(other, "+15550001111"))
    assert stack.directory.owner("+15550001111") == org_id


def test_adding_a_sender_again_repairs_the_owner_of_its_number(
    ask: Ask, org_id: str, stack: Stack
) -> None:
    ask(*sender_of(org_id, "+15550001111"))
    key = encode_item(number_key("+15550001111"))
    stack.dynamodb.delete_item(TableName=stack.tables["directory"], Key=key)
    assert stack.directory.owner("+15550001111") is None

    ask(*sender_of(org_id, "+15550001111"))
    assert stack.directory.owner("+15550001111") == org_id


def test_id_of_a_sender_must_be_a_uuid(refusal: Refusal, org_id: str) -> None:
    assert "not a UUID" in refusal(*sender_of(org_id, "+15550001111"), "--phone-number-id", "1")


# ---------------------------------------------------------------- Profiles of senders


@pytest.fixture
def profile_of(ask: Ask, org_id: str) -> tuple[str, ...]:
    """The command that shows or changes the profile of a new sender."""
    made = ask(*sender_of(org_id, "+15550001111"))
    return ("sender", "profile", made["phone_number_id"], "--org", org_id)


def test_a_new_sender_has_the_name_of_its_organization(
    ask: Ask, profile_of: tuple[str, ...]
) -> None:
    shown = ask(*profile_of)

    assert (shown["brand"], shown["legal_name"]) == ("Clinic", "Clinic")
    assert (shown["accent"], shown["logo"], shown["countries"]) == ("#0f766e", None, [])


def test_a_changed_profile_keeps_what_is_left_out(
    ask: Ask, profile_of: tuple[str, ...], tmp_path: Path
) -> None:
    logo = tmp_path / "logo.png"
    logo.write_bytes(b"\x89PNG\r\n\x1a\n")
    ask(*profile_of, "--brand", "Northside Dental", "--accent", "#AABBCC", "--logo", str(logo))
    shown = ask(*profile_of, "--countries", "us, ca", "--terms-url", "https://example.com/terms")

    assert (shown["brand"], shown["accent"]) == ("Northside Dental", "#aabbcc")
    assert shown["countries"] == ["US", "CA"]
    assert shown["terms_url"] == "https://example.com/terms"
    assert shown["logo"] == "34 characters"


def test_an_empty_value_clears_an_attribute(ask: Ask, profile_of: tuple[str, ...]) -> None:
    ask(*profile_of, "--brand", "Northside Dental", "--program", "Reminders")
    shown = ask(*profile_of, "--brand", "", "--program", "")

    assert (shown["brand"], shown["program"]) == ("Clinic", "")


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--brand", "x" * 61, "must be 1..60 chars"),
        ("--program", "one\ntwo", "must be one line"),
        ("--terms-url", "javascript:alert(1)", "must be an http(s) URL"),
        ("--accent", "red", "must be a colour"),
        ("--countries", "US,XX", "unknown country 'XX'"),
        ("--logo", __file__, "must be PNG or WebP"),
        ("--logo", "/nowhere.png", "cannot read"),
    ],
)
def test_an_invalid_attribute_is_refused(
    refusal: Refusal, profile_of: tuple[str, ...], option: str, value: str, reason: str
) -> None:
    assert reason in refusal(*profile_of, option, value)


@pytest.mark.parametrize("arguments", [[], ["--brand", "x"]])
def test_a_sender_of_nobody_has_no_profile(
    refusal: Refusal, org_id: str, arguments: list[str]
) -> None:
    unknown = ("sender", "profile", str(uuid4()), "--org", org_id)
    assert "unknown sender" in refusal(*unknown, *arguments)


def test_write_with_a_lost_response_succeeds(local: Local, stack: Stack) -> None:
    client = aws("dynamodb", local.endpoint)
    entries = DirectoryWriter(Table(Boto3Client(lambda: client), stack.tables["directory"]))
    organization = Organization("org_lost", "Clinic", "payg", 60, timestamp(NOW))
    lose_the_first_answer(client)
    entries.add_organization(organization)
    assert entries.entry("org_lost").organization == organization


def pepper(stack: Stack, local: Local) -> bytes:
    """Return the key under which the stack's secrets are hashed."""
    client = aws("secretsmanager", local.endpoint)
    answer = client.get_secret_value(SecretId=stack.outputs["PepperSecret"])
    return bytes(answer["SecretString"], "utf-8")


def sender_of(org_id: str, number: str) -> tuple[str, ...]:
    return "sender", "add", "--org", org_id, "--phone-number", number


def capture(stack: Stack, org_id: str, *records: dict[str, Any]) -> None:
    """Capture records of the bulk-consents wire, a second apart."""
    for second, record in enumerate(records):
        now = NOW + timedelta(seconds=second)
        sent = {"correlation_id": uuid4().hex, "source": "website", **record}
        receipt = Receipt(now, f"request {second}")
        read = bulk_consents.read(sent, now)
        assert isinstance(read, ConsentRecord)
        assert stack.ledger.append(org_id, [read], receipt, lambda: 9.0) == [True]


def test_history_is_newest_first_with_one_current_per_sender(
    ask: Ask, org_id: str, stack: Stack
) -> None:
    contact = {"contact_id": "+15554443333"}
    capture(
        stack,
        org_id,
        contact | {"sender_id": MG, "status": "opt-in", "date_of_consent": "2025-01-01T00:00:00Z"},
        contact | {"sender_id": MG, "status": "opt-out"},
        contact | {"sender_id": "123456", "status": "opt-in"},
    )
    shown = ask("history", "--org", org_id, "--contact", "+15554443333")
    assert [(one["sender"], one["status"], one["current"]) for one in shown] == [
        ("123456", "opt-in", True),
        (MG, "opt-out", True),
        (MG, "opt-in", False),
    ]


def test_history_has_the_fields_of_a_bulk_consents_record(
    ask: Ask, org_id: str, stack: Stack
) -> None:
    date = "2025-01-01T00:00:00+01:00"
    sent = {"contact_id": "+15554443333", "sender_id": MG, "status": "opt-in"}
    capture(stack, org_id, sent | {"correlation_id": "A" * 32, "date_of_consent": date})
    (shown,) = ask("history", "--org", org_id, "--contact", "+15554443333")
    assert shown.pop("received_at") == timestamp(NOW)
    assert re.fullmatch("[0-9a-f]{32}", shown.pop("record_id"))
    assert shown == {
        "status": "opt-in",
        "decides_for": {MG: "OPTED_IN"},
        "sender": MG,
        "contact": "+15554443333",
        "effective_at": "2024-12-31T23:00:00.000000Z",
        "current": True,
        "wire": "bulk-consents",
        "request_id": "request 0",
        "correlation_id": "a" * 32,
        "sender_id": MG,
        "contact_id": "+15554443333",
        "source": "website",
        "date_of_consent": date,
        "evidence": {"source": "website", "date_of_consent": date},
    }


@pytest.fixture
def attested_history(ask: Ask, org_id: str, stack: Stack) -> str:
    """The id of a sender from which a contact has agreed on the attested wire."""
    name = str(ask(*sender_of(org_id, "+15550001111"))["phone_number_id"])
    evidence = {
        "captured_at": "2026-04-26T12:00:00Z",
        "agreement_text": AGREED,
        "user_agent": "\x1b[2J[red]Mozilla",
        "consent_method": "verbal",
    }
    record = {
        "phone_number_id": name,
        "contact_number": "+15554443333",
        "opted_in": True,
        "evidence": evidence,
    }
    read = attested.read(record, attested.ReadContext(NOW, {name: "+15550001111"}))
    assert isinstance(read, ConsentRecord)
    assert stack.ledger.append(org_id, [read], Receipt(NOW, "request"), lambda: 9.0) == [True]
    return name


@pytest.mark.usefixtures("attested_history")
def test_history_has_no_salt(local: Local, org_id: str) -> None:
    for options in ([], ["--json"]):
        result = local.run("history", "--org", org_id, "--contact", BOB, *options)
        assert (result.exit_code, "salt" in result.output) == (0, False)


def test_history_has_an_attested_record_with_its_agreement_text(
    ask: Ask, org_id: str, attested_history: str
) -> None:
    (shown,) = ask("history", "--org", org_id, "--contact", "+15554443333")
    assert (shown["phone_number_id"], shown["contact_number"]) == (attested_history, "+15554443333")
    assert (shown["opted_in"], shown["sender"]) == (True, "+15550001111")
    assert shown["evidence"]["agreement_text"] == AGREED
    assert shown["evidence"]["captured_at"] == "2026-04-26T12:00:00Z"


@pytest.mark.parametrize(
    ("sender", "records"),
    [
        ("+15550001111", 1),
        ("{}", 1),
        (MG, 0),
        ("123456", 0),
    ],
)
def test_history_of_one_sender(
    ask: Ask, org_id: str, attested_history: str, sender: str, records: int
) -> None:
    named = sender.format(attested_history.upper())
    shown = ask("history", "--org", org_id, "--contact", "+15554443333", "--sender", named)
    assert len(shown) == records


@pytest.mark.parametrize("sender", ["nobody", "7c1f0a2d-9e8b-4c3a-9d2e-1f0a2b3c4d5e"])
def test_history_of_an_unknown_sender_is_an_error(
    refusal: Refusal, org_id: str, sender: str
) -> None:
    assert sender in refusal(
        "history", "--org", org_id, "--contact", "+15554443333", "--sender", sender
    )


@pytest.mark.usefixtures("attested_history")
def test_history_fits_a_narrow_terminal_and_cannot_control_it(local: Local, org_id: str) -> None:
    shown = local.run("history", "--org", org_id, "--contact", "+15554443333").stdout
    assert "opt-in since 2026-04-26 12:00:00Z (current)" in shown
    assert "\\x1b[2J[red]Mozilla" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


@pytest.mark.parametrize(
    "arguments",
    [
        ["org", "list"],
        ["org", "show", "{}"],
        ["org", "set", "{}", "--records-per-minute", "90"],
        ["key", "create", "--org", "{}", "--expires", "2h", "--scope", "a:b", "--scope", "c:d"],
        ["account", "create", "--org", "{}"],
        ["sender", "add", "--org", "{}", "--phone-number", "+15550001111"],
        ["history", "--org", "{}", "--contact", "+15554443333"],
    ],
)
def test_what_people_are_shown_fits_a_narrow_terminal(
    local: Local, org_id: str, attested_history: str, arguments: Sequence[str]
) -> None:
    local.run("account", "create", "--org", org_id)
    shown = local.run(*(one.format(org_id) for one in arguments)).stdout
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert org_id in shown or attested_history in shown


def dropped(org_id: str, name: str = "a b.csv.gz") -> Drop:
    found = parse_key("drops", f"drops/{org_id}/attested/{name}", "1")
    assert found is not None
    return found


def test_import_that_is_queued_and_then_planned_is_shown(
    ask: Ask, org_id: str, stack: Stack
) -> None:
    import_id = stack.imports.begin(dropped(org_id), NOW).drop.import_id
    assert ask("import", "show", import_id)["state"] == "queued"
    stack.imports.start(import_id)
    assert ask("import", "show", import_id) == {
        "import_id": import_id,
        "org_id": org_id,
        "wire": "attested",
        "state": "planning",
        "rows": 0,
        "accepted": 0,
        "duplicates": 0,
        "rejected": 0,
        "rejected_by_code": {},
        "parts": None,
        "parts_done": 0,
        "started_at": timestamp(NOW),
        "finished_at": None,
        "source": {
            "bucket": "drops",
            "key": f"drops/{org_id}/attested/a b.csv.gz",
            "version": "1",
        },
    }


def test_import_whose_file_is_cut_is_shown_with_what_is_counted(
    ask: Ask, org_id: str, stack: Stack
) -> None:
    import_id = stack.imports.begin(dropped(org_id), NOW).drop.import_id
    stack.imports.start(import_id)
    stack.imports.finish_cutting(import_id, 2)
    stack.imports.add(import_id, 1, Counts(3, 2, {"VALIDATION_FAILED": 4, "NOT_FOUND": 1}))
    shown = ask("import", "show", import_id)
    counts = {name: shown[name] for name in ("rows", "accepted", "duplicates", "rejected")}
    assert counts == {"rows": 10, "accepted": 3, "duplicates": 2, "rejected": 5}
    assert shown["rejected_by_code"] == {"NOT_FOUND": 1, "VALIDATION_FAILED": 4}
    assert (shown["state"], shown["parts_done"], shown["parts"]) == ("importing", 1, 2)


def test_import_that_failed_is_shown_with_its_reason(ask: Ask, org_id: str, stack: Stack) -> None:
    import_id = stack.imports.begin(dropped(org_id), NOW).drop.import_id
    stack.imports.end(import_id, "failed", "must be gzip", NOW)
    assert ask("import", "show", import_id)["state"] == "importing"  # it has no reports yet
    stack.imports.keep_reported(import_id)
    shown = ask("import", "show", import_id)
    assert (shown["state"], shown["reason"]) == ("failed", "must be gzip")
    assert shown["finished_at"] == timestamp(NOW)


def test_only_imports_of_the_organization_are_listed(ask: Ask, org_id: str, stack: Stack) -> None:
    other = ask("org", "create", "--name", "Other")["org_id"]
    stack.imports.begin(dropped(other), NOW)
    for minutes, name in enumerate(("b.csv", "c.csv", "a.csv")):
        stack.imports.begin(dropped(org_id, name), NOW + timedelta(minutes=minutes))
    listed = ask("import", "list", "--org", org_id)
    expected = [dropped(org_id, name).import_id for name in ("a.csv", "c.csv", "b.csv")]
    assert [one["import_id"] for one in listed] == expected


@pytest.mark.parametrize("arguments", [["show", "{import_id}"], ["list", "--org", "{org_id}"]])
def test_imports_that_people_are_shown_fit_a_narrow_terminal(
    local: Local, org_id: str, stack: Stack, arguments: Sequence[str]
) -> None:
    import_id = stack.imports.begin(dropped(org_id, "\x1b[2J.csv"), NOW).drop.import_id
    words = (one.format(org_id=org_id, import_id=import_id) for one in arguments)
    shown = local.run("import", *words).stdout
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert import_id in shown
    assert "\x1b" not in shown


def test_import_that_does_not_begin_in_time_is_named_by_its_id(org_id: str, stack: Stack) -> None:
    with pytest.raises(Failed, match=f"has not begun .* show {dropped(org_id).import_id}"):
        wait_for_summary(stack, dropped(org_id), seconds_to_begin=0)


@pytest.fixture
def bucket(stack: Stack) -> Stack:
    """The stack, with a bucket for drops that nobody imports from."""
    name = f"drops-{uuid4()}"
    stack.s3().create_bucket(Bucket=name)
    stack.s3().put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return replace(stack, outputs={**stack.outputs, "DropsBucket": name})


def test_uploaded_file_is_known_by_its_version(bucket: Stack, org_id: str, tmp_path: Path) -> None:
    file = tmp_path / "a b+ü.csv"
    contents = [b"one", b"two"]
    versions = []
    for content in contents:
        file.write_bytes(content)
        versions.append(upload(bucket, file, org_id, Wire.ATTESTED).version)
    name, key = bucket.output("DropsBucket"), f"drops/{org_id}/attested/a b+ü.csv"
    read = [bucket.s3().get_object(Bucket=name, Key=key, VersionId=one) for one in versions]
    assert [answer["Body"].read() for answer in read] == contents


def test_multipart_upload_is_known_by_its_version(
    bucket: Stack, org_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "long.jsonl"
    file.write_bytes(b"x" * 9_000_000)  # more than boto3 sends in one call
    dropped = upload(bucket, file, org_id, Wire.BULK_CONSENTS)
    head = bucket.s3().head_object(Bucket=dropped.bucket, Key=dropped.key)
    assert (head["VersionId"], head["ContentLength"]) == (dropped.version, 9_000_000)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.txt", "must end in .jsonl, .csv, "),
        ("a.CSV.zip", "must end in .jsonl, .csv, "),
        (".csv", "must end in .jsonl, .csv, "),
        ("a.gz", "must end in .jsonl, .csv, "),
        ("nothing.csv", "cannot be read: No such file"),
        ("folder.csv", "cannot be read: Is a directory"),
        ("\udcff.csv", "not UTF-8"),
        ("x" * 1000 + ".csv", "at most"),
    ],
)
def test_invalid_file_is_rejected_before_the_upload(
    bucket: Stack, org_id: str, tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(Failed, match=reason):
        upload(bucket, tmp_path / name, org_id, Wire.ATTESTED)
    assert "Contents" not in bucket.s3().list_objects_v2(Bucket=bucket.output("DropsBucket"))


def test_file_for_an_unknown_organization_is_not_uploaded(bucket: Stack, tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    with pytest.raises(DirectoryError, match="unknown organization org_nobody"):
        upload(bucket, tmp_path / "a.csv", "org_nobody", Wire.ATTESTED)
    assert "Contents" not in bucket.s3().list_objects_v2(Bucket=bucket.output("DropsBucket"))


def test_failed_drop_has_another_exit_code_than_rejected_rows(
    local: Local,
) -> None:
    result = local.run("drop", "a.csv", "--org", "x", "--wire", "attested")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "has no DropsBucket" in result.stderr


def test_deployed_stack_is_reached_by_its_name(
    ask: Ask, org_id: str, local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(monkeypatch, local.endpoint)
    arguments = ("--stack", LOCAL_NAME, "--region", LOCAL_REGION)
    assert ask("org", "show", org_id, *arguments) == ask("org", "show", org_id)


def test_unknown_stack_is_an_error_of_one_line(
    refusal: Refusal, local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(monkeypatch, local.endpoint)
    shown = refusal("org", "list", "--stack", "nothing", "--region", LOCAL_REGION)
    assert "unknown stack 'nothing' in us-east-1" in shown


def test_missing_credentials_are_an_error_of_one_line(
    refusal: Refusal, local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(monkeypatch, local.endpoint)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    shown = refusal("org", "list", "--stack", LOCAL_NAME, "--region", LOCAL_REGION)
    assert "credentials" in shown


def test_local_commands_need_no_environment_and_heed_none(
    ask: Ask, org_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "mine",
        "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:1",
        "AWS_PROFILE": "nobody",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    assert ask("org", "show", org_id)["org_id"] == org_id


def deployed(patch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Give this process the environment of one who may use an AWS account: the local one."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }.items():
        patch.setenv(name, value)


def lose_the_first_answer(client: Any) -> None:
    """Let the client's next call be carried out, and its answer get lost on the way."""
    session = client._endpoint.http_session
    send, lost = session.send, iter([True])

    def send_and_lose(request: Any) -> Any:
        answer = send(request)
        if next(lost, False):
            raise ConnectionClosedError(endpoint_url=request.url)
        return answer

    session.send = send_and_lose


# ---------------------------------------------------------------- Decisions

BOB, EVE = "+15554443333", "+15554443334"


@pytest.fixture
def bob(org_id: str, stack: Stack) -> str:
    """The organization of a contact who opted in by a short code and by a service."""
    sent = {"contact_id": BOB, "status": "opt-in", "date_of_consent": "2025-01-01T00:00:00Z"}
    capture(stack, org_id, sent | {"sender_id": MG}, sent | {"sender_id": "123456"})
    return org_id


def checked(local: Local, org_id: str, *contacts: str, stdin: str | None = None) -> Result:
    arguments = ("check", "--org", org_id, "--sender", "123456", *contacts)
    return CliRunner(env=local.environment).invoke(app, arguments, input=stdin)


@pytest.mark.parametrize(
    ("contacts", "exit_code", "words"),
    [
        ((BOB,), 0, "opted in since 2025-01-01 00:00:00Z"),
        ((BOB, EVE), 1, "no record about this sender"),
        ((BOB, "+19"), 1, "not a possible phone number in E.164"),
    ],
)
def test_check_says_why_and_exits_with_whether_all_are_allowed(
    local: Local, bob: str, contacts: Sequence[str], exit_code: int, words: str
) -> None:
    result = checked(local, bob, *contacts)

    assert result.exit_code == exit_code
    assert words in " ".join(result.stdout.split())


def test_check_reads_contacts_from_stdin(local: Local, bob: str) -> None:
    assert checked(local, bob, "-", stdin=f"{BOB}\n").exit_code == 0
    assert checked(local, bob, "-", stdin="").exit_code == 2


def test_check_of_an_unknown_organization_fails(local: Local) -> None:
    result = checked(local, "org_nobody", BOB)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "consents: unknown organization org_nobody\n"


def test_check_prints_the_response_of_the_route(ask: Ask, bob: str) -> None:
    shown = ask("check", "--org", bob, "--sender", "123456", BOB)

    assert (shown["sender_id"], shown["phone_number_id"], shown["allowed"]) == ("123456", None, 1)
    assert shown["results"][0]["record"]["sender_id"] == "123456"


def test_revoked_consent_is_refused_for_every_sender(ask: Ask, local: Local, bob: str) -> None:
    arguments = ("revoke", "--org", bob, BOB, "--all-senders", "--method", "letter")
    assert ask(*arguments, "--dry-run")["revoked"] == 1
    assert checked(local, bob, BOB).exit_code == 0

    (result,) = ask(*arguments, "--text", "please stop")["results"]
    assert (result["opted_in"], result["already_opted_out"]) == (False, False)
    assert "opted out of every sender" in " ".join(checked(local, bob, BOB).stdout.split())


def test_revocation_before_an_opt_in_shows_that_it_still_allows(local: Local, bob: str) -> None:
    sender = ("--sender", "123456", "--method", "phone")
    dated = ("--revoked-at", "2024-01-01T00:00:00Z")
    shown = local.run("revoke", "--org", bob, BOB, *sender, *dated).stdout

    assert "a later opt-in still allows" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "phone"], "name one sender: pass --sender SENDER or --all-senders"),
        (
            ["--method", "phone", "--all-senders", "--revoked-at", "now"],
            "invalid --revoked-at 'now': not an RFC 3339 date",
        ),
        (
            ["--method", "phone", "--all-senders", "--revoked-at", "2999-01-01T00:00:00Z"],
            "invalid --revoked-at '2999-01-01T00:00:00Z': in the future",
        ),
        (
            ["--method", "phone", "--all-senders", "--text", ""],
            "invalid --text: must have 1..1000 characters",
        ),
    ],
)
def test_revocation_that_is_not_understood_is_an_error(
    refusal: Refusal, bob: str, arguments: Sequence[str], message: str
) -> None:
    assert refusal("revoke", "--org", bob, BOB, *arguments) == f"consents: {message}\n"


def test_history_marks_what_decides_under_a_revocation_of_all(
    ask: Ask, local: Local, bob: str
) -> None:
    ask("revoke", "--org", bob, BOB, "--all-senders", "--method", "reply")
    shown = ask("history", "--org", bob, "--contact", BOB)

    assert shown[0]["sender"] == "*"
    assert shown[0]["decides_for"] == dict.fromkeys(["*", "123456", MG], "OPTED_OUT")
    assert not any(one["current"] for one in shown[1:])
    people = local.run("history", "--org", bob, "--contact", BOB).stdout
    assert f"(current, also for 123456, {MG})" in " ".join(people.split())


def test_history_marks_an_expired_opt_in(ask: Ask, local: Local, bob: str) -> None:
    ask("rules", "set", "--org", bob, "--opt-in-expires", "+1=30d")
    shown = local.run("history", "--org", bob, "--contact", BOB, "--sender", MG).stdout

    assert "(current but expired)" in shown


@pytest.mark.usefixtures("attested_history")
def test_export_has_all_records_with_texts_and_receipts(
    local: Local, org_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "export.json"
    result = local.run("contact", "export", "--org", org_id, BOB, "--output", str(file))
    exported = json.loads(file.read_text())
    (event,) = exported["data"]

    assert result.exit_code == 0
    assert "salt" not in file.read_text()
    assert (event["request_id"], event["received_at"]) == ("request", timestamp(NOW))
    assert [*exported["agreement_texts"].values()] == [AGREED]


# ---------------------------------------------------------------- Rules


def test_rules_are_merged_into_new_versions(ask: Ask, org_id: str, stack: Stack) -> None:
    change = ("rules", "set", "--org", org_id)
    assert ask("rules", "show", "--org", org_id)["rules_version"] == 0
    ask(*change, "--opt-in-expires", "+33=365d", "--opt-in-expires", "+=never")
    ask(*change, "--opt-out-scope", "organization")
    shown = ask(*change, "--opt-in-expires", "+=none")

    assert shown == ask("rules", "show", "--org", org_id)
    assert shown == {
        "rules_version": 3,
        "opt_out_scope": "organization",
        "opt_in_expires": {"+33": 365},
    }
    versions = [one["rules_version"] for one in ask("rules", "history", "--org", org_id)]
    assert versions == [3, 2, 1]
    assert stack.directory.rules(org_id, 1).opt_in_expires == {"+33": 365, "+": 0}
    assert stack.directory.rules(org_id, 0).version == 0


def test_rules_that_are_set_again_change_nothing(ask: Ask, local: Local, org_id: str) -> None:
    change = ("rules", "set", "--org", org_id, "--opt-out-scope", "organization")
    assert ask(*change) == ask(*change)
    assert local.run(*change).stdout == "Nothing changes.\n"


def test_a_change_of_rules_shows_before_and_after(local: Local, org_id: str) -> None:
    shown = local.run("rules", "set", "--org", org_id, "--opt-in-expires", "+33=365d").stdout

    assert "+33 365 days" in shown
    assert "within 30 seconds" in shown


def test_of_two_changes_of_one_version_one_is_refused(ask: Ask, org_id: str, stack: Stack) -> None:
    ask("rules", "set", "--org", org_id, "--opt-out-scope", "organization")
    with pytest.raises(DirectoryError, match="have changed meanwhile"):
        stack.entries.add_rules(org_id, Rules(1), NOW)
    assert ask("rules", "show", "--org", org_id)["opt_out_scope"] == "organization"


@pytest.mark.parametrize(
    "pair", ["33=1d", "+33", "+33=0d", "+33=3651d", "+033=1d", "+33=1w", "+3 3=never"]
)
def test_an_expiry_of_another_form_is_an_error(refusal: Refusal, org_id: str, pair: str) -> None:
    shown = refusal("rules", "set", "--org", org_id, "--opt-in-expires", pair)
    assert f"invalid --opt-in-expires {pair!r}" in shown


def test_more_than_fifty_prefixes_are_an_error(refusal: Refusal, org_id: str) -> None:
    pairs = [part for number in range(10, 61) for part in ("--opt-in-expires", f"+{number}=1d")]
    assert "too many prefixes: 51, at most 50" in refusal("rules", "set", "--org", org_id, *pairs)
