"""A hosted form: what it shows, for whom, and whether its link is open."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from consents.domain.sender_profile import SenderProfile


class Confirm(StrEnum):
    """What makes a submission a record: the submission, or a reply to a text message."""

    NONE = "none"
    SMS = "sms"


class MessageType(StrEnum):
    """What the messages are about; marketing needs more disclosures."""

    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"


class State(StrEnum):
    """The state of a form's link."""

    OPEN = "open"
    USED = "used"
    EXPIRED = "expired"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Form:
    """A form as it was made; only `closed_at` and `submissions` change.

    `contact` is an E.164 number, or empty: an open form, on which each visitor types one.
    `headline`, `intro`, `program`, `frequency`, `redirect_url`, `locale` and `reference` may be
    empty. `max_submissions` is 0 where there is no limit.
    """

    form_id: str
    org_id: str
    phone_number_id: str
    sender: str
    contact: str
    agreement_text: str
    confirm: Confirm
    profile: SenderProfile
    created_at: datetime
    expires_at: datetime
    agreement_lang: str = "en"
    message_type: MessageType = MessageType.TRANSACTIONAL
    max_submissions: int = 0
    headline: str = ""
    intro: str = ""
    program: str = ""
    frequency: str = ""
    redirect_url: str = ""
    locale: str = ""
    reference: str = ""
    secret_hash: str = ""
    closed_at: datetime | None = None
    submissions: int = 0

    @property
    def is_open_to_all(self) -> bool:
        """Whether anybody may submit it, with any number."""
        return not self.contact

    def state(self, now: datetime) -> State:
        """Return the state of the form's link."""
        if self.closed_at is not None:
            return State.CLOSED
        if self.max_submissions and self.submissions >= self.max_submissions:
            return State.USED
        return State.OPEN if now < self.expires_at else State.EXPIRED
