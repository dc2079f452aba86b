"""The state of a form's link by time, and whom it is for."""

from datetime import datetime, timedelta

import pytest
from consents.forms.form import Form, State

from tests.factories import NOW, bound_form, form

LATER = NOW + timedelta(hours=2)


@pytest.mark.parametrize(
    ("changed", "now", "state"),
    [
        (form(), NOW, State.OPEN),
        (form(submissions=7), NOW, State.OPEN),
        (form(), form().expires_at, State.EXPIRED),
        (bound_form(submissions=1), NOW, State.USED),
        (bound_form(submissions=1), LATER, State.USED),
        (form(max_submissions=2, submissions=1), NOW, State.OPEN),
        (bound_form(submissions=1, closed_at=NOW), NOW, State.CLOSED),
        (form(closed_at=NOW), LATER, State.CLOSED),
    ],
)
def test_a_forms_link_has_a_state(changed: Form, now: datetime, state: State) -> None:
    assert changed.state(now) is state


def test_a_form_without_a_contact_is_open_to_all() -> None:
    assert form().is_open_to_all
    assert not bound_form().is_open_to_all
