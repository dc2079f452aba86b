"""The operator's side of the directory: every write, and the look-ups that a caller never needs.

Besides the item that `consents.aws.directory` reads, a credential has a copy of it under
`ORG#{org_id}` / `CREDENTIAL#{key_id}`, so that one Query tells all of an organization, and a
pointer to it under `KEY#{key_id}` / `KEY`, so that its visible id is enough to revoke it.

Every write is one transaction: it never stands half done. Its calls carry a token, so that when
the client repeats one whose answer was lost, it is told of the success, not of its own item.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from consents.aws.directory import (
    Credential,
    Organization,
    credential_key,
    credential_of,
    organization_key,
    organization_of,
    sender_key,
)
from consents.domain.record import timestamp

from consents_cli.errors import Failed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Key = tuple[str, str]
type Step = tuple[dict[str, Any], str]
"""An action of a transaction, and what it means when its condition does not hold."""

_TRIES = 6


@dataclass(frozen=True, slots=True)
class Sender:
    """A number that an organization sends from, and the id by which the attested wire names it."""

    phone_number_id: str
    phone_number: str


@dataclass(frozen=True, slots=True)
class Entry:
    """All that the directory holds of one organization."""

    organization: Organization
    credentials: list[Credential]
    senders: list[Sender]


class DirectoryWriter:
    """Writes the directory; `Failed` where what is asked cannot be."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep

    def organizations(self) -> list[Organization]:
        """Return all organizations, oldest first. Reads the whole table."""
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table,
            FilterExpression="sk = :sk",
            ExpressionAttributeValues={":sk": {"S": organization_key("")[1]}},
            ConsistentRead=True,
        )
        found = (organization_of(item) for page in pages for item in page["Items"])
        return sorted(found, key=lambda one: (one.created_at, one.org_id))

    def entry(self, org_id: str) -> Entry:
        """Return an organization, its credentials (oldest first) and its senders."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": organization_key(org_id)[0]}},
            ConsistentRead=True,
        )
        items = {item["sk"]["S"]: item for page in pages for item in page["Items"]}
        organization = items.get(organization_key(org_id)[1])
        if organization is None:
            raise Failed(_unknown(org_id))
        credentials = [credential_of(items[sk]) for sk in items if sk.startswith("CREDENTIAL#")]
        return Entry(
            organization_of(organization),
            sorted(credentials, key=lambda one: (one.created_at, one.key_id)),
            [_sender_of(items[sk]) for sk in items if sk.startswith("SENDER#")],
        )

    def add_organization(self, organization: Organization) -> None:
        """Add an organization; one that is there is never overwritten."""
        item = _item(
            organization_key(organization.org_id),
            org_id=organization.org_id,
            name=organization.name,
            plan=organization.plan,
            created_at=organization.created_at,
        ) | {"records_per_minute": {"N": str(organization.records_per_minute)}}
        self._write(self._new(item, f"there is an organization {organization.org_id} already"))

    def change_organization(self, org_id: str, changes: Mapping[str, str | int]) -> None:
        """Change attributes of an organization, by name; one that is not there is never made."""
        update = self._update(
            organization_key(org_id),
            expression="SET " + ", ".join(f"#{name} = :{name}" for name in changes),
            condition=_EXISTS,
            values={f":{name}": value for name, value in changes.items()},
        )
        # `plan` is a reserved word.
        update["Update"]["ExpressionAttributeNames"] = {f"#{name}": name for name in changes}
        self._write((update, _unknown(org_id)))

    def add_sender(self, org_id: str, sender: Sender, now: datetime) -> None:
        """Add a sender; the same pair again changes nothing, another number is refused."""
        update = self._update(
            sender_key(org_id, sender.phone_number_id),
            expression="SET phone_number_id = :id, phone_number = :number, "
            "created_at = if_not_exists(created_at, :now)",
            # A look before the write would let two of these at once give one id two numbers.
            condition="attribute_not_exists(pk) OR phone_number = :number",
            values={
                ":id": sender.phone_number_id,
                ":number": sender.phone_number,
                ":now": timestamp(now),
            },
        )
        self._write(
            self._has_organization(org_id),
            (update, f"the phone number id {sender.phone_number_id} has another number already"),
        )

    def add_credential(self, credential: Credential, secret_hash: str) -> None:
        """Add a credential by its secret's hash; one that is there is never overwritten."""
        taken = f"there is a key {credential.key_id} already: try again"
        texts = {
            "org_id": credential.org_id,
            "key_id": credential.key_id,
            "secret_hash": secret_hash,
            "created_at": credential.created_at,
            "expires_at": credential.expires_at,
        }
        scopes = {"scopes": {"SS": sorted(credential.scopes)}}
        public = _item(credential_key(secret_hash), **texts) | scopes
        listing = public | _key(_listing_key(credential.org_id, credential.key_id))
        pointer = _item(_pointer_key(credential.key_id), secret_hash=secret_hash)
        self._write(
            self._has_organization(credential.org_id),
            *(self._new(item, taken) for item in (public, listing, pointer)),
        )

    def revoke(self, key_id: str, now: datetime) -> Credential:
        """Revoke a credential, and return it as it was before: it may have been revoked then."""
        pointer = self._get(_pointer_key(key_id))
        if pointer is None:
            raise Failed(f"there is no key or account {key_id}")
        key = credential_key(pointer["secret_hash"]["S"])
        item = self._get(key)
        if item is None:
            raise Failed(f"the entry of {key_id} is broken: its credential is gone")
        before = credential_of(item)
        revocations = (
            self._update(
                one,
                # The first of two revocations stands.
                expression="SET revoked_at = if_not_exists(revoked_at, :now)",
                condition=_EXISTS,
                values={":now": timestamp(now)},
            )
            for one in (key, _listing_key(before.org_id, key_id))
        )
        self._write(*((update, f"there is no key or account {key_id}") for update in revocations))
        return before

    def _get(self, key: Key) -> dict[str, Any] | None:
        answer = self._client.get_item(TableName=self._table, Key=_key(key), ConsistentRead=True)
        return answer.get("Item")

    def _write(self, *steps: Step) -> None:
        """Do all the steps or none; `Failed` with the words of the first that may not be."""
        actions: list[Any] = [action for action, _ in steps]
        for attempt in range(_TRIES):
            try:
                self._client.transact_write_items(TransactItems=actions)
            except self._client.exceptions.TransactionCanceledException as cancelled:
                codes = [reason.get("Code") for reason in cancelled.response["CancellationReasons"]]
                for code, (_, refusal) in zip(codes, steps, strict=True):
                    if code == "ConditionalCheckFailed":
                        raise Failed(refusal) from None
                if "TransactionConflict" not in codes:
                    raise
                self._sleep(0.05 * 2**attempt)  # another command is writing the same items
            else:
                return
        raise Failed("other commands are changing the same entries: try again")

    def _has_organization(self, org_id: str) -> Step:
        check = {"Key": _key(organization_key(org_id)), "ConditionExpression": _EXISTS}
        return {"ConditionCheck": {"TableName": self._table} | check}, _unknown(org_id)

    def _new(self, item: Mapping[str, Any], refusal: str) -> Step:
        put = {"Item": item, "ConditionExpression": _IS_NEW}
        return {"Put": {"TableName": self._table} | put}, refusal

    def _update(
        self, key: Key, *, expression: str, condition: str, values: Mapping[str, str | int]
    ) -> dict[str, Any]:
        update = {
            "TableName": self._table,
            "Key": _key(key),
            "UpdateExpression": expression,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": {name: _value(one) for name, one in values.items()},
        }
        return {"Update": update}


_EXISTS = "attribute_exists(pk)"
_IS_NEW = "attribute_not_exists(pk)"


def _listing_key(org_id: str, key_id: str) -> Key:
    return organization_key(org_id)[0], f"CREDENTIAL#{key_id}"


def _pointer_key(key_id: str) -> Key:
    return f"KEY#{key_id}", "KEY"


def _unknown(org_id: str) -> str:
    return f"there is no organization {org_id}"


def _sender_of(item: Mapping[str, Any]) -> Sender:
    return Sender(item["phone_number_id"]["S"], item["phone_number"]["S"])


def _key(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def _value(one: str | int) -> dict[str, str]:
    return {"S": one} if isinstance(one, str) else {"N": str(one)}


def _item(key: Key, **texts: str | None) -> dict[str, Any]:
    return _key(key) | {name: {"S": text} for name, text in texts.items() if text is not None}
