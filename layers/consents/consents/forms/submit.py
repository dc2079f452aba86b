"""Submit a hosted form: one record for each stamp, whatever is repeated or crashes.

The order of writes matters: the page, then the submission with its place on the form, then the
record. A crash between any two is healed by the same submission sent again.
"""

from collections.abc import Callable, Mapping
from typing import NoReturn, Protocol

from consents.capture.capture import Ledger, capture
from consents.domain.errors import NotFound, Unavailable
from consents.domain.record import Receipt
from consents.domain.sender_profile import SenderProfile
from consents.forms.form import Confirm, Form, State
from consents.forms.form_post import AGREE, NUMBER
from consents.forms.keys import FormKeys
from consents.forms.pages import bare_page
from consents.forms.submission import MAX_USER_AGENT_LENGTH, Submission, record_of, web_evidence
from consents.forms.tokens import parse_token
from consents.forms.visit import Visit
from consents.messages import numbers
from consents.pages import phone_numbers, stamps
from consents.pages.errors import Incomplete, LinkClosed, ReadAgain
from consents.pages.page import page_hash
from consents.pages.stamps import Stamp

_NO_NONCE = "-"


class Forms(Protocol):
    """Forms, and what visitors submitted."""

    def open_with(self, form_id: str, nonce: str) -> tuple[Form | None, Submission | None]:
        """Return the form of a link, and what was submitted with a stamp before."""

    def submit(self, submission: Submission) -> bool:
        """Store a submission and count it, both or neither, and return whether it is stored."""


class KeptPages(Ledger, Protocol):
    """The ledger, which keeps pages beside records."""

    def keep_page(
        self, org_id: str, page_hash: str, page: str, time_left: Callable[[], float]
    ) -> bool:
        """Store a page once, and return whether the ledger holds it."""


class Limits(Protocol):
    """How often visitors may submit."""

    def take(self, form: Form, ip_address: str, receipt: Receipt) -> None:
        """Count one submission, or raise `RateLimited`."""


class AskVisitor(Protocol):
    """Asks a visitor by text message, or does not: no page shows which."""

    def __call__(
        self,
        org_id: str,
        profile: SenderProfile,
        receipt: Receipt,
        *,
        web: Mapping[str, str],
        **fields: str,
    ) -> None: ...


class Submissions:
    """Takes submissions of hosted forms."""

    def __init__(
        self,
        forms: Forms,
        ledger: KeptPages,
        limits: Limits,
        keys: Callable[[], FormKeys],
        ask: AskVisitor,
    ) -> None:
        self._ask = ask
        self._forms = forms
        self._ledger = ledger
        self._limits = limits
        self._keys = keys

    def open(self, link: str, stamp: str) -> tuple[Form, Submission | None]:
        """Return the form of a link, and what was submitted with the same stamp before.

        Raises:
            NotFound: the link is unknown or incomplete.
        """
        token = parse_token(link)
        if token is None:
            raise NotFound
        nonce = stamps.nonce_of(stamp) or _NO_NONCE
        form, before = self._forms.open_with(token.form_id, nonce)
        if form is None or not self._keys().opens(token, form):
            raise NotFound
        return form, before

    def submit(self, visit: Visit) -> Submission:
        """Record a submission, and return it as it was first received.

        Raises:
            LinkClosed: the form takes no submissions, or no more.
            ReadAgain: the stamp does not show that a person read this page just before.
            RateLimited: too many submissions of one address, or of the form.
            Incomplete: there is no number, or the box is not ticked.
            Unavailable: the ledger does not hold the record, or is not known to.
        """
        form = visit.form
        stamp = stamps.read(self._keys().stamp, form.form_id, visit.post.stamp)
        contact = form.contact or phone_numbers.read(visit.post.number, form.sender)
        repeated = _repeated(visit, contact) if stamp else None
        if repeated:
            return self._record(repeated, visit)
        if form.state(visit.receipt.received_at) is not State.OPEN:
            raise LinkClosed
        page = bare_page(form, visit.lang)
        stamp = _valid(stamp, visit, page)
        self._limits.take(form, visit.ip_address, visit.receipt)
        if contact is None or not visit.post.agrees or not _is_textable(form, contact):
            _reject(visit, contact)
        return self._store(_submission(visit, stamp, contact, page), page, visit)

    def _store(self, submission: Submission, page: bytes, visit: Visit) -> Submission:
        form = visit.form
        text = page.decode()
        if not self._ledger.keep_page(form.org_id, submission.page_hash, text, visit.time_left):
            raise Unavailable
        if self._forms.submit(submission):
            return self._record(submission, visit)
        # Another request was first: with the same stamp, or with the last place of the form.
        _, first = self._forms.open_with(form.form_id, submission.nonce)
        if first is None:
            raise LinkClosed
        if first.contact != submission.contact:
            raise ReadAgain
        return self._record(first, visit)

    def _record(self, submission: Submission, visit: Visit) -> Submission:
        form = visit.form
        if form.confirm is Confirm.SMS:
            self._ask(
                form.org_id,
                form.profile,
                visit.receipt,
                web=web_evidence(submission),
                phone_number_id=form.phone_number_id,
                sender=form.sender,
                contact=submission.contact,
                agreement_text=form.agreement_text,
                locale=submission.page_lang,
                program=form.program,
                frequency=form.frequency,
                reference=form.reference,
            )
            return submission
        capture(
            [record_of(submission, form)],
            form.org_id,
            self._ledger,
            receipt=visit.receipt,
            time_left=visit.time_left,
        )
        return submission


def _repeated(visit: Visit, contact: str | None) -> Submission | None:
    """Return the submission that this one repeats, if it does."""
    before = visit.before
    is_same = before is not None and before.contact == contact and visit.post.agrees
    return before if is_same else None


def _valid(stamp: Stamp | None, visit: Visit, page: bytes) -> Stamp:
    """Return the stamp of a page that a person read, or raise `ReadAgain`."""
    if visit.before is not None or visit.post.trap:
        raise ReadAgain
    return stamps.check(stamp, page_hash(page), visit.receipt.received_at)


def _is_textable(form: Form, contact: str) -> bool:
    if form.confirm is not Confirm.SMS:
        return True
    return numbers.fault(contact, form.sender, form.profile.countries) is None


def _reject(visit: Visit, contact: str | None) -> NoReturn:
    problems = {}
    if contact is None:
        problems[NUMBER] = "number_invalid" if visit.post.number.strip() else "number_missing"
    elif not _is_textable(visit.form, contact):
        problems[NUMBER] = "number_not_textable"
    if not visit.post.agrees:
        problems[AGREE] = "box_missing"
    raise Incomplete(problems)


def _submission(visit: Visit, stamp: Stamp, contact: str, page: bytes) -> Submission:
    return Submission(
        form_id=visit.form.form_id,
        nonce=stamp.nonce,
        contact=contact,
        captured_at=visit.receipt.received_at,
        shown_at=stamp.shown_at,
        ip_address=visit.ip_address,
        user_agent=visit.user_agent[:MAX_USER_AGENT_LENGTH] or "-",
        form_url=visit.form_url,
        page_hash=page_hash(page),
        page_lang=visit.lang,
    )
