"""COVER.html: a proof pack in plain words, for a reader without the verifier. It is no evidence."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import batched
from typing import Any

import orjson

from consents.domain.record import Status
from consents.pages import templating
from consents.proof import cover_words as words

type Report = Mapping[str, Any]
"""The verifier's report on a pack, in its JSON form."""

type Statement = Mapping[str, Any]

_OF_A_RECORD = ("record", "time", "text")
"""The statements about each record, in this order."""


def cover_page(report: Report, files: Mapping[str, bytes], made_at: datetime) -> bytes:
    """Return the cover of a pack, from the verifier's report on its files."""
    (pack,) = _statements(report, "pack")
    (completeness,) = _statements(report, "completeness")
    (witnesses,) = _statements(report, "witnesses")
    values: dict[str, Any] = {
        "report": report,
        "meaning": words.MEANINGS[report["verdict"]],
        "damage": pack["text"] if pack["word"] == "DAMAGED" else "",
        "made_at": _date(made_at.isoformat()),
        "states": [_state(one, files) for one in _statements(report, "state")],
        "completeness": words.COMPLETENESS[completeness["word"]],
        "witnesses": {"cosigned": 0, **witnesses},
        "records": [*_records(report, files)],
        "open_points": [*map(_open_point, report["open_points"])],
        "not_proven": [words.NOT_PROVEN[one["word"]] for one in _statements(report, "not_proven")],
    }
    return templating.render("cover.html", values)


def _statements(report: Report, *kinds: str) -> Iterator[Statement]:
    return (one for one in report["statements"] if one["statement"] in kinds)


def _state(said: Statement, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return what counts for a sender, and since when: the record that counts has a leaf."""
    leaf = said.get("record_leaf")
    counts = (orjson.loads(one["record"]) for one in _lines(files) if leaf and one["leaf"] == leaf)
    since = next((_date(record["effective_at"]) for record in counts), "")
    return {"word": said["word"], "sender": said.get("sender"), "since": since}


def _open_point(said: str) -> str:
    """Return an open point in plain words, or as the verifier says it."""
    return words.OPEN_POINTS.get(said.partition(":")[0], said)


def _lines(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in files["entries.jsonl"].splitlines()]


def _records(report: Report, files: Mapping[str, bytes]) -> Iterator[dict[str, Any]]:
    """Return each record as the cover shows it, in the order of the report."""
    by_leaf = {line["leaf"]: line for line in _lines(files)}
    loose = (line for line in _lines(files) if line["leaf"] is None)
    for said in batched(_statements(report, *_OF_A_RECORD), len(_OF_A_RECORD), strict=True):
        line = next(loose) if said[0]["leaf"] is None else by_leaf[said[0]["leaf"]]
        yield _judged(*said) | _shown(line.get("record"), files)


def _judged(record: Statement, time: Statement, text: Statement) -> dict[str, Any]:
    """Return what the report says of a record."""
    by = time["text"].partition("(")[2].rstrip(")")
    bounds = {name: _date(time[name] or "") for name in ("not_before", "not_after")}
    (logged,) = (said for word, said in words.TIMES.items() if time["word"].startswith(word))
    return {
        "leaf": record["leaf"],
        "word": record["word"],
        "is_good": record["word"] in words.GOOD,
        "meaning": words.RECORDS[record["word"]],
        "logged": logged.format(by=by, **bounds),
        "text": words.TEXTS.get(text["word"]),
    }


def _shown(record: str | None, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the content of a record; of one in another form than ours, only its JSON."""
    content = orjson.loads(record or "{}")
    try:
        evidence = {**content["evidence"]}
        agreement_text = files.get(f"texts/{evidence.get('agreement_text_hash')}.txt", b"")
        return {
            "status": Status(content["status"]).value,
            "sender": content["sk"].partition("#")[0],
            "effective_at": _date(content["effective_at"]),
            "received_at": _date(content["received_at"]),
            "request_id": content["request_id"],
            "origin": words.ORIGINS[content["wire"]],
            "evidence": [(_label(name), value) for name, value in sorted(evidence.items())],
            "agreement_text": agreement_text.decode(),
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        return {"status": None, "json": record, "agreement_text": ""}


def _label(name: str) -> str:
    return words.LABELS.get(name) or name.replace("_", " ").capitalize()


def _date(text: str) -> str:
    """Return a time as people read it, in UTC, to the second."""
    if not text:
        return ""
    at = datetime.fromisoformat(text).astimezone(UTC)
    return f"{at:%B} {at.day}, {at.year}, {at:%H:%M:%S} UTC"
