"""Our side, whose requests store records with or without salts, by the name of a round."""

from importlib import import_module
from typing import Any

from bench import ours
from bench.salts import WITH

prepare, validate, parse_form = ours.prepare, ours.validate, ours.parse_form

_ledger: Any = import_module("consents.capture.ledger")
_record_item, _salts = _ledger.record_item, _ledger.salts


def _salted(*of: Any) -> Any:
    item = _record_item(*of)
    item["salt"] = item["salt"]  # as long as deleting it
    return item


def _unsalted(*of: Any) -> Any:
    item = _record_item(*of)
    del item["salt"]
    return item


def _no_salts(count: int) -> list[str]:
    return [""] * count


def _capture(event: dict[str, Any], context: Any) -> Any:
    is_salted = event["headers"]["Idempotency-Key"].endswith(WITH)
    _ledger.record_item = _salted if is_salted else _unsalted
    _ledger.salts = _salts if is_salted else _no_salts
    return ours.HANDLERS["capture_consents"](event, context)


HANDLERS = ours.HANDLERS | {"capture_consents": _capture}
