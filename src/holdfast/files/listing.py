"""What CloudFiles does with listings: paths, sizes, levels, and places to go on from."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from .. import engine
from ..errors import NotFound, Unsupported
from ..store import HEAD, ObjectStore
from ..types import ListOptions, ObjectInfo


def scan(
    store: ObjectStore, prefix: str, *, flat: bool, size: bool, threads: int | None, after: str | None
) -> Iterator[ObjectInfo]:
    """The rows of the listing, with their sizes if those are wanted.

    ``flat`` gives one level: a prefix that is exactly a directory's name stands for what is in it.
    """
    rows = store._scan(ListOptions(prefix, delimiter="/" if flat else None, start_after=after, names_only=not size))
    for info in sized(store, rows, threads) if size else rows:
        if flat and info.is_prefix and prefix and info.key == prefix + "/":
            yield from scan(store, info.key, flat=True, size=size, threads=threads, after=None)
        else:
            yield info


def paths(rows: Iterable[ObjectInfo], *, size: bool, tokens: bool) -> Iterator[Any]:
    """The rows as CloudFiles gives them: paths, or tuples of them with sizes and tokens."""
    for info in rows:
        if tokens:
            yield (info.key, info.size, info.key) if size else (info.key, info.key)
        else:
            yield (info.key, info.size) if size else info.key


def check_token(store: ObjectStore) -> None:
    """Unsupported where a listing cannot go on after a key."""
    if not store.capabilities.sorted:
        raise Unsupported("cannot list with a resume token: its listings have no order to go on in", store=store.name)


def sized(store: ObjectStore, rows: Iterator[ObjectInfo], threads: int | None) -> Iterator[ObjectInfo]:
    """The rows with their sizes: where the listing does not tell them, each object is asked."""
    for row in rows:
        if row.size is None and not row.is_prefix:
            rows = itertools.chain((row,), rows)
            break
        yield row
    else:
        return
    for outcome in engine.default().run(
        lambda row: _with_size(store, row), rows, threads=threads, ordered=True, local=store.local
    ):
        if outcome.value is not None:
            yield outcome.value


def subtree_size(store: ObjectStore, prefixes: Iterable[str], threads: int | None) -> dict[str, int]:
    """The count and the stored bytes of all objects below the string prefixes."""
    count = total = 0
    for prefix in prefixes:
        for info in sized(store, store._scan(ListOptions(prefix)), threads):
            count += 1
            total += info.size or 0
    return {"N": count, "num_bytes": total}


def is_directory(store: ObjectStore, prefix: str) -> bool:
    """Whether anything lies under ``prefix`` + "/" (or anywhere, for "")."""
    if prefix and not prefix.endswith("/"):
        prefix += "/"
    return next(store._scan(ListOptions(prefix, names_only=True)), None) is not None


def _with_size(store: ObjectStore, row: ObjectInfo) -> ObjectInfo | None:
    """The row of a listing with its size, or None if the object is gone meanwhile."""
    if row.size is not None or row.is_prefix:
        return row
    try:
        with store._read(row.key, HEAD) as blob:
            return replace(row, size=blob.info.size)
    except NotFound:
        return None
