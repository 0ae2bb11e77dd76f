"""Locks by key, for wrappers that must not do two things to one object at a time in this process."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager
from typing import Any

_STRIPES = 64


class KeyLocks:
    """A re-entrant lock for every key (some keys share one); new ones in a forked child, and after pickling.

    >>> locks = KeyLocks()
    >>> with locks.of("a"), locks.of("a"):
    ...     pass
    """

    def __init__(self) -> None:
        self._renew()

    def of(self, key: str) -> AbstractContextManager[Any]:
        """The key's lock."""
        if self._process != os.getpid():
            self._renew()  # those that other threads of the parent held would never be released here
        return self._locks[hash(key) % _STRIPES]

    def _renew(self) -> None:
        self._locks = [threading.RLock() for _ in range(_STRIPES)]
        self._process = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        return (KeyLocks, ())
