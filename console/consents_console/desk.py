"""What the pages work with: a stack, its access log, the session and the time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from consents.accounts.directory_writer import DirectoryError, Entry
from consents.aws.s3 import Objects
from consents.decisions.consent_ids import Pair
from consents.domain.record import EVERY_SENDER
from consents_cli.access_log import AccessLog, Action, open_access_log
from consents_cli.stack import Stack

from consents_console.session import Looked, Session


class NotHere(Exception):
    """There is no such thing; the text says what to do instead."""


@dataclass(frozen=True)
class Desk:
    """One operator's view of a stack."""

    stack: Stack
    session: Session

    @cached_property
    def access_log(self) -> AccessLog:
        """The access log."""
        return open_access_log(self.stack)

    @cached_property
    def objects(self) -> Objects:
        """The bucket of files and reports."""
        return Objects(self.stack.s3(), self.stack.output("DropsBucket"))

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)

    def entry(self, org_id: str) -> Entry:
        """Return an organization with its senders and keys, or raise `NotHere`."""
        try:
            return self.stack.entries.entry(org_id)
        except DirectoryError:
            raise NotHere("There is no such organization.") from None

    def pair(self, org_id: str, consent_id: str) -> Pair:
        """Return the sender and the contact that a consent id names, or raise `NotHere`."""
        pair = self.stack.consent_ids.open(org_id, consent_id)
        if pair is None:
            raise NotHere("The organization has no such consent id.")
        return pair

    def consent_id(self, org_id: str, contact: str, sender: str = EVERY_SENDER) -> str:
        """Return the id under which pages name a contact: no number is in a URL."""
        return self.stack.consent_ids.seal(org_id, sender, contact)

    def look(self, entry: Entry, contact: str, action: Action, reason: str = "") -> None:
        """Insert an entry into the access log, before anything of a contact is read."""
        organization = entry.organization
        self.access_log.insert(action, organization.org_id, [contact], reason)
        consent_id = self.consent_id(organization.org_id, contact)
        looked = Looked(organization.org_id, organization.name, consent_id, contact)
        self.session.remember(looked)
