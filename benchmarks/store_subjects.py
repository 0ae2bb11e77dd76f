"""What workers measure of the local stores, the wrappers and the stores to await."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import random
import sqlite3
import statistics
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.subjects import Arguments, Sample, Subject

WRITERS = 8
#: So many alternations of blocks with and without the layers make one measurement.
PAIRS = 21


# ------------------------------------------------------------------ SQLite
def put_sqlite(arguments: Arguments) -> Subject:
    """``SqliteStore``: ``put`` one by one, in eight threads, or ``put_many``, each time into an empty database."""
    from holdfast import SqliteStore

    size = arguments["nbytes"] // arguments["items"]
    bodies = [(f"object-{number:06}", os.urandom(size)) for number in range(arguments["items"])]
    paths, how = _new_paths(arguments), arguments["how"]

    def measure() -> Sample:
        with SqliteStore(next(paths), durable=arguments["durable"]) as store:
            store.put("made", b"")  # as theirs, the database is there before
            started = time.perf_counter()
            if how == "batch":
                count = sum(1 for _ in store.put_many(bodies))
            elif how == "threads":
                with ThreadPoolExecutor(WRITERS) as pool:
                    count = sum(1 for _ in pool.map(lambda item: store.put(*item), bodies))
            else:
                count = sum(1 for _ in (store.put(*item) for item in bodies))
            seconds = time.perf_counter() - started
            stored = sum(info.size or 0 for info in store.list("object-"))
        return Sample(seconds, count, stored)

    return measure


def put_sqlite_commits(arguments: Arguments) -> Subject:
    """What amplify-storage-utils does: INSERT OR REPLACE and commit for each put, in the database's default modes."""
    size = arguments["nbytes"] // arguments["items"]
    bodies = [(f"object-{number:06}", os.urandom(size)) for number in range(arguments["items"])]
    paths = _new_paths(arguments)

    def measure() -> Sample:
        database = sqlite3.connect(next(paths))
        database.execute("CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, data BLOB)")
        database.commit()

        def put(key: str, data: bytes) -> None:
            database.execute("INSERT OR REPLACE INTO objects (key, data) VALUES (?, ?)", (key, data))
            database.commit()

        started = time.perf_counter()
        for item in bodies:
            put(*item)
        seconds = time.perf_counter() - started
        ((count, stored),) = database.execute("SELECT count(*), sum(length(data)) FROM objects")
        database.close()
        return Sample(seconds, count, stored)

    return measure


def _new_paths(arguments: Arguments) -> Iterator[str]:
    """Paths of databases that are not there, each in a directory that is removed with the benchmark's."""
    return (os.path.join(arguments["root"], f"{os.getpid()}-{number}.db") for number in itertools.count())


# ------------------------------------------------------------------ zip
def make_archive(path: str, members: int, size: int, method: int) -> list[str]:
    """The keys of an archive that ``zipfile`` wrote, of members that are lines of JSON."""
    generator = random.Random(5)
    with zipfile.ZipFile(path, "w", method) as archive:
        for number in range(members):
            archive.writestr(f"{number // 100:03}/member-{number:05}", _document(generator, size))
        return archive.namelist()


def _document(generator: random.Random, size: int) -> bytes:
    lines, length = [], 0
    while length < size:
        record = {
            "id": generator.randrange(10**9),
            "name": f"object-{generator.randrange(10**5)}",
            "size": generator.randrange(10**6),
            "state": generator.choice(["new", "done", "failed"]),
        }
        lines.append(json.dumps(record) + "\n")
        length += len(lines[-1])
    return "".join(lines).encode()[:size]


def read_zip(arguments: Arguments) -> Subject:
    """``ZipStore.get`` of every member, of an archive that is opened; with ``first`` it was opened just before."""
    from holdfast import ZipStore

    def opened() -> tuple[Callable[[str], bytes], Callable[[], None]]:
        store = ZipStore(arguments["path"])
        store.exists("parses the directory")
        return store.get, store.close

    return _members(arguments, opened)


def read_zipfile(arguments: Arguments) -> Subject:
    """``ZipFile.read`` of every member, likewise."""

    def opened() -> tuple[Callable[[str], bytes], Callable[[], None]]:
        archive = zipfile.ZipFile(arguments["path"])
        return archive.read, archive.close

    return _members(arguments, opened)


