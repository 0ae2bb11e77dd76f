"""``storage.aioutils``, ``.aiodb`` and ``.aiofs``: stores to await."""

from __future__ import annotations

import asyncio
import importlib
import logging
import pickle

import pytest

from holdfast.compat.storage import aioutils
from holdfast.compat.storage.aiodb import AsyncSqliteStore
from holdfast.compat.storage.aiofs import AsyncFilesystemStore, AsyncHashdirStore, AsyncSafeFilesystemStore
from holdfast.compat.storage.aioutils import (
    AsyncBase64Store,
    AsyncBufferStore,
    AsyncCachingStore,
    AsyncExceptionLoggingStore,
    AsyncFanoutStore,
    AsyncGzipStore,
    AsyncHashPrefixStore,
    AsyncIdentityStore,
    AsyncJsonStore,
    AsyncKeyTransformingStore,
    AsyncKeyValidatingStore,
    AsyncLoggingStore,
    AsyncNotifyingStore,
    AsyncPrefixStore,
    AsyncReadonlyStore,
    AsyncRegexRoutingStore,
    AsyncRegexValidatingStore,
    AsyncTextEncodingStore,
    AsyncTransformingStore,
    AsyncUrlEncodingStore,
    AsyncUrlValidatingStore,
    AsyncWriteonlyStore,
    async_clear_store,
    async_copy_store,
    async_sync_stores,
)
from holdfast.compat.storage.object import DictStore, ObjectStore
from holdfast.compat.storage.utils import KeyTransformer, PrefixKeyTransformer
from tests.compat.rows import row

MODULES = {
    "aiodb": "AsyncSqliteStore",
    "aiofs": "AsyncFilesystemStore AsyncHashdirStore AsyncSafeFilesystemStore",
    "config_builder": "StoreFactory STORES ConfigError register_store StoreRegistry",
    "http": "HttpStore AsyncHttpStore",
    "redis": "RedisStore AsyncRedisStore",
    "aioutils": "AsyncFanoutStore AsyncCachingStore async_copy_store async_clear_store async_sync_stores",
}


class Theirs(ObjectStore):
    """An asynchronous store of a user's, on the original's common base, which knows whether it is open."""

    def __init__(self, objects=()):
        self.objects = dict(objects)
        self.open = 0

    async def get(self, key):
        return self.objects[key]

    async def put(self, key, data):
        self.objects[key] = data

    async def delete(self, key):
        del self.objects[key]

    async def exists(self, key):
        return key in self.objects

    async def keys(self, **options):
        for key in list(self.objects):
            yield key

    async def __aenter__(self):
        self.open += 1
        return self

    async def __aexit__(self, *error):
        self.open -= 1


async def listed(iterator):
    return [item async for item in iterator]


@row("storage", "the modules aioutils, aiodb, aiofs, config_builder, http, redis have all their names")
@pytest.mark.parametrize("module", MODULES)
def test_every_name_is_where_it_was(module):
    found = importlib.import_module(f"holdfast.compat.storage.{module}")
    assert [name for name in MODULES[module].split() if not hasattr(found, name)] == []


@row("storage", "aioutils has an Async version of every util")
def test_every_util_is_awaited():
    utils = importlib.import_module("holdfast.compat.storage.utils")
    names = [f"Async{name}" for name in utils.__all__ if name.endswith("Store") and name != "MirroringStore"]
    names += [f"async_{name}" for name in utils.__all__ if name.endswith(("_store", "_stores"))]
    assert [name for name in [*names, "AsyncFanoutStore"] if name not in aioutils.__all__] == []


@row(
    "storage", "AsyncFanoutStore(children): put into all; get from the first that has it; delete silent; keys the union"
)
def test_fan_out():
    async def main():
        one, two = Theirs({"a": b"1"}), Theirs({"b": b"2"})
        async with AsyncFanoutStore([one, two]) as store:
            assert sorted(await listed(store.keys())) == ["a", "b"]
            assert await store.get("b") == b"2"
            await store.put("c", b"3")
            assert one.objects["c"] == two.objects["c"] == b"3"
            await store.delete("c")
            await store.delete("c")
            assert not await store.exists("c")
            with pytest.raises(KeyError):
                await store.get("c")

    asyncio.run(main())


