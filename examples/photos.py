"""A read-only, logged, gzip-compressed, hash-prefixed S3 bucket behind a disk cache, mirrored to Azure.

In six lines of Python and in ten of YAML, called and awaited: `python -m examples.photos`, with S3_URL, AZURE_URL and
CACHE_DIR in the environment, and the credentials where both services' own tools look for them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

import holdfast
from holdfast import ObjectStore, StoreFactory, Unsupported, aio

CONFIG = Path(__file__).with_suffix(".yaml")
KEY = "2026/beach.txt"
PICTURE = b"sand and water\n" * 1000


def in_python(s3: str, azure: str, directory: str) -> tuple[ObjectStore, ObjectStore]:
    """The read-only store, and the one below it that takes writes."""
    bucket = holdfast.MirroringStore([holdfast.open_store(s3), holdfast.open_store(azure)])
    small = holdfast.GzipStore(holdfast.HashPrefixStore(bucket))
    cached = holdfast.CachingStore(small, holdfast.FilesystemStore(directory))
    photos = holdfast.ReadonlyStore(holdfast.LoggingStore(cached, "photos"))
    return photos, cached


def awaited_in_python(s3: str, azure: str, directory: str) -> aio.AsyncStore:
    """The same store, to await."""
    bucket = aio.AsyncMirroringStore([holdfast.open_store(s3), holdfast.open_store(azure)])
    small = aio.AsyncGzipStore(aio.AsyncHashPrefixStore(bucket))
    cached = aio.AsyncCachingStore(small, aio.AsyncFilesystemStore(directory))
    return aio.AsyncReadonlyStore(aio.AsyncLoggingStore(cached, "photos"))


def in_yaml() -> ObjectStore:
    """The store that photos.yaml describes; the same description serves both ways of calling it."""
    return StoreFactory(CONFIG).build("photos")


def use(photos: ObjectStore) -> str:
    """What a caller sees of it."""
    with photos:
        assert photos.get(KEY) == PICTURE
        assert photos.get_range(KEY, 9, 14) == b"water"
        assert list(photos.keys()) == [KEY]
        try:
            photos.delete(KEY)
        except Unsupported as error:
            return f"{len(PICTURE)} bytes read, and {error.message}"
    raise AssertionError("a read-only store deleted something")


async def use_awaited(photos: aio.AsyncStore) -> str:
    """The same, awaited."""
    async with photos:
        assert await photos.get(KEY) == PICTURE
        assert await photos.get_range(KEY, 9, 14) == b"water"
        assert [key async for key in photos.keys("2026/")] == [KEY]
        try:
            await photos.delete(KEY)
        except Unsupported as error:
            return f"{len(PICTURE)} bytes read, and {error.message}"
    raise AssertionError("a read-only store deleted something")


def main() -> None:
    """Write one object through the layers that take writes, and read it all four ways."""
    logging.basicConfig(stream=sys.stdout, format="  log: %(message)s", level=logging.INFO)
    s3, azure, directory = (os.environ[name] for name in ("S3_URL", "AZURE_URL", "CACHE_DIR"))
    photos, cached = in_python(s3, azure, directory)
    cached.put(KEY, PICTURE)
    print("called, from Python:", use(photos))
    print("called, from YAML:", use(in_yaml()))
    print("awaited, from Python:", asyncio.run(use_awaited(awaited_in_python(s3, azure, directory))))
    print("awaited, from YAML:", asyncio.run(use_awaited(aio.AsyncStore(in_yaml()))))


if __name__ == "__main__":
    main()
