"""What the stores and wrappers do when they are awaited."""

from __future__ import annotations

import asyncio
import io

import pytest

from holdfast import NotFound, Unsupported
from holdfast.aio import (
    AsyncBucketStore,
    AsyncCachingStore,
    AsyncCloudFiles,
    AsyncDictStore,
    AsyncEncryptingStore,
    AsyncFanoutStore,
    AsyncFilesystemStore,
    AsyncGzipStore,
    AsyncHttpStore,
    AsyncJsonStore,
    AsyncMemoryStore,
    AsyncMirroringStore,
    AsyncNotifyingStore,
    AsyncPrefixStore,
    AsyncReadonlyStore,
    AsyncRegexRoutingStore,
    AsyncS3Store,
    AsyncSqliteStore,
    AsyncStore,
    AsyncZipStore,
    async_clear_store,
    async_copy_store,
    async_sync_stores,
)
from holdfast.errors import AlreadyExists, ConfigError, Conflict
from holdfast.stores.memory import MemoryStore
from holdfast.types import ReadOptions, WriteOptions


@pytest.fixture(params=["memory", "file", "sqlite"])
def store(request, tmp_path):
    if request.param == "memory":
        return AsyncStore(MemoryStore())
    if request.param == "file":
        return AsyncFilesystemStore(tmp_path)
    return AsyncSqliteStore(tmp_path / "objects.db")


async def listed(iterator):
    return [item async for item in iterator]


def test_the_five(store):
    async def main():
        async with store:
            with pytest.raises(KeyError):
                await store.get("a/b")
            with pytest.raises(NotFound):
                await store.delete("a/b")
            assert not await store.exists("a/b")
            await store.put("a/b", b"1")
            await store.put("c", b"2")
            assert await store.exists("a/b")
            assert await store.get("a/b") == b"1"
            assert sorted(await listed(store.keys())) == ["a/b", "c"]
            assert await listed(store.keys("a")) == ["a/b"]
            await store.delete("a/b")
            assert await listed(store.keys()) == ["c"]

    asyncio.run(main())


def test_the_conveniences(store):
    async def main():
        async with store:
            made = await store.create("a", b"hello")
            with pytest.raises(AlreadyExists):
                await store.create("a", b"other")
            assert (await store.head("a")).size == 5
            assert await store.get_range("a", 1, 3) == b"el"
            assert await store.get_range("a", -2) == b"lo"
            newer = await store.replace_if("a", b"newer", made.etag)
            with pytest.raises(Conflict):
                await store.replace_if("a", b"newest", made.etag)
            assert (await store.write("d/b", b"1", WriteOptions(metadata={"one": "1"}))).key == "d/b"
            assert (await store.head("d/b")).metadata == {"one": "1"}
            assert (await store.copy("a", "c")).key == "c"
            rows = await listed(store.list(delimiter="/", start_after="a"))
            assert [(row.key, row.is_prefix) for row in rows] == [("c", False), ("d/", True)]
            await store.delete_if("a", newer.etag)
            assert await store.remove(["c", "d/b", "missing"]) == [None, None, None]
            assert await listed(store.keys()) == []

    asyncio.run(main())


def test_a_body_is_read_in_pieces_or_in_part(store):
    data = bytes(range(256)) * 20_000

    async def main():
        async with store:
            await store.put("a", data)
            async with await store.read("a") as blob:
                assert blob.info.key == "a"
                pieces = [bytes(piece) async for piece in blob.chunks()]
            assert b"".join(pieces) == data
            async with await store.read("a", ReadOptions(10, 20)) as blob:
                buffer = bytearray(10)
                assert blob.size == 10
                assert await blob.readinto(buffer) == 10
            assert buffer == data[10:20]

    asyncio.run(main())


def test_a_body_may_be_an_asynchronous_iterator(store):
    async def chunks():
        for number in range(3):
            await asyncio.sleep(0)
            yield b"%d" % number

    async def broken():
        yield b"never"
        raise OSError("the source broke")

    async def main():
        async with store:
            await store.put("a", chunks())
            assert await store.get("a") == b"012"
            with pytest.raises(OSError, match="the source broke"):
                await store.put("a", broken())
            assert await store.get("a") == b"012"

    asyncio.run(main())


def test_a_long_listing_comes_whole_and_can_be_left(store):
    keys = [f"{number:04}" for number in range(2500)]

    async def main():
        async with AsyncCloudFiles(store) as files:
            assert await files.puts((key, b"") for key in keys) == len(keys)
        async with store:
            assert sorted(await listed(store.keys())) == keys
            async for key in store.keys():
                assert key in keys
                break

    asyncio.run(main())


