"""The two ends of a sync: a store whose keys are relative, and what the planner must know about it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from .. import engine, redact, registry
from ..checksums import digest_chunks
from ..errors import ConfigError, NotFound
from ..keys import join
from ..store import HEAD, LIST, ObjectStore
from ..types import Location, ObjectInfo, is_marker
from ..wrap.rekey import KeyTransform, PrefixStore
from ..wrap.suffix import SuffixStore
from .unversioned import etag_of

__all__ = ["Place", "is_marker", "place"]

#: Vendors whose ETags mean nothing to another process, so that nothing about them may be remembered on disk.
_FORGETFUL = frozenset(("mem",))
#: Vendors whose listings tell how each object is encoded, as a head does.
_TELLING = frozenset(("file", "mem", "redis", "sqlite", "zip"))


@dataclass(frozen=True)
class Place:
    """One end of a sync: everything in ``store``, whose keys are relative to the place.

    ``name`` is how plans, errors and journals call it (without secrets); ``location`` is what to open it by again,
    None for a store that was handed over as an object.
    """

    store: ObjectStore
    name: str
    location: str | None = field(default=None, compare=False)

    @property
    def vendor(self) -> str | None:
        """The kind of backend ("s3", "file", "mem"), or None where a wrapper changes what is stored."""
        where = self.where()
        return None if where is None else where.vendor

    @property
    def is_here(self) -> bool:
        """Whether the objects lie on this machine, so that reading them costs little."""
        return self.store.local or self.vendor == "zip"

    @property
    def lists_encodings(self) -> bool:
        """Whether a listing tells the content encoding of each object; those of cloud services do not."""
        return self.vendor in _TELLING or not self.store.capabilities.metadata

    @property
    def is_files(self) -> bool:
        """Whether the objects are plain files, so that names obey a file system."""
        return self.vendor == "file"

    @property
    def directory(self) -> str | None:
        """The path of the local directory that the place is, or None if it is none."""
        where = self.where()
        if where is None or where.vendor != "file":
            return None
        return os.path.join(where.bucket, where.key[:-1])

    @property
    def identity(self) -> str | None:
        """What the place is, across processes: the same text means the same objects under the same keys.

        None where nobody can tell.
        """
        where, meaning = self.where(), self._meaning()
        if where is None or where.vendor in _FORGETFUL or meaning is None:
            return None
        return "|".join((where.vendor, where.identity, where.bucket, where.key[:-1], *meaning))

    def _meaning(self) -> list[str] | None:
        """What the keys and rows mean where they are not those of the store; None where a wrapper does not tell."""
        meaning: list[str] = []
        store: Any = self.store
        while isinstance(store, ObjectStore):
            if hasattr(store, "meaning"):
                meaning += filter(None, [store.meaning])
            elif isinstance(store, KeyTransform) and not isinstance(store, PrefixStore):
                return None
            store = getattr(store, "store", None)
        return meaning

    def rows(self) -> Iterator[ObjectInfo]:
        """The objects, as the store lists them; directory markers are none."""
        rows = self.store._scan(LIST)
        if not self.store.local:
            rows = engine.ahead(rows)  # the next page comes while this one is looked at
        return (row for row in rows if not is_marker(row))

    def head(self, key: str) -> ObjectInfo | None:
        """The object's info, or None if there is none."""
        try:
            with self.store._read(key, HEAD) as blob:
                return blob.info
        except NotFound:
            return None

    def identified(self, info: ObjectInfo) -> ObjectInfo:
        """The info of this version with something to know it again by.

        Where the store tells neither ETags nor times, the object is read, and the digest of its bytes is its ETag.
        """
        if info.etag is not None or info.last_modified is not None:
            return info
        with self.store._read(info.key) as blob:
            digest = digest_chunks(blob.chunks(), "sha256")
        return replace(info, size=digest.size, etag=etag_of(digest))

    def has_md5_etag(self, key: str) -> bool:
        """Whether an ETag of this object that looks like an MD5 is one, as the service tells; costs a request."""
        store = self._with("_etag_is_md5")
        return store is None or bool(store._etag_is_md5(self.address(key)[-1]))

    def part_size(self, key: str, parts: int) -> int | None:
        """The size (bytes) of the first of so many parts that the object was uploaded in, if told; costs a request."""
        store = self._with("_first_part")
        told = None if store is None else store._first_part(self.address(key)[-1])
        return told[0] if told is not None and told[1] == parts else None

    def _with(self, method: str) -> Any:
        """The store, or the one inside it, that has this method of one vendor; None if none has."""
        store: Any = self.store
        while store is not None and not hasattr(store, method):
            store = getattr(store, "store", None)
        return store

    def native(self, key: str) -> tuple[ObjectStore, str]:
        """The store itself and the object's key there, below the prefixes that only rename it."""
        store: Any = self.store
        while type(store) is PrefixStore:
            store, key = store.store, store.prefix + key
        return store, key

    def address(self, key: str) -> tuple[str, ...]:
        """Which object the key means, comparable between places."""
        store: Any = self.store
        while isinstance(store, SuffixStore | KeyTransform):
            key = store.to_inner(key) if isinstance(store, KeyTransform) else key
            store = store.store
        found = store._locate(key)
        if found is None:
            return ("store", str(id(store)), key)
        if found.vendor == "file":
            return ("file", os.path.realpath(os.path.join(found.bucket, found.key)))
        return (found.vendor, found.identity, found.bucket, found.key)

    def where(self) -> Location | None:
        """Where the place is, as the location of an object "x" in it; None where a wrapper changes what is stored."""
        # Names with suffixes lie in the same tree, though not every byte is found under the name of its key.
        # And of objects that get other names, that one may be somewhere else.
        store: Any = self.store
        while isinstance(store, SuffixStore) or (isinstance(store, KeyTransform) and hasattr(store, "meaning")):
            store = store.store
        location: Location | None = store._locate("x")
        return location

    def root(self) -> tuple[tuple[str, ...], str]:
        """The store below all wrappers, comparable between places, and the prefix of the place's keys in it.

        Where a wrapper gives keys other names than prefixes do, the prefix ends above them: all below may be meant.
        """
        store, prefix = self.base()
        found = store._locate("x")
        if found is None:
            return ("store", str(id(store))), prefix
        if found.vendor == "file":
            return ("file", found.identity), os.path.join(os.path.realpath(found.bucket), found.key[:-1], prefix, "")
        return (found.vendor, found.identity), f"{found.bucket}/{found.key[:-1]}{prefix}"

    def base(self) -> tuple[ObjectStore, str]:
        """The store below all wrappers, and the prefix of the place's keys in it; see ``root``."""
        store: Any = self.store
        prefix = ""
        while isinstance(inner := getattr(store, "store", None), ObjectStore):
            if isinstance(store, KeyTransform):
                prefix = store.prefix + prefix if isinstance(store, PrefixStore) else ""
            store = inner
        return store, prefix


def place(where: Any) -> Place:
    """The place that is meant: one already, a location (text or path), a store, or what has one as ``.store``.

    A location is everything under location + "/": ``run1`` never means ``run10``. Raises ConfigError or TypeError.

    >>> place("mem://places/run1").name
    'mem://places/run1/'
    """
    if isinstance(where, Place):
        return where
    if isinstance(where, ObjectStore):
        return Place(where, where.name)
    if isinstance(where, str | os.PathLike):
        text = os.fspath(where)
        if not isinstance(text, str):
            raise TypeError("a location is text, not bytes")
        store = registry.open_store(text)
        return Place(store, join(redact.text(store.name), ""), redact.url(text) if "://" in text else text)
    inner = getattr(where, "store", None)
    if isinstance(inner, ObjectStore):
        return Place(inner, inner.name)
    raise ConfigError(f"{type(where).__name__} is no place to sync: give a location, a store or a CloudFiles")
