"""Random captures, revocations and rules against a brute-force model, on a real engine.

After each step every decision, search and history is asked for, and compared with the model.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from consents import wiring
from consents.accounts.directory_writer import DirectoryWriter
from consents.aws.client import Boto3Client
from consents.aws.dynamodb import Table
from consents.decisions.consent_ids import ConsentIds
from consents.domain.rules import OptOutScope, Rules
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.integration.callers import item
from tests.integration.conftest import Invoke, NewTenant, Tenant

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MACHINES = settings(
    max_examples=12,
    stateful_step_count=12,
    deadline=None,
    derandomize="CI" in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],  # it measures the machine, not the test
)

NUMBER, CODE, EVERY = "+15550001111", "123456", "*"
SENDERS = [NUMBER, CODE]
CONTACTS = ["+15554440001", "+447911123456"]
TODAY = datetime.now(UTC).replace(microsecond=0)
DAYS_AGO = [1, 2, 3, 40]
EXPIRIES: list[dict[str, int]] = [{}, {"+": 30}, {"+44": 2, "+": 30}, {"+1": 0, "+": 2}]

IDS = ConsentIds(lambda: b"pepper")


class Said(NamedTuple):
    """A record: from when it counts, as (receipt?, instant), and what it says."""

    effective: tuple[int, float]
    status: str
    sender: str
    contact: str
    origin: str


@dataclass
class Model:
    """All records of an organization, and its rules."""

    said: set[Said] = field(default_factory=set)
    rules: Rules = field(default_factory=Rules)

    def speaking(self, sender: str, contact: str) -> list[Said]:
        """Return what speaks about a pair, newest first, opt-outs first at one instant."""
        by_any = self.rules.opt_out_scope == "organization" and sender != EVERY
        found = (
            one
            for one in self.said
            if one.contact == contact
            and (one.sender in {sender, EVERY} or (by_any and one.status == "opt-out"))
        )
        return sorted(found, key=lambda one: one[:2], reverse=True)

    def reason(self, sender: str, contact: str) -> str:
        """Return the reason of the decision about a pair."""
        speaking = self.speaking(sender, contact)
        if not speaking:
            return "NO_RECORD"
        if speaking[0].status == "opt-out":
            return "OPTED_OUT"
        prefixes = [one for one in self.rules.opt_in_expires if contact.startswith(one)]
        days = self.rules.opt_in_expires[max(prefixes, key=len)] if prefixes else 0
        _, days_ago = speaking[0].effective
        return "EXPIRED" if days and -days_ago >= days else "OPTED_IN"


@dataclass
class World:
    """What the machines share."""

    invoke: Invoke
    new_tenant: NewTenant
    writer: DirectoryWriter


class Decisions(RuleBasedStateMachine):
    """One organization's calls, one after another."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.tenant: Tenant
        self.model = Model()
        self.calls = 0

    @initialize()
    def open(self) -> None:
        self.tenant = self.world.new_tenant()

    @rule(
        sender=st.sampled_from(SENDERS),
        contact=st.sampled_from(CONTACTS),
        status=st.sampled_from(["opt-in", "opt-in", "opt-out"]),
        days_ago=st.sampled_from([*DAYS_AGO, None]),
    )
    def capture(self, sender: str, contact: str, status: str, days_ago: int | None) -> None:
        self.calls += 1
        sent = item(self.tenant, self.calls, sender_id=sender, contact_id=contact, status=status)
        sent["date_of_consent"] = date(days_ago) if days_ago else None
        form = urlencode({"Items": json.dumps(sent)})
        answer = self.world.invoke("create_bulk_consents.two_items", self.tenant.basic, body=form)
        assert answer.json["items"][0]["error_code"] == 0
        self.model.said.add(Said(self.effective(days_ago), status, sender, contact, "capture"))

    @rule(
        sender=st.sampled_from([*SENDERS, EVERY]),
        contacts=st.sets(st.sampled_from(CONTACTS), min_size=1),
        days_ago=st.sampled_from([*DAYS_AGO, None, None]),
        dry=st.booleans(),
    )
    def revoke(self, sender: str, contacts: set[str], days_ago: int | None, dry: bool) -> None:
        self.calls += 1
        evidence = {"method": "reply"} | ({"revoked_at": date(days_ago)} if days_ago else {})
        named = {"all_senders": True} if sender == EVERY else {"sender_id": sender}
        ordered = sorted(contacts)
        answer = self.post(
            "revoke_consents.all_senders",
            {"contact_numbers": ordered, "evidence": evidence} | named,
            {"dry_run": "true"} if dry else None,
        )
        before = Model(set(self.model.said), Rules())
        said = {
            Said(self.effective(days_ago), "opt-out", sender, one, "revoke") for one in contacts
        }
        after = Model(before.said | said, Rules())
        for contact, result in zip(ordered, answer["results"], strict=True):
            assert result["opted_in"] == may_message(after, sender, contact)
            assert result["already_opted_out"] == was_opted_out(before, sender, contact)
        if not dry:
            self.model.said |= said

    @rule(sender=st.sampled_from([*SENDERS, EVERY]), contact=st.sampled_from(CONTACTS))
    def delete(self, sender: str, contact: str) -> None:
        self.calls += 1
        path = {"consent_id": IDS.seal(self.tenant.org_id, sender, contact)}
        answer = self.world.invoke(
            "revoke_consent.unknown", self.tenant.bearer, pathParameters=path
        )
        if not self.model.speaking(sender, contact):
            assert answer.status == 404
            return
        self.model.said.add(Said(self.effective(None), "opt-out", sender, contact, "delete"))
        assert answer.json["reason"] == "OPTED_OUT"

    @rule(scope=st.sampled_from(list(OptOutScope)), expires=st.sampled_from(EXPIRIES))
    def set_rules(self, scope: OptOutScope, expires: dict[str, int]) -> None:
        rules = Rules(self.model.rules.version + 1, scope, expires)
        self.world.writer.add_rules(self.tenant.org_id, rules, datetime.now(UTC))
        wiring.directory()._callers.clear()  # as after thirty seconds
        self.model.rules = replace(rules)

    @invariant()
    def decisions_are_those_of_the_model(self) -> None:
        for sender in SENDERS:
            body = {"sender_id": sender, "contact_numbers": CONTACTS}
            answer = self.post("check_consents.three_contacts", body)
            found = [result["reason"] for result in answer["results"]]
            assert found == [self.model.reason(sender, contact) for contact in CONTACTS]
            assert answer["rules_version"] == self.model.rules.version

    @invariant()
    def searches_and_histories_are_those_of_the_model(self) -> None:
        for contact in CONTACTS:
            found = self.post("search_consents.one_contact", {"contact_number": contact})["data"]
            own = {one.sender for one in self.model.said if one.contact == contact}
            assert [one["sender_id"] for one in found] == sorted(own)
            for one in found:
                assert one["reason"] == self.model.reason(one["sender_id"], contact)
        for sender, contact in product([*SENDERS, EVERY], CONTACTS):
            events = [one["event"] != "opt_out" for one in self.history(sender, contact)]
            speaking = self.model.speaking(sender, contact)
            assert events == [one.status == "opt-in" for one in speaking]

    def history(self, sender: str, contact: str) -> Iterator[dict[str, Any]]:
        """Return all pages of a history, two records at a time."""
        path = {"consent_id": IDS.seal(self.tenant.org_id, sender, contact)}
        query = {"limit": "2"}
        while True:
            answer = self.world.invoke(
                "list_consent_history.unknown",
                self.tenant.bearer,
                pathParameters=path,
                queryStringParameters=query,
            )
            if answer.status == 404:
                return
            yield from answer.json["data"]
            if answer.json["meta"]["next_cursor"] is None:
                return
            query = {"limit": "2", "cursor": answer.json["meta"]["next_cursor"]}

    def post(self, event: str, body: Any, query: dict[str, str] | None = None) -> Any:
        answer = self.world.invoke(
            event, self.tenant.bearer, body=json.dumps(body), queryStringParameters=query
        )
        assert answer.status == 200
        return answer.json

    def effective(self, days_ago: int | None) -> tuple[int, float]:
        """Return from when a record of this call counts: receipts are after all dates."""
        return (0, -days_ago) if days_ago else (1, self.calls)


def date(days_ago: int) -> str:
    return (TODAY - timedelta(days=days_ago)).isoformat()


def may_message(model: Model, sender: str, contact: str) -> bool:
    senders = SENDERS if sender == EVERY else [sender]
    return any(model.reason(one, contact) == "OPTED_IN" for one in senders)


def was_opted_out(model: Model, sender: str, contact: str) -> bool:
    return model.reason(sender, contact) == "OPTED_OUT" and not may_message(model, sender, contact)


def test_decisions_follow_the_model(
    invoke: Invoke, new_tenant: NewTenant, dynamodb: "DynamoDBClient"
) -> None:
    writer = DirectoryWriter(Table(Boto3Client(lambda: dynamodb), "DirectoryTable"))
    machine: Any = partial(Decisions, World(invoke, new_tenant, writer))
    run_state_machine_as_test(machine, settings=MACHINES)
