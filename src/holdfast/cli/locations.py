"""Locations on the command line: which store and key one names, and what lies there.

A location means that key, or everything under location + "/": ``run1`` never selects ``run10`` or ``run1.txt``.
A trailing slash means the directory alone. A zero-byte object ``dir/`` marks a directory and is never a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from types import TracebackType
from typing import Any, NamedTuple, Self

import click

from .. import locks, redact, registry
from ..errors import BucketNotFound, ConfigError, InvalidKey, NotFound
from ..store import HEAD, ObjectStore
from ..types import ListOptions, ObjectInfo, is_marker
from ..url import URL, parse
from .options import Settings
from .output import NoTarget

STDIO = "-"
#: Schemes without endpoints to choose and credentials to leave out.
_PLAIN = ("config", "file", "hashdir", "http", "https", "mem", "redis", "rediss", "sqlite", "zip")
#: What makes a bucket, by the scheme.
_TOOLS = {
    "s3": "aws s3 mb s3://{bucket}",
    "gs": "gcloud storage buckets create gs://{bucket}",
    "az": "az storage container create -n {bucket}",
}
#: Where a local directory keeps what its files cannot say.
PRIVATE = ".holdfast"


@dataclass(frozen=True, slots=True)
class Location:
    """One location as it was typed (``text``, without secrets) and as it was understood (``url``).

    ``kept`` is the name, possibly of several components, that it keeps elsewhere; "" is its last component. ``alone``
    is an object, and not what may lie below its name.
    """

    text: str
    url: URL
    kept: str = ""
    alone: bool = False

    @property
    def is_directory(self) -> bool:
        """Whether it was written as a directory: a trailing slash, a bucket alone, ".", ".."."""
        return self.url.is_directory

    @property
    def is_local(self) -> bool:
        """Whether it is a path on this machine."""
        return self.url.scheme == "file"

    @property
    def name(self) -> str:
        """The name that it keeps when it is copied into a directory: its last component, or ``kept``."""
        return self.kept or self.url.path.rstrip("/").rpartition("/")[2] or self.url.bucket

    def child(self, key: str) -> str:
        """How to show an object below it."""
        return f"{self.text}{'' if self.text.endswith('/') else '/'}{key}"

    def local_directory(self) -> str | None:
        """The path of the local directory that it names, if there is one."""
        path = self.url.local_path if self.is_local else None
        return path if path is not None and os.path.isdir(path) else None


def locate(text: str) -> Location:
    """The location that the text names; ConfigError if it names none."""
    return Location(redact.url(text), parse(text))


def child(place: Location, name: str) -> Location:
    """The location of a name in the directory that the place is; InvalidKey for a name that would lead out of it.

    Names come from listings, and a service holds any: as a path, "../x" would be a file beside the directory.
    """
    if place.is_local and not {"", ".", "..", PRIVATE}.isdisjoint(name.removesuffix("/").split("/")):
        raise InvalidKey(
            f"{name!r} is no name for a file in {place.text}: leave it out, or give it another one", key=name
        )
    return Location(place.child(name), place.url.child(name))


def refuse_collisions(places: Sequence[Location], goal: Location, verb: str) -> None:
    """UsageError where two of the places would get one name in the goal: they are to be copied (moved) one by one."""
    seen: dict[str, Location] = {}
    for place in places:
        if (other := seen.setdefault(place.name, place)) is not place:
            raise click.UsageError(
                f"{other.text} and {place.text} would both become {goal.child(place.name)}: {verb} them one by one"
            )


@dataclass(frozen=True, slots=True)
class Spot:
    """A store and the key (of an object) or prefix (of a directory) in it."""

    store: ObjectStore
    key: str


class Opener:
    """Opens the stores of all locations of one command, each once, and closes them at its end."""

    def __init__(self, settings: Settings, locations: Sequence[Location]) -> None:
        self._settings = settings
        urls = [location.url for location in locations]
        if "endpoint" in settings.given and not any(_on_service(url) and url.endpoint is None for url in urls):
            raise ConfigError("--endpoint is for locations such as s3://bucket, and there is none: leave it out")
        if "anonymous" in settings.given and not any(_on_service(url) for url in urls):
            raise ConfigError("--anonymous is for services such as s3://, and no location is on one: leave it out")
        self._stores: dict[URL, ObjectStore] = {}
        self._names: dict[int, str] = {}
        self._lock = locks.lock()

    def object(self, location: Location) -> Spot:
        """Where the object of this name lies, or would lie."""
        if location.is_local:
            return self._local(*os.path.split(location.url.local_path))
        return Spot(self._open(replace(location.url, path="")), location.url.path)

    def directory(self, location: Location) -> Spot:
        """Where the objects under location + "/" lie: the spot's key is their prefix ("" or ending in "/")."""
        if location.is_local:
            return self._local(location.url.local_path.rstrip("/") or "/", "")
        path = location.url.path
        prefix = path if location.is_directory else f"{path}/"
        return Spot(self._open(replace(location.url, path="")), prefix)

    def _local(self, directory: str, name: str) -> Spot:
        files: Any = registry.store_class("file")
        root, below = files.root_of(directory)
        return Spot(self._open(parse(root.rstrip("/") + "/")), f"{below}/{name}" if below else name)

    def _open(self, url: URL) -> ObjectStore:
        with self._lock:
            if (store := self._stores.get(url)) is None:
                store = self._stores[url] = registry.open_store(url, **self._options(url))
                self._names[id(store)] = url.local_path if url.scheme == "file" else str(url)
            return store

    def _options(self, url: URL) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if _on_service(url):
            if self._settings.endpoint is not None and url.endpoint is None:
                options["endpoint"] = self._settings.endpoint
            if self._settings.anonymous:
                options["anonymous"] = True
        return options

    def name(self, store: ObjectStore, key: str) -> str:
        """The location, as it could be typed, of a key in one of the stores."""
        return self._names[id(store)] + key

    @contextmanager
    def target(self, sources: Sequence[Location], goal: Location) -> Iterator[None]:
        """A block in which NoTarget is raised if the bucket of the goal, which is none of the sources', is missing."""
        try:
            yield
        except BucketNotFound as error:
            elsewhere = {name for place in sources for name in self._stores_of(place)}
            if error.store not in self._stores_of(goal) - elsewhere:
                raise
            if goal.is_local:
                raise NoTarget(error.message, store=error.store, cause=error) from error
            tool = _TOOLS.get(goal.url.scheme, "the service's own tool").format(bucket=goal.url.bucket)
            raise NoTarget(
                f"there is no such bucket, and commands make none: make it first ({tool}), or correct its name or the "
                "endpoint",
                store=error.store,
                cause=error,
            ) from error

    def _stores_of(self, place: Location) -> set[str | None]:
        return {self.object(place).store.name, self.directory(place).store.name}

    def recipe(self, store: ObjectStore) -> tuple[URL, dict[str, Any]]:
        """What another process opens one of the stores anew with."""
        url = next(url for url, opened in self._stores.items() if opened is store)
        return url, self._options(url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, Exception):
            return  # Ctrl-C: abandoned workers may still be using the stores, and the process is about to end
        for store in self._stores.values():
            store.close()


