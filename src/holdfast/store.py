"""The waist: a few verbs below, any number of conveniences above, in two bases that never meet.

``ObjectStore`` is for users: write ``get put delete exists`` (and ``keys``), and the verbs are emulated *from*
them. ``Store`` is for backends and native wrappers: write the verbs, and the five are derived, finally. A class
cannot do both, or a native range read would go around somebody's ``get``.

    _read    key, ReadOptions                -> Blob                      HEAD, ranges and conditions are options
    _write   key, Body, WriteOptions         -> ObjectInfo
    _remove  keys, RemoveOptions             -> list[error | None]        positional, at most remove_batch keys
    _scan    ListOptions                     -> iterator of ObjectInfo
    _copy    source store, src, dst, WriteOptions -> ObjectInfo
    _stage   key, size, WriteOptions         -> Staged | None             for writing one object in parts
    _locate  key                             -> Location | None

The verbs trust their keys; ``check`` runs once, in the public methods.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, final

from .blob import Blob, BytesBlob, Staged, body_bytes
from .errors import Conflict, HoldfastError, NotFound, Unsupported
from .keys import check, sort_key
from .types import (
    Body,
    Capabilities,
    ListOptions,
    Location,
    ObjectInfo,
    ReadOptions,
    RemoveOptions,
    WriteOptions,
)

READ = ReadOptions()
HEAD = ReadOptions(head=True)
WRITE = WriteOptions()
REMOVE = RemoveOptions()
REMOVE_EXISTING = RemoveOptions(must_exist=True)
LIST = ListOptions()

Removed = list[HoldfastError | None]

FIVE = ("get", "put", "delete", "exists", "keys")
CONVENIENCES = ("read", "write", "head", "get_range", "list", "create", "replace_if", "delete_if", "remove", "copy")


def _raise_first(removed: Removed) -> None:
    if removed[0] is not None:
        raise removed[0]


def _forbid(cls: type, names: Sequence[str], base: type, why: str) -> None:
    # Compared as resolved attributes, so that a mixin cannot slip an override in either.
    if changed := [name for name in names if getattr(cls, name) is not getattr(base, name)]:
        raise TypeError(
            f"{cls.__name__} overrides {', '.join(changed)}, {why}: override the underscored verbs, "
            "or subclass SimpleWrapper or ObjectStore"
        )


class ObjectStore(ABC):
    """A store from five methods: subclass, write them, and everything else in Holdfast works over it.

    ``get`` and ``delete`` raise KeyError for a missing key; ``get`` returns bytes; ``keys`` may be left out,
    then the store cannot be listed. What five methods cannot do safely (conditional writes, attributes)
    raises Unsupported; what they can do slowly (ranges, heads, prefix listings) is emulated.

    >>> class Tiny(ObjectStore):
    ...     def __init__(self):
    ...         self.objects = {}
    ...
    ...     def get(self, key):
    ...         return self.objects[key]
    ...
    ...     def put(self, key, data):
    ...         self.objects[key] = data
    ...
    ...     def delete(self, key):
    ...         del self.objects[key]
    ...
    ...     def exists(self, key):
    ...         return key in self.objects
    ...
    ...     def keys(self):
    ...         return iter(self.objects)
    >>> tiny = Tiny()
    >>> tiny.put("a", b"hello")
    >>> tiny.get_range("a", 1, 3)
    b'el'
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _forbid(cls, CONVENIENCES, ObjectStore, "derived from the verbs for every store")

    # ------------------------------------------------------------------ the five
    @abstractmethod
    def get(self, key: str) -> bytes:
        """The object's bytes, or NotFound (a KeyError)."""

    @abstractmethod
    def put(self, key: str, data: bytes) -> Any:
        """Store the bytes under the key, whole, replacing what was there."""

    @abstractmethod
    def delete(self, key: str) -> Any:
        """Remove the object, or raise NotFound (a KeyError)."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is such an object."""

    def keys(self) -> Iterable[str]:
        """All keys; Unsupported where the store cannot list."""
        raise self._unsupported("keys()")

    # ------------------------------------------------------------------ what the store is
    @property
    def name(self) -> str:
        """What errors and logs call this store; never with a secret in it."""
        return type(self).__name__

    @property
    def capabilities(self) -> Capabilities:
        """What this stack of stores does natively and exactly."""
        return Capabilities(listing=type(self).keys is not ObjectStore.keys, write=True)

    @property
    def remove_batch(self) -> int:
        """How many keys one ``_remove`` takes at most."""
        return 1

    @property
    def local(self) -> bool:
        """Whether operations hardly wait, because nothing but this machine takes part: bulk runs start with one thread.

        Short system calls from many threads take longer than from one, because each gives up Python's lock.
        """
        return False

    def close(self) -> None:
        """Release what the store opened; harmless when repeated."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _unsupported(self, operation: str, option: str | None = None, cure: str = "") -> Unsupported:
        with_option = f" with {option}" if option else ""
        return Unsupported(f"cannot do {operation}{with_option}{': ' + cure if cure else ''}", store=self.name)

    # ------------------------------------------------------------------ the verbs, emulated from the five
    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        if options.if_match is not None:
            raise self._unsupported("a read", "if_match")
        try:
            data = self.get(key)
        except HoldfastError:
            raise
        except KeyError as error:
            raise NotFound(f"no object {key!r}", key=key, store=self.name, cause=error) from error
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"{self.name}: get({key!r}) returned {type(data).__name__}, not bytes")
        info = ObjectInfo(key, size=len(data))
        if options.head:
            return BytesBlob(info)
        return BytesBlob(info, data[options.start : options.end] if options.ranged else data)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        if options.conditional:
            raise self._unsupported("a write", "if_absent" if options.if_absent else "if_match")
        for attribute in options.attributes():
            raise self._unsupported("a write", attribute)
        data = bytes(body_bytes(body))
        self.put(key, data)
        return ObjectInfo(key, size=len(data))

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        if options.if_match is not None:
            raise self._unsupported("a delete", "if_match")
        return [self._remove_one(key, options.must_exist) for key in keys]

    def _remove_one(self, key: str, must_exist: bool) -> HoldfastError | None:
        try:
            self.delete(key)
        except HoldfastError as error:
            return error if must_exist or not isinstance(error, NotFound) else None
        except KeyError as error:
            return NotFound(f"no object {key!r}", key=key, store=self.name, cause=error) if must_exist else None
        return None

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        return select((ObjectInfo(key) for key in self.keys()), options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        return stream_copy(source, src, self, dst, options)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        """A target of known size for parts in any order, or None: then write a stream."""
        return None

    def _locate(self, key: str) -> Location | None:
        """Where the object really lies, or None when what lies there is not what a read returns."""
        return None

    # ------------------------------------------------------------------ conveniences: one definition for all
    @final
    def read(self, key: str, options: ReadOptions = READ) -> Blob:
        """The opened object, or a part of it, or its head; close what you get."""
        return self._read(check(key, self.name), options)

    @final
    def write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        """The info of what was written, whole or not at all, with attributes and under conditions."""
        if options.source_if_match is not None:
            raise ValueError("source_if_match goes with a copy: what is written has no source")
        return self._write(check(key, self.name), body, options)

    @final
    def head(self, key: str) -> ObjectInfo:
        """The object's info without its body, or NotFound."""
        with self._read(check(key, self.name), HEAD) as blob:
            return blob.info

    @final
    def get_range(self, key: str, start: int | None, end: int | None = None) -> bytes:
        """The bytes [start:end) as a slice would give them; a negative start counts from the end."""
        with self._read(check(key, self.name), ReadOptions(start, end)) as blob:
            return blob.bytes()

    @final
    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> Iterator[ObjectInfo]:
        """An iterator over the objects whose keys start with the string ``prefix``."""
        return self._scan(ListOptions(prefix, delimiter, start_after))

    @final
    def create(self, key: str, body: Body) -> ObjectInfo:
        """The info of a new object; AlreadyExists, atomically, if there is one."""
        return self._write(check(key, self.name), body, WriteOptions(if_absent=True))

    @final
    def replace_if(self, key: str, body: Body, etag: str) -> ObjectInfo:
        """The info of the new version that replaced exactly the version ``etag``; else Conflict."""
        return self._write(check(key, self.name), body, WriteOptions(if_match=etag))

    @final
    def delete_if(self, key: str, etag: str) -> None:
        """Remove exactly the version ``etag``; Conflict if another is there, NotFound if none."""
        _raise_first(self._remove([check(key, self.name)], RemoveOptions(if_match=etag, must_exist=True)))

    @final
    def remove(self, keys: Iterable[str]) -> Removed:
        """One entry a key, in order: None when it is gone (or never was), else the error."""
        wanted = [check(key, self.name) for key in keys]
        step = max(1, self.remove_batch)
        return [e for at in range(0, len(wanted), step) for e in self._remove(wanted[at : at + step])]

    @final
    def copy(self, src: str, dst: str, source: ObjectStore | None = None) -> ObjectInfo:
        """The info of the copy of ``src`` (in ``source``, or here), made by the service itself where it can."""
        return self._copy(source or self, check(src, self.name), check(dst, self.name))


