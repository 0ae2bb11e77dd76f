"""Awaits beside each other: nothing blocks the loop, cancelled ones are abandoned, closing waits."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from holdfast import DictStore, SimpleWrapper, engine
from holdfast.aio import AsyncCloudFiles, AsyncStore
from holdfast.aio import calls as aio_calls
from holdfast.store import READ
from holdfast.stores.memory import MemoryStore
from holdfast.wrap.observe import LoggingStore

LONG = 30  # seconds: nothing waits for so long unless something hangs


class Gated(SimpleWrapper):
    """A store whose gets and puts wait for a gate, and which counts how many wait there at once."""

    def __init__(self, store):
        super().__init__(store)
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.lock = threading.Lock()
        self.here = self.most = 0
        self.closed = False

    @property
    def local(self):
        return False

    def wait(self):
        with self.lock:
            self.here += 1
            self.most = max(self.most, self.here)
        self.entered.release()
        assert self.gate.wait(LONG)
        with self.lock:
            self.here -= 1

    def get(self, key):
        self.wait()
        return super().get(key)

    def put(self, key, data):
        self.wait()
        return super().put(key, data)

    def close(self):
        self.closed = True


async def until(semaphore):
    async with asyncio.timeout(LONG):
        while not semaphore.acquire(blocking=False):  # noqa: ASYNC110 - released by other threads
            await asyncio.sleep(0)


def test_the_loop_goes_on_while_a_store_is_slow():
    async def main():
        inner = Gated(DictStore({"a": b"1"}))
        store = AsyncStore(inner)
        waiting = asyncio.ensure_future(store.get("a"))
        await until(inner.entered)
        for _ in range(100):  # a ticker
            await asyncio.sleep(0)
        assert not waiting.done()
        inner.gate.set()
        assert await waiting == b"1"

    asyncio.run(main())


def test_a_thousand_awaits_share_a_bounded_number_of_threads():
    async def main():
        inner = Gated(DictStore({"a": b"1"}))
        store = AsyncStore(inner)
        waiting = [asyncio.ensure_future(store.get("a")) for _ in range(1000)]
        limit = engine.Lane().limit
        for _ in range(limit):
            await until(inner.entered)
        inner.gate.set()
        assert await asyncio.gather(*waiting) == [b"1"] * 1000
        assert inner.most == limit

    asyncio.run(main())


def test_a_cancelled_await_returns_at_once_and_its_write_may_still_land():
    async def main():
        inner = Gated(DictStore())
        store = AsyncStore(inner)
        write = asyncio.ensure_future(store.put("a", b"1"))
        await until(inner.entered)
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
        closing = asyncio.ensure_future(store.aclose())
        await asyncio.sleep(0.05)
        assert not closing.done()
        assert not inner.closed
        inner.gate.set()
        await closing
        assert inner.closed
        assert inner.store.objects == {"a": b"1"}

    asyncio.run(main())


def test_what_had_not_begun_when_it_was_cancelled_is_not_done(monkeypatch):
    monkeypatch.setattr(engine.Lane, "__init__", narrow(engine.Lane.__init__))

    async def main():
        inner = Gated(DictStore())
        store = AsyncStore(inner)
        first = asyncio.ensure_future(store.put("a", b"1"))
        await until(inner.entered)
        second = asyncio.ensure_future(store.put("b", b"2"))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        inner.gate.set()
        await first
        await store.aclose()
        assert inner.store.objects == {"a": b"1"}

    asyncio.run(main())


def narrow(original):
    """Lanes for one call at a time."""
    return lambda lane, limit=None: original(lane, 1)


def test_an_abandoned_read_is_closed():
    closed = threading.Event()

    class Slow(MemoryStore):
        gate = threading.Event()
        entered = threading.Semaphore(0)

        def _read(self, key, options=READ):
            self.entered.release()
            assert self.gate.wait(LONG)
            return Closing(super()._read(key, options))

    class Closing:
        def __init__(self, blob):
            self.blob = blob

        def close(self):
            self.blob.close()
            closed.set()

    async def main():
        inner = Slow()
        inner.put("a", b"1")
        store = AsyncStore(inner)
        read = asyncio.ensure_future(store.read("a"))
        await until(inner.entered)
        read.cancel()
        await asyncio.sleep(0)
        inner.gate.set()
        await store.aclose()

    asyncio.run(main())
    assert closed.is_set()


def test_the_caller_s_context_goes_along():
    name = contextvars.ContextVar("name", default="none")
    seen = []

    class Looking(DictStore):
        def get(self, key):
            seen.append(name.get())
            return b""

    async def main():
        name.set("request 7")
        await AsyncStore(Looking()).get("a")

    asyncio.run(main())
    assert seen == ["request 7"]


def test_errors_come_as_they_are_even_those_that_futures_do_not_take():
    class Broken(DictStore):
        def get(self, key):
            raise StopIteration(7) if key == "stop" else LookupError(key)

    async def main():
        store = AsyncStore(Broken())
        with pytest.raises(LookupError, match="other"):
            await store.get("other")
        with pytest.raises(RuntimeError, match="StopIteration"):
            await store.get("stop")

    asyncio.run(main())


def test_bulk_work_that_is_awaited_has_many_threads():
    async def main():
        inner = Gated(DictStore({"a": b"1", "b": b"2"}))
        waiting = asyncio.ensure_future(AsyncCloudFiles(inner, num_threads=2).get(["a", "b"], return_dict=True))
        await until(inner.entered)
        await until(inner.entered)  # would never come if the batch ran in one thread
        inner.gate.set()
        assert await waiting == {"a": b"1", "b": b"2"}

    asyncio.run(main())


def test_a_slow_listing_comes_in_smaller_groups(monkeypatch):
    monkeypatch.setattr(aio_calls, "PATIENCE", -1.0)

    async def main():
        store = AsyncStore(LoggingStore(MemoryStore()))
        for key in "abc":
            await store.put(key, b"")
        rows = store.list()
        assert [row.key async for row in rows] == ["a", "b", "c"]

    asyncio.run(main())
