"""What a cache holds, and what it gives up first: the entries that nobody has used for the longest time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .. import redact
from ..store import HEAD, ObjectStore
from ..types import ListOptions
from ._locks import ProcessLock

ENTRIES = "entries/"
USED = "used/"
#: A use is written down for other processes at most so often (seconds) for each entry.
NOTE_EVERY = 60.0
#: After so much (as a part of the bound) was added here, the cache is listed again: others add to it too.
SLACK = 8

log = redact.logger("holdfast.cache")


class Ledger:
    """Keeps the entries of a cache store within ``most`` bytes (None: any number), the least recently used go first.

    Room is made before an entry is stored, so the bound holds at every moment for what this process stores. Uses are
    remembered in this process, and written down as empty objects below ``used/`` for other processes that share the
    cache.
    """

    def __init__(self, cache: ObjectStore, most: int | None) -> None:
        self._cache = cache
        self._most = most
        self._lock = ProcessLock()
        self._used: dict[str, float] = {}
        self._noted: dict[str, float] = {}
        self._marked: set[str] = set()
        self._sizes: dict[str, int] = {}
        self._total = 0
        self._coming = 0
        self._process = os.getpid()
        self._added = 0
        self._listed = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (Ledger, (self._cache, self._most))

    def used(self, path: str) -> None:
        """Note that an entry was used just now."""
        if self._most is None:
            return
        now = time.time()
        with self._lock:
            self._used[path] = now
            if now - self._noted.get(path, 0.0) < NOTE_EVERY:
                return
            self._noted[path] = now
            self._marked.add(path)
        try:
            self._cache._write(_mark_of(path), b"")
        except Exception as error:  # noqa: BLE001 - whatever a user's class raises: it is a note only
            log.debug("a use of %s could not be noted: %s", path, error)

    @contextmanager
    def room(self, size: int) -> Iterator[bool]:
        """While an entry of so many bytes is stored: whether there is room for it, made by giving up others."""
        if self._most is None or size > self._most:
            yield self._most is None
            return
        with self._lock:
            if self._process != os.getpid():  # what threads of the parent were storing does not come here
                self._process, self._coming = os.getpid(), 0
            self._coming += size
            due = not self._listed or self._added > self._most // SLACK or self._total + self._coming > self._most
        try:
            yield not due or self._make_room(size)
        finally:
            with self._lock:
                self._coming -= size

    def added(self, path: str, size: int) -> None:
        """Note that an entry was stored."""
        if self._most is None:
            return
        now = time.time()
        with self._lock:
            self._used[path] = self._noted[path] = now  # its own age tells others
            self._total += size - self._sizes.get(path, 0)
            self._sizes[path] = size
            self._added += size

    def dropped(self, path: str) -> list[str]:
        """Note that an entry is to go; everything that goes with it, the entry first."""
        with self._lock:
            self._used.pop(path, None)
            self._noted.pop(path, None)
            self._total -= self._sizes.pop(path, 0)
            if path not in self._marked:
                return [path]
            self._marked.discard(path)
        return [path, _mark_of(path)]

    def _make_room(self, size: int) -> bool:
        """Give up what was used least, until there is room for what is about to be stored; whether there is now."""
        assert self._most is not None
        began = time.time()
        try:
            known = self._look()
        except Exception as error:  # noqa: BLE001 - whatever a user's class raises: what is known here is counted
            log.warning("the cache cannot be listed, so what others added is not counted: %s", error)
            with self._lock:
                known = {path: (self._used.get(path, 0.0), size) for path, size in self._sizes.items()}
        gone = set()
        total = self._coming + sum(size for _, size in known.values())
        # Some more than needed, so that not every entry makes a listing: one that is large itself may.
        wanted = self._most if size > self._most // SLACK else self._most - self._most // SLACK
        if total > self._most:
            for path in sorted(known, key=lambda path: known[path]):
                if total <= wanted or not self._give_up([path, _mark_of(path)]):
                    break
                total -= known[path][1]
                gone.add(path)
        with self._lock:
            later = {path: size for path, size in self._sizes.items() if self._used.get(path, 0.0) >= began}
            sizes = later | {path: size for path, (_, size) in known.items()}
            self._sizes = {path: size for path, size in sizes.items() if path not in gone}
            self._total = sum(self._sizes.values())
            self._used = {path: when for path, when in self._used.items() if path in self._sizes}
            self._noted = {path: when for path, when in self._noted.items() if path in self._sizes}
            self._marked &= self._sizes.keys()
            self._added, self._listed = 0, True
        return total <= self._most

    def _give_up(self, paths: Sequence[str]) -> bool:
        try:
            errors: list[Any] = self._cache.remove(paths)
        except Exception as raised:  # noqa: BLE001 - whatever a user's class raises: the next time it is tried again
            errors = [raised]
        for error in errors:
            if error is not None:
                log.warning("old cache entries could not be removed: %s", error)
        return not any(errors)

    def _look(self) -> dict[str, tuple[float, int]]:
        """Every entry with the time of its last use and its size, as far as anybody knows; stray marks are removed."""
        marks = {row.key: _seconds(row.last_modified) for row in self._cache._scan(ListOptions(USED))}
        known: dict[str, tuple[float, int]] = {}
        for row in self._cache._scan(ListOptions(ENTRIES)):
            size = row.size
            if size is None:
                size = self._sizes.get(row.key)
            if size is None:
                with self._cache._read(row.key, HEAD) as blob:
                    size = blob.info.size or 0
            marked = marks.pop(_mark_of(row.key), 0.0)
            known[row.key] = (max(_seconds(row.last_modified), marked, self._used.get(row.key, 0.0)), size)
        if marks:
            self._give_up([*marks])
        return known


def _mark_of(path: str) -> str:
    return USED + path.removeprefix(ENTRIES)


def _seconds(when: Any) -> float:
    return 0.0 if when is None else float(when.timestamp())
