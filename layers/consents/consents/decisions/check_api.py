"""The responses of check and verify."""

from collections.abc import Mapping
from typing import Any

import orjson

from consents.decisions.api import Sender
from consents.decisions.check import Answer, Asker
from consents.decisions.consent_ids import ConsentIds
from consents.decisions.decide import Decision, Reason
from consents.decisions.decision_ids import Circumstances, DecisionIds
from consents.decisions.verify import Replayed
from consents.domain.record import Statement, timestamp
from consents.http import json_text
from consents.http.response import Response

_UNDECIDED = frozenset({Reason.INVALID_CONTACT, Reason.UNAVAILABLE})
"""There is no decision that a caller could show later."""


class Renderer:
    """Renders answers, each result with its consent id and its decision id."""

    def __init__(self, consent_ids: ConsentIds, decision_ids: DecisionIds) -> None:
        self._consent_ids, self._decision_ids = consent_ids, decision_ids

    def check(self, answer: Answer[Any], asker: Asker, sender: Sender) -> Response:
        """Return the decision of each contact, in the order of the input."""
        asked_at, version = timestamp(answer.asked_at), asker.rules.version
        circumstances = Circumstances(asker.org_id, asked_at, sender.sender_id, version)
        results = [
            self._result(contact, decision, circumstances, sender.key)
            for contact, decision in answer.results
        ]
        allowed = sum(decision.allowed for _, decision in answer.results)
        body = {
            "asked_at": asked_at,
            "phone_number_id": sender.phone_number_id,
            "sender_id": sender.sender_id,
            "rules_version": version,
            "allowed": allowed,
            "refused": len(results) - allowed,
            "results": results,
        }
        reasons = [decision.reason for _, decision in answer.results]
        return Response(200, orjson.dumps(body), reasons=reasons)

    def _result(
        self,
        contact: str | None,
        decision: Decision[Any],
        circumstances: Circumstances,
        sender: str,
    ) -> dict[str, Any]:
        record = decision.record
        result = {
            "contact_number": contact,
            "allowed": decision.allowed,
            "reason": decision.reason,
            "consent_id": None
            if contact is None or record is None
            else self._consent_ids.seal(circumstances.org_id, sender, contact),
            "record": None if record is None else _record(record),
            "expires_at": decision.expires_at,
        }
        is_decided = decision.reason not in _UNDECIDED
        signed = self._decision_ids.sign(circumstances, result) if is_decided else None
        return result | {"decision_id": signed}


def render_verified(replayed: Replayed | None) -> Response:
    """Return whether a decision is genuine and, if so, what the ledger says of it today."""
    ledger = None
    if replayed is not None:
        decision = replayed.decision
        ledger = {
            "allowed": decision.allowed,
            "reason": decision.reason,
            "record_id": decision.record.record_id if decision.record else None,
            "agrees": replayed.agrees,
        }
    return Response(200, json_text.indented({"genuine": ledger is not None, "ledger": ledger}))


def _record(record: Statement) -> Mapping[str, str]:
    return {
        "record_id": record.record_id,
        "sender_id": record.sender,
        "effective_at": record.effective_at,
        "received_at": record.received_at,
    }