def _members(arguments: Arguments, opened: Callable[[], tuple[Callable[[str], bytes], Callable[[], None]]]) -> Subject:
    keys, kept = arguments["keys"], None if arguments["first"] else opened()

    def measure() -> Sample:
        read, close = kept or opened()
        total = 0
        started = time.perf_counter()
        for key in keys:
            total += len(read(key))  # and the body is gone before the next one comes
        seconds = time.perf_counter() - started
        if kept is None:
            close()
        return Sample(seconds, len(keys), total)

    return measure


# ------------------------------------------------------------------ what a layer costs
def layer(arguments: Arguments) -> Subject:
    """The extra time of a GET through some layers over an object in memory, for each layer."""
    from holdfast import open_store

    bare, inner = open_store("mem://benchmark-bare"), open_store("mem://benchmark-layer")
    body, count, names = bytes(arguments["nbytes"]), arguments["count"], arguments["layers"]
    # Written through those layers that take writes; the others leave keys and bytes as they are.
    for store in (bare, _stacked(inner, [name for name in names if name != "ReadonlyStore"])):
        store.put("key", body)
    stack = _stacked(inner, names)

    def block(store: Any) -> float:
        started = time.perf_counter()
        for _ in range(count):
            store.get("key")
        return time.perf_counter() - started

    def measure() -> Sample:
        differences = [block(stack) - block(bare) for _ in range(PAIRS)]
        return Sample(statistics.median(differences) / count / len(names), 1, len(stack.get("key")))

    return measure


def _stacked(store: Any, names: Iterable[str]) -> Any:
    layers = _layers()
    for name in names:
        store = layers[name](store)
    return store


def _layers() -> dict[str, Callable[[Any], Any]]:
    import holdfast

    def notifying(store: Any) -> Any:
        wrapped = holdfast.NotifyingStore(store)
        wrapped.on_change(lambda *_: None)
        return wrapped

    return {
        "IdentityStore": holdfast.IdentityStore,
        "ReadonlyStore": holdfast.ReadonlyStore,
        "NotifyingStore": notifying,
        "LoggingStore": lambda store: holdfast.LoggingStore(store, "bench", _logger(logging.WARNING)),
        "LoggingStore, a record for each GET": lambda store: holdfast.LoggingStore(
            store, "bench", _logger(logging.INFO)
        ),
        "KeyValidatingStore": lambda store: holdfast.KeyValidatingStore(store, lambda _: None),
        "RegexValidatingStore": lambda store: holdfast.RegexValidatingStore(store, r"[a-z]+"),
        "RegexRoutingStore": lambda store: holdfast.RegexRoutingStore(store, []),
        "PrefixStore": lambda store: holdfast.PrefixStore(store, "run1/"),
        "HashPrefixStore": holdfast.HashPrefixStore,
        "UrlEncodingStore": holdfast.UrlEncodingStore,
        "RetryingStore": holdfast.RetryingStore,
    }


def _logger(level: int) -> logging.Logger:
    logger = logging.getLogger(f"benchmark-{level}")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    logger.setLevel(level)
    return logger


# ------------------------------------------------------------------ stores to await
def get_awaited(arguments: Arguments) -> Subject:
    """``AsyncCloudFiles.get`` of a list of keys, in one running loop."""
    from holdfast.aio import AsyncCloudFiles

    loop, keys = asyncio.new_event_loop(), arguments["keys"]
    files = AsyncCloudFiles(arguments["url"])

    async def get() -> tuple[float, list[Any]]:
        started = time.perf_counter()
        rows = await files.get(keys)
        return time.perf_counter() - started, rows

    def measure() -> Sample:
        seconds, rows = loop.run_until_complete(get())
        return Sample(seconds, len(rows), sum(len(row["content"]) for row in rows))

    return measure


# ------------------------------------------------------------------ caches
def get_one_by_one(arguments: Arguments) -> Subject:
    """``get`` of each key; with a ``cache`` from its copies, which are made before anything is measured."""
    from holdfast import CachingStore, open_store

    store, keys = open_store(arguments["url"]), arguments["keys"]
    if "cache" in arguments:
        store = CachingStore(store, open_store(arguments["cache"]), revalidate=arguments["revalidate"], ttl=3600.0)

    def measure() -> Sample:
        total = 0
        started = time.perf_counter()
        for key in keys:
            total += len(store.get(key))
        return Sample(time.perf_counter() - started, len(keys), total)

    return measure


SUBJECTS: dict[str, Callable[[Arguments], Subject]] = {
    "put-sqlite": put_sqlite,
    "put-sqlite-commits": put_sqlite_commits,
    "read-zip": read_zip,
    "read-zipfile": read_zipfile,
    "layer": layer,
    "get-awaited": get_awaited,
    "get-one-by-one": get_one_by_one,
}