@row("storage", "enter and exit propagate to the children")
@pytest.mark.parametrize(
    "wrap",
    [
        lambda one, two: AsyncFanoutStore([one, two]),
        AsyncCachingStore,
        lambda one, two: AsyncCachingStore(main_store=AsyncPrefixStore(one, "p/"), cache_store=AsyncGzipStore(two)),
        lambda one, two: AsyncRegexRoutingStore(one, {"x": two}),
    ],
)
def test_children_are_opened_and_closed(wrap):
    async def main():
        one, two = Theirs(), Theirs()
        async with wrap(one, two) as store:
            assert (one.open, two.open) == (1, 1)
            await store.put("a", b"1")
            assert await store.get("a") == b"1"
        assert (one.open, two.open) == (0, 0)

    asyncio.run(main())


def test_children_are_closed_when_one_cannot_be_opened():
    class Failing(Theirs):
        async def __aenter__(self):
            raise OSError("down")

    async def main():
        good = Theirs()
        with pytest.raises(OSError, match="down"):
            async with AsyncFanoutStore([good, Failing()]):
                pass
        assert good.open == 0

    asyncio.run(main())


@row("storage", "AsyncCachingStore(main_store, cache_store), clear(key=None)")
def test_caching(tmp_path):
    async def main():
        main, cache = AsyncFilesystemStore(tmp_path), DictStore()
        store = AsyncCachingStore(main, cache)
        await store.put("a", b"1")
        assert await store.get("a") == b"1"
        assert len(cache.objects) == 1
        await main.put("a", b"2")
        assert await store.get("a") == b"2"
        await store.clear("a")
        assert cache.objects == {}
        await store.get("a")
        await store.clear()
        assert cache.objects == {}
        assert await listed(store.keys()) == ["a"]

    asyncio.run(main())


@row("storage", "async_copy_store, async_clear_store, async_sync_stores")
@row(
    "storage",
    "gap: async_clear_store and async_sync_stores(delete=True) delete while they list",
    "kept and fixed",
    "the keys are listed before anything is changed",
)
def test_whole_stores():
    async def main():
        one, two = Theirs({f"{n}": b"%d" % n for n in range(50)}), Theirs({"7": b"old", "more": b""})
        await async_copy_store(one, two, overwrite=False)
        assert two.objects == {**one.objects, "7": b"old", "more": b""}
        await async_sync_stores(one, two)
        assert two.objects == {**one.objects, "more": b""}
        await async_sync_stores(one, two, delete=True)
        assert two.objects == one.objects
        await async_clear_store(two)
        assert two.objects == {}

    asyncio.run(main())


@row("storage", "AsyncSqliteStore (async with), clear")
def test_sqlite(tmp_path):
    async def main():
        async with AsyncSqliteStore(db_path=str(tmp_path / "objects.db")) as store:
            await store.put("a", b"1")
            assert await store.get("a") == b"1"
            assert await listed(store.keys()) == ["a"]
            with pytest.raises(KeyError):
                await store.delete("missing")
            await store.clear()
            assert await listed(store.keys()) == []

    asyncio.run(main())


@row("storage", "AsyncFilesystemStore, AsyncHashdirStore, AsyncSafeFilesystemStore")
@row(
    "storage",
    "gap: AsyncFilesystemStore.put fails for 'a/b', because it makes no directories",
    "kept and fixed",
    "directories are made",
)
@pytest.mark.parametrize("kind", [AsyncFilesystemStore, AsyncHashdirStore, AsyncSafeFilesystemStore])
def test_files(kind, tmp_path):
    async def main():
        async with kind(tmp_path) as store:
            await store.put("a/b", b"1")
            assert await store.get("a/b") == b"1"
            assert await store.exists("a/b")
            if kind is AsyncHashdirStore:
                with pytest.raises(NotImplementedError):
                    await listed(store.keys())
            else:
                assert await listed(store.keys()) == ["a/b"]
            assert await store.delete("a/b") is True
            with pytest.raises(KeyError):
                await store.get("a/b")

    asyncio.run(main())


class Upper(KeyTransformer):
    def transform_key(self, key):
        return key.upper()

    def reverse_transform_key(self, key):
        return key.lower()