class Store(ObjectStore):
    """A store from the verbs: the base of backends and native wrappers. The five are derived and final."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _forbid(cls, FIVE, Store, "which native reads and writes would go around")

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities: ...

    @abstractmethod
    def _read(self, key: str, options: ReadOptions = READ) -> Blob: ...

    @abstractmethod
    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo: ...

    @abstractmethod
    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed: ...

    @abstractmethod
    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]: ...

    @final
    def get(self, key: str) -> bytes:
        """The object's bytes, checked; NotFound (a KeyError) if there is none."""
        blob = self._read(check(key, self.name))
        try:  # not ``with``: on a local file its two calls are a tenth of the whole read
            return blob.bytes()
        finally:
            blob.close()

    @final
    def put(self, key: str, data: Body) -> ObjectInfo:
        """The info of what was stored, whole, in place of what was there."""
        return self._write(check(key, self.name), data)

    @final
    def delete(self, key: str) -> None:
        """Remove the object; NotFound (a KeyError) if there is none."""
        _raise_first(self._remove([check(key, self.name)], REMOVE_EXISTING))

    @final
    def exists(self, key: str) -> bool:
        """Whether there is such an object; errors other than its absence are raised."""
        try:
            self._read(check(key, self.name), HEAD).close()
        except NotFound:
            return False
        return True

    @final
    def keys(self, prefix: str = "") -> Iterator[str]:
        """An iterator over the keys that start with the string ``prefix``."""
        return (info.key for info in self._scan(ListOptions(prefix, names_only=True)))


