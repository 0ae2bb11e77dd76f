"""Places for mappings, one for each kind of store: every ``open`` is a store of its own, as in another process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast import CloudMapping, ObjectStore, Wrapper, open_store
from holdfast.blob import Blob
from holdfast.store import LIST, READ, REMOVE, WRITE, Removed
from holdfast.types import Body, Capabilities, ListOptions, ObjectInfo, ReadOptions, RemoveOptions, WriteOptions

_numbers = itertools.count(1)


class Place:
    """A location where a test is alone, and how to open it."""

    def __init__(self, location: str, **options: Any) -> None:
        self.location = location
        self.options = options

    def open(self) -> ObjectStore:
        """Another store on the same objects."""
        return open_store(self.location, **self.options)

    def mapping(self, **options: Any) -> CloudMapping[Any]:
        """Another mapping over the same objects."""
        return CloudMapping(self.open(), **options)


def _memory(request: pytest.FixtureRequest, directory: Path) -> Place:
    return Place(f"mem://mapping-{next(_numbers)}/objects")


def _file(request: pytest.FixtureRequest, directory: Path) -> Place:
    return Place(f"file://{directory}/objects/")


def _sqlite(request: pytest.FixtureRequest, directory: Path) -> Place:
    return Place(f"sqlite://{directory}/objects.db/objects")


def _redis(request: pytest.FixtureRequest, directory: Path) -> Place:
    server = request.getfixturevalue("redis")
    return Place(f"{server.endpoint}/0/mapping-{next(_numbers)}")


def _s3(request: pytest.FixtureRequest, directory: Path) -> Place:
    server = request.getfixturevalue("moto")
    keys = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
    return Place(server.url(server.make_bucket(), "objects"), region=server.region, **keys)


def _ceph(request: pytest.FixtureRequest, directory: Path) -> Place:
    server = request.getfixturevalue("ceph")
    keys = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
    return Place(server.url(server.make_bucket(), "objects"), region=server.region, **keys)


def _az(request: pytest.FixtureRequest, directory: Path) -> Place:
    server = request.getfixturevalue("azurite")
    container = server.make_container()
    return Place(f"az://{server.endpoint}/{container}/objects", account_key=server.account_key)


def _gs(request: pytest.FixtureRequest, directory: Path) -> Place:
    server = request.getfixturevalue("gcs")
    return Place(server.url(server.make_bucket(), "objects"), token=server.token)


_MAKERS: dict[str, Callable[[pytest.FixtureRequest, Path], Place]] = {
    "memory": _memory,
    "file": _file,
    "sqlite": _sqlite,
    "redis": _redis,
    "s3": _s3,
    "az": _az,
    "gs": _gs,
    "ceph": _ceph,
}
_SERVED = {"redis", "s3", "az"}
#: Another S3, and whether mappings go there is up to its release.
_DOUBTFUL = {"ceph"}

#: For pytest.mark.parametrize and fixtures: the names of all kinds that every release of their servers can serve.
KINDS = [
    pytest.param(kind, marks=pytest.mark.server if kind in _SERVED else ()) for kind in _MAKERS if kind not in _DOUBTFUL
]


def make(kind: str, request: pytest.FixtureRequest, directory: Path) -> Place:
    """A fresh place of this kind."""
    return _MAKERS[kind](request, directory)


class Intervening(Wrapper):
    """A store that calls what was armed for a verb just before it does it, once."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self.armed: dict[str, Callable[[], Any]] = {}

    def before(self, verb: str, action: Callable[[], Any]) -> None:
        """Call the action before the next "read", "write", "remove" or "scan"."""
        self.armed[verb] = action

    def _come(self, verb: str) -> None:
        if action := self.armed.pop(verb, None):
            action()

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        self._come("read")
        return self.store._read(key, options)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        self._come("write")
        return self.store._write(key, body, options)

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        self._come("remove")
        return self.store._remove(keys, options)

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        rows = list(self.store._scan(options))
        self._come("scan")
        return iter(rows)


class Narrowed(Wrapper):
    """A store without some of its conditions, named as in Capabilities: they are Unsupported."""

    def __init__(self, store: ObjectStore, **missing: bool) -> None:
        super().__init__(store)
        self.missing = missing

    @property
    def capabilities(self) -> Capabilities:
        return replace(self.store.capabilities, **self.missing)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        if options.if_absent and "create" in self.missing:
            raise self._unsupported("a write", "if_absent")
        if options.if_match is not None and "replace_if" in self.missing:
            raise self._unsupported("a write", "if_match")
        return self.store._write(key, body, options)

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        if options.if_match is not None and "delete_if" in self.missing:
            raise self._unsupported("a delete", "if_match")
        return self.store._remove(keys, options)
