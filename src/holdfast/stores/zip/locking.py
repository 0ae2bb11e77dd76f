"""The lock of an archive: one process writes, or many read its directory, and nobody waits for ever."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from ...errors import Timeout

#: Seconds between two looks at a lock that somebody else has, at first and at most.
_FIRST, _MOST = 0.0002, 0.01

# Descriptors that this process writes through. A lock belongs to the open file, which a forked child shares: it would
# keep the lock for as long as it lives if the parent were killed now.
_writing: set[int] = set()


def _let_go() -> None:
    while _writing:
        os.close(_writing.pop())


os.register_at_fork(after_in_child=_let_go)


@contextlib.contextmanager
def shared(descriptor: int, store: str, timeout: float) -> Iterator[None]:
    """Hold the lock together with other readers; on a drive without locks go on without."""
    try:
        _wait(descriptor, fcntl.LOCK_SH, store, timeout)
    except Timeout:
        raise
    except OSError:
        yield
        return
    try:
        yield
    finally:
        # By hand, because a child that was forked off meanwhile has the same lock open.
        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextlib.contextmanager
def exclusive(path: str, store: str, timeout: float) -> Iterator[int]:
    """A descriptor of the file at the path, to read and write while nobody else does; OSError if it cannot be had."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    _writing.add(descriptor)
    pid = os.getpid()
    try:
        _wait(descriptor, fcntl.LOCK_EX, store, timeout)
        try:
            yield descriptor
        finally:
            if os.getpid() == pid:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        if os.getpid() == pid:
            _writing.discard(descriptor)
            os.close(descriptor)


def _wait(descriptor: int, how: int, store: str, timeout: float) -> None:
    deadline, pause = time.monotonic() + timeout, _FIRST
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                why = f"another process has held the archive's lock for {timeout:g} s; try again, or give more timeout="
                raise Timeout(why, store=store, cause=error) from error
        time.sleep(pause)
        pause = min(2 * pause, _MOST)
