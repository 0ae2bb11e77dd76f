"""Methods that a user's asynchronous class brings along are called, or refused when the class is made."""

from __future__ import annotations

import asyncio
import pickle
import threading

import pytest

from holdfast import aio
from holdfast.compat.storage import aioutils
from holdfast.stores.memory import MemoryStore
from holdfast.wrap.key_transformers import HashPrefixKeyTransformer
from holdfast.wrap.transformers import Base64Transformer


class Flipped(aio.AsyncTransformingStore):
    def transform(self, data):
        return bytes(data)[::-1]

    def reverse_transform(self, data):
        return bytes(data)[::-1]


class Backwards(aio.AsyncKeyTransformingStore):
    def transform_key(self, key):
        return key[::-1]

    def reverse_transform_key(self, key):
        return key[::-1]


class Keyed(aio.AsyncTransformingStore):
    """A class with something of its own that its methods need."""

    def __init__(self, store, by):
        super().__init__(store, Base64Transformer())
        self.by = by
        self.threads = set()

    def transform(self, data):
        self.threads.add(threading.get_ident())
        return super().transform(bytes((byte + self.by) % 256 for byte in data))

    def reverse_transform(self, data):
        return bytes((byte - self.by) % 256 for byte in super().reverse_transform(data))


class Upper(aio.AsyncGzipStore):
    def transform(self, data):
        return super().transform(bytes(data).upper())


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


async def chunks():
    yield b"ab"
    yield b"c"


def test_bodies_go_through_a_subclasss_own_methods():
    async def main():
        inner = MemoryStore()
        store = Flipped(inner)
        for write in (lambda: store.put("a", b"abc"), lambda: store.write("a", chunks())):
            await write()
            assert (inner.get("a"), await store.get("a"), await store.get_range("a", 0, 1)) == (b"cba", b"abc", b"a")
        async with await store.read("a") as blob:
            assert await blob.bytes() == b"abc"

    run(main())


def test_keys_go_through_a_subclasss_own_methods():
    async def main():
        inner = MemoryStore()
        store = Backwards(inner)
        await store.put("abc", b"1")
        assert list(inner.keys()) == ["cba"]
        assert [row.key async for row in store.list()] == ["abc"]
        assert await store.remove(["abc"]) == [None]
        assert list(inner.keys()) == []

    run(main())


def test_own_methods_may_use_the_transformer_and_what_the_object_has():
    async def main():
        inner = MemoryStore()
        store = Keyed(inner, 1)
        await store.put("a", b"abc")
        assert (inner.get("a"), await store.get("a")) == (b"YmNk", b"abc")
        assert threading.get_ident() not in store.threads, "bodies are transformed beside the event loop"
        cached = aio.AsyncCachingStore(store, MemoryStore())
        assert [await cached.get("a"), await cached.get("a")] == [b"abc"] * 2
        upper = Upper(inner)
        await upper.put("b", b"abc")
        assert await aio.AsyncGzipStore(inner).get("b") == await upper.get("b") == b"ABC"

    run(main())


@pytest.mark.parametrize("wrapped", [False, True])
def test_own_methods_survive_a_pickle(wrapped):
    async def main():
        store = Keyed(MemoryStore(), 3)
        await store.put("a", b"abc")
        copied = pickle.loads(pickle.dumps(aio.AsyncReadonlyStore(store) if wrapped else store))
        assert await copied.get("a") == b"abc"
        keys = Backwards(MemoryStore())
        await keys.put("abc", b"1")
        again = pickle.loads(pickle.dumps(aio.AsyncReadonlyStore(keys) if wrapped else keys))
        assert await again.get("abc") == b"1"

    run(main())


def test_without_own_methods_bodies_still_stream():
    class Same(aio.AsyncGzipStore):
        """Nothing is changed."""

    inner = MemoryStore()
    assert type(Same(inner).store) is type(aio.AsyncGzipStore(inner).store)
    assert "GzipStore" in repr(Same(inner))
    with_hash = aio.AsyncKeyTransformingStore(inner, HashPrefixKeyTransformer())
    assert with_hash.transform_key("key") == with_hash.store.transform_key("key") == "2c70e12b/key"
    assert with_hash.reverse_transform_key("2c70e12b/key") == "key"
    assert aio.AsyncTransformingStore(inner, Base64Transformer()).transform(b"hello") == b"aGVsbG8="


@pytest.mark.parametrize(
    ("base", "name"),
    [
        (aio.AsyncTransformingStore, "transform"),
        (aio.AsyncGzipStore, "reverse_transform"),
        (aio.AsyncKeyTransformingStore, "transform_key"),
        (aio.AsyncHashPrefixStore, "reverse_transform_key"),
    ],
)
def test_methods_that_nobody_would_await_are_refused(base, name):
    async def method(self, data):
        return data

    with pytest.raises(TypeError, match=f"{name} is a plain function"):
        type("Mine", (base,), {name: method})


@pytest.mark.parametrize(
    ("base", "name"),
    [
        (aio.AsyncPrefixStore, "to_inner"),
        (aio.AsyncRegexRoutingStore, "route"),
        (aio.AsyncReadonlyStore, "_read"),
        (aio.AsyncStore, "_write"),
        (aio.AsyncKeyTransformingStore, "to_outer"),
        (aioutils.AsyncTransformingStore, "transform"),
        (aioutils.AsyncGzipStore, "reverse_transform"),
        (aioutils.AsyncKeyTransformingStore, "transform_key"),
    ],
)
def test_methods_that_nobody_would_call_are_refused(base, name):
    with pytest.raises(TypeError, match=f"{name}, which nothing here calls"):
        type("Mine", (base,), {name: lambda self, *given: None})
