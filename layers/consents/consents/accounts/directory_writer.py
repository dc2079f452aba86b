"""The directory: every write, and the look-ups that only an operator needs.

Besides the item that `directory` reads, a credential has a copy under
`ORG#{org_id}` / `CREDENTIAL#{key_id}`, so that one Query returns all of an organization, and a
pointer under `KEY#{key_id}` / `KEY`, so that its visible id is enough to revoke it.

Every write is one transaction, so it is never half done. boto3 sends a token with it: when the
client retries a transaction whose response was lost, it gets the success, not a conflict.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consents.accounts.directory import (
    credential_key,
    credential_of,
    listing_key,
    number_key,
    organization_key,
    organization_of,
    profile_key,
    rules_key,
    rules_of,
    sender_key,
)
from consents.aws.dynamodb import Table, Values
from consents.domain.organization import Credential, Organization
from consents.domain.record import timestamp
from consents.domain.rules import Rules

INDEX = "ByKind"

type Step = tuple[dict[str, Any], str]
"""An action of a transaction, and the error message where its condition fails."""


class DirectoryError(Exception):
    """The directory does not allow a write; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class Sender:
    """A number that an organization sends from, and its id in the Attested Consent API."""

    phone_number_id: str
    phone_number: str


@dataclass(frozen=True, slots=True)
class Entry:
    """All that the directory holds of one organization."""

    organization: Organization
    credentials: list[Credential]
    senders: list[Sender]


