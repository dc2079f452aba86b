"""The signals that ask a command to stop."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

THAT_STOP = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def interrupt() -> Iterator[None]:
    """Make every signal that asks us to stop a KeyboardInterrupt."""
    before = {one: signal.getsignal(one) for one in THAT_STOP}
    for one in THAT_STOP:
        signal.signal(one, _interrupt)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