WRAPPERS = {
    "AsyncIdentityStore": (AsyncIdentityStore, b"1", "a", b"1"),
    "AsyncGzipStore": (AsyncGzipStore, b"1", "a", None),
    "AsyncBase64Store": (AsyncBase64Store, b"1", "a", b"MQ=="),
    "AsyncTextEncodingStore": (AsyncTextEncodingStore, "ü", "a", b"\xc3\xbc"),
    "AsyncJsonStore": (AsyncJsonStore, {"b": [1]}, "a", b'{"b": [1]}'),
    "AsyncTransformingStore": (lambda store: AsyncTransformingStore(store, sync_transform=False), b"1", "a", b"1"),
    "AsyncKeyTransformingStore": (lambda store: AsyncKeyTransformingStore(store, Upper()), b"1", "A", b"1"),
    "AsyncPrefixStore": (lambda store: AsyncPrefixStore(store, "p/"), b"1", "p/a", b"1"),
    "AsyncHashPrefixStore": (AsyncHashPrefixStore, b"1", "ca978112/a", b"1"),
    "AsyncUrlEncodingStore": (AsyncUrlEncodingStore, b"1", "a", b"1"),
    "AsyncKeyValidatingStore": (lambda store: AsyncKeyValidatingStore(store, len), b"1", "a", b"1"),
    "AsyncRegexValidatingStore": (lambda store: AsyncRegexValidatingStore(store, "a"), b"1", "a", b"1"),
    "AsyncLoggingStore": (AsyncLoggingStore, b"1", "a", b"1"),
    "AsyncExceptionLoggingStore": (AsyncExceptionLoggingStore, b"1", "a", b"1"),
    "AsyncNotifyingStore": (AsyncNotifyingStore, b"1", "a", b"1"),
}


@row("storage", "the Async wrappers take, keep and give what the synchronous ones do")
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers(wrapper):
    wrap, value, key, stored = WRAPPERS[wrapper]

    async def main():
        inner = Theirs()
        async with wrap(inner) as store:
            assert inner.open == 1
            await store.put("a", value)
            assert list(inner.objects) == [key]
            assert stored is None or inner.objects[key] == stored
            assert await store.get("a") == value
            assert await store.exists("a")
            assert await listed(store.keys()) == ["a"]
            await store.delete("a")
            assert inner.objects == {}

    asyncio.run(main())


def test_refusals_and_answers(caplog):
    async def main():
        inner = Theirs({"a": b"1"})
        for store, method in ((AsyncReadonlyStore(inner), "delete"), (AsyncWriteonlyStore(inner), "get")):
            with pytest.raises(NotImplementedError):
                await getattr(store, method)("a")
        with pytest.raises(KeyError):
            await AsyncUrlValidatingStore(inner).get("a")
        assert await AsyncExceptionLoggingStore(inner, logger=logging.getLogger("test")).get("missing") is None
        assert (await AsyncBufferStore(inner).get("a")).read() == b"1"
        seen = []
        notifying = AsyncNotifyingStore(inner)
        notifying.on_change(lambda _, action, key, error: seen.append((action, key, error)))
        await notifying.put("b", b"")
        assert seen == [("put", "b", None)]
        with pytest.raises(TypeError, match="plain function"):
            notifying.on_put(inner.put)

    asyncio.run(main())


def test_stores_to_await_are_pickled(tmp_path):
    async def main():
        stores = [
            AsyncPrefixStore(AsyncFilesystemStore(tmp_path / "files"), "p/"),
            AsyncSqliteStore(tmp_path / "objects.db"),
            AsyncFanoutStore([AsyncHashdirStore(tmp_path / "one"), AsyncFilesystemStore(tmp_path / "two")]),
        ]
        for store in stores:
            await store.put("a", b"1")
            assert await pickle.loads(pickle.dumps(store)).get("a") == b"1"
        assert pickle.loads(pickle.dumps(stores[1])).db_path == tmp_path / "objects.db"
        assert pickle.loads(pickle.dumps(AsyncHashdirStore(tmp_path))).root_path == tmp_path

    asyncio.run(main())


def test_values_pass_through_wrappers():
    async def main():
        inner = DictStore()
        store = AsyncLoggingStore(AsyncKeyTransformingStore(AsyncJsonStore(inner), PrefixKeyTransformer("p/")))
        await store.put("a", {"b": None})
        assert inner.objects == {"p/a": '{"b": null}'}
        assert await store.get("a") == {"b": None}

    asyncio.run(main())
