"""The directory of organizations, credentials and senders: reads, cached.

An organization is `ORG#{org_id}` / `ORGANIZATION`, its senders are
`ORG#{org_id}` / `SENDER#{phone_number_id}`, the profile of a sender is
`ORG#{org_id}` / `PROFILE#{phone_number_id}`, the versions of its rules
`ORG#{org_id}` / `RULES#{version}`. A credential is found under a keyed hash of its whole
secret, `CREDENTIAL#{hash}` / `CREDENTIAL`: no secret is stored, no secret is compared. A copy under
`ORG#{org_id}` / `CREDENTIAL#{key_id}` is found by its visible id.
"""

import hmac
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from hashlib import sha256

from cachetools import TTLCache

from consents.aws.dynamodb import Table, Values
from consents.domain.errors import Unauthenticated
from consents.domain.organization import (
    DEFAULT_PARTS_PER_DAY,
    DEFAULT_TEXTS_PER_DAY,
    DEFAULT_TEXTS_PER_MINUTE,
    Caller,
    Credential,
    Organization,
)
from consents.domain.rules import DEFAULT_RULES, OptOutScope, Rules
from consents.domain.sender_profile import SenderProfile

CACHE_SECONDS = 30
"""How long a read is trusted: the longest that a revoked credential still works."""

_CACHED = 4096
_NOBODY = "-"
"""The organization that is read for a credential that does not exist."""


