"""Caches that processes share, for tests that start some: each a function of a directory."""

from __future__ import annotations

import functools
from pathlib import Path

from holdfast.stores.file import FileStore
from holdfast.stores.sqlite import SqliteStore
from holdfast.wrap.cache import CachingStore

#: Less than what the writers of ``tests.stores.killing`` store, so that much is given up.
MAX_BYTES = 2 << 20
TTL = 0.1


def made(path: str, cache: str, revalidate: str) -> CachingStore:
    """A cache over the directory ``origin``, in the directory or the database ``cache``."""
    for name in ("origin", "cache"):
        (Path(path) / name).mkdir(exist_ok=True)
    where = Path(path) / "cache"
    inside = FileStore(where) if cache == "directory" else SqliteStore(where / "objects.db")
    return CachingStore(FileStore(Path(path) / "origin"), inside, revalidate=revalidate, ttl=TTL, max_bytes=MAX_BYTES)


directory_etag = functools.partial(made, cache="directory", revalidate="etag")
directory_ttl = functools.partial(made, cache="directory", revalidate="ttl")
directory_never = functools.partial(made, cache="directory", revalidate="never")
sqlite_etag = functools.partial(made, cache="sqlite", revalidate="etag")
sqlite_ttl = functools.partial(made, cache="sqlite", revalidate="ttl")
sqlite_never = functools.partial(made, cache="sqlite", revalidate="never")
