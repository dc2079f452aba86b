"""Decision ids: genuine only for the same answer, to the same organization."""

from typing import Any

import pytest
from consents.decisions.decision_ids import Circumstances, DecisionIds

from tests.factories import ORG_ID, SENDER, with_field

IDS = DecisionIds(lambda: b"pepper")
SAID = Circumstances(ORG_ID, "2026-11-25T12:00:01.000000Z", SENDER, 3)
RESULT: dict[str, Any] = {
    "contact_number": "+15554443333",
    "allowed": True,
    "reason": "OPTED_IN",
    "record": {"record_id": "0f", "effective_at": "2026-04-26T12:00:00.000000Z"},
    "expires_at": None,
}
SIGNED = RESULT | {"decision_id": IDS.sign(SAID, RESULT)}


def test_a_signed_result_is_genuine_in_any_order_of_members() -> None:
    reversed_record = dict(reversed(RESULT["record"].items()))
    shuffled = dict(reversed(SIGNED.items())) | {"record": reversed_record}

    assert len(SIGNED["decision_id"]) == 32
    assert IDS.is_genuine(SAID, shuffled)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("contact_number", "+15554443334"),
        ("allowed", 1),
        ("allowed", False),
        ("record.record_id", "10"),
        ("record", None),
        ("more", None),
        ("decision_id", "0" * 32),
        ("decision_id", None),
        ("decision_id", "\u0660" * 32),
        ("reason", "\ud800"),
        ("reason", 2**70),
    ],
)
def test_any_other_result_is_not_genuine(field: str, value: Any) -> None:
    assert not IDS.is_genuine(SAID, with_field(SIGNED, field, value))


@pytest.mark.parametrize(
    "changed",
    [
        SAID._replace(org_id="org_2"),
        SAID._replace(asked_at="2026-11-25T12:00:01.000001Z"),
        SAID._replace(sender_id="123456"),
        SAID._replace(rules_version=4),
    ],
)
def test_a_result_is_genuine_in_its_circumstances_only(changed: Circumstances) -> None:
    assert not IDS.is_genuine(changed, SIGNED)


def test_another_secret_signs_differently() -> None:
    assert not DecisionIds(lambda: b"other").is_genuine(SAID, SIGNED)
