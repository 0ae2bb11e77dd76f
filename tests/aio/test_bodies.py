"""Bodies that are written from the event loop: they may use the store themselves, and are closed when it is over."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading

import pytest

from holdfast.aio import AsyncFilesystemStore, AsyncIdentityStore, AsyncStore, bridge
from holdfast.aio import calls as aio_calls
from holdfast.store import WRITE, ObjectStore, Wrapper
from holdfast.stores.memory import MemoryStore

LONG = 30  # seconds: nothing waits for so long unless something hangs


def run(main):
    async def bounded():
        async with asyncio.timeout(LONG):
            return await main()

    return asyncio.run(bounded())


@pytest.fixture
def few(monkeypatch):
    """Calls of a local store, and writes from the loop, take so few threads that tests can use all of them."""
    monkeypatch.setattr(aio_calls, "LOCAL_CALLS", 2)
    monkeypatch.setattr(aio_calls, "STREAMS", 2)


@pytest.mark.usefixtures("few")
def test_many_bodies_read_the_store_that_they_are_written_to(tmp_path):
    async def main():
        store = AsyncFilesystemStore(str(tmp_path))
        for number in range(8):
            await store.put(f"in/{number}", b"x" * 100)

        async def upper(key):
            async with await store.read(key) as blob:
                async for chunk in blob.chunks():
                    yield bytes(chunk).upper()

        await asyncio.gather(*(store.put(f"out/{number}", upper(f"in/{number}")) for number in range(8)))
        assert [await store.get(f"out/{number}") for number in range(8)] == [b"X" * 100] * 8
        await store.aclose()

    run(main)


@pytest.mark.usefixtures("few")
def test_bodies_write_bodies():
    async def main():
        store = AsyncStore(MemoryStore())

        async def body(depth, number):
            if depth:
                await store.put(f"{depth}/{number}", body(depth - 1, number))
            yield f"{depth}".encode()

        await asyncio.gather(*(store.put(f"top/{number}", body(4, number)) for number in range(6)))
        assert [key async for key in store.keys("top/")] == [f"top/{number}" for number in range(6)]
        await store.aclose()

    run(main)


def test_closing_waits_for_writes_from_the_loop():
    entered, gate, closed = threading.Event(), threading.Event(), threading.Event()
    order = []

    class Held(MemoryStore):
        def _write(self, key, body, options=WRITE):
            entered.set()
            assert gate.wait(LONG)
            order.append("written")
            return super()._write(key, body, options)

        def close(self):
            order.append("closed")
            closed.set()

    async def main():
        store = AsyncStore(Held())

        async def body():
            yield b"1"

        writing = asyncio.ensure_future(store.put("a", body()))
        assert await asyncio.to_thread(entered.wait, LONG)
        writing.cancel()
        closing = asyncio.ensure_future(store.aclose())
        assert not await asyncio.to_thread(closed.wait, 0.1)  # it would be closed at once
        gate.set()
        await closing
        assert order == ["written", "closed"]

    run(main)


class Fails(Wrapper):
    """A store whose writes fail before, in the middle of, or after their bodies."""

    def __init__(self, after):
        super().__init__(MemoryStore())
        self.after = after

    def _write(self, key, body, options=WRITE):
        chunks = iter(body)
        for _ in range(self.after):
            next(chunks, None)
        raise OSError("disk full")


class Source:
    """An asynchronous iterator of two chunks that knows whether it was closed, and by which thread."""

    def __init__(self, *, broken=False):
        self.left = [b"1", b"2"]
        self.closed = []
        self.broken = broken

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop()

    async def aclose(self):
        self.closed.append(threading.get_ident())
        if self.broken:
            raise RuntimeError("cannot be closed")


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("broken", [False, True])
def test_a_body_is_closed_when_its_write_has_failed(after, broken, monkeypatch):
    unraisable = []
    monkeypatch.setattr("sys.unraisablehook", unraisable.append)

    async def main():
        source = Source(broken=broken)
        with pytest.raises(OSError, match="disk full"):
            await AsyncStore(Fails(after)).put("a", source)
        assert source.closed == [threading.get_ident()]
        gc.collect()

    run(main)
    assert not unraisable


def test_a_body_is_closed_once_when_it_was_written():
    async def main():
        source = Source()
        store = AsyncStore(MemoryStore())
        await store.put("a", source)
        assert await store.get("a") == b"21"
        assert len(source.closed) == 1
        with pytest.raises(RuntimeError, match="cannot be closed"):
            await store.put("b", Source(broken=True))

    run(main)


def test_a_store_that_was_opened_for_nobody_is_closed():
    entered, gate, closed = threading.Event(), threading.Event(), threading.Event()

    class Slow(MemoryStore):
        def __enter__(self):
            entered.set()
            assert gate.wait(LONG)
            return self

        def close(self):
            closed.set()

    async def main():
        async def use():
            async with AsyncStore(Slow()):
                raise AssertionError("it was cancelled")

        using = asyncio.ensure_future(use())
        assert await asyncio.to_thread(entered.wait, LONG)
        using.cancel()
        with pytest.raises(asyncio.CancelledError):
            await using
        gate.set()
        assert await asyncio.to_thread(closed.wait, LONG)

    run(main)


class Late(concurrent.futures.Future):
    """A future whose answer comes between the end of a wait and the next look."""

    def exception(self, timeout=None):
        return self._late(super().exception, timeout)

    def result(self, timeout=None):
        return self._late(super().result, timeout)

    def _late(self, ask, timeout):
        if timeout is None or self.done():
            return ask(timeout)
        ask(LONG)
        raise TimeoutError


def test_an_answer_that_comes_with_the_heartbeat_is_taken(monkeypatch):
    class Theirs:
        async def get(self, key):
            await asyncio.sleep(0)
            if key == "slow":
                raise TimeoutError("their service is slow")
            return b"1"

        put = delete = exists = get

    threadsafe = asyncio.run_coroutine_threadsafe

    def late(coroutine, loop):
        future = Late()

        def copy(answered):
            error = answered.exception()
            future.set_result(answered.result()) if error is None else future.set_exception(error)

        threadsafe(coroutine, loop).add_done_callback(copy)
        return future

    monkeypatch.setattr(bridge.asyncio, "run_coroutine_threadsafe", late)

    async def main():
        store = AsyncIdentityStore(Theirs())
        assert isinstance(store.store, ObjectStore)
        assert await store.get("a") == b"1"
        with pytest.raises(TimeoutError, match="their service is slow"):
            await store.get("slow")

    run(main)
