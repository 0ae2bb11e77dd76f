"""A fast store in front of a slow one, that never serves what the slow one no longer holds.

**When a copy is believed** (``revalidate``): with ``"etag"``, the default, every hit asks the origin for the object's
head, and serves the copy only if its ETag is still the object's: one small request instead of a large one, and never
stale. An origin without (strong) ETags is then read each time and not cached. With ``"ttl"`` a copy is served unasked
for ``ttl`` seconds after its reading began or it was last found to be right: nothing is served that another process
replaced longer ago than that. ``"never"`` serves it for good: for objects that never change.

**Writes** go to the origin first; what the cache held of the object is replaced or dropped afterwards (and with
"ttl" and "never" before it as well, so that a crash in between leaves no stale copy, unless another process stores
one at that very time). A write through this store is seen by its readers at once, also where another thread or process
that had read the old object stores its copy afterwards; a write that went around it, or through another process, as
``revalidate`` says. Writes wait for nothing: a body may be made of other objects, or of the old one, read through here.

**What is cached**: objects as they are read whole or written. Threads that miss the same object together fetch it
once. An object of more than 8 MiB is stored first and served from the cache; one larger than ``max_bytes``, or large
and of unknown size, is not cached. A range is cut from a copy where there is one, and otherwise read from the origin.
That a key is missing is never cached.

**What a copy says about itself** is checked on every read: the origin's identity (so that one cache may serve several
stores), the key, the size and a digest for each MiB. A damaged or foreign entry is a miss, also in the middle of a
body: the rest comes from the origin, under the same ETag. A cache that fails makes reads slow, never wrong.

**Bounds**: ``max_bytes`` of entries, the least recently used go first, before another is stored: so one large object
displaces as many as it needs, and is not kept where it does not fit. The cache store may be shared by processes
(a directory, SQLite): each adds up to an eighth of the bound before it counts the others' entries again, so with
several processes the bound may be passed by as much for each. Objects lie below ``entries/`` and ``used/``; whatever
else the cache store holds is left alone.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from ..blob import Blob, Buffer, BytesBlob, ForwardingStaged, Staged, join
from ..errors import IntegrityError, NotFound
from ..store import HEAD, LIST, READ, REMOVE, WRITE, ObjectStore, Removed
from ..types import (
    Body,
    Capabilities,
    ListOptions,
    Location,
    ObjectInfo,
    ReadOptions,
    RemoveOptions,
    WriteOptions,
)
from ._blobs import BegunBlob
from ._bodies import GATHERED
from ._cache_entry import CachedBlob, Entry, EntryWriter, open_entry
from ._freshness import Freshness
from ._identity import identity_of
from ._ledger import ENTRIES, USED, Ledger, log
from ._locks import KeyLocks
from ._several import SeveralStores

Revalidate = Literal["etag", "ttl", "never"]


class CachingStore(SeveralStores):
    """The objects of ``main_store``, with copies in ``cache_store`` (the module tells the rules).

    Several stores may share one ``cache_store``. By default they share copies where their origins are of Holdfast's own
    classes and show the same objects: it counts where these really lie, and what the wrappers around them do. Of a
    user's own classes (five methods, a subclass, a transformer, a function) nobody knows: each object of them is an
    origin of its own, and its copies are lost with it. Give it an ``identity``: stores of one identity share copies.

    >>> from holdfast.stores.memory import MemoryStore
    >>> origin, cache = MemoryStore(), MemoryStore()
    >>> store = CachingStore(origin, cache)
    >>> _ = origin.put("a", b"1")
    >>> store.get("a"), len(list(cache.keys("entries/")))
    (b'1', 1)
    >>> _ = origin.put("a", b"2")
    >>> store.get("a")
    b'2'
    """

    def __init__(
        self,
        main_store: ObjectStore,
        cache_store: ObjectStore,
        *,
        revalidate: Revalidate = "etag",
        ttl: float = 60.0,
        max_bytes: int | None = 1 << 30,
        identity: str | None = None,
    ) -> None:
        super().__init__((main_store, cache_store))
        if revalidate not in {"etag", "ttl", "never"}:
            raise ValueError(f"revalidate is 'etag', 'ttl' or 'never', not {revalidate!r}")
        if not ttl >= 0 or (max_bytes is not None and max_bytes < 0):
            raise ValueError("ttl (seconds) and max_bytes must not be negative")
        if len(self.stores) != 2:
            raise ValueError("a store cannot be its own cache")
        self.main_store = main_store
        self.cache_store = cache_store
        self.revalidate = revalidate
        self.ttl = ttl
        self.max_bytes = max_bytes
        self.identity = identity
        self._named = (0, "")
        self._ledger = Ledger(cache_store, max_bytes)
        self._locks = KeyLocks()
        self._freshness = Freshness()
        self._distrusted: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_named": (0, "")}  # what is copied with the pickle may go on as another store

    def __repr__(self) -> str:
        return f"CachingStore({self.main_store!r}, {self.cache_store!r}, revalidate={self.revalidate!r})"

    @property
    def name(self) -> str:
        """The name of the origin."""
        return self.main_store.name

    @property
    def capabilities(self) -> Capabilities:
        """Those of the origin."""
        return self.main_store.capabilities

    @property
    def local(self) -> bool:
        """Whether the origin is."""
        return self.main_store.local

    @property
    def remove_batch(self) -> int:
        """As many keys as the origin takes."""
        return self.main_store.remove_batch

    def clear(self, key: str | None = None) -> None:
        """Forget the copy of one object, or all copies of everything in the cache; the origin is not touched."""
        if key is not None:
            self._drop(key)
            return
        for place in (ENTRIES, USED):
            paths = [row.key for row in self.cache_store._scan(ListOptions(place))]
            for path, error in zip(paths, self.cache_store.remove(paths), strict=True):
                if error is not None:
                    raise error
                self._ledger.dropped(path)

    # ------------------------------------------------------------------ reading
    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        if options.if_match is not None and not self.main_store.capabilities.ranges:
            return self.main_store._read(key, options)  # which says that it cannot
        if options.head and self.revalidate == "etag":
            return self.main_store._read(key, options)
        entry = self._entry(key)
        blob = None if entry is None else self._hit(key, entry, options)
        if blob is not None:
            return blob
        if options.head or options.ranged or options.if_match is not None:
            return self.main_store._read(key, options)
        return self._fetch(key, entry)

    def _hit(self, key: str, entry: Entry, options: ReadOptions) -> Blob | None:
        """The copy, if it is still right."""
        info = self._valid(key, entry)
        if info is None:
            return None
        if options.if_match is not None and options.if_match != info.etag:
            if self.revalidate != "etag":  # somebody knows another version than the copy: the origin has the last word
                self._drop(key)
            return None
        if options.head:
            return BytesBlob(info)
        blob = self._cached(key, entry, info, options)
        if blob is not None:
            self._ledger.used(entry.path)
        return blob

    def _cached(self, key: str, entry: Entry, info: ObjectInfo, options: ReadOptions) -> Blob | None:
        """The opened copy, or None if it is gone or another one since its trailer was read."""

        def rest(start: int, end: int) -> Iterator[Buffer]:
            """What the copy failed to give, from the origin."""
            log.warning("a copy of %r is damaged or gone: read from the origin", key)
            self._drop(key)
            exact = info.strong_etag if self.main_store.capabilities.ranges else None
            with self.main_store._read(key, ReadOptions(start, end, if_match=exact)) as blob:
                if exact is None and blob.info.size != entry.size:
                    raise IntegrityError(f"object {key!r} changed while it was read", key=key, store=self.name)
                yield from blob.chunks()

        try:
            return CachedBlob(self.cache_store, entry, info, options, rest)
        except Exception as error:  # noqa: BLE001 - whatever a user's class raises, the origin has the object
            log.debug("the copy of %r cannot be opened: %s", key, error)
            return None

    def _valid(self, key: str, entry: Entry) -> ObjectInfo | None:
        """The object's info if the copy is right by the rule of this cache, else None; NotFound if it is gone."""
        now = time.time()
        since = None if self.revalidate == "etag" else self._freshness.since(entry)
        if since is not None and (self.revalidate == "never" or 0 <= now - since < self.ttl):
            return entry.info
        try:
            with self.main_store._read(key, HEAD) as blob:
                info = blob.info
        except NotFound:
            self._drop(key)
            raise
        if info.strong_etag is None or info.strong_etag != entry.info.etag or info.size not in {None, entry.size}:
            return None
        self._freshness.found_right(entry, now)
        return replace(info, size=entry.size)

    def _fetch(self, key: str, seen: Entry | None) -> Blob:
        """The object from the origin, kept for the next reader; one thread at a time fetches it."""
        with self._locks.of(key):
            entry = self._entry(key)
            if entry is not None and (seen is None or entry.etag != seen.etag or entry.stored != seen.stored):
                blob = self._hit(key, entry, READ)  # another thread has just fetched it
                if blob is not None:
                    return blob
            asked = time.time()
            return self._fill(key, self.main_store._read(key), asked)

    def _fill(self, key: str, blob: Blob, asked: float) -> Blob:
        try:
            info, size = blob.info, blob.size
            too_large = self.max_bytes is not None and size is not None and size > self.max_bytes
            if too_large or not self._cacheable(info) or self._in_change(key):
                return blob
            if size is None:
                return self._fill_unknown(key, blob, info, asked)
            if size <= GATHERED:
                data = blob.bytes()
                blob.close()
                self._keep(key, info, iter((data,)), len(data), asked)
                return BytesBlob(info, data)
            with blob:
                self._keep(key, info, blob.chunks(), size, asked)
        except IntegrityError:  # nothing was given out yet: whoever takes the whole of it may have it read twice
            blob.close()
            return self.main_store._read(key)
        except BaseException:
            blob.close()
            raise
        entry = self._entry(key)
        kept = None if entry is None or entry.info.etag != info.etag else self._cached(key, entry, info, READ)
        return self.main_store._read(key) if kept is None else kept

    def _fill_unknown(self, key: str, blob: Blob, info: ObjectInfo, asked: float) -> Blob:
        """A body of unknown size is kept if it turns out to be small."""
        first: list[Buffer] = []
        count = 0
        chunks = blob.chunks()
        for chunk in chunks:
            first.append(bytes(chunk))
            count += len(chunk)
            if count > GATHERED:
                return BegunBlob(blob, first, chunks, lambda: self.main_store._read(key))
        blob.close()
        data = join(first)
        self._keep(key, info, iter((data,)), len(data), asked)
        return BytesBlob(info, data)

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        return self.main_store._scan(options)

    def _locate(self, key: str) -> Location | None:
        return self.main_store._locate(key)

    # ------------------------------------------------------------------ writing
    # No lock is held while the origin works or a body is made: either may read other objects through this store.
    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        data = bytes(body) if isinstance(body, bytes | bytearray | memoryview) and len(body) <= GATHERED else None
        if data is None or self.revalidate != "etag" or (self.max_bytes is not None and len(data) > self.max_bytes):
            with self._changing((key,)):
                return self.main_store._write(key, body if data is None else data, options)
        asked = time.time()
        try:
            info = self.main_store._write(key, data, options)
        except BaseException:
            self._changed(key)  # it may have landed all the same
            raise
        if self._cacheable(info):
            self._keep(
                key, info, iter((data,)), len(data), asked
            )  # whichever of two writes ended last, a hit asks the origin
        else:
            self._changed(key)
        return info

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        with self._changing(keys):
            return self.main_store._remove(keys, options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        with self._changing((dst,)):
            return self.main_store._copy(source, src, dst, options)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        staged = self.main_store._stage(key, size, options)
        return None if staged is None else _CacheStaged(self, key, staged)

    # ------------------------------------------------------------------ the cache
    def _cacheable(self, info: ObjectInfo) -> bool:
        return self.revalidate != "etag" or info.strong_etag is not None

    def _in_change(self, key: str) -> bool:
        """Whether a copy that is kept now would be a stale one after a crash."""
        return self.revalidate != "etag" and self._freshness.is_changing(self._path(key))

    @property
    def _origin(self) -> str:
        """What the origin shows, in a word; in a forked child it may be another store."""
        process = os.getpid()
        if self._named[0] != process:
            self._named = (process, identity_of(self.main_store) if self.identity is None else self.identity)
        return self._named[1]

    def _path(self, key: str) -> str:
        digest = hashlib.sha256(f"{self._origin}\0{key}".encode("utf-8", "surrogateescape")).hexdigest()
        return f"{ENTRIES}{digest[:2]}/{digest}"

    def _entry(self, key: str) -> Entry | None:
        """The copy of the object, sound and its own; whatever is wrong with the cache, it is None."""
        path = self._path(key)
        if path in self._distrusted and not self._drop(key):
            return None
        try:
            return open_entry(self.cache_store, path, self._origin, key)
        except NotFound:
            return None
        except Exception as error:  # noqa: BLE001 - whatever a user's class raises, the origin has the object
            log.warning("the copy of %r cannot be used: %s", key, error)
            return None

    def _keep(self, key: str, info: ObjectInfo, body: Iterator[Buffer], size: int, asked: float) -> None:
        """Store a copy of what the origin was ``asked`` for then; errors of the origin are raised, others logged."""
        path = self._path(key)
        writer = EntryWriter(self._origin, info.renamed(key), body, asked)
        with self._ledger.room(writer.room(size)) as fits:
            try:
                if not fits:
                    self._drop(key)
                    return
                chunks = writer.chunks()
                stored = self.cache_store._write(path, join(chunks) if size <= GATHERED else chunks)
            except Exception as error:
                self._drop(key)
                if writer.failed is not None:
                    raise
                log.warning("%r could not be kept in the cache: %s", key, error)
                return
            self._ledger.added(path, stored.size or writer.room(size))
        if self._in_change(key):  # it began meanwhile
            self._drop(key)

    @contextmanager
    def _changing(self, keys: Sequence[str]) -> Iterator[None]:
        """Around a change of the objects: neither a crash in it nor a reader beside it leaves an old copy behind."""
        with self._freshness.changing([self._path(key) for key in keys]):
            if self.revalidate != "etag":  # nobody would ask the origin about what is left after a crash
                for key in keys:
                    self._drop(key)
            try:
                yield
            finally:
                for key in keys:
                    self._changed(key)

    def _changed(self, key: str) -> None:
        """After a change: neither the copy nor one that another process, which read before, stores later is right."""
        self._freshness.changed(self._path(key))
        self._drop(key)

    def _drop(self, key: str) -> bool:
        """Forget the copy; one that cannot be removed is not used by this process any more."""
        path = self._path(key)
        paths = self._ledger.dropped(path)
        try:
            error: Exception | None = self.cache_store.remove(paths)[0]
        except Exception as raised:  # noqa: BLE001 - whatever a user's class raises: the change itself is done
            error = raised
        if error is None:
            self._distrusted.discard(path)
            return True
        self._distrusted.add(path)
        log.warning("the copy of %r could not be removed from the cache: %s", key, error)
        return False


class _CacheStaged(ForwardingStaged):
    """An upload in parts, after which the old copy is dropped."""

    def __init__(self, store: CachingStore, key: str, staged: Staged) -> None:
        self._store = store
        self._key = key
        super().__init__(staged)

    def commit(self) -> ObjectInfo:
        with self._store._changing((self._key,)):
            return self._staged.commit()
