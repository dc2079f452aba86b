"""Who may do what: organizations with their plans, credentials with their scopes."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from consents.domain.errors import MissingScope, PlanRequired
from consents.domain.record import timestamp
from consents.domain.rules import DEFAULT_RULES, Rules

DEFAULT_RECORDS_PER_MINUTE = 60_000
CONTACTS_PER_RECORD = 10
"""An organization without a limit of contacts has so many per record of its limit of records."""

DEFAULT_PARTS_PER_DAY = 50_000
"""Parts of files, of at most 1000 rows each: 50 million rows a day."""


DEFAULT_TEXTS_PER_MINUTE, DEFAULT_TEXTS_PER_DAY = 60, 1_000
"""Texts that ask for a confirmation; 0 stops all."""


class Scope(StrEnum):
    """What a credential may do."""

    WRITE = "consent:write"
    READ = "consent:read"
    CHECK = "consent:check"
    PROVE = "consent:prove"
    LOG = "log:read"


class Bucket(StrEnum):
    """What a request spends: each organization has a token bucket of each."""

    RECORDS = "records"
    CONTACTS = "contacts"
    REVOCATIONS = "revocations"


class Plan(StrEnum):
    """What an organization pays for."""

    PAYG = "payg"
    GROWTH = "growth"
    SCALE = "scale"
    ENTERPRISE = "enterprise"
    STARTER = "starter"


PLANS_WITH_CAPTURE = frozenset(Plan) - {Plan.STARTER}
"""`starter` is a legacy plan without consent capture."""


@dataclass(frozen=True, slots=True)
class Organization:
    """A tenant: everything is stored under its id.

    `plan` is a `Plan`, or a text of the directory that this release does not know: no plan then.
    """

    org_id: str
    name: str
    plan: str
    records_per_minute: int
    created_at: str
    parts_per_day: int = DEFAULT_PARTS_PER_DAY
    contacts_per_minute: int | None = None
    """None: `CONTACTS_PER_RECORD` times the records."""
    rules: Rules = DEFAULT_RULES
    texts_per_minute: int = DEFAULT_TEXTS_PER_MINUTE
    texts_per_day: int = DEFAULT_TEXTS_PER_DAY

    def per_minute(self, bucket: Bucket) -> int:
        """Return the size of a bucket."""
        if bucket is Bucket.RECORDS:
            return self.records_per_minute
        return self.contacts_per_minute or CONTACTS_PER_RECORD * self.records_per_minute

    @property
    def has_capture(self) -> bool:
        """Return whether the plan includes consent capture."""
        return self.plan in PLANS_WITH_CAPTURE


@dataclass(frozen=True, slots=True)
class Credential:
    """The public part of a credential. Times are in `timestamp` form, or None."""

    org_id: str
    key_id: str
    scopes: frozenset[str]
    created_at: str
    expires_at: str | None
    revoked_at: str | None

    def is_live(self, now: datetime) -> bool:
        """Return whether the credential is neither revoked nor expired."""
        return self.revoked_at is None and (
            self.expires_at is None or timestamp(now) < self.expires_at
        )


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller: its organization and the credential it used."""

    credential: Credential
    organization: Organization

    def check_may(self, scope: Scope, *, needs_capture: bool = True) -> None:
        """Check scope, then plan.

        Raises:
            MissingScope: the credential lacks `scope`.
            PlanRequired: the route needs a plan that includes consent capture.
        """
        if scope not in self.credential.scopes:
            raise MissingScope
        if needs_capture and not self.organization.has_capture:
            raise PlanRequired
