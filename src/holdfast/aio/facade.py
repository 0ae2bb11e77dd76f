"""``AsyncStore``: every method of a store, to await."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable
from functools import partial
from inspect import get_annotations, iscoroutinefunction
from operator import methodcaller
from types import TracebackType
from typing import Any, Self

from .. import locks
from ..blob import Blob, Buffer, join
from ..store import FIVE, READ, WRITE, Facade, ObjectStore, Removed, Store
from ..types import Body, Capabilities, ObjectInfo, ReadOptions, WriteOptions
from .bridge import AsyncObjects, BridgedStore, Items, bridges_in
from .calls import Calls

#: What may be written: a body as everywhere, or the chunks of an asynchronous iterator.
AsyncBody = Body | AsyncIterable[bytes | bytearray | memoryview]
#: What may be wrapped: a store, an ``Async...`` store, or any object with five asynchronous methods.
AnyStore = ObjectStore | AsyncObjects
_HOLDFAST = __name__.partition(".")[0] + "."
#: What a subclass of a synchronous store or wrapper writes, and what is called there.
HOOKS = (
    *("_read", "_write", "_remove", "_scan", "_copy", "_stage", "_locate"),
    *("transform", "reverse_transform", "transform_key", "reverse_transform_key", "to_inner", "to_outer", "route"),
)


def sync(store: AnyStore) -> ObjectStore:
    """The store for synchronous wrappers: itself, what an ``Async...`` store stands for, or a bridge to the loop."""
    if isinstance(store, ObjectStore) and not iscoroutinefunction(store.get):
        return store
    if isinstance(store, AsyncStore) and all(_own(store, name) for name in FIVE):
        return store.store
    awaited: Any = store
    return BridgedStore(awaited)


def _own(store: AsyncStore, name: str) -> bool:
    """Whether the method is of this package: a user's own must not be gone around."""
    module: str = getattr(type(store), name).__module__
    return module.startswith(f"{__package__}.")


class AsyncStore:
    """Any store to await: each method is that of ``.store``, made in one of Holdfast's threads.

    The event loop is never blocked, and awaits run side by side (at most 64 calls at a time, 8 of a local store; the
    others wait their turn). Writes whose bodies come from the loop are counted by themselves, 64 at a time, so that a
    body may await the store that it is written to; it is closed when the write is over. Cancelling an await abandons
    its result: a call that has begun goes on, so a write may still land. ``aclose()``, or the end of ``async with``,
    waits for all calls and closes the store.

    Wrappers take synchronous and asynchronous stores alike. One that is asynchronous itself is called in the event
    loop that awaits the wrapper.

    >>> import asyncio
    >>> from holdfast.stores.memory import MemoryStore
    >>> async def main():
    ...     async with AsyncStore(MemoryStore()) as store:
    ...         await asyncio.gather(*(store.put(key, b"1") for key in "abc"))
    ...         return await store.get("a"), [key async for key in store.keys()]
    >>> asyncio.run(main())
    (b'1', ['a', 'b', 'c'])
    """

    store: ObjectStore

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith(_HOLDFAST):
            return
        ours = [base for base in cls.__mro__ if base.__module__.startswith(_HOLDFAST)]
        twin = get_annotations(next(base for base in ours if "store" in get_annotations(base)), eval_str=True)["store"]
        for name in HOOKS:
            method = getattr(cls, name, None)
            if not any(name in vars(base) for base in ours):
                if method is not None and hasattr(twin, name):
                    cure = f"write it in a {twin.__name__} and wrap that"
                    raise TypeError(f"{cls.__name__} has a method {name}, which nothing here calls: {cure}")
            elif iscoroutinefunction(method):
                raise TypeError(f"{cls.__name__}: {name} is a plain function: it runs in a worker thread")

    def __init__(self, store: AnyStore) -> None:
        self.store = sync(store)
        self._calls = Calls(self.store)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.store!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.store)

    @property
    def name(self) -> str:
        """What errors and logs call this store."""
        return self.store.name

    @property
    def capabilities(self) -> Capabilities:
        """Those of the store."""
        return self.store.capabilities

    # ------------------------------------------------------------------ the five
    async def get(self, key: str) -> Any:
        """The object's bytes; NotFound (a KeyError) if there is none."""
        return await self._calls.call(self.store.get, key)

    async def put(self, key: str, data: AsyncBody) -> Any:
        """Store the bytes under the key, whole, replacing what was there."""
        return await self._calls.write(partial(_put, self.store, key), data)

    async def delete(self, key: str) -> Any:
        """Remove the object; NotFound (a KeyError) if there is none."""
        return await self._calls.call(self.store.delete, key)

    async def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return await self._calls.call(self.store.exists, key)

    def keys(self, prefix: str = "") -> AsyncIterator[str]:
        """An asynchronous iterator over the keys that start with the string ``prefix``."""
        return self._calls.rows(partial(_keys, self.store, prefix))

    # ------------------------------------------------------------------ conveniences
    async def read(self, key: str, options: ReadOptions = READ) -> AsyncBlob:
        """The opened object, or a part of it, or its head; close what you get (``async with``)."""
        return AsyncBlob(
            await self._calls.call(self.store.read, key, options, unwanted=methodcaller("close")), self._calls
        )

    async def write(self, key: str, body: AsyncBody, options: WriteOptions = WRITE) -> ObjectInfo:
        """The info of what was written, whole or not at all, with attributes and under conditions."""
        return await self._calls.write(lambda chunks: self.store.write(key, chunks, options), body)

    async def head(self, key: str) -> ObjectInfo:
        """The object's info without its body, or NotFound."""
        return await self._calls.call(self.store.head, key)

    async def get_range(self, key: str, start: int | None, end: int | None = None) -> bytes:
        """The bytes [start:end) as a slice would give them; a negative start counts from the end."""
        return await self._calls.call(self.store.get_range, key, start, end)

    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> AsyncIterator[ObjectInfo]:
        """An asynchronous iterator over the objects whose keys start with the string ``prefix``."""
        return self._calls.rows(partial(self.store.list, prefix, delimiter=delimiter, start_after=start_after))

    async def create(self, key: str, body: AsyncBody) -> ObjectInfo:
        """The info of a new object; AlreadyExists, atomically, if there is one."""
        return await self._calls.write(partial(self.store.create, key), body)

    async def replace_if(self, key: str, body: AsyncBody, etag: str) -> ObjectInfo:
        """The info of the new version that replaced exactly the version ``etag``; else Conflict."""
        return await self._calls.write(lambda chunks: self.store.replace_if(key, chunks, etag), body)

    async def delete_if(self, key: str, etag: str) -> None:
        """Remove exactly the version ``etag``; Conflict if another is there, NotFound if none."""
        await self._calls.call(self.store.delete_if, key, etag)

    async def remove(self, keys: Iterable[str]) -> Removed:
        """One entry a key, in order: None when it is gone (or never was), else the error."""
        return await self._calls.call(self.store.remove, keys)

    async def copy(self, src: str, dst: str, source: AnyStore | None = None) -> ObjectInfo:
        """The info of the copy of ``src`` (in ``source``, or here), made by the service itself where it can."""
        other = None if source is None else _bound(source)
        return await self._calls.call(self.store.copy, src, dst, other)

    # ------------------------------------------------------------------ opening and closing
    async def aclose(self) -> None:
        """Wait for every call, abandoned ones too, and release what the store opened; harmless when repeated."""
        await self._calls.drain()
        await self._calls.call(self.store.close)

    async def __aenter__(self) -> Self:
        await self._calls.call(self.store.__enter__, unwanted=lambda _: self.store.close())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class AsyncBytesStore(AsyncStore):
    """An AsyncStore of bytes: the base of the ``Async...`` names of stores that give bytes and take bodies."""

    async def get(self, key: str) -> bytes:
        """The object's bytes, checked; NotFound (a KeyError) if there is none."""
        return await self._calls.call(self.store.get, key)

    async def put(self, key: str, data: AsyncBody) -> ObjectInfo:
        """The info of what was stored, whole, in place of what was there."""
        info: ObjectInfo = await self._calls.write(partial(_put, self.store, key), data)
        return info

    async def delete(self, key: str) -> None:
        """Remove the object; NotFound (a KeyError) if there is none."""
        await self._calls.call(self.store.delete, key)


