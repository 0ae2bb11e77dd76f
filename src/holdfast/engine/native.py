"""Threads and locks of the operating system, also where gevent has put its own in their places.

gevent's monkey patching replaces what ``threading`` and ``_thread`` offer by greenlets of one thread. The engine's
workers must be real threads, so it takes what gevent replaced, from here. Nothing of gevent is imported.
"""

from __future__ import annotations

import importlib
import sys
import threading
from _queue import SimpleQueue  # patching replaces the name in ``queue`` alone
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol


class Lock(Protocol):
    """What ``threading.Lock()`` returns."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it; whether that was possible in so many seconds."""

    def release(self) -> None:
        """Give it back, also if another thread took it."""

    def __enter__(self) -> bool: ...
    def __exit__(self, *error: object) -> None: ...


def original(module: str, name: str) -> Any:
    """What this module of the standard library called so before gevent patched it."""
    monkey = sys.modules.get("gevent.monkey")
    return getattr(importlib.import_module(module), name) if monkey is None else monkey.get_original(module, name)


def patched(module: str = "threading") -> bool:
    """Whether gevent has replaced what this module of the standard library offers."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched(module))


_start: Callable[[Callable[[], None], tuple[()]], int] = original("_thread", "start_new_thread")
_allocate: Callable[[], Lock] = original("_thread", "allocate_lock")
get_ident: Callable[[], int] = original("_thread", "get_ident")
local: type[threading.local] = original("_thread", "_local")


def main_thread() -> int | None:
    """What ``get_ident`` says in the main thread."""
    # Patching changes what the main thread's object says, but not whose it is: whoever imports is asked instead.
    if patched() and threading.main_thread() is threading.current_thread():
        return get_ident()
    return threading.main_thread().ident


def lock() -> Lock:
    """A new lock of the operating system's threads."""
    return _allocate()


def start(function: Callable[[], None], name: str) -> threading.Thread | None:
    """Run the function in a new daemon thread; the Thread to join, or None where gevent has replaced threads."""
    if patched():
        _start(function, ())
        return None
    thread = threading.Thread(target=function, name=name, daemon=True)
    thread.start()
    return thread


class Condition:
    """A lock, and a way to wait for a change under it: what the engine needs of ``threading.Condition``."""

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


__all__ = [
    "Condition",
    "Lock",
    "SimpleQueue",
    "get_ident",
    "local",
    "lock",
    "main_thread",
    "original",
    "patched",
    "start",
]