class Directory:
    """Finds callers, and what belongs to an organization."""

    def __init__(
        self,
        table: Table,
        pepper: Callable[[], bytes],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`pepper` returns the HMAC key; `clock` returns seconds and never steps back."""
        self._table = table
        self._pepper = pepper
        self._callers: TTLCache[str, Caller | None] = TTLCache(_CACHED, CACHE_SECONDS, timer=clock)
        self._senders: TTLCache[tuple[str, str], str | None] = TTLCache(
            _CACHED, CACHE_SECONDS, timer=clock
        )

    def authenticate(self, secret: str, now: datetime) -> Caller:
        """Return the caller that a secret belongs to.

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

    def organization(self, org_id: str) -> Organization | None:
        """Return an organization as it is now, or None."""
        item = self._table.get(organization_key(org_id))
        return organization_of(item) if item else None

    def credential(self, org_id: str, key_id: str) -> Credential | None:
        """Return a credential of an organization as it is now, by its visible id, or None."""
        item = self._table.get(listing_key(org_id, key_id))
        return credential_of(item) if item else None

    def senders(self, org_id: str, phone_number_ids: Iterable[str]) -> dict[str, str]:
        """Return the E.164 number of each of these ids that the organization owns."""
        wanted = {(org_id, phone_number_id) for phone_number_id in phone_number_ids}
        known: dict[tuple[str, str], str | None] = {}
        for key in wanted:
            with suppress(KeyError):  # not cached, or no longer: it may expire at any moment
                known[key] = self._senders[key]
        read = self._read_senders(org_id, [name for _, name in sorted(wanted - known.keys())])
        self._senders.update(read)  # and nothing else, or an entry in use would never expire
        known |= read
        return {key[1]: number for key, number in known.items() if number is not None}

    def profile(self, organization: Organization, phone_number_id: str) -> SenderProfile:
        """Return the profile of a sender as it is now; its names default to the organization's."""
        item = self._table.get(profile_key(organization.org_id, phone_number_id))
        return profile_of(item or {}, organization.name)

    def owner(self, phone_number: str) -> str | None:
        """Return the organization that has a number, or None."""
        item = self._table.get(number_key(phone_number))
        return item["org_id"] if item else None

    def profile_of_number(self, phone_number: str) -> SenderProfile | None:
        """Return the profile of the sender with a number, or None if no organization has it."""
        number = self._table.get(number_key(phone_number))
        organization = self.organization(number["org_id"]) if number else None
        if number is None or organization is None:
            return None
        return self.profile(organization, number.get("phone_number_id", ""))

    def rules(self, org_id: str, version: int) -> Rules:
        """Return a version of an organization's rules; the default is version 0.

        Raises:
            LookupError: there is no such version.
        """
        if version == 0:
            return DEFAULT_RULES
        item = self._table.get(rules_key(org_id, version))
        if item is None:
            raise LookupError("the directory has no such version of the rules")
        return rules_of(item)

    def hash(self, text: str) -> str:
        """Return the HMAC-SHA256 of a text under the pepper, in hex."""
        return hmac.new(self._pepper(), text.encode(errors="replace"), sha256).hexdigest()

    def _read_caller(self, secret_hash: str) -> Caller | None:
        credential = self._table.get(credential_key(secret_hash))
        org_id = credential["org_id"] if credential else _NOBODY
        organization = self._table.get(organization_key(org_id))
        if credential is None or organization is None:
            return None
        return Caller(credential_of(credential), organization_of(organization))

    def _read_senders(
        self, org_id: str, phone_number_ids: list[str]
    ) -> dict[tuple[str, str], str | None]:
        found: dict[tuple[str, str], str | None] = dict.fromkeys(
            (org_id, name) for name in phone_number_ids
        )
        keys = [sender_key(org_id, name) for name in phone_number_ids]
        for item in self._table.batch_get(keys):
            found[org_id, item["phone_number_id"]] = item["phone_number"]
        return found


def organization_key(org_id: str) -> Values:
    """Return the key of an organization."""
    return {"pk": f"ORG#{org_id}", "sk": "ORGANIZATION"}


def sender_key(org_id: str, phone_number_id: str) -> Values:
    """Return the key of a sender of an organization."""
    return {"pk": f"ORG#{org_id}", "sk": f"SENDER#{phone_number_id}"}


def number_key(phone_number: str) -> Values:
    """Return the key of the owner of a number."""
    return {"pk": f"NUMBER#{phone_number}", "sk": "NUMBER"}


def profile_key(org_id: str, phone_number_id: str) -> Values:
    """Return the key of a sender's profile: apart from the sender, which every request reads."""
    return {"pk": f"ORG#{org_id}", "sk": f"PROFILE#{phone_number_id}"}


def rules_key(org_id: str, version: int) -> Values:
    """Return the key of a version of an organization's rules."""
    return {"pk": f"ORG#{org_id}", "sk": f"RULES#{version:08}"}


def credential_key(secret_hash: str) -> Values:
    """Return the key of the credential whose secret has this hash."""
    return {"pk": f"CREDENTIAL#{secret_hash}", "sk": "CREDENTIAL"}


def listing_key(org_id: str, key_id: str) -> Values:
    """Return the key of a credential among those of its organization."""
    return {"pk": f"ORG#{org_id}", "sk": f"CREDENTIAL#{key_id}"}


def organization_of(item: Values) -> Organization:
    """Return the organization that an item of the table holds."""
    return Organization(
        org_id=item["org_id"],
        name=item["name"],
        plan=item["plan"],
        records_per_minute=item["records_per_minute"],
        created_at=item["created_at"],
        parts_per_day=item.get("parts_per_day", DEFAULT_PARTS_PER_DAY),
        contacts_per_minute=item.get("contacts_per_minute"),
        rules=rules_of(item),
        texts_per_minute=item.get("texts_per_minute", DEFAULT_TEXTS_PER_MINUTE),
        texts_per_day=item.get("texts_per_day", DEFAULT_TEXTS_PER_DAY),
    )


def rules_of(item: Values) -> Rules:
    """Return the rules that an organization's item, or one of a version, holds."""
    if "rules_version" not in item:
        return DEFAULT_RULES
    return Rules(
        item["rules_version"], OptOutScope(item["opt_out_scope"]), item.get("opt_in_expires", {})
    )


def profile_of(item: Values, name: str) -> SenderProfile:
    """Return the profile that an item of the table holds, of an organization of this name."""
    known = {slot: item[slot] for slot in SenderProfile.__slots__ if slot in item}
    known["countries"] = tuple(item.get("countries", ()))
    return SenderProfile(**{"brand": name, "legal_name": name} | known)


def credential_of(item: Values) -> Credential:
    """Return the credential that an item of the table holds."""
    return Credential(
        org_id=item["org_id"],
        key_id=item["key_id"],
        scopes=item["scopes"],
        created_at=item["created_at"],
        expires_at=item.get("expires_at"),
        revoked_at=item.get("revoked_at"),
    )