def _on_service(url: URL) -> bool:
    return url.scheme not in _PLAIN


class Found:
    """What lies at a location: an object, a directory, in a bucket possibly both, or nothing."""

    def __init__(self, location: Location, info: ObjectInfo | None, spot: Spot, directory: Directory | None) -> None:
        self.location = location
        self.info = info
        self.spot = spot
        self.directory = directory

    @property
    def nothing(self) -> bool:
        """Whether there is neither an object nor a directory."""
        return self.info is None and self.directory is None


class Directory:
    """The objects under a location, listed as they are asked for, once."""

    def __init__(self, location: Location, spot: Spot, rows: Iterator[ObjectInfo]) -> None:
        self.location = location
        self.spot = spot
        self.rows = rows

    def files(self) -> Iterator[ObjectInfo]:
        """The rows that are objects, without directory markers."""
        return (row for row in self.rows if not is_marker(row))


class Row(NamedTuple):
    """One row of a listing: the name below the location, and what is known of it."""

    name: str
    info: ObjectInfo
    is_directory: bool


def look(opener: Opener, location: Location, *, under: bool = True, delimiter: str | None = None) -> Found:
    """What lies at the location; ``under=False`` looks for a directory only where there is no object."""
    if location.is_local:
        return _look_locally(opener, location, delimiter)
    spot = opener.directory(location)
    info = None
    if not location.is_directory:
        spot = opener.object(location)
        info = _head(spot)
    if location.alone or (info is not None and not under):
        return Found(location, info, spot, None)
    return Found(location, info, spot, _list(location, opener.directory(location), delimiter))


def _look_locally(opener: Opener, location: Location, delimiter: str | None) -> Found:
    if location.local_directory() is not None:
        spot = opener.directory(location)
        rows = iter(spot.store._scan(ListOptions(prefix=spot.key, delimiter=delimiter)))
        return Found(location, None, spot, Directory(location, spot, rows))
    # Symlinks inside a directory are no objects; one that was named is taken for the file that it leads to.
    path = os.path.realpath(location.url.local_path)
    if location.is_directory or not _is_there(path):
        return Found(location, None, opener.directory(location), None)
    spot = opener.object(replace(location, url=parse(path)))
    return Found(location, _head(spot), spot, None)


def _is_there(path: str) -> bool:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # whatever is wrong with it, the store will say
    return True


def _head(spot: Spot) -> ObjectInfo | None:
    try:
        with spot.store._read(spot.key, HEAD) as blob:
            return blob.info
    except NotFound:
        return None


def _list(location: Location, spot: Spot, delimiter: str | None) -> Directory | None:
    """The directory, or None when nothing is under it; a whole bucket may be empty."""
    if not location.is_directory and not spot.store.capabilities.listing:
        return None
    rows = iter(spot.store._scan(ListOptions(prefix=spot.key, delimiter=delimiter)))
    first = next(rows, None)
    if first is None and location.url.path:
        return None
    return Directory(location, spot, rows if first is None else chain((first,), rows))
