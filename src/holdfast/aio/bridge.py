"""The way back: how a synchronous wrapper, at work in a thread, uses an asynchronous store in its event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from inspect import isawaitable
from typing import Any, Protocol, Self

from ..errors import StoreError
from ..store import ObjectStore
from ..types import Capabilities
from ..wrap._several import stores_in

#: So many keys of an asynchronous listing are fetched at a time.
_GROUP = 1000
#: How often (seconds) a worker that waits for the loop looks whether that still runs.
_HEARTBEAT = 1.0


class AsyncObjects(Protocol):
    """What an asynchronous store has at least; ``keys()`` (an async iterator, or a coroutine of keys) may be added.

    ``get`` and ``delete`` raise KeyError for a missing key. ``aclose``, ``close`` or the methods of ``async with`` are
    used where there are any.
    """

    async def get(self, key: str, /) -> Any:
        """The object's bytes."""

    async def put(self, key: str, data: bytes, /) -> Any:
        """Store the bytes."""

    async def delete(self, key: str, /) -> Any:
        """Remove the object."""

    async def exists(self, key: str, /) -> bool:
        """Whether there is such an object."""


def ask(loop: asyncio.AbstractEventLoop, function: Callable[..., Any], *args: Any, of: str = "") -> Any:
    """What ``await function(*args)`` gives in the loop, for a worker that waits for it."""
    if asyncio._get_running_loop() is loop:
        raise RuntimeError(f"{of}: this would wait for the very event loop that it blocks: await an Async... store")
    answer = _awaited(function, args)
    try:
        future = asyncio.run_coroutine_threadsafe(answer, loop)
    except RuntimeError as error:
        answer.close()
        raise StoreError(f"its event loop is closed: use it from one that runs ({error})", store=of) from error
    while not _answered(future):
        if not loop.is_running():
            future.cancel()
            raise StoreError("its event loop stopped before it answered", store=of)
    try:
        return future.result()
    except BaseException as error:
        if future.cancelled():
            raise StoreError("its event loop cancelled the call", store=of) from error
        raise


def _answered(future: Any) -> bool:
    """Whether there is an answer, an error or a cancellation; waits for it, but not for ever."""
    try:
        future.exception(_HEARTBEAT)
    except TimeoutError:
        return bool(future.done())  # it may have come since
    except Exception:  # noqa: BLE001 - of another kind than an asynchronous cancellation
        return bool(future.cancelled())
    return True


async def _awaited(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    value = function(*args)
    return await value if isawaitable(value) else value


class BridgedStore(ObjectStore):
    """An asynchronous store as a synchronous one, for wrappers that work in threads beside its event loop.

    It has what five methods have. Facades bind it to the loop in which they are awaited; calls from that loop's own
    thread raise RuntimeError, because they would wait for themselves.
    """

    def __init__(self, child: AsyncObjects) -> None:
        self.child = child
        self._loop: asyncio.AbstractEventLoop | None = None
        self._entered = False

    def __repr__(self) -> str:
        return f"BridgedStore({self.child!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.child,)

    @property
    def name(self) -> str:
        """The name of the class that is bridged."""
        return type(self.child).__name__

    @property
    def capabilities(self) -> Capabilities:
        """Those of five methods; listing where there is ``keys``."""
        return Capabilities(listing=hasattr(self.child, "keys"), write=True)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use this loop; a store cannot be used in two that run at the same time."""
        if self._loop is loop:
            return
        if self._loop is not None and self._loop.is_running():
            raise RuntimeError(f"{self.name} is in use in another event loop: make one for each")
        self._loop = loop

    def get(self, key: str) -> bytes:
        """What the child's ``get`` gives."""
        data: bytes = self._ask(self.child.get, key)
        return data

    def put(self, key: str, data: bytes) -> Any:
        """What the child's ``put`` gives."""
        return self._ask(self.child.put, key, data)

    def delete(self, key: str) -> Any:
        """What the child's ``delete`` gives."""
        return self._ask(self.child.delete, key)

    def exists(self, key: str) -> bool:
        """What the child's ``exists`` gives."""
        return bool(self._ask(self.child.exists, key))

    def keys(self) -> Iterator[str]:
        """The child's keys, as they are asked for; Unsupported where it has no ``keys``."""
        keys = getattr(self.child, "keys", None)
        if keys is None:
            raise self._unsupported("keys()")
        return self._keys(keys)

    def _keys(self, keys: Callable[[], Any]) -> Iterator[str]:
        listed: AsyncIterable[str] | Iterable[str] = self._ask(keys)
        if isinstance(listed, AsyncIterable):
            with closing(Items(self._running(), listed, _GROUP, of=self.name)) as keys_listed:
                yield from keys_listed
        else:
            yield from listed

    def close(self) -> None:
        """Close the child, in the way that it was opened or offers."""
        child: Any = self.child
        if self._entered:
            self._entered = False
            self._ask(child.__aexit__, None, None, None)
            return
        close = getattr(child, "aclose", None) or getattr(child, "close", None)
        if close is not None:
            self._ask(close)

    def __enter__(self) -> Self:
        child: Any = self.child
        if hasattr(child, "__aenter__"):
            self._ask(child.__aenter__)
            self._entered = True
        return self

    def _ask(self, function: Callable[..., Any], *args: Any) -> Any:
        return ask(self._running(), function, *args, of=self.name)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError(f"{self.name} has no event loop yet: use it through an Async... store")
        return self._loop


def bridges_in(store: ObjectStore) -> Iterator[BridgedStore]:
    """The bridged stores among a store and those that it wraps (as ``.store`` or ``.stores``)."""
    return (one for one in stores_in(store) if isinstance(one, BridgedStore))


class Items(Iterator[Any]):
    """The items of an asynchronous iterable, for a worker, ``count`` at a time; whoever makes one closes it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, source: AsyncIterable[Any], count: int, *, of: str = ""
    ) -> None:
        self._ask = partial(ask, loop, of=of)
        self._iterator = aiter(source)
        self._count = count
        self._group: Iterator[Any] = iter(())
        self._closed = False

    def __next__(self) -> Any:
        for item in self._group:
            return item
        self._group = iter(self._ask(_take, self._iterator, self._count))
        return next(self._group)

    def close(self) -> None:
        """Close the iterable, if it can be closed; harmless when repeated."""
        close = getattr(self._iterator, "aclose", None)
        if close is not None and not self._closed:
            self._closed = True
            self._ask(close)


async def _take(iterator: AsyncIterator[Any], count: int) -> list[Any]:
    group: list[Any] = []
    async for item in iterator:
        group.append(item)
        if len(group) == count:
            break
    return group
