"""When copies were last known to be right, and that a process believes none from before its own changes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from ._cache_entry import Entry
from ._locks import ProcessLock

Value = TypeVar("Value")

#: So many copies, and so many changes, are remembered one by one.
REMEMBERED = 10_000


class Freshness:
    """What one process knows about the copies in a cache that others write to as well.

    A process that began to read an object before it was changed here may store what it read long after: such a copy
    is told from later ones by when its reading began. Changes that are forgotten, because there were many, make all
    copies from before the last forgotten one look old; then the origin is asked, which is slow and not wrong.
    """

    def __init__(self) -> None:
        self._lock = ProcessLock()
        self._right: dict[str, tuple[str | None, float]] = {}
        self._changed: dict[str, float] = {}
        self._forgotten = float("-inf")
        self._changing: dict[tuple[int, str], int] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return (Freshness, ())

    def found_right(self, entry: Entry, when: float) -> None:
        """Note that the origin was asked then and had the same version."""
        with self._lock:
            _remember(self._right, entry.path, (entry.info.etag, when))

    @contextmanager
    def changing(self, paths: Sequence[str]) -> Iterator[None]:
        """While the objects are changed through here: ``is_changing`` says so."""
        # By process: threads of the parent do not end their changes in a forked child.
        changes = [(os.getpid(), path) for path in paths]
        with self._lock:
            for change in changes:
                self._changing[change] = self._changing.get(change, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                for change in changes:
                    self._changing[change] -= 1
                    if not self._changing[change]:
                        del self._changing[change]

    def is_changing(self, path: str) -> bool:
        """Whether the object is being changed through here just now."""
        return (os.getpid(), path) in self._changing

    def changed(self, path: str) -> None:
        """Note that the object was written or deleted through here, just now."""
        with self._lock:
            self._right.pop(path, None)
            forgotten = _remember(self._changed, path, time.time())
            if forgotten is not None:
                self._forgotten = max(self._forgotten, forgotten)

    def since(self, entry: Entry) -> float | None:
        """The last time the copy was known to be right, or None if that was before a change through here."""
        with self._lock:
            etag, checked = self._right.get(entry.path, (None, 0.0))
            changed = self._changed.get(entry.path, self._forgotten)
        known = max(entry.stored, checked) if etag is not None and etag == entry.info.etag else entry.stored
        return known if known > changed else None


def _remember(found: dict[str, Value], path: str, value: Value) -> Value | None:
    """Put the value at the end; what had to go instead, if anything."""
    found.pop(path, None)
    found[path] = value
    return found.pop(next(iter(found))) if len(found) > REMEMBERED else None
