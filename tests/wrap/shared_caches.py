"""Caches that processes share, for tests that start some: each a function of a directory."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path

from holdfast.stores.file import FileStore
from holdfast.stores.sqlite import SqliteStore
from holdfast.wrap.cache import CachingStore

#: Less than what the writers of ``tests.stores.killing`` store, so that much is given up.
MAX_BYTES = 1 << 20
TTL = 0.1


def made(path: str, cache: str, revalidate: str) -> CachingStore:
    """A cache over the directory ``origin``, in the directory or the database ``cache``."""
    for name in ("origin", "cache"):
        (Path(path) / name).mkdir(exist_ok=True)
    where = Path(path) / "cache"
    inside = FileStore(where) if cache == "directory" else SqliteStore(where / "objects.db")
    return CachingStore(FileStore(Path(path) / "origin"), inside, revalidate=revalidate, ttl=TTL, max_bytes=MAX_BYTES)


class HalfAround:
    """Every other write goes around the cache, so that its copies grow old."""

    def __init__(self, path: str, cache: str, revalidate: str) -> None:
        store = made(path, cache, revalidate)
        self.get = store.get
        self._ways = itertools.cycle((store, store.main_store))

    def put(self, key: str, data: bytes) -> None:
        next(self._ways).put(key, data)


directory_etag = functools.partial(HalfAround, cache="directory", revalidate="etag")
directory_ttl = functools.partial(HalfAround, cache="directory", revalidate="ttl")
directory_never = functools.partial(made, cache="directory", revalidate="never")
sqlite_etag = functools.partial(HalfAround, cache="sqlite", revalidate="etag")
sqlite_ttl = functools.partial(HalfAround, cache="sqlite", revalidate="ttl")
sqlite_never = functools.partial(made, cache="sqlite", revalidate="never")
