"""Forms and submissions as items of the forms table.

A form is `FORM#{form_id}` / `FORM`, a submission `FORM#{form_id}` / `SUBMISSION#{nonce}`. Both
expire after 90 days: the evidence is in the ledger.
"""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from consents.aws.dynamodb import Values
from consents.domain.record import timestamp
from consents.domain.sender_profile import SenderProfile
from consents.forms.form import Confirm, Form, MessageType
from consents.forms.submission import Submission

KEPT_FOR = timedelta(days=90)

_READ: dict[str, Any] = {
    "confirm": Confirm,
    "message_type": MessageType,
    "created_at": datetime.fromisoformat,
    "expires_at": datetime.fromisoformat,
    "closed_at": datetime.fromisoformat,
    "captured_at": datetime.fromisoformat,
    "shown_at": datetime.fromisoformat,
    "profile": lambda kept: SenderProfile(**kept | {"countries": tuple(kept["countries"])}),
}


def form_key(form_id: str) -> Values:
    """Return the key of a form."""
    return {"pk": f"FORM#{form_id}", "sk": "FORM"}


def submission_key(form_id: str, nonce: str) -> Values:
    """Return the key of what was submitted with a stamp."""
    return {"pk": f"FORM#{form_id}", "sk": f"SUBMISSION#{nonce}"}


def form_item(form: Form) -> Values:
    """Return the item of a form, in plain values."""
    return form_key(form.form_id) | _kept(form) | _expiring(form.expires_at)


def form_of(item: Values) -> Form:
    """Return the form that an item holds."""
    return Form(**_read(Form, item))


def submission_item(submission: Submission) -> Values:
    """Return the item of a submission, in plain values."""
    key = submission_key(submission.form_id, submission.nonce)
    return key | _kept(submission) | _expiring(submission.captured_at)


def submission_of(item: Values) -> Submission:
    """Return the submission that an item holds."""
    return Submission(**_read(Submission, item))


def _kept(value: Form | Submission) -> Values:
    kept = {name: getattr(value, name) for name in type(value).__slots__}
    return {name: _plain(each) for name, each in kept.items() if each is not None}


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return timestamp(value)
    return asdict(value) if isinstance(value, SenderProfile) else value


def _read(kind: type[Form | Submission], item: Values) -> dict[str, Any]:
    return {
        name: _READ[name](item[name]) if name in _READ else item[name]
        for name in kind.__slots__
        if name in item
    }


def _expiring(at: datetime) -> Values:
    return {"expiration": int((at + KEPT_FOR).timestamp())}
