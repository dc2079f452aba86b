"""File locks that the kernel releases when their last holder exits, for whatever reason."""

import fcntl
import os
import time
from pathlib import Path

_TIMEOUT_SECONDS = 0.5
"""Covers the moment in which `holder` of another process tests the lock."""


def take(path: Path, timeout_seconds: float = _TIMEOUT_SECONDS) -> int | None:
    """Take a lock and return its descriptor, or None if another process holds it.

    The lock is held as long as the descriptor is open in any process that inherited it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + timeout_seconds
    while not _lock(descriptor, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            os.close(descriptor)
            return None
        time.sleep(0.02)
    return descriptor


def name_holder(descriptor: int, pid: int) -> None:
    """Write the id of the process that holds a lock into its file."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(pid).encode(), 0)


def holder(path: Path) -> int | None:
    """Return the id of the process that holds a lock, or None; a held lock has a live holder."""
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


def wait(path: Path) -> None:
    """Wait until no process holds a lock."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
