"""The files of a proof pack: all that the log has of a contact, and the proof that it is all.

docs/reference/proof-pack.md describes them. They are a pure function of what they are made from.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from consents.proof.encoding import base64_text, base64_texts, json_line
from consents.proof.index_proof import IndexProof, RunProof
from consents.proof.lookup import Match
from consents.proof.openings import Openings
from consents.proof.snapshot import Findings, Snapshot

_LEVELS = 2
"""Of the index: 0 and 1."""


def evidence_files(
    log: Snapshot, findings: Findings, openings: Openings, texts: Mapping[str, str]
) -> dict[str, bytes]:
    """Return the files that say what the log has of a contact.

    `texts` are the agreement texts that its records name, by their hashes.
    """
    lines = openings.lines(findings.leaves)
    return {
        "checkpoint": log.note,
        "entries.jsonl": b"".join(map(json_line, lines)),
        "index.json": json_line(_index(findings.proof)),
        "subject.json": json_line(findings.subject.described()),
        **dict(log.each(lambda leaf: _tlog_proof(log, leaf), findings.leaves)),
        **{f"texts/{text_hash}.txt": text.encode() for text_hash, text in texts.items()},
    }


def _tlog_proof(log: Snapshot, leaf: int) -> tuple[str, bytes]:
    """Return the name and the content of the proof of a leaf (C2SP tlog-proof)."""
    hashes = base64_texts(log.tree.inclusion_proof(leaf))
    head = "\n".join(["c2sp.org/tlog-proof@v1", f"index {leaf}", *hashes, "", ""])
    return f"proofs/{leaf}.tlog-proof", head.encode() + log.note


def _index(proof: IndexProof) -> dict[str, Any]:
    return {
        "levels": _LEVELS,
        "runs": [_run(one) for one in proof.runs],
        "frontier": base64_texts(proof.frontier),
        "tail": base64_texts(proof.tail),
    }


def _run(one: RunProof) -> dict[str, Any]:
    return {
        "level": one.run.level,
        "number": one.run.number,
        "entry": base64_text(one.entry),
        "proof": base64_texts(one.proof),
        "items": [*_items(one.items)],
    }


def _items(matches: Iterable[Match]) -> Iterator[dict[str, Any]]:
    for one in matches:
        yield {"at": one.at, "item": base64_text(one.item), "proof": base64_texts(one.proof)}
