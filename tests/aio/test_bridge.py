"""Asynchronous stores of users inside synchronous wrappers inside asynchronous facades."""

from __future__ import annotations

import asyncio
import pickle
import threading

import pytest

from holdfast import PrefixStore, Unsupported
from holdfast.aio import (
    AsyncCachingStore,
    AsyncDictStore,
    AsyncFanoutStore,
    AsyncGzipStore,
    AsyncJsonStore,
    AsyncPrefixStore,
    AsyncStore,
    BridgedStore,
    async_copy_store,
)
from holdfast.errors import NotFound, StoreError


class Theirs:
    """A user's asynchronous store of five methods, which knows where it was called."""

    def __init__(self, *, broken=False):
        self.objects = {}
        self.threads = set()
        self.open = 0
        self.broken = broken

    async def here(self):
        self.threads.add(threading.get_ident())
        await asyncio.sleep(0)

    async def get(self, key):
        await self.here()
        if self.broken:
            raise TimeoutError("their service is slow")
        return self.objects[key]

    async def put(self, key, data):
        await self.here()
        self.objects[key] = data

    async def delete(self, key):
        await self.here()
        del self.objects[key]

    async def exists(self, key):
        await self.here()
        return key in self.objects

    async def keys(self):
        for key in list(self.objects):
            await self.here()
            yield key

    async def __aenter__(self):
        self.open += 1
        return self

    async def __aexit__(self, *error):
        self.open -= 1


async def listed(iterator):
    return [item async for item in iterator]


def test_a_bridged_child_is_called_in_the_loop():
    async def main():
        theirs = Theirs()
        async with AsyncPrefixStore(AsyncGzipStore(theirs), "run/") as store:
            assert theirs.open == 1
            await store.put("a", b"hello")
            assert list(theirs.objects) == ["run/a"]
            assert await store.get("a") == b"hello"
            assert await listed(store.keys()) == ["a"]
            assert await store.exists("a")
            await store.delete("a")
            with pytest.raises(NotFound):
                await store.get("a")
        assert theirs.open == 0
        assert theirs.threads == {threading.get_ident()}

    asyncio.run(main())


def test_fan_out_enters_serves_and_leaves_all_children():
    async def main():
        theirs, more = Theirs(), Theirs()
        async with AsyncFanoutStore([theirs, AsyncDictStore(), more]) as store:
            assert (theirs.open, more.open) == (1, 1)
            await asyncio.gather(*(store.put(f"{n}", b"%d" % n) for n in range(100)))
            assert await asyncio.gather(*(store.get(f"{n}") for n in range(100))) == [b"%d" % n for n in range(100)]
            assert theirs.objects == more.objects
        assert (theirs.open, more.open) == (0, 0)

    asyncio.run(main())


def test_whole_stores_are_bridged_too():
    async def main():
        theirs, ours = Theirs(), AsyncDictStore()
        theirs.objects = {f"{n}": b"%d" % n for n in range(1200)}
        assert len(await async_copy_store(theirs, ours)) == 1200
        assert ours.store.objects == theirs.objects
        cached = AsyncCachingStore(theirs, ours, revalidate="never", identity="theirs")
        assert await cached.get("7") == b"7"

    asyncio.run(main())


def test_a_store_may_await_another_facade():
    class Layered(Theirs):
        def __init__(self):
            super().__init__()
            self.inner = AsyncDictStore()

        async def get(self, key):
            return await self.inner.get(key)

    async def main():
        theirs = Layered()
        await theirs.inner.put("a", b"1")
        store = AsyncPrefixStore(theirs, "")
        async with asyncio.timeout(30):  # more at once than there are threads for either
            assert await asyncio.gather(*(store.get("a") for _ in range(300))) == [b"1"] * 300

    asyncio.run(main())


def test_a_user_s_subclass_is_not_gone_around():
    class Shouting(AsyncDictStore):
        async def get(self, key):
            return (await super().get(key)).upper()

    async def main():
        store = Shouting()
        await store.put("a", b"one")
        assert await AsyncPrefixStore(store, "").get("a") == b"ONE"

    asyncio.run(main())


def test_errors_and_missing_methods_come_through():
    class Four(Theirs):
        keys = property()

    async def main():
        with pytest.raises(TimeoutError, match="their service"):
            await AsyncStore(Theirs(broken=True)).get("a")
        store = AsyncStore(Four())
        assert not store.capabilities.listing
        with pytest.raises(Unsupported):
            await listed(store.keys())

    asyncio.run(main())


def test_values_and_listings_in_a_coroutine():
    class Listing(Theirs):
        async def keys(self):
            return list(self.objects)

    async def main():
        store = AsyncJsonStore(Listing())
        await store.put("a", [1])
        assert await store.get("a") == [1]
        assert await listed(store.keys()) == ["a"]

    asyncio.run(main())


def test_a_bridge_cannot_be_called_from_its_own_loop_or_without_one():
    bridge = BridgedStore(Theirs())
    with pytest.raises(RuntimeError, match="no event loop yet"):
        PrefixStore(bridge, "").get("a")

    async def main():
        await AsyncStore(PrefixStore(bridge, "")).put("a", b"1")
        with pytest.raises(RuntimeError, match="event loop that it blocks"):
            bridge.get("a")

    asyncio.run(main())
    with pytest.raises(StoreError, match="closed"):
        bridge.get("a")
    asyncio.run(AsyncStore(bridge).get("a"))  # another loop, as the first one is over


def test_a_bridge_serves_one_running_loop_at_a_time():
    bridge = BridgedStore(Theirs())
    outcome = []

    def elsewhere():
        try:
            asyncio.run(AsyncStore(bridge).put("a", b"1"))
        except RuntimeError as error:
            outcome.append(str(error))

    async def main():
        await AsyncStore(bridge).put("a", b"1")
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    asyncio.run(main())
    assert "another event loop" in outcome[0]


def test_a_child_gets_bytes_whatever_the_body_was():
    async def chunks():
        yield b"1"
        yield memoryview(b"2")

    async def main():
        theirs, ours = Theirs(), AsyncDictStore()
        for store in (AsyncStore(theirs), AsyncPrefixStore(theirs, ""), ours):
            await store.put("a", chunks())
            assert await store.get("a") == b"12"
        assert type(theirs.objects["a"]) is type(ours.store.objects["a"]) is bytes

    asyncio.run(main())


def test_cancelling_cancels_nothing_of_the_child_s():
    class Slow(Theirs):
        def __init__(self):
            super().__init__()
            self.begun, self.gate = asyncio.Event(), asyncio.Event()

        async def put(self, key, data):
            self.begun.set()
            await self.gate.wait()
            await super().put(key, data)

    async def main():
        theirs = Slow()
        store = AsyncPrefixStore(theirs, "run/")
        write = asyncio.ensure_future(store.put("a", b"1"))
        await theirs.begun.wait()
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
        theirs.gate.set()
        await store.aclose()
        assert theirs.objects == {"run/a": b"1"}

    asyncio.run(main())


def test_stores_to_await_can_be_pickled():
    theirs = Theirs()
    asyncio.run(theirs.put("run/a", b"1"))
    copy = pickle.loads(pickle.dumps(AsyncPrefixStore(theirs, "run/")))
    assert type(copy) is AsyncPrefixStore
    assert asyncio.run(copy.get("a")) == b"1"
