"""The header `Consent-Log`: the published checkpoint of the transparency log.

Who keeps what it is handed can show that the log was begun anew, or has two histories.
"""

import threading
import time
from base64 import b64encode
from collections.abc import Callable

from aws_lambda_powertools import Logger

NAME = "Consent-Log"

MAX_AGE_SECONDS = 60
"""A checkpoint that was read longer ago is not sent."""

_REFRESH_SECONDS = 20
_READ_SECONDS = 2.0

log = Logger(child=True)


class ConsentLog:
    """Knows the published checkpoint: a thread reads it, and no response waits for that."""

    def __init__(
        self,
        read: Callable[[float], bytes | None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`read` returns the checkpoint within so many seconds, or None."""
        self._read = read
        self._clock = clock
        self._value, self._read_at = "", 0.0
        self._tried_at = 0.0

    def refresh(self) -> threading.Thread | None:
        """Begin to read the checkpoint, if the last time was long enough ago."""
        now = self._clock()
        if now - self._tried_at < _REFRESH_SECONDS:
            return None
        self._tried_at = now
        thread = threading.Thread(target=self._load, args=(now,), daemon=True)
        thread.start()
        return thread

    def headers(self) -> dict[str, str]:
        """Return the header; nothing where no checkpoint was read in the last minute."""
        is_young = self._clock() - self._read_at < MAX_AGE_SECONDS
        return {NAME: self._value} if self._value and is_young else {}

    def _load(self, began: float) -> None:
        try:
            content = self._read(_READ_SECONDS)
        except Exception as error:  # noqa: BLE001 - no response is lost for a checkpoint
            log.warning("checkpoint.read_failed", error=type(error).__name__)
            return
        if content:
            self._value, self._read_at = b64encode(content).decode(), began


NO_LOG = ConsentLog(lambda _seconds: None)
"""Of a process that cannot read the checkpoint."""
