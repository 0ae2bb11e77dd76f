"""Stores that compose: local ones beside what they replace, and the price of wrappers, of awaiting, of a cache hit."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.data import file_system, small_files
from benchmarks.measure import Setting, alternate, repeat, worker
from benchmarks.processes import ANYBODY, environment
from benchmarks.results import Bound, Comparison, Row
from benchmarks.store_subjects import WRITERS, make_archive
from tests.servers import Nginx

BUCKET = "bucket"
OBJECT_SIZE = 4096
NGINX = "nginx, S3 path style"

#: The stack of five that is measured: from the inside to the outside, two of keys, one of validation, two that watch.
STACK = ("PrefixStore", "HashPrefixStore", "RegexValidatingStore", "LoggingStore", "NotifyingStore")
LIMIT = 3e-6
#: Wrappers alone, and what a GET through them may take.
ALONE: dict[str, float | None] = {
    "IdentityStore": LIMIT,
    "ReadonlyStore": LIMIT,
    "NotifyingStore": LIMIT,
    "LoggingStore": LIMIT,
    "LoggingStore, a record for each GET": None,  # nearly all of it is spent in the logging module
    "KeyValidatingStore": LIMIT,
    "RegexValidatingStore": LIMIT,
    "RegexRoutingStore": LIMIT,
    "PrefixStore": LIMIT,
    "HashPrefixStore": LIMIT,
    "UrlEncodingStore": LIMIT,
    "RetryingStore": LIMIT,
}


class _Bench:
    """Workers in one directory."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.env = environment(setting.directory, ANYBODY)

    def worker(self, subject: str, items: int, nbytes: int, **arguments: Any) -> Any:
        """A worker that must move so many items and bytes in each measurement; its seconds are for each item."""
        moves = {"items": items, "nbytes": nbytes}
        return worker(subject, {**arguments, **moves}, self.env, self.setting.directory / f"{subject}.log")

    def compare(self, ours: Any, theirs: Any) -> tuple[list[float], list[float]]:
        """Seconds for each item, of two workers."""
        with ours as our_measure, theirs as their_measure:
            return alternate(our_measure, their_measure, self.setting.rounds)


# ------------------------------------------------------------------ SQLite
def sqlite(setting: Setting) -> Iterator[Row]:
    """Puts of 1 kB, beside a commit for each put with the table and the modes of the original."""
    bench, single = _Bench(setting), setting.size(1000, 50)
    commits = {"root": str(setting.directory)}
    modes = (
        (False, "survives kill -9; a power failure may take the last"),
        (True, "durable=True: survives power failures"),
    )
    ways = (
        ("single", "put, one by one", single),
        ("threads", f"put, {WRITERS} threads", setting.size(2000, 50)),
        ("batch", "put_many", setting.size(20_000, 100)),
    )
    for durable, survives in modes:
        for how, call, count in ways:
            ours = bench.worker("put-sqlite", count, count * 1000, how=how, durable=durable, **commits)
            theirs = bench.worker("put-sqlite-commits", single, single * 1000, **commits)
            what = f"SQLite: PUT {count:,} x 1 kB, {call}, time per object; {survives}"
            rival = f"INSERT OR REPLACE and commit for each of {single:,}, default journal (survives power failures)"
            pairs = bench.compare(ours, theirs)
            yield Comparison(what, file_system(setting.directory), rival, *pairs, "us", 1.0)


# ------------------------------------------------------------------ zip
def zip_reads(setting: Setting) -> Iterator[Row]:
    """Reads of every member, one after the other, beside ``zipfile``."""
    bench = _Bench(setting)
    for size, count in ((1000, setting.size(4000, 50)), (64 << 10, setting.size(400, 10))):
        for method, stored in ((zipfile.ZIP_STORED, "stored"), (zipfile.ZIP_DEFLATED, "deflated")):
            path = str(setting.directory / f"{stored}-{size}.zip")
            keys, nbytes = make_archive(path, count, size, method), count * size
            for first in (True, False):
                again = "first reads after opening" if first else "read before"
                sizes = "1 kB" if size == 1000 else "64 KiB"
                what = f"zip: GET {count:,} {stored} members of {sizes}, {again}, one by one, time per member"
                subjects = [
                    bench.worker(subject, count, nbytes, path=path, keys=keys, first=first)
                    for subject in ("read-zip", "read-zipfile")
                ]
                pairs = bench.compare(*subjects)
                yield Comparison(what, file_system(setting.directory), "zipfile.ZipFile.read", *pairs, "us", 1.8)


