"""Locks by key, for wrappers that must not do two things to one object at a time in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .. import locks


class ProcessLock:
    """A lock that is free in a forked child, whoever held it in the parent, and after pickling.

    >>> lock = ProcessLock()
    >>> with lock:
    ...     pass
    """

    def __init__(self) -> None:
        self._lock = locks.lock()
        self._process = os.getpid()

    def __enter__(self) -> None:
        if self._process != os.getpid():
            self.__init__()  # type: ignore[misc]  # the thread that would release it is not here
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[Any, ...]:
        return (ProcessLock, ())


class KeyLocks:
    """A re-entrant lock for every key in use; new ones in a forked child, and after pickling.

    >>> locks = KeyLocks()
    >>> with locks.of("a"), locks.of("a"):
    ...     pass
    """

    def __init__(self) -> None:
        self._renew()

    @contextmanager
    def of(self, key: str) -> Iterator[None]:
        """Hold the key's lock."""
        if self._process != os.getpid():
            self._renew()  # those that other threads of the parent held would never be released here
        guard, held = self._guard, self._locks
        with guard:
            lock, users = held.setdefault(key, (locks.rlock(), [0]))
            users[0] += 1
        try:
            with lock:
                yield
        finally:
            with guard:
                users[0] -= 1
                if not users[0]:
                    held.pop(key, None)

    def _renew(self) -> None:
        self._guard = locks.lock()
        self._locks: dict[str, tuple[Any, list[int]]] = {}
        self._process = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        return (KeyLocks, ())
