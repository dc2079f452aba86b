"""Who looked: an entry is inserted before a contact is shown; without the entry nothing is."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from consents.decisions.revoke import Revocation
from consents.domain.record import EVERY_SENDER
from consents.proof.prove import Question
from consents_cli import access_log, check, contacts, history, proof, revoke
from consents_cli.access_log import Action, Search, open_access_log
from consents_cli.errors import Failed
from consents_cli.stack import Stack

from tests.factories import attested_record, receipt
from tests.integration.conftest import Tenant
from tests.integration.operators import ARN, Operator, stack_of_engine, watched

pytestmark = pytest.mark.usefixtures("engine")

CONTACT = "+15554443333"
SENDER = "+15550001111"

type Look = Callable[[Stack, str], Any]

LOOKS: dict[str, Look] = {
    "contact.viewed": lambda stack, org_id: history.records(stack, org_id, CONTACT, None),
    "contact.exported": lambda stack, org_id: contacts.exported(
        stack, org_id, CONTACT, datetime.now(UTC)
    ),
    "contact.checked": lambda stack, org_id: check.answer(stack, org_id, SENDER, [CONTACT]),
    "consent.revoked": lambda stack, org_id: revoke.store(
        stack, org_id, CONTACT, Revocation(EVERY_SENDER, None, {"method": "phone"}), receipt()
    ),
}
"""What the commands do, by the entry that they insert."""

PROOFS: dict[str, Look] = {
    "proof.made": lambda stack, org_id: proof.make(stack, Question(org_id, CONTACT)),
}
"""The same for packs, which wait for a log that no test of this file publishes."""


@pytest.fixture
def stack() -> Stack:
    """The tables as the command sees them."""
    return stack_of_engine()


@pytest.fixture
def opted_in(stack: Stack, tenant: Tenant) -> str:
    """The id of an organization with an opt-in of the contact."""
    stored = stack.ledger.append(tenant.org_id, [attested_record()], receipt(), lambda: 9.0)
    assert stored == [True]
    return tenant.org_id


def entries(stack: Stack, org_id: str) -> list[access_log.Entry]:
    """Return the entries of today about an organization, newest first."""
    today = Search(day=datetime.now(UTC).date().isoformat())
    return [one for one in open_access_log(stack).find(today, 1000)[0] if one.org_id == org_id]


def seen_as(stack: Stack, arn: str) -> Stack:
    """Return the stack as another caller has it."""
    return replace(stack, caller=lambda: arn)


def touched(calls: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Return the table of each call that reads the ledger or writes the access log."""
    bodies = [parameters["body"] for _, parameters in calls]
    text = [body.decode() if isinstance(body, bytes) else str(body) for body in bodies]
    named = ("AccessLogTable", "LedgerTable")
    return [table for one in text for table in named if table in one]


@pytest.mark.parametrize("action", LOOKS)
def test_a_command_inserts_an_entry_before_it_reads(
    stack: Stack, opted_in: str, action: str
) -> None:
    with watched(stack) as calls:
        LOOKS[action](stack, opted_in)
    (entry,) = entries(stack, opted_in)
    assert (entry.action, entry.who) == (action, ARN)
    assert entry.contact == open_access_log(stack).hash(CONTACT)
    assert touched(calls)[0] == "AccessLogTable"
    assert "LedgerTable" in touched(calls)


@pytest.mark.parametrize("action", [*LOOKS, *PROOFS])
def test_a_command_reads_nothing_without_its_entry(
    stack: Stack, opted_in: str, action: str
) -> None:
    broken = replace(stack, outputs={**stack.outputs, "AccessLogTable": "NoSuchTable"})
    with watched(broken) as calls, pytest.raises(Failed, match="the access log took no entry"):
        (LOOKS | PROOFS)[action](broken, opted_in)
    assert "LedgerTable" not in touched(calls)


@pytest.mark.parametrize("action", [*LOOKS, *PROOFS])
def test_a_stack_without_an_access_log_shows_nothing(
    stack: Stack, opted_in: str, action: str
) -> None:
    before = {name: one for name, one in stack.outputs.items() if name != "AccessLogTable"}
    with pytest.raises(Failed, match="has no AccessLogTable: deploy this release first"):
        (LOOKS | PROOFS)[action](replace(stack, outputs=before), opted_in)


def test_an_unknown_caller_sees_nothing(stack: Stack, opted_in: str) -> None:
    def nobody() -> str:
        raise Failed("no credentials")

    with watched(stack) as calls, pytest.raises(Failed, match="no credentials"):
        history.records(replace(stack, caller=nobody), opted_in, CONTACT, None)
    assert touched(calls) == []


@pytest.mark.parametrize("page", ["", "/revoke", "/records/{record}"])
def test_a_page_shows_nothing_without_its_entry(stack: Stack, opted_in: str, page: str) -> None:
    record = attested_record().digest()
    path = Operator(stack).open().post("/", sought=CONTACT, org_id=opted_in).headers["location"]
    broken = replace(stack, outputs={**stack.outputs, "AccessLogTable": "NoSuchTable"})
    operator = Operator(broken).open()
    with watched(broken) as calls:
        response = operator.get(path + page.format(record=record))
    assert response.status_code == 503
    assert "the access log took no entry" in response.text
    assert "555" not in response.text
    assert "LedgerTable" not in touched(calls)