def test_a_store_can_be_used_in_one_loop_after_another(store):
    asyncio.run(store.put("a", b"1"))
    assert asyncio.run(store.get("a")) == b"1"
    asyncio.run(store.aclose())
    asyncio.run(store.aclose())


def test_sqlite_is_cleared(tmp_path):
    async def main():
        async with AsyncSqliteStore(tmp_path / "objects.db") as store:
            await store.put("a", b"1")
            await store.clear()
            assert await listed(store.keys()) == []

    asyncio.run(main())


@pytest.mark.parametrize("kind", [AsyncSqliteStore, AsyncZipStore])
def test_many_are_put_at_once(kind, tmp_path):
    async def main():
        async with kind(tmp_path / "objects") as store:
            stored = [info.key async for info in store.put_many((f"{n:04}", b"%d" % n) for n in range(2500))]
            assert stored == [f"{n:04}" for n in range(2500)]
            assert await store.get("2499") == b"2499"
            async for info in store.put_many([("more", b"1"), ("most", b"2")]):
                assert await store.get(info.key) == b"1"  # acknowledged, so it is there
                break

    asyncio.run(main())


def test_keys_of_an_encrypted_store_are_rotated():
    old, new = bytes(32), bytes(range(32))

    async def main():
        inner = MemoryStore()
        await AsyncEncryptingStore(inner, {"old": old}).put("a", b"hello")
        store = AsyncEncryptingStore(inner, {"old": old, "new": new}, "new")
        assert [(result.key, result.rewritten) for result in await store.rotate()] == [("a", True)]
        assert await AsyncEncryptingStore(inner, {"new": new}).get("a") == b"hello"

    asyncio.run(main())


class Theirs:
    """Five asynchronous methods of a user's."""

    def __init__(self):
        self.objects = {}

    async def get(self, key):
        return self.objects[key]

    async def put(self, key, data):
        self.objects[key] = data

    async def delete(self, key):
        del self.objects[key]

    async def exists(self, key):
        return key in self.objects

    async def keys(self):
        return list(self.objects)


@pytest.mark.parametrize("one", [MemoryStore, AsyncMemoryStore, Theirs])
def test_a_mirror_is_repaired_from_the_child_that_was_given(one):
    async def main():
        trusted, other = one(), AsyncMemoryStore()
        mirror = AsyncMirroringStore([trusted, other])
        await mirror.put("a", b"1")
        await other.delete("a")
        assert [result.key for result in await mirror.repair(trusted)] == ["a"]
        assert await other.get("a") == b"1"
        await other.clear()
        assert len(await mirror.repair(0)) == 1
        with pytest.raises(ValueError, match="one of the mirror's children"):
            await mirror.repair(AsyncMemoryStore())

    asyncio.run(main())


def test_zip_and_dict(tmp_path):
    async def main():
        async with AsyncZipStore(tmp_path / "a.zip") as archive:
            await archive.put("a", b"1")
            assert await archive.get("a") == b"1"
            with pytest.raises(Unsupported):
                await archive.delete("a")
        objects = {"a": None}
        assert await AsyncDictStore(objects).get("a") is None

    asyncio.run(main())


class Client:
    """A boto3 client that remembers how it was called."""

    def __init__(self):
        self.calls = []

    def put_object(self, **arguments):
        self.calls.append(arguments)

    def get_object(self, **arguments):
        return {"Body": io.BytesIO(b"1")}


def test_a_bucket_is_opened_in_both_ways():
    client = Client()
    given = AsyncBucketStore("bucket", client=client)
    named = AsyncBucketStore(
        bucket_name="bucket", endpoint_url="http://127.0.0.1:9", s3_access_key="X", s3_secret_key="Y"
    )
    assert named.name == "s3://http://127.0.0.1:9/bucket"

    async def main():
        async with given as store:
            assert await store.put("a", b"1") is True
            assert await store.get("a") == b"1"

    asyncio.run(main())
    assert client.calls == [{"Bucket": "bucket", "Key": "a", "Body": b"1"}]


def test_a_bucket_of_a_server(moto):
    bucket = AsyncBucketStore(moto.make_bucket(), moto.endpoint, moto.access_key, moto.secret_key)

    async def main():
        async with bucket as store:
            await asyncio.gather(*(store.put(f"a/{n}", b"%d" % n) for n in range(20)))
            assert await asyncio.gather(*(store.get(f"a/{n}") for n in range(20))) == [b"%d" % n for n in range(20)]
            with pytest.raises(KeyError):
                await store.get("missing")
            assert len(await listed(store.keys("a/1"))) == 11
            assert "a/1" in await store.presigned_get("a/1")

    asyncio.run(main())