class _Forwarding(ObjectStore):
    """Every verb, forwarded to ``.store``."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.store!r})"

    @property
    def name(self) -> str:
        return self.store.name

    @property
    def capabilities(self) -> Capabilities:
        return self.store.capabilities

    @property
    def remove_batch(self) -> int:
        return self.store.remove_batch

    @property
    def local(self) -> bool:
        return self.store.local

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        return self.store._read(key, options)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        return self.store._write(key, body, options)

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        return self.store._remove(keys, options)

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        return self.store._scan(options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        return self.store._copy(source, src, dst, options)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        return self.store._stage(key, size, options)

    def _locate(self, key: str) -> Location | None:
        return self.store._locate(key)

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Self:
        self.store.__enter__()
        return self


class Wrapper(_Forwarding, Store):
    """A native wrapper: forwards every verb to ``.store``; override what you change.

    Observers subclass this. Policies and transformations had better subclass Store, so that a new verb breaks
    them loudly instead of going around them.
    """


class SimpleWrapper(ObjectStore):
    """A user's wrapper: forwards the five; every other read and write goes through your get and put.

    Because the verbs are emulated from *these* five, an encrypting ``get`` is never gone around by a range read.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    @property
    def name(self) -> str:
        return self.store.name

    @property
    def capabilities(self) -> Capabilities:
        inner = self.store.capabilities
        return Capabilities(listing=inner.listing, sorted=False, write=inner.write)

    @property
    def local(self) -> bool:
        return self.store.local

    def get(self, key: str) -> bytes:
        return self.store.get(key)

    def put(self, key: str, data: bytes) -> Any:
        return self.store.put(key, data)

    def delete(self, key: str) -> Any:
        return self.store.delete(key)

    def exists(self, key: str) -> bool:
        return self.store.exists(key)

    def keys(self) -> Iterable[str]:
        return self.store.keys()

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Self:
        self.store.__enter__()
        return self


class Facade(_Forwarding):
    """A native store under another system's five: verbs forward, the five are yours to adapt.

    For the compatibility classes (a ``put`` that returns True, a ``keys`` that returns a list): bulk work, ranges
    and conditions stay native, because they never pass through the five.
    """


def stream_copy(
    source: ObjectStore, src: str, target: ObjectStore, dst: str, options: WriteOptions = WRITE
) -> ObjectInfo:
    """The info of ``dst``, written from the checked chunks of ``src``, through this process.

    Attributes of the source go along where the target keeps attributes and the options do not say otherwise.
    """
    version = options.source_if_match
    if version is not None:
        options = replace(options, source_if_match=None)
    named = version is not None and source.capabilities.ranges
    with source._read(src, ReadOptions(if_match=version) if named else READ) as blob:
        if version is not None and not named and blob.info.etag != version:
            raise Conflict(f"object {src!r} is not the version {version!r} any more", key=src, store=source.name)
        if not target.capabilities.metadata and blob.encoding and "content_encoding" not in options.attributes():
            cure = "without that its bytes mean something else, so decode them first"
            raise target._unsupported(f"a copy of {src!r}", f"the encoding {blob.encoding}", cure)
        if target.capabilities.metadata:
            kept = blob.info.attributes()
            kept.pop("storage_class", None)  # another service has others
            options = replace(options, **{**kept, **options.attributes()}) if kept else options
        return target._write(dst, blob.chunks(), options)


def select(infos: Iterable[ObjectInfo], options: ListOptions) -> Iterator[ObjectInfo]:
    """The rows that the options ask for, in the order they come; keys after the prefix's delimiter rolled up.

    Rolled-up rows come at their first key. Over sorted rows this is what an S3 listing gives.
    """
    prefix, delimiter = options.prefix, options.delimiter
    after = None if options.start_after is None else sort_key(options.start_after)
    seen: set[str] = set()
    for info in infos:
        key, row = info.key, info
        if not key.startswith(prefix):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        if delimiter and cut >= 0:
            key = key[: cut + len(delimiter)]
            if key in seen:
                continue
            seen.add(key)
            row = ObjectInfo(key, is_prefix=True)  # also where an object has that very key, as in S3
        if after is None or sort_key(key) > after:
            yield row
