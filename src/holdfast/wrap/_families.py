"""Families of keys: those that can lie under each other's stored names, and the lock of each family.

``a``, ``a.gz`` and ``a.gz.br`` are one family: what an encoded object is stored as may be the name of another object.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from .. import locks
from ..codecs import SUFFIXES

ENDINGS = tuple(SUFFIXES.values())

_CODINGS = {suffix: coding for coding, suffix in SUFFIXES.items()}


def split_suffix(name: str) -> tuple[str, str] | None:
    """The key and the coding that a stored name without a mark tells, or None if it tells none.

    >>> split_suffix("a/b.gz"), split_suffix("a/b"), split_suffix("a/.gz")
    (('a/b', 'gzip'), None, None)
    """
    if not name.endswith(ENDINGS):
        return None
    key, dot, ending = name.rpartition(".")
    return (key, _CODINGS[dot + ending]) if takes_suffix(key) else None


def takes_suffix(key: str) -> bool:
    """Whether the key with a suffix is still recognised as such."""
    return key != "" and not key.endswith("/")


def family_of(key: str) -> str:
    """What a key has in common with all keys that can lie under the same stored names."""
    while (told := split_suffix(key)) is not None:
        key = told[0]
    return key


def variants(key: str) -> Iterator[str]:
    """The stored names of a key, the best first."""
    yield key
    if takes_suffix(key):
        for suffix in ENDINGS:
            yield key + suffix


def coding_of(path: str) -> str:
    """The coding that the suffix of a stored name tells."""
    return _CODINGS[path[path.rindex(".") :]]


class Families:
    """One re-entrant lock for each family of keys in use by this process, and a count of removed variants.

    Shared by all stores, because two of them may wrap the same objects.
    """

    def __init__(self) -> None:
        self._guard = locks.lock()
        self._locks: dict[str, tuple[locks.Lock, list[int]]] = {}
        self.changes = 0

    @contextmanager
    def locked(self, family: str) -> Iterator[bool]:
        """Hold the family's lock; the value tells whether this thread did not hold it before."""
        with self._guard:
            lock, users = self._locks.setdefault(family, (locks.rlock(), [0, 0]))
            users[0] += 1
        try:
            with lock:
                users[1] += 1
                try:
                    yield users[1] == 1
                finally:
                    users[1] -= 1
        finally:
            with self._guard:
                users[0] -= 1
                if not users[0]:
                    self._locks.pop(family, None)  # nothing is there in a child forked meanwhile

    def changed(self) -> None:
        """Note that a variant is about to go, before it goes: a reader that saw the old count looks again."""
        with self._guard:
            self.changes += 1


families = Families()


def _after_fork() -> None:
    # Locks that other threads of the parent held would never be released here.
    families.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
