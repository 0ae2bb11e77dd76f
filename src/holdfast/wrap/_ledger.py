"""What a cache holds, and what it gives up first: the entries that nobody has used for the longest time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from .. import redact
from ..errors import HoldfastError
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

    Uses are remembered in this process, and written down as empty objects below ``used/`` for other processes that
    share the cache.
    """

    def __init__(self, cache: ObjectStore, most: int | None) -> None:
        self._cache = cache
        self._most = most
        self._lock = ProcessLock()
        self._used: dict[str, float] = {}
        self._noted: dict[str, float] = {}
        self._sizes: dict[str, int] = {}
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
        try:
            self._cache._write(_mark_of(path), b"")
        except HoldfastError as error:
            log.debug("a use of %s could not be noted: %s", path, error)

    def added(self, path: str, size: int) -> None:
        """Note that an entry was stored, and make room if there is too much now."""
        if self._most is None:
            return
        now = time.time()
        with self._lock:
            self._used[path] = self._noted[path] = now  # its own age tells others
            self._sizes[path] = size
            self._added += size
            due = not self._listed or self._added > self._most // SLACK or sum(self._sizes.values()) > self._most
        if due:
            self._make_room()

    def dropped(self, path: str) -> None:
        """Note that an entry is gone."""
        with self._lock:
            for kept in (self._used, self._noted, self._sizes):
                kept.pop(path, None)

    def _make_room(self) -> None:
        assert self._most is not None
        try:
            known = dict(self._look())
        except HoldfastError as error:
            log.warning("the cache cannot be listed, so what others added is not counted: %s", error)
            with self._lock:
                known = {path: (self._used.get(path, 0.0), size) for path, size in self._sizes.items()}
        total = sum(size for _, size in known.values())
        wanted = self._most - self._most // SLACK
        if total > self._most:
            for path in sorted(known, key=lambda path: known[path]):
                if total <= wanted:
                    break
                total -= known.pop(path)[1]
                self._give_up(path)
        with self._lock:
            self._sizes = {path: size for path, (_, size) in known.items()}
            self._used = {path: when for path, when in self._used.items() if path in known}
            self._noted = {path: when for path, when in self._noted.items() if path in known}
            self._added, self._listed = 0, True

    def _give_up(self, path: str) -> None:
        for error in self._cache.remove([path, _mark_of(path)]):
            if error is not None:
                log.warning("an old cache entry could not be removed: %s", error)

    def _look(self) -> Iterator[tuple[str, tuple[float, int]]]:
        """Every entry with the time of its last use and its size, as far as anybody knows."""
        marks = {row.key: _seconds(row.last_modified) for row in self._cache._scan(ListOptions(USED))}
        for row in self._cache._scan(ListOptions(ENTRIES)):
            size = row.size
            if size is None:
                size = self._sizes.get(row.key)
            if size is None:
                with self._cache._read(row.key, HEAD) as blob:
                    size = blob.info.size or 0
            when = max(_seconds(row.last_modified), marks.get(_mark_of(row.key), 0.0), self._used.get(row.key, 0.0))
            yield row.key, (when, size)


def _mark_of(path: str) -> str:
    return USED + path.removeprefix(ENTRIES)


def _seconds(when: Any) -> float:
    return 0.0 if when is None else float(when.timestamp())
