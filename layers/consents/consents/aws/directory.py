"""The directory: organizations, their credentials and their senders. Read here, never written.

One table. An organization is `ORG#{org_id}` / `ORGANIZATION`, its senders are
`ORG#{org_id}` / `SENDER#{phone_number_id}`. A credential is found under a keyed hash of its whole
secret, `CREDENTIAL#{hash}` / `CREDENTIAL`: nothing secret is stored, nothing secret is compared.
"""

import hmac
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cachetools import TTLCache

from consents.aws.dynamodb import read_all
from consents.domain.errors import MissingScope, PlanRequired, Unauthenticated
from consents.domain.record import timestamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CACHE_SECONDS = 30
"""How long what was read may be trusted: the longest that a revoked credential lives on."""

PLANS_WITH_CAPTURE = frozenset({"payg", "growth", "scale", "enterprise"})

_CACHED = 4096
_NOBODY = "-"
"""Stands for the organization of a credential that does not exist."""


@dataclass(frozen=True, slots=True)
class Organization:
    """A tenant: all that is stored is stored under its id."""

    org_id: str
    name: str
    plan: str
    records_per_minute: int
    created_at: str


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret's public side. Times are in `timestamp` form, None where there is none."""

    org_id: str
    key_id: str
    scopes: frozenset[str]
    created_at: str
    expires_at: str | None
    revoked_at: str | None

    def is_live(self, now: datetime) -> bool:
        """Tell whether the credential is neither revoked nor expired."""
        return self.revoked_at is None and (
            self.expires_at is None or timestamp(now) < self.expires_at
        )


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and with what."""

    credential: Credential
    organization: Organization

    def must_have(self, scope: str) -> None:
        """Check what the caller may do.

        Raises:
            MissingScope: the credential does not carry `scope`.
            PlanRequired: the organization's plan does not include capture.
        """
        if scope not in self.credential.scopes:
            raise MissingScope
        if self.organization.plan not in PLANS_WITH_CAPTURE:
            raise PlanRequired


class Directory:
    """Tells who calls and what is theirs."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        pepper: Callable[[], bytes],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`pepper` gives the key of all hashes; `clock` gives seconds and never steps back."""
        self._client = client
        self._table = table
        self._pepper = pepper
        self._sleep = sleep
        self._callers: TTLCache[str, Caller | None] = TTLCache(_CACHED, CACHE_SECONDS, timer=clock)
        self._senders: TTLCache[tuple[str, str], str | None] = TTLCache(
            _CACHED, CACHE_SECONDS, timer=clock
        )

    def authenticate(self, secret: str, now: datetime) -> Caller:
        """Return who a secret belongs to.

        Every secret, also an empty one, costs the same: one hash and, unless cached, two reads.

        Raises:
            Unauthenticated: unknown, revoked or expired.
        """
        secret_hash = self.hash(secret)
        try:
            caller = self._callers[secret_hash]
        except KeyError:
            caller = self._callers[secret_hash] = self._read_caller(secret_hash)
        if caller is None or not caller.credential.is_live(now):
            raise Unauthenticated
        return caller

    def capture_refusal(self, org_id: str) -> str | None:
        """Tell why an organization may not capture consent, if it may not."""
        item = self._get(*organization_key(org_id))
        if item is None:
            return "there is no such organization"
        if organization_of(item).plan not in PLANS_WITH_CAPTURE:
            return "the plan does not include consent capture"
        return None

    def senders(self, org_id: str, phone_number_ids: Iterable[str]) -> dict[str, str]:
        """Return the E.164 number of each of these ids that the organization owns."""
        wanted = {(org_id, phone_number_id) for phone_number_id in phone_number_ids}
        known: dict[tuple[str, str], str | None] = {}
        for key in wanted:
            with suppress(KeyError):  # not cached, or no longer: it may expire at any moment
                known[key] = self._senders[key]
        read = self._read_senders(org_id, [name for _, name in sorted(wanted - known.keys())])
        self._senders.update(read)  # and nothing else, or what is used would never expire
        known |= read
        return {key[1]: number for key, number in known.items() if number is not None}

    def consent_id(self, org_id: str, sender: str, contact: str) -> str:
        """Return the stable name of what an organization holds of a contact for a sender.

        32 hex digits; without the pepper nobody can tell another organization's.
        """
        return self.hash(f"consent_id:{org_id}#{sender}#{contact}")[:32]

    def hash(self, text: str) -> str:
        """Return the HMAC-SHA256 of a text under the pepper, in hex."""
        return hmac.new(self._pepper(), text.encode(errors="replace"), sha256).hexdigest()

    def _read_caller(self, secret_hash: str) -> Caller | None:
        credential = self._get(*credential_key(secret_hash))
        organization = self._get(*organization_key(_text(credential, "org_id") or _NOBODY))
        if credential is None or organization is None:
            return None
        return Caller(credential_of(credential), organization_of(organization))

    def _read_senders(
        self, org_id: str, phone_number_ids: list[str]
    ) -> dict[tuple[str, str], str | None]:
        found: dict[tuple[str, str], str | None] = dict.fromkeys(
            (org_id, name) for name in phone_number_ids
        )
        keys = [_key(*sender_key(org_id, name)) for name in phone_number_ids]
        for item in read_all(self._client, self._table, keys, self._sleep):
            found[org_id, item["phone_number_id"]["S"]] = item["phone_number"]["S"]
        return found

    def _get(self, pk: str, sk: str) -> dict[str, Any] | None:
        answer = self._client.get_item(TableName=self._table, Key=_key(pk, sk), ConsistentRead=True)
        return answer.get("Item")


def organization_key(org_id: str) -> tuple[str, str]:
    """Return the key of an organization."""
    return f"ORG#{org_id}", "ORGANIZATION"


def sender_key(org_id: str, phone_number_id: str) -> tuple[str, str]:
    """Return the key of a sender of an organization."""
    return f"ORG#{org_id}", f"SENDER#{phone_number_id}"


def credential_key(secret_hash: str) -> tuple[str, str]:
    """Return the key of the credential whose secret has this hash."""
    return f"CREDENTIAL#{secret_hash}", "CREDENTIAL"


def organization_of(item: Mapping[str, Any]) -> Organization:
    """Return the organization that an item of the table holds."""
    return Organization(
        org_id=item["org_id"]["S"],
        name=item["name"]["S"],
        plan=item["plan"]["S"],
        records_per_minute=int(item["records_per_minute"]["N"]),
        created_at=item["created_at"]["S"],
    )


def credential_of(item: Mapping[str, Any]) -> Credential:
    """Return the credential that an item of the table holds."""
    return Credential(
        org_id=item["org_id"]["S"],
        key_id=item["key_id"]["S"],
        scopes=frozenset(item["scopes"]["SS"]),
        created_at=item["created_at"]["S"],
        expires_at=_text(item, "expires_at"),
        revoked_at=_text(item, "revoked_at"),
    )


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _text(item: Mapping[str, Any] | None, name: str) -> str | None:
    return str(item[name]["S"]) if item and name in item else None
