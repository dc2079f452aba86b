"""End an import: set its outcome, write its reports, let the organization's next import start."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import batched

from aws_lambda_powertools import Logger

from consents.imports.api import render_summary
from consents.imports.import_state import COMPLETED, FAILED, Import
from consents.imports.stores import Files, Imports, Limits, Queues

PARTS_PER_CHUNK = 1000
"""Of a report: a worker that runs out of time leaves the chunks that it has joined."""

log = Logger(child=True)


@dataclass(frozen=True, slots=True)
class Reporter:
    """Ends imports. Each step may run again, after a crash or concurrently."""

    files: Files
    imports: Imports
    limits: Limits
    queues: Queues

    def fail(self, import_id: str, reason: str, now: datetime) -> None:
        """End an import that cannot go on, unless it has ended, and report it."""
        self.imports.end(import_id, FAILED, reason, now)
        self.finish(import_id, now)

    def finish(self, import_id: str, now: datetime) -> None:
        """Report an import whose parts are all done or that has failed; else do nothing."""
        found = self.imports.get(import_id)
        if found.outcome is None and found.parts_done == found.parts:
            found = self.imports.end(import_id, COMPLETED, None, now)
        if found.outcome is None:
            return
        if not found.is_reported:
            self._report(found)
            self.imports.keep_reported(import_id)
            if found.outcome == FAILED:
                log.warning("import.failed", import_id=import_id, reason=found.reason)
            else:
                log.info("import.completed", import_id=import_id)
        for waiting in self.limits.end(found.drop.org_id, import_id, found.started_at):
            self.queues.plan(found.drop.org_id, waiting)

    def _report(self, ended: Import) -> None:
        drop = ended.drop
        keys = [drop.rejected_key(part) for part in self.imports.rejected_parts(drop.import_id)]
        in_chunks = len(keys) > PARTS_PER_CHUNK
        if in_chunks:
            keys = self._joined(keys, ended)
        self.files.join(keys, drop.report_key("rejected.jsonl"), small=not in_chunks)
        self.files.write(drop.report_key("summary.json"), render_summary(ended))

    def _joined(self, keys: Sequence[str], ended: Import) -> list[str]:
        """Join the rejected rows of some parts at a time, and return the keys of these chunks."""
        chunks = []
        for number, batch in enumerate(batched(keys, PARTS_PER_CHUNK, strict=False), 1):
            chunk = ended.drop.chunk_key(number)
            if number > ended.chunks_joined:
                self.files.join(batch, chunk, small=True)
                self.imports.keep_joined(ended.drop.import_id, number)
            chunks.append(chunk)
        return chunks
