"""Rows that a worker fetches while the caller is busy with those before."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from . import pool
from .native import SimpleQueue

if TYPE_CHECKING:
    from .pool import Worker

#: So many rows are fetched at a time: what services put into one page of a listing.
ROWS = 1000

Row = TypeVar("Row")


def ahead(rows: Iterable[Row], count: int = ROWS) -> Iterator[Row]:
    """The rows in their order; while the caller works on some, a worker fetches up to ``count`` of the next.

    So the time that a service takes for a page of a listing is not waited for, but spent on the page before. At most
    twice ``count`` rows are held. An error comes where it happened, after the rows before it. Nothing is fetched until
    the first row is asked for, and one thread fetches all of them. In a worker of an engine, nothing is fetched ahead.

    >>> list(ahead("abc", 2))
    ['a', 'b', 'c']
    """
    stream = iter(rows)
    if pool.in_worker():
        yield from stream
        return
    fetched: SimpleQueue[tuple[list[Row], BaseException | None]] = SimpleQueue()
    wanted: SimpleQueue[bool] = SimpleQueue()
    over = False

    def fetch(_: Worker) -> bool:
        goes_on = True
        while goes_on:
            batch: list[Row] = []
            failed: BaseException | None = None
            try:
                for row in itertools.islice(stream, count):
                    batch.append(row)
                    if over:
                        break  # nobody waits for the rest, which may be a long time coming
            except BaseException as error:  # noqa: BLE001 - it is raised where the caller has come to it
                failed = error
            fetched.put((batch, failed))
            goes_on = failed is None and len(batch) == count and wanted.get()
        return True

    pool.default()._lease(fetch)
    try:
        while True:
            batch, failed = fetched.get()
            wanted.put(True)
            yield from batch
            if failed is not None:
                raise failed
            if len(batch) < count:
                return
    finally:
        over = True
        wanted.put(False)  # who stops early lets the worker go
