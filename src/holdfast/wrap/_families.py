"""Families of keys: those that can lie under each other's stored names, and the lock of each family.

``a``, ``a.gz`` and ``a.gz.br`` are one family: what an encoded object is stored as may be the name of another object.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import TracebackType

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

    def locked(self, family: str) -> FamilyLock:
        """A block that holds the family's lock; its value tells whether this thread did not hold it before."""
        return FamilyLock(self, family)

    def changed(self) -> None:
        """Note that a variant is about to go, before it goes: a reader that saw the old count looks again."""
        with self._guard:
            self.changes += 1


class FamilyLock:
    """One family's lock, held by this thread as long as the ``with`` block lasts."""

    __slots__ = ("_families", "_family", "_held")

    def __init__(self, families: Families, family: str) -> None:
        self._families = families
        self._family = family

    def __enter__(self) -> bool:
        with self._families._guard:
            lock, users = self._held = self._families._locks.setdefault(self._family, (locks.rlock(), [0, 0]))
            users[0] += 1
        try:
            lock.acquire()
        except BaseException:
            self._forget()
            raise
        users[1] += 1
        return users[1] == 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lock, users = self._held
        users[1] -= 1
        try:
            lock.release()
        finally:
            self._forget()

    def _forget(self) -> None:
        users = self._held[1]
        with self._families._guard:  # not kept: a child that is forked inside of the block has another
            users[0] -= 1
            if not users[0]:
                self._families._locks.pop(self._family, None)  # nothing is there in a child forked meanwhile


families = Families()


def _after_fork() -> None:
    # Locks that other threads of the parent held would never be released here.
    families.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
