"""Locks for threads of the operating system and for greenlets, whatever gevent has put in their places.

gevent's monkey patching replaces what ``threading`` and ``_thread`` offer by what excludes the greenlets of one thread.
The engine's workers are real threads, also then, so every lock of Holdfast is made here. Where nothing is patched it is
the plain one of ``threading``. Under patches, which have to come before Holdfast is imported, it is the original lock,
and a greenlet that waits for it lets the others of its thread go on: one of them may hold it. Nothing of gevent is
imported.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

#: The longest time (seconds) between two looks of a greenlet at the lock that it waits for.
LONGEST = 0.01


class Lock(Protocol):
    """What ``rlock()`` returns."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it; whether that was possible in so many seconds."""

    def release(self) -> None:
        """Give it back."""

    def __enter__(self) -> bool: ...
    def __exit__(self, *error: object) -> None: ...


class PlainLock(Lock, Protocol):
    """What ``lock()`` returns."""

    def locked(self) -> bool:
        """Whether somebody holds it."""


def original(module: str, name: str) -> Any:
    """What this module of the standard library called so before gevent patched it."""
    get_original = getattr(sys.modules.get("gevent.monkey"), "get_original", None)
    return getattr(importlib.import_module(module), name) if get_original is None else get_original(module, name)


def patched(module: str = "threading") -> bool:
    """Whether gevent has replaced what this module of the standard library offers."""
    # It has no such name as long as another thread has just begun to import it, and has patched nothing then.
    is_module_patched = getattr(sys.modules.get("gevent.monkey"), "is_module_patched", None)
    return is_module_patched is not None and bool(is_module_patched(module))


_allocate: Callable[[], PlainLock] = original("_thread", "allocate_lock")
_sleep: Callable[[float], None] = original("time", "sleep")


def lock() -> PlainLock:
    """A new lock, which may be given back by another thread than took it.

    >>> with lock():
    ...     pass
    """
    return _GreenletLock() if patched() else _allocate()


def rlock() -> Lock:
    """A new lock that its holder may take again: the same thread, or the same greenlet where gevent has patched."""
    if patched():
        return _GreenletRLock()
    plain: Any = threading.RLock()
    return plain  # type: ignore[no-any-return]


def sleep(seconds: float) -> None:
    """Wait, and let other greenlets of this thread go on, if it has any."""
    if patched("time") and not _among_greenlets():
        _sleep(seconds)  # the patched one would make an event loop in this thread
    else:
        time.sleep(seconds)


def _among_greenlets() -> bool:
    """Whether this thread has greenlets that could not go on while it is blocked."""
    # gevent.get_hub() would make a hub in a thread that has none.
    hub = sys.modules["gevent._hub_local"].get_hub_if_exists()
    return hub is not None and hub is not _current()  # the hub itself must not wait for what it runs


def _current() -> object:
    """The greenlet that runs; every thread has at least one."""
    return sys.modules["gevent"].getcurrent()


class _GreenletLock:
    """A lock of the operating system that a greenlet takes by asking again and again, while others run."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = _allocate()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self._lock.acquire(blocking=False):
            return True
        if not blocking:
            return False
        return self._poll(timeout) if _among_greenlets() else self._lock.acquire(timeout=timeout)

    def _poll(self, timeout: float) -> bool:
        let_others_run = sys.modules["gevent"].sleep
        until = None if timeout < 0 else time.monotonic() + timeout
        pause = 0.0
        while until is None or time.monotonic() < until:
            let_others_run(pause)
            if self._lock.acquire(blocking=False):
                return True
            pause = min(pause * 1.5 + 0.0001, LONGEST)
        return False

    def release(self) -> None:
        self._lock.release()

    def locked(self) -> bool:
        return self._lock.locked()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class _GreenletRLock(_GreenletLock):
    """The same, for the greenlet that holds it to take again."""

    __slots__ = ("_count", "_owner")

    def __init__(self) -> None:
        super().__init__()
        self._owner: object = None
        self._count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        current = _current()
        if self._owner is not current:
            if not super().acquire(blocking, timeout):
                return False
            self._owner = current
        self._count += 1
        return True

    def release(self) -> None:
        if self._owner is not _current():
            raise RuntimeError("a lock is given back by the greenlet that holds it")
        self._count -= 1
        if not self._count:
            self._owner = None
            super().release()


class Condition:
    """A lock, and a way to wait for a change under it: what Holdfast needs of ``threading.Condition``."""

    __slots__ = ("_lock", "_waiting")

    def __init__(self) -> None:
        self._lock = lock()
        self._waiting: deque[Lock] = deque()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def wait(self, timeout: float = -1) -> None:
        """Give the lock back until somebody notifies, or for so many seconds, and take it again."""
        bell = lock()
        bell.acquire()
        self._waiting.append(bell)
        self._lock.release()
        try:
            bell.acquire(timeout=timeout)
        finally:
            self._lock.acquire()

    def notify_all(self) -> None:
        """Wake all who wait; the lock must be held."""
        while self._waiting:
            self._waiting.popleft().release()
