"""Objects in this process: a complete store that others are measured against, and the home of ``mem://``."""

from __future__ import annotations

import os
import time
import uuid
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from .. import locks
from ..blob import Blob, Buffer, Staged, body_bytes
from ..errors import AlreadyExists, Conflict, HoldfastError, NotFound
from ..keys import sort_key
from ..store import LIST, READ, REMOVE, WRITE, ObjectStore, Removed, Store, select, stream_copy
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

_EVERYTHING = Capabilities(
    listing=True,
    sorted=True,
    ranges=True,
    metadata=True,
    create=True,
    replace_if=True,
    delete_if=True,
    copy=True,
    atomic_write=True,
    write=True,
)

# One lock for every bucket: a copy between two needs both, and around a fork there is one to hold, so that no
# child inherits it taken or a bucket half changed. Reads of a single object take none.
_lock = locks.lock()
_buckets: dict[str, _Bucket] = {}

# Up to this many new keys are put in their places one by one; more are sorted in together.
_FEW = 16

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class _Object:
    """One version of one object; never changed once it is in a bucket."""

    __slots__ = ("attributes", "data", "etag", "modified")

    def __init__(self, data: bytes, etag: str, attributes: dict[str, Any]) -> None:
        self.data = data
        self.etag = etag
        self.attributes = attributes
        self.modified = time.time()

    def info(self, key: str) -> ObjectInfo:
        attributes = self.attributes
        if "metadata" in attributes:
            attributes = {**attributes, "metadata": dict(attributes["metadata"])}
        modified = datetime.fromtimestamp(self.modified, UTC)
        return ObjectInfo(key, size=len(self.data), etag=self.etag, last_modified=modified, **attributes)


class _Bucket:
    """Objects by key, and the keys in order; everything here but ``objects.get`` wants the lock."""

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.identity = uuid.uuid4().hex
        self.objects: dict[str, _Object] = {}
        self.versions = 0
        self._order: list[str] = []
        self._added: list[str] = []

    def set(self, key: str, data: bytes, attributes: dict[str, Any]) -> _Object:
        # In this order a Ctrl-C between two lines leaves at most a key in _added that rows() skips.
        if key not in self.objects:
            self._added.append(key)
        self.versions += 1
        stored = self.objects[key] = _Object(data, f"v{self.versions}", attributes)
        return stored

    def drop(self, key: str) -> None:
        del self.objects[key]

    def clear(self) -> None:
        self.objects.clear()
        self._order.clear()
        self._added.clear()

    def rows(self, options: ListOptions) -> list[tuple[str, _Object]]:
        """The objects that the options may select, in order, as they are at this moment."""
        order = self._sorted()
        prefix = sort_key(options.prefix)
        length = len(prefix)
        start = bisect_left(order, prefix, key=sort_key)
        if options.start_after is not None:
            start = max(start, bisect_right(order, sort_key(options.start_after), key=sort_key))
        stop = bisect_right(order, prefix, lo=start, key=lambda key: sort_key(key)[:length])
        objects = self.objects
        return [(key, found) for key in order[start:stop] if (found := objects.get(key)) is not None]

    def _sorted(self) -> list[str]:
        """All keys in order, with some that are gone; sorted again only for what was added since."""
        if len(self._order) > 2 * len(self.objects) + _FEW:
            self._order = sorted(self.objects, key=sort_key)
        elif len(self._added) <= _FEW:
            for key in self._added:
                at = bisect_left(self._order, sort_key(key), key=sort_key)
                if self._order[at : at + 1] != [key]:  # a key that was removed and came back is still there
                    insort(self._order, key, key=sort_key)
        else:
            self._order = sorted({*self._order, *self._added} & self.objects.keys(), key=sort_key)
        self._added = []
        return self._order


