"""The wrappers that transform bodies or keys, to await; their subclasses may bring methods of their own.

A subclass overrides what one of the synchronous class would: plain functions, that are called in worker threads.
"""

from __future__ import annotations

from typing import Any

from ..wrap._single import overrides
from ..wrap.key_transformers import KeyTransformer
from ..wrap.rekey import HashPrefixStore, KeyTransformingStore, UrlEncodingStore
from ..wrap.transform import Base64Store, CompressingStore, GzipStore, TransformingStore
from ..wrap.transformers import DataTransformer
from .facade import AnyStore, AsyncBytesStore, AsyncStore, sync


class AsyncTransformingStore(AsyncBytesStore):
    """A TransformingStore to await: bodies changed by a transformer, or by a subclass's own two methods.

    >>> import asyncio
    >>> from holdfast.stores.memory import MemoryStore
    >>> class Flipped(AsyncTransformingStore):
    ...     def transform(self, data):
    ...         return data[::-1]
    ...
    ...     def reverse_transform(self, data):
    ...         return data[::-1]
    >>> inner = MemoryStore()
    >>> async def main():
    ...     store = Flipped(inner)
    ...     await store.put("a", b"abc")
    ...     return inner.get("a"), await store.get("a")
    >>> asyncio.run(main())
    (b'cba', b'abc')
    """

    store: TransformingStore

    def __init__(self, store: AnyStore, transformer: DataTransformer | None = None) -> None:
        self._stand_for(TransformingStore(sync(store), transformer))

    def _stand_for(self, twin: TransformingStore) -> None:
        self._twin = twin
        own = overrides(self, AsyncTransformingStore, "transform", "reverse_transform")
        AsyncStore.__init__(self, _BodiesOf(self, twin) if own else twin)

    def transform(self, data: Any) -> Any:
        """The bytes to store for a whole body."""
        return self._twin.transform(data)

    def reverse_transform(self, data: Any) -> Any:
        """The whole body whose stored bytes these are."""
        return self._twin.reverse_transform(data)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._twin, _attributes(self))


class AsyncCompressingStore(AsyncTransformingStore):
    """A CompressingStore to await."""

    def __init__(
        self, store: AnyStore, encoding: str = "zstd", level: int | None = None, *, limit: int | None = None
    ) -> None:
        self._stand_for(CompressingStore(sync(store), encoding, level, limit=limit))


class AsyncGzipStore(AsyncTransformingStore):
    """A GzipStore to await."""

    def __init__(self, store: AnyStore, level: int | None = None, *, limit: int | None = None) -> None:
        self._stand_for(GzipStore(sync(store), level, limit=limit))


class AsyncBase64Store(AsyncTransformingStore):
    """A Base64Store to await."""

    def __init__(self, store: AnyStore) -> None:
        self._stand_for(Base64Store(sync(store)))


class AsyncKeyTransformingStore(AsyncBytesStore):
    """A KeyTransformingStore to await: keys changed by a transformer, or by a subclass's own two methods."""

    store: KeyTransformingStore

    def __init__(self, store: AnyStore, transformer: KeyTransformer | None = None) -> None:
        self._stand_for(KeyTransformingStore(sync(store), transformer))

    def _stand_for(self, twin: KeyTransformingStore) -> None:
        self._twin = twin
        own = overrides(self, AsyncKeyTransformingStore, "transform_key", "reverse_transform_key")
        AsyncStore.__init__(self, _KeysOf(self, twin) if own else twin)

    def transform_key(self, key: str) -> str:
        """The key to store the object under."""
        return self._twin.transform_key(key)

    def reverse_transform_key(self, key: str) -> str:
        """The key of the object that is stored under this one; ValueError if there is none."""
        return self._twin.reverse_transform_key(key)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._twin, _attributes(self))


class AsyncHashPrefixStore(AsyncKeyTransformingStore):
    """A HashPrefixStore to await: keys with the start of their hash before them."""

    def __init__(self, store: AnyStore, hash_length: int = 8, separator: str = "/") -> None:
        self._stand_for(HashPrefixStore(sync(store), hash_length, separator))


class AsyncUrlEncodingStore(AsyncKeyTransformingStore):
    """A UrlEncodingStore to await: keys that are percent-encoded inside."""

    def __init__(self, store: AnyStore) -> None:
        self._stand_for(UrlEncodingStore(sync(store)))


class _BodiesOf(TransformingStore):
    """The synchronous side of a subclass with methods of its own: it calls them."""

    def __init__(self, owner: AsyncTransformingStore, twin: TransformingStore) -> None:
        super().__init__(twin.store, twin.transformer)
        self._owner = owner

    def __repr__(self) -> str:
        return repr(self._owner._twin)

    def transform(self, data: Any) -> Any:
        return self._owner.transform(data)

    def reverse_transform(self, data: Any) -> Any:
        return self._owner.reverse_transform(data)

    def __reduce__(self) -> tuple[Any, ...]:
        return _store_of, (self._owner,)


class _KeysOf(KeyTransformingStore):
    """The same for keys."""

    def __init__(self, owner: AsyncKeyTransformingStore, twin: KeyTransformingStore) -> None:
        super().__init__(twin.store, twin.transformer)
        self._owner = owner

    def __repr__(self) -> str:
        return repr(self._owner._twin)

    def transform_key(self, key: str) -> str:
        return self._owner.transform_key(key)

    def reverse_transform_key(self, key: str) -> str:
        return self._owner.reverse_transform_key(key)

    def __reduce__(self) -> tuple[Any, ...]:
        return _store_of, (self._owner,)


def _attributes(store: AsyncTransformingStore | AsyncKeyTransformingStore) -> dict[str, Any]:
    """What a subclass's methods may need of its object."""
    if store.store is store._twin:
        return {}
    return {name: value for name, value in vars(store).items() if name not in {"store", "_calls", "_twin"}}


def _rebuild(kind: Any, twin: Any, attributes: dict[str, Any]) -> Any:
    made = kind.__new__(kind)
    vars(made).update(attributes)
    made._stand_for(twin)
    return made


def _store_of(owner: AsyncStore) -> Any:
    return owner.store
