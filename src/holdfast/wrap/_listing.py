"""Listings of encoded objects: each key once, in the order of keys, as the stored names stream by.

In sorted stored names the row of ``a`` may come as ``a.gz``, after ``a-x`` and ``a.b``, which sort after ``a``. But
whatever comes between ``a`` and its last variant begins with ``a``. So rows wait only for keys that are beginnings of
the present stored name, where that goes on with something that sorts before the last suffix. When many rows wait
(for a ``run`` before a million of ``run-1`` ...), the store is asked for what they wait for, and they go on.
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Container, Iterator

from ..keys import sort_key
from ..store import HEAD, ObjectStore
from ..types import ListOptions, ObjectInfo
from ._families import ENDINGS, split_suffix, takes_suffix, variants
from ._variant import NATURAL, StoredObjects, told_as

#: How many rows wait at most before the store is asked whether what they wait for is there at all.
MOST_WAITING = 4096

_LAST_ENDING = max(ENDINGS)
#: What can follow a key in a name that sorts before the key with its last suffix begins with one of these.
_FOLLOWING = re.compile(r"[\x00-.]")


def awaited(path: str, shown: Container[str], prefix: str) -> str | None:
    """The first key in order that a name after this one may yet turn out to be a variant of; None if there is none.

    Keys that were ``shown`` and those that do not start with ``prefix`` are not waited for.

    >>> awaited("a-x", [], ""), awaited("a-x", ["a"], ""), awaited("a/x", [], ""), awaited("run1/a.bin", [], "")
    ('a', None, None, 'run1/a')
    """
    for match in _FOLLOWING.finditer(path, max(1, len(prefix))):
        key = path[: match.start()]
        if path[match.start() :] < _LAST_ENDING and takes_suffix(key) and key not in shown:
            return key
    return None


class Waiting:
    """Rows that cannot be given out yet, because one that comes before them may still be on its way."""

    def __init__(self) -> None:
        self._heap: list[tuple[bytes, int, ObjectInfo]] = []
        self._serial = itertools.count()
        self._asked: str | None = None
        self._end = b""

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, row: ObjectInfo) -> None:
        """Keep a row."""
        heapq.heappush(self._heap, (sort_key(row.key), next(self._serial), row))

    def has_any_before(self, key: str | None) -> bool:
        """Whether ``before`` has anything to give out; cheap where the key is the one that was asked for last."""
        if not self._heap or key is None:
            return bool(self._heap)
        if key != self._asked:
            self._asked, self._end = key, sort_key(key)
        return self._heap[0][0] < self._end

    def before(self, key: str | None) -> Iterator[ObjectInfo]:
        """Give out the rows that come before this key, in order; for None all of them."""
        if key is None:
            heap, self._heap = self._heap, []
            heap.sort()  # most came in order, which takes one look at each
            for _, _, row in heap:
                yield row
        while self.has_any_before(key):
            yield heapq.heappop(self._heap)[2]


class Lister:
    """Lists the objects that the stored names of a store tell."""

    def __init__(self, store: ObjectStore, stored: StoredObjects) -> None:
        self.store = store
        self._stored = stored

    def rows(self, options: ListOptions) -> Iterator[ObjectInfo]:
        """Each key once, by its visible variant.

        In sorted rows everything between ``a`` and its last variant starts with ``a``. So the keys that a later row
        can repeat are among the beginnings of the present one, and no more of them need to be remembered.
        """
        rows = self.store._scan(options)
        if not self.store.capabilities.sorted:
            rows = iter(sorted(rows, key=lambda row: sort_key(row.key)))
        after = None if options.start_after is None else sort_key(options.start_after)
        shown: list[str] = []
        waiting = Waiting()
        for row in rows:
            while shown and not row.key.startswith(shown[-1]):
                shown.pop()
            if row.is_prefix:
                waiting.add(row)
            elif (told := self._shown_as(row, shown)) is not None:
                shown.append(told.key)
                if told.key.startswith(options.prefix) and (after is None or sort_key(told.key) > after):
                    waiting.add(told)
            key = awaited(row.key, shown, options.prefix)
            while key is not None and len(waiting) > MOST_WAITING:
                if (told := self._variant_to_come(key)) is not None and (after is None or sort_key(key) > after):
                    waiting.add(told)
                shown.append(key)  # whatever comes of it from now on has been shown, or is new since the listing began
                shown.sort(key=len)
                key = awaited(row.key, shown, options.prefix)
            if waiting.has_any_before(key):
                yield from waiting.before(key)
        yield from waiting.before(None)

    def _shown_as(self, row: ObjectInfo, shown: list[str]) -> ObjectInfo | None:
        """The row under its key, or None for a variant that another one hides."""
        key, encoding = self._told(row)
        if key != row.key and (key in shown or self._comes_later(key, row.key)):
            return None
        return told_as(row, key, encoding)

    def _variant_to_come(self, key: str) -> ObjectInfo | None:
        """The info of a key that was not listed under its own name, by its visible variant; None if there is none."""
        found = self._stored.first(key, list(variants(key))[1:], HEAD)
        if found is None:
            return None
        with found[1] as blob:
            return blob.info

    def _told(self, row: ObjectInfo) -> tuple[str, str | None]:
        """The key and the encoding of a stored object."""
        mark = row.content_encoding
        told = split_suffix(row.key)
        if mark is None and told is not None and not getattr(self.store, "lists_attributes", False):
            head = self._stored.head(row.key, row.key)
            mark = None if head is None else head.content_encoding
        if mark is not None or told is None:
            return row.key, None if mark == NATURAL else mark
        return told

    def _comes_later(self, key: str, path: str) -> bool:
        """Whether a better variant than this one is still to come in a sorted listing."""
        for better in variants(key):
            if better == path:
                return False
            if better > path and self._stored.owns(key, better):
                return True
        return False
