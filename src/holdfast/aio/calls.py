"""How an await becomes a call in a worker thread, and its outcome a result in the event loop."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from time import monotonic
from typing import Any, TypeVar

from .. import locks
from ..engine import Lane
from ..store import ObjectStore
from .bridge import Items, bridges_in

Value = TypeVar("Value")

#: How many bodies that are being written await what is called here.
_depth: contextvars.ContextVar[int] = contextvars.ContextVar("holdfast_depth", default=0)

#: So many threads at most make calls of a store that hardly waits: more only wait for Python's lock.
LOCAL_CALLS = 8
#: So many writes at once have bodies that come from the event loop.
STREAMS = 64
#: A listing comes from its worker in groups of so many rows, or of what came in so many seconds.
ROWS = 1000
PATIENCE = 0.05


class Calls:
    """The calls of one facade: made in workers, waited for in whichever event loop awaits them."""

    def __init__(self, *stores: ObjectStore) -> None:
        self._lane = Lane(LOCAL_CALLS if all(store.local for store in stores) else None)
        self._streams: list[Lane] = []
        self._bridges = tuple(bridge for store in stores for bridge in bridges_in(store))

    async def call(
        self,
        function: Callable[..., Value],
        *args: Any,
        unwanted: Callable[[Value], Any] | None = None,
        lane: Lane | None = None,
    ) -> Value:
        """What ``function(*args)`` returns or raises in a worker, which sees the context variables of the caller.

        When the await is cancelled the call is not begun any more; one that has begun goes on, and ``unwanted`` gets
        what it returns.
        """
        loop = asyncio.get_running_loop()
        for bridge in self._bridges:
            bridge.bind(loop)
        future: asyncio.Future[Value] = loop.create_future()

        def told(value: Any, error: BaseException | None) -> None:
            try:
                loop.call_soon_threadsafe(self._settle, future, value, error, unwanted)
            except RuntimeError:  # the loop is closed, so nobody waits any more
                if error is None and unwanted is not None:
                    unwanted(value)

        call = (lane or self._lane).call(partial(contextvars.copy_context().run, function, *args), told)
        try:
            return await future
        except asyncio.CancelledError:
            call.abandoned = True
            if unwanted is not None and future.done() and not future.cancelled() and future.exception() is None:
                self.start(unwanted, future.result())  # it came just before the cancellation
            raise

    async def write(self, write: Callable[[Any], Value], body: Any) -> Value:
        """What ``write(body)`` returns; the chunks of an asynchronous body are asked for in the loop, and it is closed.

        Such a write keeps its thread while its body awaits, perhaps other calls of this facade. So it has a lane
        beside those; and where a body awaits writes of further bodies, there is a lane for each depth.
        """
        if not isinstance(body, AsyncIterable):
            return await self.call(write, body)
        depth = _depth.get()
        while len(self._streams) <= depth:
            self._streams.append(Lane(STREAMS))
        chunks = Items(asyncio.get_running_loop(), body, 1, of="a body")
        return await self.call(_written, write, chunks, depth + 1, lane=self._streams[depth])

    def start(self, function: Callable[..., Any], *args: Any) -> None:
        """Have ``function(*args)`` called by a worker; nobody is told what comes of it, but ``drain`` waits for it."""
        self._lane.call(partial(function, *args), _untold)

    async def drain(self) -> None:
        """Return when every call that has been handed over is over, also those that nobody awaits any more."""
        for _ in range(2):  # the second time for what was opened, unwanted, and is now being closed
            for lane in (*self._streams, self._lane):
                await self._drain(lane)

    async def _drain(self, lane: Lane) -> None:
        loop = asyncio.get_running_loop()
        over = asyncio.Event()

        def told() -> None:
            try:
                loop.call_soon_threadsafe(over.set)
            except RuntimeError:  # this wait was cancelled, and its loop is closed
                return

        lane.when_done(told)
        await over.wait()

    async def rows(self, listing: Callable[[], Iterable[Value]]) -> AsyncIterator[Value]:
        """The items of what ``listing()`` returns, taken in groups by workers."""
        rows = _Rows(listing)
        try:
            while group := await self.call(rows.group):
                for row in group:
                    yield row
        finally:
            self.start(rows.close)  # not awaited: a cancelled await may still be taking its group

    def _settle(
        self,
        future: asyncio.Future[Any],
        value: Any,
        error: BaseException | None,
        unwanted: Callable[[Any], Any] | None,
    ) -> None:
        if future.cancelled():
            if error is None and unwanted is not None:
                self.start(unwanted, value)
        elif error is None:
            future.set_result(value)
        elif isinstance(error, StopIteration):  # means something else to a future, as it does to a generator
            future.set_exception(RuntimeError(f"a store raised {error!r}"))
        else:
            future.set_exception(error)


def _written(write: Callable[[Any], Value], chunks: Items, depth: int) -> Value:
    """What ``write(chunks)`` returns, in a worker; the body's own awaits see how deep they are."""
    _depth.set(depth)
    try:
        value = write(chunks)
    except BaseException:
        with suppress(Exception):  # the write's own error tells more
            chunks.close()
        raise
    chunks.close()
    return value


def _untold(value: Any, error: BaseException | None) -> None:
    """For calls that nobody waits for."""


class _Rows:
    """An iterator that is opened, read and closed by workers, one at a time."""

    def __init__(self, listing: Callable[[], Iterable[Any]]) -> None:
        self._listing = listing
        self._rows: Iterator[Any] | None = None
        self._lock = locks.lock()

    def group(self) -> list[Any]:
        """The next rows; none at the end."""
        with self._lock:
            if self._rows is None:
                self._rows = iter(self._listing())
            until = monotonic() + PATIENCE
            group: list[Any] = []
            for row in islice(self._rows, ROWS):
                group.append(row)
                if monotonic() > until:
                    break
            return group

    def close(self) -> None:
        """Let go of what the listing holds."""
        with self._lock:
            close = getattr(self._rows, "close", None)
            if close is not None:
                close()
