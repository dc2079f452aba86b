"""What a visitor submitted: one for each stamp, and the record that it makes."""

from dataclasses import dataclass
from datetime import datetime

from consents.domain.record import HOSTED, ConsentRecord, Status, text_hash, timestamp
from consents.forms.form import Form

CONSENT_METHOD = "hosted_form"

MAX_USER_AGENT_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission as it was first received; a repeat has the same nonce and changes nothing.

    `page_hash` is of the page without stamp and number, in full. `form_url` opens the page.
    """

    form_id: str
    nonce: str
    contact: str
    captured_at: datetime
    shown_at: datetime
    ip_address: str
    user_agent: str
    form_url: str
    page_hash: str
    page_lang: str


def web_evidence(submission: Submission) -> dict[str, str]:
    """Return what a page adds to the evidence of a reply to a text message."""
    return {
        "captured_at": timestamp(submission.captured_at),
        "ip_address": submission.ip_address,
        "user_agent": submission.user_agent,
        "form_url": submission.form_url,
        "submission_id": submission.nonce,
        "page_hash": submission.page_hash,
        "page_lang": submission.page_lang,
    }


def record_of(submission: Submission, form: Form) -> ConsentRecord:
    """Return the opt-in that a submission is: its evidence is what the service observed."""
    evidence = {
        "captured_at": timestamp(submission.captured_at),
        "shown_at": timestamp(submission.shown_at),
        "ip_address": submission.ip_address,
        "user_agent": submission.user_agent,
        "agreement_text_hash": text_hash(form.agreement_text),
        "form_url": submission.form_url,
        "consent_method": CONSENT_METHOD,
        "form_id": form.form_id,
        "submission_id": submission.nonce,
        "page_hash": submission.page_hash,
        "page_lang": submission.page_lang,
        "number_source": "visitor" if form.is_open_to_all else "sender",
        "verified": "none",
    }
    return ConsentRecord(
        HOSTED,
        form.sender,
        submission.contact,
        Status.OPT_IN,
        submission.captured_at,
        evidence | ({"reference": form.reference} if form.reference else {}),
        form.phone_number_id,
        agreement_text=form.agreement_text,
    )