# ------------------------------------------------------------------ wrappers
def wrappers(setting: Setting) -> Iterator[Row]:
    """What a stack of five different wrappers adds to a GET from memory, for each of them; then wrappers alone."""
    bench, count = _Bench(setting), setting.size(1000, 50)

    def measured(*layers: str) -> list[float]:
        with bench.worker("layer", 1, OBJECT_SIZE, layers=layers, count=count) as measure:
            return repeat(measure, setting.rounds)

    what = f"a layer in a stack of {', '.join(STACK)}, per GET of 4 KiB"
    yield Bound(what, "memory, one by one", measured(*STACK), "us", LIMIT)
    for name, limit in ALONE.items():
        yield Bound(f"{name}, per GET of 4 KiB", "memory, one by one", measured(name), "us", limit)


# ------------------------------------------------------------------ stores to await
def awaited(setting: Setting) -> Iterator[Row]:
    """A bulk read that is awaited, beside the same bulk read that is called."""
    bench = _Bench(setting)
    tree = small_files(setting.directory / "web" / BUCKET, setting.size(5000, 200), OBJECT_SIZE, OBJECT_SIZE)
    # Each of them several times, so that a measurement takes a second: the two must not differ by a tenth.
    keys = list(tree.keys) * 4
    with Nginx(setting.directory / "nginx", tree.root.parent) as server:
        subjects = [
            bench.worker(subject, len(keys), len(keys) * OBJECT_SIZE, url=f"s3://{server.endpoint}/{BUCKET}", keys=keys)
            for subject in ("get-awaited", "get-holdfast")
        ]
        pairs = bench.compare(*subjects)
    what = f"GET {len(keys):,} x 4 KiB, await AsyncCloudFiles.get, time per object"
    yield Comparison(what, NGINX, "CloudFiles.get of Holdfast", *pairs, "us", 0.9)


# ------------------------------------------------------------------ caches
def cache_hits(setting: Setting) -> Iterator[Row]:
    """Reads from a cache, beside the same reads from the S3 server behind it."""
    bench = _Bench(setting)
    tree = small_files(setting.directory / "web" / BUCKET, setting.size(500, 50), OBJECT_SIZE, OBJECT_SIZE)
    with Nginx(setting.directory / "nginx", tree.root.parent) as server:
        common = {"url": f"s3://{server.endpoint}/{BUCKET}", "keys": tree.keys}
        for kind in ("memory", "file", "sqlite"):
            for revalidate, asks in (
                ("etag", "a HEAD of the origin for each hit"),
                ("ttl", "nothing asked"),
                ("never", "nothing asked"),
            ):
                cache = _cache(kind, setting.directory / f"{kind}-{revalidate}")
                pairs = bench.compare(
                    bench.worker(
                        "get-one-by-one", tree.items, tree.nbytes, cache=cache, revalidate=revalidate, **common
                    ),
                    bench.worker("get-one-by-one", tree.items, tree.nbytes, **common),
                )
                what = f'cache hit of 4 KiB in a {kind} cache, revalidate="{revalidate}" ({asks}), one by one'
                target = None if revalidate == "etag" else 1.0
                yield Comparison(what, NGINX, "the origin itself", *pairs, "us", target)


def _cache(kind: str, path: Path) -> str:
    return {"memory": f"mem://{path.name}", "file": f"file://{path}", "sqlite": f"sqlite://{path}.db"}[kind]
