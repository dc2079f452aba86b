"""Whom a proof pack is about, and the secret with which its reader finds the contact's leaves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

from consents.proof.bucket_keys import DEPTH, bucket_key, bucket_of, key_path
from consents.proof.encoding import base64_text, base64_texts
from consents.proof.entries import contact_tag, organization_tag


class KeyTable(NamedTuple):
    """The seed of an organization's bucket keys, and the roots of the parts of its key table."""

    seed: bytes
    part_roots: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Subject:
    """One contact of one organization; without a table where the log has no organization entry."""

    org_id: str
    contact: str
    table: KeyTable | None

    def without_table(self) -> Self:
        """Return the subject for a log that has no entry of the organization."""
        return replace(self, table=None)

    @property
    def key(self) -> bytes | None:
        """Return the key of the contact's bucket."""
        return bucket_key(self.table.seed, self._bucket) if self.table else None

    @property
    def contact_tag(self) -> bytes | None:
        """Return the tag of the contact's leaves."""
        return contact_tag(self.key, self.org_id, self.contact) if self.key else None

    @property
    def tags(self) -> list[bytes]:
        """Return the tags of all leaves that are about the subject."""
        return [tag for tag in (organization_tag(self.org_id), self.contact_tag) if tag]

    def described(self) -> dict[str, Any]:
        """Return the subject as the pack has it."""
        path = (
            key_path(self.table.seed, [*self.table.part_roots], self._bucket) if self.table else []
        )
        return {
            "organization": self.org_id,
            "contact": self.contact,
            "depth": DEPTH,
            "key": base64_text(self.key) if self.key else None,
            "path": base64_texts(path),
        }

    @property
    def _bucket(self) -> int:
        return bucket_of(self.org_id, self.contact)
