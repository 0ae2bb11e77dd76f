"""Stores of values, to await: text, JSON, buffers, and what a transformer makes of bytes."""

from __future__ import annotations

from typing import Any

from ..types import ObjectInfo
from ..wrap.transform import BufferStore, JsonStore, TextEncodingStore, ValueStore
from ..wrap.transformers import DataTransformer
from .facade import AnyStore, AsyncStore, sync


class AsyncValueStore(AsyncStore):
    """A ValueStore to await: ``put`` takes values, ``get`` gives them."""

    store: ValueStore

    def __init__(self, store: AnyStore, transformer: DataTransformer) -> None:
        super().__init__(ValueStore(sync(store), transformer))

    async def put(self, key: str, data: Any) -> ObjectInfo:
        """The info of the bytes that the value was stored as."""
        return await self._calls.call(self.store.put, key, data)

    async def delete(self, key: str) -> None:
        """Remove the object; NotFound (a KeyError) if there is none."""
        await self._calls.call(self.store.delete, key)


class AsyncTextEncodingStore(AsyncValueStore):
    """A TextEncodingStore to await: values are text."""

    def __init__(self, store: AnyStore, encoding: str = "utf-8") -> None:
        AsyncStore.__init__(self, TextEncodingStore(sync(store), encoding))


class AsyncJsonStore(AsyncValueStore):
    """A JsonStore to await: values are JSON documents."""

    def __init__(self, store: AnyStore) -> None:
        AsyncStore.__init__(self, JsonStore(sync(store)))


class AsyncBufferStore(AsyncValueStore):
    """A BufferStore to await: values are binary files."""

    def __init__(self, store: AnyStore) -> None:
        AsyncStore.__init__(self, BufferStore(sync(store)))
