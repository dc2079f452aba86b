"""Locks that the kernel lets go of when their last holder ends, however it ends."""

import fcntl
import os
import time
from pathlib import Path

_PATIENCE = 0.5
"""Seconds to wait for one who only looks whether the lock is held."""


def take(path: Path) -> int | None:
    """Take a lock and return its descriptor, or None if another process holds it.

    The lock is held as long as the descriptor is open in any process that inherited it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _PATIENCE
    while not _lock(descriptor, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            os.close(descriptor)
            return None
        time.sleep(0.02)
    return descriptor


def name_holder(descriptor: int, pid: int) -> None:
    """Write down which process it is that holds a lock."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(pid).encode(), 0)


def holder(path: Path) -> int | None:
    """Return the process that holds a lock, or None. It is alive: the lock says so."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        if _lock(descriptor, fcntl.LOCK_SH):
            return None
        return int(os.pread(descriptor, 20, 0) or 0) or None
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
