"""What all compatibility classes are: the original's five methods over a store of Holdfast that does the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from inspect import iscoroutinefunction
from typing import Any, ClassVar, Self

from ...blob import Blob, Staged
from ...store import FIVE, LIST, READ, REMOVE, WRITE, ObjectStore, Removed, SimpleWrapper
from ...types import (
    Body,
    Capabilities,
    ListOptions,
    Location,
    ObjectInfo,
    ReadOptions,
    RemoveOptions,
    WriteOptions,
)

_HERE = __name__.partition(".")[0] + "."


def _foreign(method: Any) -> bool:
    """Whether a method is a user's own."""
    return not getattr(method, "__module__", "").startswith(_HERE)


class Adapted(ObjectStore):
    """A store with the manners of another system: the verbs are those of ``.native``, the five are there to be adapted.

    A subclass of yours may change any of the five. Nothing goes around what it changed: from then on every verb (and so
    every wrapper, range and bulk run) works through your five methods, at the price of what five methods cannot do.
    """

    _changed: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._changed = any(_foreign(getattr(cls, name)) for name in FIVE)

    def __init__(self, native: ObjectStore) -> None:
        self.native = native

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.native!r})"

    # ------------------------------------------------------------------ the five
    def get(self, key: str) -> Any:
        """The object's bytes; NotFound (a KeyError) if there is none."""
        return self.native.get(key)

    def put(self, key: str, data: Any) -> Any:
        """Store the bytes under the key, whole, replacing what was there."""
        return self.native.put(key, data)

    def delete(self, key: str) -> Any:
        """Remove the object; NotFound (a KeyError) if there is none."""
        return self.native.delete(key)

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return self.native.exists(key)

    def keys(self, prefix: str = "") -> Iterable[str]:
        """The keys that start with the string ``prefix``; Unsupported where the store cannot list."""
        return self._listed(prefix)

    def _listed(self, prefix: str) -> Iterator[str]:
        return (info.key for info in self.native._scan(ListOptions(prefix)))

    # ------------------------------------------------------------------ what the store is
    @property
    def name(self) -> str:
        """The name of the store that does the work."""
        return self.native.name

    @property
    def capabilities(self) -> Capabilities:
        """Those of the store that does the work; of a subclass with methods of its own, what five methods can."""
        inner = self.native.capabilities
        if not self._changed:
            return inner
        kind = type(self)
        return Capabilities(listing=inner.listing or _foreign(kind.keys), write=inner.write or _foreign(kind.put))

    @property
    def remove_batch(self) -> int:
        """As many keys as the store that does the work takes; by methods of your own, one."""
        return self._verbs.remove_batch

    @property
    def local(self) -> bool:
        return self.native.local

    def close(self) -> None:
        """Close the store that does the work."""
        self.native.close()

    def __enter__(self) -> Self:
        self.native.__enter__()
        return self

    # ------------------------------------------------------------------ the verbs
    @property
    def _verbs(self) -> ObjectStore:
        return SimpleWrapper(self) if self._changed else self.native

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        return self._verbs._read(key, options)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        return self._verbs._write(key, body, options)

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        return self._verbs._remove(keys, options)

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        return self._verbs._scan(options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        return self._verbs._copy(source, src, dst, options)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        return self._verbs._stage(key, size, options)

    def _locate(self, key: str) -> Location | None:
        return self._verbs._locate(key)


class Wrapping(Adapted):
    """A wrapper whose five methods call those of ``.store``, so that values that are no bytes pass as they are.

    ``inner`` says by which key; the verbs are those of the native wrapper around the same store.
    """

    def __init__(self, store: Any, native: ObjectStore) -> None:
        super().__init__(native)
        self.store = store

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.store!r})"

    @property
    def takes_text(self) -> bool:
        """Whether the store inside holds text as it is."""
        return takes_text(self.store)

    def inner(self, key: str) -> str:
        """The key by which the store inside is asked."""
        return key

    def get(self, key: str) -> Any:
        """What the store inside gives for the key."""
        return self.store.get(self.inner(key))

    def put(self, key: str, data: Any) -> Any:
        """What the store inside answers when it is given the data."""
        return self.store.put(self.inner(key), data)

    def delete(self, key: str) -> Any:
        """What the store inside answers when it is to remove the object."""
        return self.store.delete(self.inner(key))

    def exists(self, key: str) -> bool:
        """Whether the store inside has the object."""
        return bool(self.store.exists(self.inner(key)))


class Borrowed(ObjectStore):
    """Any object with the five methods, as a store: classes of the original need no common base."""

    def __init__(self, objects: Any) -> None:
        self.objects = objects

    def __repr__(self) -> str:
        return repr(self.objects)

    @property
    def name(self) -> str:
        """The name of the object's class."""
        return type(self.objects).__name__

    @property
    def capabilities(self) -> Capabilities:
        """Those of five methods; listing where there is ``keys``."""
        return Capabilities(listing=hasattr(self.objects, "keys"), write=True)

    def get(self, key: str) -> Any:
        """What the object's ``get`` gives."""
        return self.objects.get(key)

    def put(self, key: str, data: Any) -> Any:
        """What the object's ``put`` answers."""
        return self.objects.put(key, data)

    def delete(self, key: str) -> Any:
        """What the object's ``delete`` answers."""
        return self.objects.delete(key)

    def exists(self, key: str) -> bool:
        """What the object's ``exists`` answers."""
        return bool(self.objects.exists(key))

    def keys(self) -> Iterable[str]:
        """The object's keys; Unsupported where it has no ``keys``."""
        keys: Callable[[], Iterable[str]] | None = getattr(self.objects, "keys", None)
        if keys is None:
            raise self._unsupported("keys()")
        return keys()

    def close(self) -> None:
        """Leave the object's ``with`` block, if it has one."""
        leave = getattr(self.objects, "__exit__", None)
        if leave is not None:
            leave(None, None, None)

    def __enter__(self) -> Self:
        enter = getattr(self.objects, "__enter__", None)
        if enter is not None:
            enter()
        return self


def as_store(store: Any) -> ObjectStore:
    """The store itself, or any object with the five methods as one; TypeError for what has to be awaited."""
    if iscoroutinefunction(getattr(store, "get", None)):
        raise TypeError(f"{type(store).__name__} has to be awaited: wrap it with the Async... class of the same name")
    if isinstance(store, ObjectStore):
        return store
    if missing := [name for name in ("get", "put", "delete", "exists") if not hasattr(store, name)]:
        raise TypeError(f"{type(store).__name__} is no store: it has no {', '.join(missing)}")
    return Borrowed(store)


def takes_text(store: Any) -> bool:
    """Whether ``put`` of this store takes text (str) as well as bytes."""
    return bool(getattr(store, "takes_text", False))
