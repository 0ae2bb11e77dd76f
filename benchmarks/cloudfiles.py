"""Every bulk call of CloudFiles beside the same call of cloud-files, on the same server or the same files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import prepared
from benchmarks.cloud import names
from benchmarks.cloudfiles_subjects import DOCUMENT_SIZE, HOLDFAST, LOCAL, RIVAL, spread, write
from benchmarks.copies import file_systems
from benchmarks.data import Tree, file_system
from benchmarks.measure import Setting, alternate, worker
from benchmarks.prepared import Prepared
from benchmarks.processes import ANYBODY, environment
from benchmarks.results import Comparison, Row
from holdfast import codecs
from tests.servers import Ceph, ServerMissing

NGINX = "nginx, prepared answers"
CEPH = "Ceph RGW"
#: Where the objects of each codec are, and what their names end in where that is what tells it.
CODECS = {None: ("plain", ""), "gzip": ("gzip", ".gz"), "br": ("br", ".br"), "zstd": ("zstd", ".zstd")}
CLOUD_TARGET, LOCAL_TARGET, GREEN_TARGET = 10.0, 2.0, 0.8
#: cloud-files takes many seconds for a long listing, and a service milliseconds for each request.
FEWER_ROUNDS = 3

OURS = {"library": HOLDFAST}
THEIRS = {"library": RIVAL}
GREEN = {"options": {"green": True}}
PATCHED = {**GREEN, "patched": True}
PARALLEL = {"options": {"parallel": 2}}


@dataclass(frozen=True)
class _Load:
    """What a call is about: keys, how many objects it must deal with, and how many bytes they must have."""

    keys: Sequence[str]
    items: int
    nbytes: int

    def first(self, count: int | None) -> _Load:
        """The part of it that is about the first so many keys."""
        if count is None or count >= self.items:
            return self
        return _Load(self.keys[:count], count, self.nbytes // self.items * count)


def _load(keys: Sequence[str], size: int = 0) -> _Load:
    return _Load(keys, len(keys), len(keys) * size)


@dataclass(frozen=True)
class _Place:
    """A location where both libraries work, what the table calls it, and how much faster ours is to be there.

    ``fewer`` is how many keys are enough for cloud-files.
    """

    setting: Setting
    url: str
    server: str
    target: float | None
    env: Mapping[str, str]
    fewer: int | None = None

    def row(
        self,
        call: str,
        what: str,
        load: _Load,
        *,
        ours: Mapping[str, Any] = OURS,
        theirs: Mapping[str, Any] = THEIRS,
        rival: str = "cloud-files, 20 threads",
        **more: Any,
    ) -> Comparison:
        """One call of both libraries (or of ours twice, in two ways)."""
        some = load.first(self.fewer)
        with self._worker(call, load, {**more, **ours}) as our, self._worker(call, some, {**more, **theirs}) as their:
            pairs = alternate(our, their, self.setting.rounds)
        if some.items != load.items:
            rival = f"{rival}, {some.items:,} objects"
        return Comparison(what.format(f"{load.items:,}"), self.server, rival, *pairs, "us", self.target)

    def _worker(self, call: str, load: _Load, arguments: Mapping[str, Any]) -> Any:
        moves = {"keys": load.keys, "items": load.items, "nbytes": load.nbytes}
        log = self.setting.directory / f"{call}-{arguments['library']}.log"
        env = environment(self.setting.directory, self.env)
        return worker(call, {"url": self.url, **self._bucket(), **moves, **arguments}, env, log)

    def _bucket(self) -> Mapping[str, str]:
        endpoint, _, bucket = self.url.removeprefix("s3://").rpartition("/")
        return {"endpoint": endpoint, "bucket": bucket}


def cloudfiles(setting: Setting) -> Iterator[Row]:
    """Where the client is the limit; on a service that does its own work; and on local files."""
    yield from _prepared(setting)
    yield from _service(replace(setting, rounds=min(setting.rounds, FEWER_ROUNDS)))
    with file_systems(setting, ("memory", "disk")) as found:
        for place in dict.fromkeys(found.values()):
            yield from _local(setting, place)


# ------------------------------------------------------------------ where the client is the limit
def _prepared(setting: Setting) -> Iterator[Row]:
    count, fewer, listed = setting.size(5000, 200), setting.size(1000, 50), setting.size(100_000, 3000)
    root = setting.directory / "web"
    keys = _spread(root, count, suffixes=False)
    tree = Tree(root, [key for found in keys.values() for key in found], 0)
    with Prepared(setting.directory / "nginx", tree, listed=listed) as server:

        def at(bucket: str) -> _Place:
            return _Place(setting, f"s3://{server.endpoint}/{bucket}", NGINX, CLOUD_TARGET, ANYBODY, fewer)

        objects, discard, deleted = at(prepared.DIGESTS), at(prepared.DISCARD), at(prepared.DELETED)
        rounds = min(setting.rounds, FEWER_ROUNDS)
        yield from _reads(objects, keys)
        yield from _writes(discard, count, stored=False)
        yield _deletes(replace(deleted, fewer=None), 10 * count, stored=False)
        pages = replace(at(prepared.LISTED), setting=replace(setting, rounds=rounds), fewer=None)
        yield from _lists(pages, listed, sum(map(prepared.listed_size, range(listed))))
        yield from _green(objects, discard, keys[None])
        yield from _parallel(objects, discard, keys[None])


def _spread(root: Path, count: int, *, suffixes: bool) -> Mapping[str | None, Sequence[str]]:
    """So many objects for each codec below the root, put there without either library; the keys of them."""
    keys = {codec: [f"{name}/{key}" for key in names(count)] for codec, (name, _) in CODECS.items()}
    for codec, (_, suffix) in CODECS.items():
        spread(root, keys[codec], partial(codecs.compress, encoding=codec), suffix if suffixes else "")
    return keys


def _reads(place: _Place, keys: Mapping[str | None, Sequence[str]]) -> Iterator[Row]:
    for codec, found in keys.items():
        what = f"GET {{}} x 4 KiB of JSON, {_said(codec)}, CloudFiles.get, time per object"
        yield place.row("bulk-get", what, _load(found, DOCUMENT_SIZE))
    plain = keys[None]
    yield place.row("bulk-get-json", "{} JSON documents of 4 KiB, CloudFiles.get_json, time per object", _load(plain))
    yield place.row("bulk-exists", "existence of {} objects, CloudFiles.exists, time per object", _load(plain))
    sizes = _load(plain, DOCUMENT_SIZE)
    yield place.row("bulk-size", "sizes of {} objects, CloudFiles.size, time per object", sizes)


def _writes(place: _Place, count: int, *, stored: bool) -> Iterator[Row]:
    for codec in CODECS:
        what = f"PUT {{}} x 4 KiB of JSON, {_said(codec)}, CloudFiles.puts, time per object"
        yield place.row("bulk-puts", what, _load(names(count), DOCUMENT_SIZE), codec=codec, stored=stored)


def _said(codec: str | None) -> str:
    return codec or "not encoded"


def _deletes(place: _Place, count: int, *, stored: bool) -> Row:
    what = "delete of {} keys, CloudFiles.delete, time per key"
    return place.row("bulk-delete", what, _load(names(count)), stored=stored)


def _lists(place: _Place, count: int, nbytes: int) -> Iterator[Row]:
    for sizes, said in ((False, ""), (True, " with their sizes")):
        what = f"list of {{}} keys{said}, CloudFiles.list, time per key"
        yield place.row("bulk-list", what, _Load([], count, nbytes if sizes else 0), sizes=sizes, rival=RIVAL)


# ------------------------------------------------------------------ greenlets, and processes
def _green(objects: _Place, discard: _Place, keys: Sequence[str]) -> Iterator[Row]:
    """Ours for greenlets beside ours with threads, where gevent has patched nothing and everything; then theirs."""
    calls = (
        (objects, "bulk-get", "GET {} x 4 KiB, CloudFiles(green=True).get{}, time per object"),
        (discard, "bulk-puts", "PUT {} x 4 KiB, CloudFiles(green=True).puts{}, time per object"),
    )
    load, more = _load(keys, DOCUMENT_SIZE), {"codec": None, "stored": False}
    for place, call, what in calls:
        beside = replace(place, target=GREEN_TARGET, fewer=None)
        for side, said in ((GREEN, ""), (PATCHED, " under gevent's patches")):
            ours = {**OURS, **side}
            named = what.format("{}", said)
            yield beside.row(call, named, load, ours=ours, theirs=OURS, rival="Holdfast with threads", **more)
        green = "cloud-files, green, under gevent's patches"
        theirs = {**THEIRS, **PATCHED}
        yield place.row(call, what.format("{}", ""), load, ours={**OURS, **GREEN}, theirs=theirs, rival=green, **more)


def _parallel(objects: _Place, discard: _Place, keys: Sequence[str]) -> Iterator[Row]:
    """In two processes, whose start is part of every call, with as many keys for both."""
    calls = (
        (objects, "bulk-get", "GET {} x 4 KiB, CloudFiles(parallel=2).get, time per object"),
        (discard, "bulk-puts", "PUT {} x 4 KiB, CloudFiles(parallel=2).puts, time per object"),
    )
    ours, theirs = {**OURS, **PARALLEL}, {**THEIRS, **PARALLEL}
    load, more = _load(keys, DOCUMENT_SIZE), {"codec": None, "stored": False}
    for place, call, what in calls:
        rival = "cloud-files, parallel=2, 20 threads each"
        yield replace(place, fewer=None).row(call, what, load, ours=ours, theirs=theirs, rival=rival, **more)


# ------------------------------------------------------------------ a service with work of its own
def _service(setting: Setting) -> Iterator[Row]:
    """Rows without targets: the service's own work is in every number."""
    try:
        Ceph.version()
    except ServerMissing as missing:
        print(f"no rows on {CEPH}: {missing}")
        return
    count = setting.size(500, 50)
    with Ceph(setting.directory / "ceph") as server:

        def at(bucket: str) -> _Place:
            return _Place(setting, f"s3://{server.endpoint}/{bucket}", CEPH, None, server.environment)

        objects = server.make_bucket()
        for key in names(count):
            server.client().put_object(Bucket=objects, Key=key, Body=bytes(DOCUMENT_SIZE))
        yield from _lists(at(objects), count, count * DOCUMENT_SIZE)
        yield from _writes(at(server.make_bucket()), count, stored=True)
        yield _deletes(at(server.make_bucket()), count, stored=True)


# ------------------------------------------------------------------ local files
def _local(setting: Setting, root: Path) -> Iterator[Row]:
    """The same on files that were put there by neither, and on directories where nothing is."""
    count, listed = setting.size(5000, 200), setting.size(100_000, 2000)

    def at(name: str) -> _Place:
        (root / name).mkdir(exist_ok=True)
        return _Place(setting, f"{LOCAL}{root / name}", f"file:// on {file_system(root)}", LOCAL_TARGET, {})

    yield from _reads(at("objects"), _spread(root / "objects", count, suffixes=True))
    yield from _writes(at("written"), count, stored=True)
    yield _deletes(at("deleted"), count, stored=True)
    write(root / "listed", dict.fromkeys(names(listed), b"x"))
    yield from _lists(at("listed"), listed, listed)