class AsyncBlob:
    """One opened object, to await: take its body by *one* of ``bytes()``, ``chunks()``, ``readinto()``; then close."""

    def __init__(self, blob: Blob, calls: Calls) -> None:
        self._blob = blob
        self._calls = calls
        self._turn = locks.lock()  # a read that nobody awaits any more must be over before the next, or the end

    @property
    def info(self) -> ObjectInfo:
        """What the store says about the whole object."""
        return self._blob.info

    @property
    def size(self) -> int | None:
        """How many bytes the body has (of a range: the range's), or None where that is not known yet."""
        return self._blob.size

    async def bytes(self) -> bytes:
        """The whole body."""
        return await self._calls.call(self._in_turn, self._blob.bytes)

    async def chunks(self) -> AsyncIterator[Buffer]:
        """The body piece by piece; each piece is the caller's until the next one is asked for."""
        chunks = self._blob.chunks()
        while (chunk := await self._calls.call(self._in_turn, next, chunks, None)) is not None:
            yield chunk

    async def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill the buffer from its start and return the count; a cancelled await may still write to it."""
        return await self._calls.call(self._in_turn, self._blob.readinto, buffer)

    async def close(self) -> None:
        """Release what the read holds; harmless when repeated. After a cancelled read it is done when that ends."""
        if self._turn.locked():
            self._calls.start(self._in_turn, self._blob.close)
        else:
            await self._calls.call(self._in_turn, self._blob.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _in_turn(self, function: Any, *args: Any) -> Any:
        with self._turn:
            return function(*args)


def _rebuild(kind: type[AsyncStore], store: ObjectStore) -> AsyncStore:
    made = kind.__new__(kind)
    AsyncStore.__init__(made, store)
    return made


def _keys(store: ObjectStore, prefix: str) -> Iterable[str]:
    return (info.key for info in store.list(prefix)) if prefix else store.keys()


def _put(store: ObjectStore, key: str, body: Any) -> Any:
    # A put of five methods takes bytes; what arrives in pieces from the loop is put together for it.
    if isinstance(body, Generator | Items) and not isinstance(store, Store | Facade):
        body = join(body)
    return store.put(key, body)


def _bound(store: AnyStore) -> ObjectStore:
    other = sync(store)
    for bridge in bridges_in(other):
        bridge.bind(asyncio.get_running_loop())
    return other