def test_clouds_and_the_web_are_awaited(moto, nginx):
    async def main():
        options = {"access_key_id": moto.access_key, "secret_access_key": moto.secret_key, "endpoint": moto.endpoint}
        async with AsyncS3Store(moto.make_bucket(), **options) as store:
            made = await store.create("a", b"1")
            assert (await store.replace_if("a", b"2", made.etag)).size == 1
            assert await store.get("a") == b"2"
        (nginx.root / "a").write_bytes(b"hello")
        async with AsyncHttpStore(nginx.endpoint) as web:
            assert await web.get_range("a", 1, 3) == b"el"
            with pytest.raises(Unsupported):
                await web.put("a", b"")

    asyncio.run(main())


def test_wrappers_take_stores_of_either_kind():
    async def main():
        inner = MemoryStore()
        store = AsyncPrefixStore(AsyncGzipStore(inner), "run/")
        await store.put("a", b"hello")
        assert list(inner.keys()) == ["run/a"]
        assert inner.get("run/a")[:2] == b"\x1f\x8b"
        assert await store.get("a") == b"hello"
        with pytest.raises(Unsupported):
            await AsyncReadonlyStore(store).put("a", b"")
        values = AsyncJsonStore(store)
        await values.put("json", {"a": [1, None]})
        assert await values.get("json") == {"a": [1, None]}
        routed = AsyncRegexRoutingStore(AsyncDictStore(), {r"x/.*": store})
        await routed.put("x/1", b"routed")
        assert inner.capabilities.listing
        assert await store.get("x/1") == b"routed"

    asyncio.run(main())


def test_every_child_gets_what_a_fan_out_or_mirror_is_given():
    async def main():
        for kind in (AsyncFanoutStore, AsyncMirroringStore):
            one, two = AsyncDictStore(), AsyncStore(MemoryStore())
            async with kind([one, two]) as store:
                await store.put("a", b"1")
                assert await one.get("a") == await two.get("a") == b"1"
                await one.delete("a")
                assert await store.get("a") == b"1"

    asyncio.run(main())


def test_a_cache_serves_and_forgets():
    async def main():
        origin, cache = AsyncStore(MemoryStore()), AsyncDictStore()
        async with AsyncCachingStore(origin, cache, revalidate="never") as store:
            await store.put("a", b"1")
            assert await store.get("a") == b"1"
            await origin.put("a", b"2")
            assert await store.get("a") == b"1"
            await store.clear("a")
            assert await store.get("a") == b"2"
            await store.clear()
            assert await listed(cache.keys()) == []

    asyncio.run(main())


def test_handlers_are_plain_functions():
    seen = []

    async def main():
        store = AsyncNotifyingStore(MemoryStore())
        store.on_change(lambda inner, action, key, error: seen.append((action, key, error)))
        await store.put("a", b"1")
        await store.delete("a")

        async def handler(*arguments):
            """Never awaited, if it was taken."""

        with pytest.raises(TypeError, match="plain function"):
            store.on_put(handler)

    asyncio.run(main())
    assert seen == [("put", "a", None), ("delete", "a", None)]


def test_whole_stores_are_copied_synced_and_cleared(tmp_path):
    async def main():
        one, two = AsyncDictStore(), AsyncFilesystemStore(tmp_path)
        await asyncio.gather(*(one.put(f"{n}", b"%d" % n) for n in range(50)))
        assert len(await async_copy_store(one, two)) == 50
        await one.put("7", b"x")
        await two.put("more", b"")
        changed = [row.key for row in await async_sync_stores(one, two, delete=True) if row.action != "same"]
        assert changed == ["7", "more"]
        with pytest.raises(ConfigError):
            await async_clear_store(two)
        await async_clear_store(two, confirm=True)
        assert await listed(two.keys()) == []

    asyncio.run(main())


def test_one_await_for_a_whole_batch(tmp_path):
    async def main():
        async with AsyncCloudFiles(f"file://{tmp_path}") as files:
            assert await files.puts([(f"{n}", b"%d" % n) for n in range(300)], compress="gzip") == 300
            assert await files.get([f"{n}" for n in range(300)]) is not None
            assert await files.get("7") == b"7"
            assert (await files.get(["1", "2"], return_dict=True)) == {"1": b"1", "2": b"2"}
            assert await files.exists(["1", "x"]) == {"1": True, "x": False}
            assert len(await listed(files.list())) == 300
            assert await files.put_json("j", [1]) == 1
            assert await files.get_json("j") == [1]
            assert await files.delete(["1", "2"]) == 2
            assert await files.isdir()

    asyncio.run(main())
