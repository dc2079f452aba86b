"""The forms table: forms, and one submission for each stamp."""

from datetime import datetime

from consents.aws.dynamodb import Table, encode_item
from consents.domain.record import timestamp
from consents.forms.form import Form
from consents.forms.form_items import (
    form_item,
    form_key,
    form_of,
    submission_item,
    submission_key,
    submission_of,
)
from consents.forms.submission import Submission

_IS_ITS_OWN = "org_id = :org_id"
_IS_OPEN = "attribute_exists(pk) AND attribute_not_exists(closed_at)"
_IS_NOT_USED = "(max_submissions = :none OR submissions < max_submissions)"


class FormsTable:
    """Stores forms, and what visitors submit."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, form: Form) -> None:
        """Add a form; its id is random, and taken by no other."""
        self._table.put(encode_item(form_item(form)), "attribute_not_exists(pk)")

    def find(self, org_id: str, form_id: str) -> Form | None:
        """Return a form of an organization, or None."""
        form = self.open(form_id)
        return form if form and form.org_id == org_id else None

    def close(self, org_id: str, form_id: str, now: datetime) -> bool:
        """Close a form, and return whether the organization has it; the first time stands."""
        held, _ = self._table.update(
            form_key(form_id),
            "SET closed_at = if_not_exists(closed_at, :now)",
            _IS_ITS_OWN,
            org_id=org_id,
            now=timestamp(now),
        )
        return held

    def open(self, form_id: str) -> Form | None:
        """Return the form of a link, of whatever organization, or None."""
        item = self._table.get(form_key(form_id))
        return form_of(item) if item else None

    def open_with(self, form_id: str, nonce: str) -> tuple[Form | None, Submission | None]:
        """Return the form of a link, and what was submitted with a stamp before."""
        keys = [form_key(form_id), submission_key(form_id, nonce)]
        items = {item["sk"]: item for item in self._table.batch_get(keys)}
        form, submission = (items.get(key["sk"]) for key in keys)
        return (
            form_of(form) if form else None,
            submission_of(submission) if submission else None,
        )

    def submit(self, submission: Submission) -> bool:
        """Store a submission and count it, both or neither, and return whether it is stored.

        Of the submissions that all saw a form's last place, one takes it. Of the repeats of one
        stamp, the first stands.
        """
        item = submission_item(submission)
        failed = self._table.transact(
            self._table.put_new(item, unless="pk"),
            self._table.update_if(
                form_key(submission.form_id),
                "ADD submissions :one",
                f"{_IS_OPEN} AND {_IS_NOT_USED}",
                one=1,
                none=0,
            ),
        )
        return failed is None
