"""Listings in UTF-8 byte order: checked where a store promises it, sorted on disk where it does not."""

from __future__ import annotations

import heapq
import itertools
import pickle
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

from ..errors import StoreError
from ..keys import printable, sort_key
from ..types import ObjectInfo

#: So many rows are sorted in memory at a time; a longer listing goes to disk in runs of this length.
RUN = 100_000
_BLOCK = 1000


def checked(rows: Iterable[ObjectInfo], store: str) -> Iterator[ObjectInfo]:
    """The rows, whose keys ascend; StoreError for a listing that goes back or repeats itself."""
    before: str | None = None
    for row in rows:
        if before is not None and not ascends(before, row.key):
            raise StoreError(
                f"the listing cannot be believed: {printable(row.key)!r} comes after {printable(before)!r}", store=store
            )
        before = row.key
        yield row


def ascends(before: str, key: str) -> bool:
    """Whether the second key comes after the first, in the order of their UTF-8 bytes."""
    if before.isascii() and key.isascii():  # as most are: no bytes are made
        return before < key
    return sort_key(before) < sort_key(key)


def in_order(rows: Iterable[ObjectInfo], store: str, *, is_sorted: bool, run: int = RUN) -> Iterator[ObjectInfo]:
    """The rows by key; with ``is_sorted`` as they come, else sorted, in bounded memory; StoreError if a key repeats."""
    return checked(rows if is_sorted else _sorted(rows, run), store)


def _sorted(rows: Iterable[ObjectInfo], run: int) -> Iterator[ObjectInfo]:
    stream = iter(rows)
    first = _next_run(stream, run)
    if len(first) < run:
        yield from first
        return
    spilled = [_spill(first)]
    del first
    try:
        while batch := _next_run(stream, run):
            spilled.append(_spill(batch))
        yield from heapq.merge(*map(_read, spilled), key=lambda row: sort_key(row.key))
    finally:
        for file in spilled:
            file.close()


def _next_run(stream: Iterator[ObjectInfo], run: int) -> list[ObjectInfo]:
    return sorted(itertools.islice(stream, run), key=lambda row: sort_key(row.key))


def _spill(rows: list[ObjectInfo]) -> IO[bytes]:
    file = tempfile.TemporaryFile(prefix="holdfast-sort-")  # noqa: SIM115 - closed by the reader
    for start in range(0, len(rows), _BLOCK):
        pickle.dump(rows[start : start + _BLOCK], file, pickle.HIGHEST_PROTOCOL)
    return file


def _read(file: IO[bytes]) -> Iterator[ObjectInfo]:
    file.seek(0)
    while True:
        try:
            block = pickle.load(file)  # noqa: S301 - see the import
        except EOFError:
            return
        yield from block


#: A key, and the rows of the source and of the target.
Merged = tuple[str, ObjectInfo | None, ObjectInfo | None]


def merged(mine: Iterator[ObjectInfo], theirs: Iterator[ObjectInfo]) -> Iterator[Merged]:
    """Each key of two listings in order, once, with the rows of both."""
    one, other = next(mine, None), next(theirs, None)
    while one is not None or other is not None:
        if other is None or (one is not None and ascends(one.key, other.key)):
            assert one is not None
            yield one.key, one, None
            one = next(mine, None)
        elif one is None or one.key != other.key:
            yield other.key, None, other
            other = next(theirs, None)
        else:
            yield one.key, one, other
            one, other = next(mine, None), next(theirs, None)