class DirectoryWriter:
    """Writes the directory; `DirectoryError` where it does not allow a write."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def organizations(self) -> list[Organization]:
        """Return all organizations, oldest first.

        Read from an index, which shows a new one a moment later.
        """
        items = self._table.query("sk = :sk", index=INDEX, sk=organization_key("")["sk"])
        found = map(organization_of, items)
        return sorted(found, key=lambda one: (one.created_at, one.org_id))

    def entry(self, org_id: str) -> Entry:
        """Return an organization, its credentials (oldest first) and its senders."""
        key = organization_key(org_id)
        items = {item["sk"]: item for item in self._table.query("pk = :pk", pk=key["pk"])}
        organization = items.get(key["sk"])
        if organization is None:
            raise DirectoryError(_unknown(org_id))
        credentials = [credential_of(items[sk]) for sk in items if sk.startswith("CREDENTIAL#")]
        return Entry(
            organization_of(organization),
            sorted(credentials, key=lambda one: (one.created_at, one.key_id)),
            [_sender_of(items[sk]) for sk in items if sk.startswith("SENDER#")],
        )

    def add_organization(self, organization: Organization) -> None:
        """Add an organization; an existing one is never overwritten."""
        item = organization_key(organization.org_id) | {
            "org_id": organization.org_id,
            "name": organization.name,
            "plan": organization.plan,
            "records_per_minute": organization.records_per_minute,
            "parts_per_day": organization.parts_per_day,
            "created_at": organization.created_at,
        }
        self._write(self._new(item, f"organization {organization.org_id} exists already"))

    def change_organization(self, org_id: str, changes: Mapping[str, str | int]) -> None:
        """Change attributes of an organization by name; a missing one is never created."""
        update = self._table.update_if(
            organization_key(org_id),
            "SET " + ", ".join(f"#{name} = :{name}" for name in changes),
            _EXISTS,
            **changes,
        )
        self._write((update, _unknown(org_id)))

    def add_rules(self, org_id: str, rules: Rules, now: datetime) -> None:
        """Add the next version of an organization's rules, and put it in force."""
        attributes = {
            "rules_version": rules.version,
            "opt_out_scope": rules.opt_out_scope,
            "opt_in_expires": dict(rules.opt_in_expires),
        }
        version = rules_key(org_id, rules.version) | attributes | {"created_at": timestamp(now)}
        update = self._table.update_if(
            organization_key(org_id),
            "SET " + ", ".join(f"#{name} = :{name}" for name in attributes),
            _EXISTS,
            **attributes,
        )
        # Of two changes of one version, only one adds the item of the next.
        conflict = f"the rules of {org_id} have changed meanwhile: run the command again"
        self._write((update, _unknown(org_id)), self._new(version, conflict))

    def rules_history(self, org_id: str) -> list[tuple[Rules, str]]:
        """Return the versions of an organization's rules, newest first, and when each was added."""
        items = self._table.query(
            "pk = :pk AND begins_with(sk, :prefix)",
            pk=organization_key(org_id)["pk"],
            prefix="RULES#",
            newest_first=True,
        )
        return [(rules_of(item), item["created_at"]) for item in items]

    def add_sender(self, org_id: str, sender: Sender, now: datetime) -> None:
        """Add a sender; the same pair again changes nothing, another number is rejected."""
        update = self._table.update_if(
            sender_key(org_id, sender.phone_number_id),
            "SET phone_number_id = :id, phone_number = :number, "
            "created_at = if_not_exists(created_at, :now)",
            # A read before the write would let two of these at once give one id two numbers.
            "attribute_not_exists(pk) OR phone_number = :number",
            id=sender.phone_number_id,
            number=sender.phone_number,
            now=timestamp(now),
        )
        self._write(
            self._has_organization(org_id),
            (update, f"phone number id {sender.phone_number_id} has another number already"),
            self._owned(org_id, sender),
        )

    def _owned(self, org_id: str, sender: Sender) -> Step:
        """Set that an organization has a number: what contacts text to it is about this one."""
        update = self._table.update_if(
            number_key(sender.phone_number),
            "SET org_id = :org_id, phone_number_id = :id",
            "attribute_not_exists(pk) OR org_id = :org_id",
            org_id=org_id,
            id=sender.phone_number_id,
        )
        return update, f"number {sender.phone_number} belongs to another organization"

    def change_profile(
        self, org_id: str, phone_number_id: str, changes: Mapping[str, str | list[str]]
    ) -> None:
        """Change attributes of a sender's profile by name; an empty value clears one."""
        kept = {name: value for name, value in changes.items() if value}
        cleared = ", ".join(f"#{name}" for name in changes.keys() - kept.keys())
        set_ = ", ".join(f"#{name} = :{name}" for name in kept)
        update = self._table.update_if(
            profile_key(org_id, phone_number_id),
            (f"SET {set_} " if set_ else "") + (f"REMOVE {cleared}" if cleared else ""),
            **kept,
        )
        sender = self._table.check(sender_key(org_id, phone_number_id), _EXISTS)
        unknown = f"unknown sender {phone_number_id} of organization {org_id}"
        self._write((sender, unknown), (update, unknown))

    def add_credential(self, credential: Credential, secret_hash: str) -> None:
        """Add a credential by its secret's hash; an existing one is never overwritten."""
        taken = f"key {credential.key_id} exists already: try again"
        attributes = {
            "org_id": credential.org_id,
            "key_id": credential.key_id,
            "secret_hash": secret_hash,
            "created_at": credential.created_at,
            "expires_at": credential.expires_at,
            "scopes": credential.scopes,
        }
        public = credential_key(secret_hash) | attributes
        listing = listing_key(credential.org_id, credential.key_id) | attributes
        pointer = _pointer_key(credential.key_id) | {"secret_hash": secret_hash}
        self._write(
            self._has_organization(credential.org_id),
            *(self._new(item, taken) for item in (public, listing, pointer)),
        )

    def revoke(self, key_id: str, now: datetime) -> Credential:
        """Revoke a credential, and return it as it was before: it may have been revoked then."""
        unknown = f"unknown key or account {key_id}"
        pointer = self._table.get(_pointer_key(key_id))
        if pointer is None:
            raise DirectoryError(unknown)
        key = credential_key(pointer["secret_hash"])
        item = self._table.get(key)
        if item is None:
            raise DirectoryError(f"the entry of {key_id} is broken: its credential is gone")
        before = credential_of(item)
        revocations = (
            self._table.update_if(
                one,
                "SET revoked_at = if_not_exists(revoked_at, :now)",  # the first revocation stands
                _EXISTS,
                now=timestamp(now),
            )
            for one in (key, listing_key(before.org_id, key_id))
        )
        self._write(*((update, unknown) for update in revocations))
        return before

    def _write(self, *steps: Step) -> None:
        """Write all steps or none, or raise the error message of the first that fails."""
        failed = self._table.transact(*(action for action, _ in steps))
        if failed is not None:
            raise DirectoryError(steps[failed][1])

    def _has_organization(self, org_id: str) -> Step:
        return self._table.check(organization_key(org_id), _EXISTS), _unknown(org_id)

    def _new(self, item: Values, message: str) -> Step:
        return self._table.put_new(item, unless="pk"), message


_EXISTS = "attribute_exists(pk)"


def _pointer_key(key_id: str) -> Values:
    return {"pk": f"KEY#{key_id}", "sk": "KEY"}


def _unknown(org_id: str) -> str:
    return f"unknown organization {org_id}"


def _sender_of(item: Values) -> Sender:
    return Sender(item["phone_number_id"], item["phone_number"])