class _MemoryBlob(Blob):
    """An opened object; its info is built only when somebody looks."""

    __slots__ = ("_data", "_info", "_key", "_object")

    def __init__(self, key: str, stored: _Object, data: bytes) -> None:
        self._key = key
        self._object = stored
        self._data = data
        self._info: ObjectInfo | None = None

    @property
    def info(self) -> ObjectInfo:  # type: ignore[override]
        if self._info is None:
            self._info = self._object.info(self._key)
        return self._info

    @property
    def encoding(self) -> str | None:
        encoding: str | None = self._object.attributes.get("content_encoding")
        return encoding

    @property
    def size(self) -> int:
        return len(self._data)

    def rename(self, key: str) -> _MemoryBlob:
        self._key = key
        self._info = None
        return self

    def chunks(self) -> Iterator[Buffer]:
        if self._data:
            yield self._data

    def bytes(self) -> bytes:
        return self._data


class MemoryStore(Store):
    """A store in this process's memory that can do everything a store can.

    ``MemoryStore("bucket")`` is ``mem://bucket``: all stores of that name in a process share their objects.
    Without a name the objects belong to this store alone. Any number of threads may use it; a listing is a
    snapshot, and every write is a new version with a new ETag. A named store pickles as its name (in another
    process it finds that process's bucket), an unnamed one together with its objects.

    >>> store = MemoryStore()
    >>> store.put("a", b"hello").etag
    'v1'
    >>> store.get_range("a", 1, 3)
    b'el'
    """

    #: Rows of listings tell every attribute that a head tells.
    lists_attributes = True
    #: No other process can reach the objects, so excluding the threads of this one is excluding everybody.
    process_local = True

    def __init__(self, name: str | None = None) -> None:
        self.bucket = name
        if name is None:
            self._bucket = _Bucket(None)
        else:
            with _lock:
                self._bucket = _buckets.setdefault(name, _Bucket(name))

    def __repr__(self) -> str:
        return f"MemoryStore({self.bucket!r})" if self.bucket is not None else "MemoryStore()"

    def __reduce__(self) -> tuple[Any, ...]:
        if self.bucket is not None:
            return (MemoryStore, (self.bucket,))
        with _lock:
            objects = [
                (key, found.data, found.etag, found.modified, dict(found.attributes))
                for key, found in self._bucket.objects.items()
            ]
            return (_rebuild, (self._bucket.versions, objects))

    @property
    def name(self) -> str:
        """The bucket's URL, or ``memory``."""
        return "memory" if self.bucket is None else f"mem://{self.bucket}"

    @property
    def capabilities(self) -> Capabilities:
        """Everything."""
        return _EVERYTHING

    @property
    def local(self) -> bool:
        return True

    @property
    def remove_batch(self) -> int:
        """Enough to take the lock rarely, few enough to let others have it."""
        return 1000

    def clear(self) -> None:
        """Remove every object; ETags do not start over."""
        with _lock:
            self._bucket.clear()

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        stored = self._bucket.objects.get(key)  # one atomic look at an immutable object: no lock
        if stored is None:
            raise self._missing(key)
        if options.if_match is not None and options.if_match != stored.etag:
            raise self._conflict(key, options.if_match, stored)
        if options.head:
            return _MemoryBlob(key, stored, b"")
        data = stored.data[options.start : options.end] if options.ranged else stored.data
        return _MemoryBlob(key, stored, data)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        data = bytes(body_bytes(body))  # outside the lock: a body may be slow, or read this very store
        with _lock:
            return self._store(key, data, options).info(key)

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        if options.if_match is not None and len(keys) != 1:
            raise ValueError("if_match goes with exactly one key")
        with _lock:
            return [self._drop(key, options) for key in keys]

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        with _lock:
            rows = self._bucket.rows(options)
        return select((stored.info(key) for key, stored in rows), options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        location = source._locate(src)
        bucket = None if location is None or location.vendor != "mem" else self._bucket_of(location)
        if location is None or bucket is None:
            return stream_copy(source, src, self, dst, options)
        with _lock:
            stored = bucket.objects.get(location.key)
            if stored is None:
                raise NotFound(f"no object {src!r}", key=src, store=source.name)
            if options.source_if_match not in (None, stored.etag):
                message = f"object {src!r} is not the version {options.source_if_match!r} any more"
                raise Conflict(message, key=src, store=source.name)
            return self._store(dst, stored.data, options, stored.attributes).info(dst)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged:
        return _MemoryStaged(self, key, size, options)

    def _locate(self, key: str) -> Location:
        return Location("mem", self._bucket.identity, self.bucket or "", key)

    def _bucket_of(self, location: Location) -> _Bucket | None:
        """The bucket at that location, if this process has it and it is this one or a named one."""
        found = self._bucket if location.identity == self._bucket.identity else _buckets.get(location.bucket)
        return found if found is not None and found.identity == location.identity else None

    def _store(self, key: str, data: bytes, options: WriteOptions, inherited: dict[str, Any] | None = None) -> _Object:
        """Under the lock: compare, then store; attributes that are not given are inherited."""
        there = self._bucket.objects.get(key)
        if options.if_absent and there is not None:
            raise AlreadyExists(f"there is an object {key!r} already", key=key, store=self.name)
        if options.if_match is not None and (there is None or there.etag != options.if_match):
            raise self._conflict(key, options.if_match, there)
        attributes: dict[str, Any] = {**(inherited or {}), **options.attributes()}
        if "metadata" in attributes:
            attributes["metadata"] = dict(attributes["metadata"])
        return self._bucket.set(key, data, attributes)

    def _drop(self, key: str, options: RemoveOptions) -> HoldfastError | None:
        there = self._bucket.objects.get(key)
        if there is None:
            return self._missing(key) if options.must_exist else None
        if options.if_match is not None and there.etag != options.if_match:
            return self._conflict(key, options.if_match, there)
        self._bucket.drop(key)
        return None

    def _missing(self, key: str) -> NotFound:
        return NotFound(f"no object {key!r}", key=key, store=self.name)

    def _conflict(self, key: str, wanted: str, there: _Object | None) -> Conflict:
        found = "there is none" if there is None else f"it is {there.etag!r}"
        message = f"object {key!r} is not the version {wanted!r}: {found}; read it again"
        return Conflict(message, key=key, store=self.name)


class _MemoryStaged(Staged):
    """Parts of one object, gathered in a buffer until they are committed."""

    def __init__(self, store: MemoryStore, key: str, size: int, options: WriteOptions) -> None:
        self._store = store
        self._key = key
        self._options = options
        self._buffer: bytearray | None = bytearray(size)

    def write_at(self, offset: int, data: Buffer) -> None:
        buffer = self._buffer
        if buffer is None:
            raise ValueError("this staged object is committed or aborted")
        view = memoryview(data).cast("B")
        if offset < 0 or offset + len(view) > len(buffer):
            raise ValueError(f"bytes {offset}:{offset + len(view)} lie outside of the {len(buffer)} that were staged")
        buffer[offset : offset + len(view)] = view

    def commit(self) -> ObjectInfo:
        buffer, self._buffer = self._buffer, None
        if buffer is None:
            raise ValueError("this staged object is committed or aborted")
        return self._store._write(self._key, buffer, self._options)

    def abort(self) -> None:
        self._buffer = None


def _rebuild(versions: int, objects: list[tuple[str, bytes, str, float, dict[str, Any]]]) -> MemoryStore:
    store = MemoryStore()
    for key, data, etag, modified, attributes in objects:
        stored = store._bucket.set(key, data, attributes)
        stored.etag, stored.modified = etag, modified
    store._bucket.versions = versions
    return store


def clear_all() -> None:
    """Empty every named bucket of this process; stores that are open stay usable."""
    with _lock:
        for bucket in _buckets.values():
            bucket.clear()
