"""Stores whose keys are other keys inside: all keys under a prefix, or any mapping that can be reversed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from ..blob import Blob, ForwardingStaged, Staged
from ..errors import HoldfastError, InvalidKey
from ..store import LIST, READ, REMOVE, WRITE, ObjectStore, Removed, select
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
from ._refusing import refused
from ._single import SingleStore, overrides
from .key_transformers import HashPrefixKeyTransformer, KeyTransformer, UrlEncodingKeyTransformer


def _rename(error: HoldfastError, inner: str, key: str) -> None:
    # An error about something else (the bucket, or another store that the body came from) keeps its key.
    if error.key == inner:
        error.key = key


class KeyTransform(SingleStore):
    """A native wrapper that calls every object by another key: say how with ``to_inner`` and ``to_outer``.

    Options, bodies, ETags and attributes pass unchanged; infos and the ``key`` of errors carry the outer key (an
    error's text tells the inner one, where the trouble is). The mapping must give every outer key an inner key of
    its own. A listing walks all of the inner store and leaves out what ``to_outer`` calls foreign; where keys keep
    their order or their prefixes, a subclass lists better.
    """

    @abstractmethod
    def to_inner(self, key: str) -> str:
        """The key under which ``.store`` holds the object ``key``; KeyError or ValueError for one that is refused."""

    @abstractmethod
    def to_outer(self, key: str) -> str:
        """The key that ``to_inner`` maps to this one, or ValueError if there is none: the object is not ours."""

    @property
    def capabilities(self) -> Capabilities:
        """Those of the store inside, without the order of its keys."""
        return replace(self.store.capabilities, sorted=False)

    @property
    def lists_attributes(self) -> bool:
        """Whether the rows of the store inside tell every attribute."""
        return getattr(self.store, "lists_attributes", False)

    @property
    def process_local(self) -> bool:
        """Whether no other process can reach the objects inside."""
        return getattr(self.store, "process_local", False)

    @property
    def locked(self) -> Callable[[str], AbstractContextManager[None]]:
        """The ``locked(key)`` of the store inside, by outer keys; an AttributeError where it has none."""
        inner: Any = self.store
        locked = inner.locked
        return lambda key: locked(self._inner(key))

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        inner = self._inner(key)
        try:
            return self.store._read(inner, options).rename(key)
        except HoldfastError as error:
            _rename(error, inner, key)
            raise

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        inner = self._inner(key)
        try:
            return self.store._write(inner, body, options).renamed(key)
        except HoldfastError as error:
            _rename(error, inner, key)
            raise

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        inner: list[str] = []
        refused: dict[int, HoldfastError] = {}
        for place, key in enumerate(keys):
            try:
                inner.append(self._inner(key))
            except HoldfastError as error:
                refused[place] = error
        mapped = [key for place, key in enumerate(keys) if place not in refused]
        try:
            removed = self.store._remove(inner, options) if inner else []
        except HoldfastError as error:
            for inner_key, key in zip(inner, mapped, strict=True):
                _rename(error, inner_key, key)
            raise
        for inner_key, key, failed in zip(inner, mapped, removed, strict=True):
            if failed is not None:
                _rename(failed, inner_key, key)
        answers = iter(removed)
        return [refused[place] if place in refused else next(answers) for place in range(len(keys))]

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        return select(self._outer_rows(self.store._scan(LIST)), options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        # The store inside asks the source where the object really lies, so the source may be re-keyed as well.
        inner = self._inner(dst)
        try:
            return self.store._copy(source, src, inner, options).renamed(dst)
        except HoldfastError as error:
            if error.key != src:
                _rename(error, inner, dst)
            raise

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        inner = self._inner(key)
        try:
            staged = self.store._stage(inner, size, options)
        except HoldfastError as error:
            _rename(error, inner, key)
            raise
        return None if staged is None else _RekeyedStaged(staged, inner, key)

    def _locate(self, key: str) -> Location | None:
        return self.store._locate(self._inner(key))

    def _inner(self, key: str) -> str:
        """What ``to_inner`` gives; a key that it does not take is refused, also in the middle of a batch."""
        try:
            return self.to_inner(key)
        except HoldfastError as error:
            if error.key is None or error.store is None:
                error.key, error.store = key, self.name
            raise
        except (KeyError, ValueError) as error:
            raise refused(key, self.name, error) from error

    def _outer_rows(self, rows: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
        for row in rows:
            try:
                key = self.to_outer(row.key)
            except ValueError:
                continue
            if key:
                yield row.renamed(key)


class PrefixStore(KeyTransform):
    """The objects of a store whose keys start with a prefix, called by the rest of their keys.

    The prefix is a string like any other: for a directory it ends with "/". Everything stays native: listings cost
    their matches, and copies between two prefixes of one bucket are the service's own.

    >>> from holdfast.stores.memory import MemoryStore
    >>> inner = MemoryStore()
    >>> store = PrefixStore(inner, "run1/")
    >>> store.put("a", b"1").key, [info.key for info in inner.list()]
    ('a', ['run1/a'])
    """

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        super().__init__(store)
        if not isinstance(prefix, str):
            raise TypeError(f"a prefix is a str, not {type(prefix).__name__}")
        self.prefix = prefix

    def __repr__(self) -> str:
        return f"PrefixStore({self.store!r}, {self.prefix!r})"

    @property
    def name(self) -> str:
        """The name of the store inside, a slash, the prefix."""
        return f"{self.store.name.removesuffix('/')}/{self.prefix}"

    @property
    def capabilities(self) -> Capabilities:
        """Those of the store inside."""
        return super().capabilities if self._otherwise else self.store.capabilities

    @property
    def _otherwise(self) -> bool:
        """Whether a subclass maps keys in a way of its own, of which nothing is known."""
        return overrides(self, PrefixStore, "to_inner", "to_outer")

    def to_inner(self, key: str) -> str:
        """The prefix and the key."""
        return self.prefix + key

    def to_outer(self, key: str) -> str:
        """What follows the prefix; ValueError for a key without it."""
        if not key.startswith(self.prefix):
            raise ValueError(f"{key!r} does not start with {self.prefix!r}")
        return key[len(self.prefix) :]

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        if self._otherwise:
            return super()._scan(options)
        after = None if options.start_after is None else self.prefix + options.start_after
        inner = replace(options, prefix=self.prefix + options.prefix, start_after=after)
        return self._outer_rows(self.store._scan(inner))


class KeyTransformingStore(KeyTransform):
    """A store whose keys are changed by a KeyTransformer, or by a subclass's own two methods.

    Override ``transform_key`` and ``reverse_transform_key``, or pass a transformer that has them. Listings leave out
    stored keys whose reversal raises ValueError, walk all of the store inside, and are in its order.

    >>> from holdfast.stores.memory import MemoryStore
    >>> class Reversed(KeyTransformingStore):
    ...     def transform_key(self, key):
    ...         return key[::-1]
    ...
    ...     def reverse_transform_key(self, key):
    ...         return key[::-1]
    >>> inner = MemoryStore()
    >>> store = Reversed(inner)
    >>> _ = store.put("abc", b"1")
    >>> list(inner.keys()), list(store.keys())
    (['cba'], ['abc'])
    """

    def __init__(self, store: ObjectStore, transformer: KeyTransformer | None = None) -> None:
        super().__init__(store)
        self.transformer = KeyTransformer() if transformer is None else transformer

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.store!r}, {self.transformer!r})"

    def transform_key(self, key: str) -> str:
        """The key to store the object under."""
        return self.transformer.transform_key(key)

    def reverse_transform_key(self, key: str) -> str:
        """The key of the object that is stored under this one; ValueError if there is none."""
        return self.transformer.reverse_transform_key(key)

    def to_inner(self, key: str) -> str:
        """What ``transform_key`` gives."""
        return self.transform_key(key)

    def to_outer(self, key: str) -> str:
        """What ``reverse_transform_key`` gives."""
        return self.reverse_transform_key(key)


class HashPrefixStore(KeyTransformingStore):
    """A store whose keys have the start of their own SHA-256 before them, so that neighbours lie far apart.

    For services that slow down when many requests go to neighbouring keys. Listings leave out stored keys that do
    not start with their hash; they walk all of the store inside, and come in no order.

    >>> from holdfast.stores.memory import MemoryStore
    >>> inner = MemoryStore()
    >>> _ = HashPrefixStore(inner).put("key", b"1")
    >>> list(inner.keys())
    ['2c70e12b/key']
    """

    def __init__(self, store: ObjectStore, hash_length: int = 8, separator: str = "/") -> None:
        super().__init__(store, HashPrefixKeyTransformer(hash_length, separator))


class UrlEncodingStore(KeyTransformingStore):
    """A store whose keys are percent-encoded inside, slashes excepted, for stores that take few characters.

    Listings leave out stored keys that are encoded otherwise; they cost their matches, and come in no order.

    >>> from holdfast.stores.memory import MemoryStore
    >>> inner = MemoryStore()
    >>> _ = UrlEncodingStore(inner).put("a b/ü", b"1")
    >>> list(inner.keys())
    ['a%20b/%C3%BC']
    """

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store, UrlEncodingKeyTransformer())

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        names = ("to_inner", "to_outer", "transform_key", "reverse_transform_key")
        if overrides(self, UrlEncodingStore, *names):
            return super()._scan(options)
        # Characters are encoded one by one, so a prefix of the key is a prefix of its encoding.
        try:
            inner = ListOptions(self.to_inner(options.prefix))
        except InvalidKey:  # undecoded bytes: those of the key may be joined by others
            inner = LIST
        return select(self._outer_rows(self.store._scan(inner)), options)


class _RekeyedStaged(ForwardingStaged):
    """A staged object whose info carries the outer key."""

    def __init__(self, staged: Staged, inner: str, key: str) -> None:
        super().__init__(staged)
        self._inner = inner
        self._key = key

    def commit(self) -> ObjectInfo:
        try:
            return self._staged.commit().renamed(self._key)
        except HoldfastError as error:
            _rename(error, self._inner, self._key)
            raise