def test_a_proof_pack_is_not_made_without_its_entry(stack: Stack, opted_in: str) -> None:
    path = Operator(stack).open().post("/", sought=CONTACT, org_id=opted_in).headers["location"]
    broken = replace(stack, outputs={**stack.outputs, "AccessLogTable": "NoSuchTable"})
    with watched(broken) as calls:
        response = Operator(broken).open().post(f"{path}/proof")
    assert (response.status_code, "took no entry" in response.text) == (503, True)
    assert "LedgerTable" not in touched(calls)


@pytest.mark.parametrize(
    ("page", "action"),
    [("", "contact.viewed"), ("/revoke", "contact.viewed"), ("/records/{}", "record.viewed")],
)
def test_each_page_about_a_contact_inserts_an_entry(
    stack: Stack, opted_in: str, page: str, action: str
) -> None:
    operator = Operator(stack).open()
    path = operator.post("/", sought=CONTACT, org_id=opted_in).headers["location"]
    assert entries(stack, opted_in) == []
    assert operator.get(path + page.format(attested_record().digest())).status_code == 200
    assert [one.action for one in entries(stack, opted_in)] == [action]


def test_a_number_is_found_and_not_readable(stack: Stack, opted_in: str) -> None:
    history.records(stack, opted_in, CONTACT, None)
    items = stack.dynamodb.scan(TableName="AccessLogTable")["Items"]
    assert opted_in in json.dumps(items)
    assert "4443333" not in json.dumps(items)
    log = open_access_log(stack)
    found, _ = log.find(Search(contact=log.hash(CONTACT)), 1)
    assert found[0].org_id == opted_in
    assert log.find(Search(contact=log.hash("+15554443334")), 1) == ([], None)
    assert log.hash(CONTACT) != stack.directory.hash(CONTACT)


def test_a_check_inserts_an_entry_for_each_valid_contact(stack: Stack, tenant: Tenant) -> None:
    named = [f"+1555444{number:04}" for number in range(60)]
    check.answer(stack, tenant.org_id, SENDER, [*named, "nobody", named[0]])
    log = open_access_log(stack)
    assert {one.contact for one in entries(stack, tenant.org_id)} == set(map(log.hash, named))
    assert len(entries(stack, tenant.org_id)) == 60


def test_entries_are_found_by_day_person_and_contact(stack: Stack, tenant: Tenant) -> None:
    jo, ann = (seen_as(stack, f"{tenant.org_id}/{name}") for name in ("j", "a"))
    for one in (jo, ann, jo):
        open_access_log(one).insert(Action.CONTACT_VIEWED, tenant.org_id, [CONTACT])
    open_access_log(jo).insert(Action.KEY_CREATED, tenant.org_id, reason="TICKET-1")
    log, today = open_access_log(stack), datetime.now(UTC).date().isoformat()
    person = f"{tenant.org_id}/j"

    found = log.find(Search(who=person), 10)[0]
    assert [one.action for one in found] == ["key.created", "contact.viewed", "contact.viewed"]
    assert (found[0].reason, found[0].contact) == ("TICKET-1", "")
    assert log.find(Search(who=person, day=today), 10)[0] == found
    assert log.find(Search(who=person, day="2020-01-01"), 10)[0] == []
    both = log.find(Search(who=person, contact=log.hash(CONTACT)), 10)[0]
    assert both == found[1:]


def test_pages_of_entries_are_whole(stack: Stack, tenant: Tenant) -> None:
    log = open_access_log(seen_as(stack, tenant.org_id))
    log.insert(Action.CONTACT_CHECKED, tenant.org_id, [f"+1555444{one:04}" for one in range(7)])
    read: list[str] = []
    newest: str | None = ""
    while newest is not None:
        page, newest = log.find(Search(who=tenant.org_id), 3, newest)
        read += [one.contact for one in page]
    assert len(read) == len(set(read)) == 7


def test_an_entry_is_never_written_twice(stack: Stack, tenant: Tenant) -> None:
    open_access_log(stack).insert(Action.CONTACT_VIEWED, tenant.org_id, [CONTACT])
    (item,) = (
        one
        for one in stack.dynamodb.scan(TableName="AccessLogTable")["Items"]
        if one["org_id"] == {"S": tenant.org_id}
    )
    changed = "INSERT INTO \"AccessLogTable\" VALUE {'day': ?, 'entry': ?, 'who': ?}"
    parameters = [item["day"], item["entry"], {"S": "nobody"}]
    with pytest.raises(stack.dynamodb.exceptions.DuplicateItemException):
        stack.dynamodb.execute_statement(Statement=changed, Parameters=parameters)
    assert [one.who for one in entries(stack, tenant.org_id)] == [ARN]
