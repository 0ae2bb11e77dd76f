from __future__ import annotations

import os
import time

import pytest

from holdfast.errors import Conflict, IntegrityError, NotFound, StoreError
from holdfast.store import ObjectStore, SimpleWrapper
from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.stores.sqlite import SqliteStore
from holdfast.testing import CountingStore, FaultStore, LatencyStore
from holdfast.testing.suite import together
from holdfast.types import ReadOptions, WriteOptions
from holdfast.wrap import _ledger
from holdfast.wrap.cache import CachingStore
from holdfast.wrap.rekey import PrefixStore
from holdfast.wrap.transform import GzipStore
from tests.user_stores import FourMethods

BIG = os.urandom(9 << 20)


@pytest.fixture
def origin():
    return CountingStore(MemoryStore())


@pytest.fixture(params=["memory", "file", "sqlite"])
def cache(request, tmp_path):
    if request.param == "memory":
        return MemoryStore()
    (tmp_path / "cache").mkdir()
    return FileStore(tmp_path / "cache") if request.param == "file" else SqliteStore(tmp_path / "cache" / "objects.db")


def entries(cache):
    return list(cache.keys("entries/"))


@pytest.mark.parametrize("data", [b"", b"small", os.urandom(100_000), BIG])
@pytest.mark.parametrize("revalidate", ["etag", "ttl", "never"])
def test_the_second_read_moves_no_body_from_the_origin(origin, cache, data, revalidate):
    origin.write("a", data, WriteOptions(content_type="text/x", metadata={"unit": "3"}))
    store = CachingStore(origin, cache, revalidate=revalidate)
    assert store.get("a") == data
    origin.reset()
    assert store.get("a") == data
    assert store.get_range("a", 3, 9) == data[3:9]
    assert store.get_range("a", -70_000) == data[-70_000:]
    with store.read("a") as blob:
        assert b"".join(blob.chunks()) == data
        info = blob.info
    head = origin.store.head("a")
    assert (info.size, info.etag, info.content_type, info.metadata) == (len(data), head.etag, "text/x", {"unit": "3"})
    assert info.last_modified == head.last_modified
    assert store.head("a").etag == head.etag
    assert origin.bytes_read == 0
    assert (origin.calls["read"] > 0) == (revalidate == "etag")


def test_by_default_nothing_stale_is_ever_served(origin, cache):
    store = CachingStore(origin, cache)
    for value in (b"1", b"22", b"333"):
        origin.store.put("a", value)
        assert store.get("a") == value
        assert store.get_range("a", 0, 5) == value
        assert store.head("a").size == len(value)
    origin.store.delete("a")
    with pytest.raises(NotFound):
        store.get("a")
    assert entries(cache) == []


def test_a_ttl_bounds_how_long_a_copy_is_believed(origin, cache, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("holdfast.wrap.cache.time.time", lambda: now[0])
    store = CachingStore(origin, cache, revalidate="ttl", ttl=60)
    origin.store.put("a", b"old")
    assert store.get("a") == b"old"
    origin.store.put("a", b"new")
    now[0] += 59
    assert store.get("a") == b"old"
    assert store.head("a").size == 3
    now[0] += 2
    assert store.get("a") == b"new"
    now[0] += 61
    origin.reset()
    assert store.get("a") == b"new"
    assert store.get("a") == b"new"
    assert (origin.calls["read"], origin.bytes_read) == (1, 0), "asked once, and found right for another minute"
    now[0] -= 10_000
    assert store.get("a") == b"new", "a clock that was put back makes nothing fresh"
    assert origin.calls["read"] > 1


def test_never_means_until_it_is_written_through_here(origin, cache):
    store = CachingStore(origin, cache, revalidate="never")
    store.put("a", b"1")
    assert store.get("a") == b"1"
    origin.store.put("a", b"2")
    assert store.get("a") == b"1"
    store.clear("a")
    assert store.get("a") == b"2"
    for change in (
        lambda: store.put("a", b"33"),
        lambda: store.write("a", iter([b"33"])),
        lambda: store.copy("other", "a"),
        lambda: stage(store, "a", b"33"),
    ):
        origin.store.put("other", b"33")
        store.get("a")
        change()
        assert store.get("a") == b"33"
        origin.store.put("a", b"2")
        store.clear("a")
    store.get("a")
    store.delete("a")
    assert not store.exists("a")


def stage(store, key, data):
    staged = store._stage(key, len(data))
    staged.write_at(0, data)
    staged.commit()
    staged.abort()


def test_the_origin_is_written_first_and_a_failed_write_leaves_no_copy(cache):
    inner = MemoryStore()
    origin = FaultStore(inner)
    for revalidate in ("etag", "ttl", "never"):
        store = CachingStore(origin, cache, revalidate=revalidate)
        store.put("a", b"old")
        store.get("a")
        origin.fail(StoreError("answer lost"), "write", landed=True)
        with pytest.raises(StoreError):
            store.put("a", b"landed")
        assert store.get("a") == b"landed"
        origin.fail(StoreError("refused"), "write")
        with pytest.raises(StoreError):
            store.put("a", b"not landed")
        assert store.get("a") == b"landed"
        origin.fail(StoreError("answer lost"), "remove", landed=True)
        with pytest.raises(StoreError):
            store.delete("a")
        assert not store.exists("a")
        with pytest.raises(NotFound):
            store.get("a")


@pytest.mark.parametrize("verb", ["read", "write", "remove", "scan"])
def test_a_broken_cache_makes_nothing_wrong(origin, verb, caplog):
    broken = FaultStore(MemoryStore())
    store = CachingStore(origin, broken)
    store.put("a", b"1")
    broken.fail(StoreError("cache on fire"), verb, times=1000)
    origin.store.put("a", b"2")
    assert store.get("a") == b"2"
    store.put("a", b"3")
    assert store.get("a") == b"3"
    store.put("big", BIG)
    assert store.get("big") == BIG
    store.delete("a")
    assert not store.exists("a")


def test_a_copy_that_cannot_be_removed_is_not_believed(origin, caplog):
    broken = FaultStore(MemoryStore())
    store = CachingStore(origin, broken, revalidate="never")
    origin.store.put("a", b"old")
    assert store.get("a") == b"old"
    broken.fail(StoreError("read-only disk"), "remove", times=1000)
    store.put("a", b"new")
    assert store.get("a") == b"new"
    assert "could not be removed" in caplog.text


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: b"",
        lambda d: d[:-1],
        lambda d: d[1:],
        lambda d: d[: len(d) // 2],
        lambda d: bytes([d[0] ^ 1]) + d[1:],
        lambda d: d[:-200] + b"\0" + d[-199:],
        lambda d: d[:-8] + b"\xff\xff\xff\xff" + d[-4:],
        lambda d: d.replace(b'"size"', b'"sixe"'),
    ],
)
@pytest.mark.parametrize("data", [b"0123456789" * 10, BIG])
def test_a_damaged_copy_is_never_served(origin, damage, data):
    cache = MemoryStore()
    origin.put("a", data)
    store = CachingStore(origin, cache)
    assert store.get("a") == data
    [path] = entries(cache)
    cache.put(path, damage(cache.get(path)))
    assert store.get("a") == data
    assert store.get_range("a", 1, 5) == data[1:5]
    with store.read("a") as blob:
        assert b"".join(bytes(chunk) for chunk in blob.chunks()) == data


def test_a_copy_of_another_object_is_never_served(origin):
    for revalidate in ("etag", "never"):
        cache = MemoryStore()
        store = CachingStore(origin, cache, revalidate=revalidate)
        paths = {}
        for key in ("a", "b"):
            origin.store.clear()
            origin.store.put("same", b"1")
            origin.store.put(key, key.encode())
            before = set(entries(cache))
            assert store.get(key) == key.encode()
            [paths[key]] = set(entries(cache)) - before
        cache.put(paths["b"], cache.get(paths["a"]))
        assert store.get("b") == b"b"
        other = CachingStore(MemoryStore(), cache, revalidate="never")
        other.main_store.put("b", b"other's")
        cache.put(other._path("b"), cache.get(store._path("b")))
        assert other.get("b") == b"other's"


def test_what_another_process_cached_during_a_write_whose_answer_is_lost_is_dropped():
    class Interrupted(MemoryStore):
        def _write(self, key, body, options=WriteOptions()):  # noqa: B008
            assert other.get(key) == b"old"
            super()._write(key, body, options)
            raise StoreError("answer lost")

    origin, cache = Interrupted(), MemoryStore()
    MemoryStore._write(origin, "a", b"old")
    store, other = (CachingStore(origin, cache, revalidate="never", identity="origin") for _ in range(2))
    with pytest.raises(StoreError):
        store.put("a", b"new")
    assert store.get("a") == other.get("a") == b"new"


def test_damage_in_the_middle_of_a_body_is_made_good_from_the_origin(origin):
    cache = MemoryStore()
    origin.put("a", BIG)
    store = CachingStore(origin, cache)
    store.get("a")
    [path] = entries(cache)
    stored = bytearray(cache.get(path))
    stored[5 << 20] ^= 1
    cache.put(path, bytes(stored))
    origin.reset()
    assert store.get_range("a", 0, 4 << 20) == BIG[: 4 << 20]
    assert origin.bytes_read == 0
    with store.read("a") as blob:
        assert b"".join(bytes(chunk) for chunk in blob.chunks()) == BIG
    assert origin.bytes_read == len(BIG) - (5 << 20)


def test_damage_while_the_origin_changes_is_an_error_and_not_a_mixture(origin):
    cache = MemoryStore()
    origin.put("a", BIG)
    store = CachingStore(origin, cache)
    store.get("a")
    [path] = entries(cache)
    stored = bytearray(cache.get(path))
    stored[5 << 20] ^= 1
    cache.put(path, bytes(stored))
    blob = store.read("a")
    origin.store.put("a", bytes(len(BIG)))
    with pytest.raises((Conflict, IntegrityError)):
        b"".join(blob.chunks())


class Overtaken(FaultStore):
    """An origin whose next read is followed by something else before its reader goes on."""

    meanwhile = None

    def _read(self, key, options=ReadOptions()):  # noqa: B008
        blob = self.store._read(key, options)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return blob


@pytest.mark.parametrize("revalidate", ["etag", "ttl", "never"])
@pytest.mark.parametrize("change", ["put", "stream", "stage", "copy", "delete"])
def test_what_another_process_read_before_a_change_and_stores_after_it_is_not_believed(cache, revalidate, change):
    inner = MemoryStore()
    inner.put("a", b"old")
    inner.put("source", b"new")
    slow = Overtaken(inner)
    here, there = (CachingStore(origin, cache, revalidate=revalidate, identity="origin") for origin in (inner, slow))
    slow.meanwhile = {
        "put": lambda: here.put("a", b"new"),
        "stream": lambda: here.write("a", iter([b"new"])),
        "stage": lambda: stage(here, "a", b"new"),
        "copy": lambda: here.copy("source", "a"),
        "delete": lambda: here.delete("a"),
    }[change]
    assert there.get("a") == b"old"
    if change == "delete":
        with pytest.raises(NotFound):
            here.get("a")
    else:
        assert [here.get("a"), here.get_range("a", 0, 3), here.get("a")] == [b"new"] * 3


def test_a_ttl_counts_from_when_the_origin_was_asked(cache, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("holdfast.wrap.cache.time.time", lambda: now[0])
    inner = MemoryStore()
    inner.put("a", b"old")
    slow = Overtaken(inner)
    store = CachingStore(slow, cache, revalidate="ttl", ttl=60)

    def meanwhile():
        inner.put("a", b"new")
        now[0] += 50

    slow.meanwhile = meanwhile
    assert store.get("a") == b"old"
    now[0] += 20
    assert store.get("a") == b"new", "it was written 70 s ago"


def test_that_a_copy_was_right_says_nothing_about_another(cache, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("holdfast.wrap.cache.time.time", lambda: now[0])
    origin = MemoryStore()
    origin.put("a", b"old")
    here, there = (CachingStore(origin, cache, revalidate="ttl", identity="origin") for _ in range(2))
    there.get("a")
    [path] = entries(cache)
    stored_late = cache.get(path)
    origin.put("a", b"new")
    there.clear()
    here.get("a")
    now[0] += 61
    assert here.get("a") == b"new", "asked, and right for another minute"
    cache.put(path, stored_late)
    now[0] += 30
    assert here.get("a") == b"new"


def test_of_many_changes_the_forgotten_ones_still_count(origin, monkeypatch):
    monkeypatch.setattr("holdfast.wrap._freshness.REMEMBERED", 3)
    cache = MemoryStore()
    here, there = (CachingStore(origin, cache, revalidate="never", identity="origin") for _ in range(2))
    origin.put("k0", b"old")
    there.get("k0")
    stale = {path: cache.get(path) for path in entries(cache)}
    for number in range(8):
        here.put(f"k{number}", b"new")
    for path, data in stale.items():
        cache.put(path, data)
    assert here.get("k0") == b"new"


def test_stores_that_share_a_cache_see_their_own_objects_only(cache):
    one, two = MemoryStore(), MemoryStore()
    first, second = CachingStore(one, cache, revalidate="never"), CachingStore(two, cache, revalidate="never")
    plain = CachingStore(MemoryStore("shared"), cache, revalidate="never")
    packed = CachingStore(GzipStore(MemoryStore("shared")), cache, revalidate="never")
    below = CachingStore(PrefixStore(MemoryStore("shared"), "x/"), cache, revalidate="never")
    for number, store in enumerate((first, second, packed, plain, below)):
        store.put("a", str(number).encode())
        assert store.get("a") == str(number).encode()
    assert [first.get("a"), second.get("a"), below.get("a")] == [b"0", b"1", b"4"]
    MemoryStore("shared").clear()


class Plain(FourMethods):
    """No ETags, and counted reads."""

    def __init__(self):
        super().__init__()
        self.reads = 0

    def get(self, key):
        self.reads += 1
        return super().get(key)


def test_an_origin_without_etags_is_cached_only_by_time(cache):
    origin = Plain()
    store = CachingStore(origin, cache)
    store.put("a", b"1")
    store.get("a")
    assert entries(cache) == []
    timed = CachingStore(origin, cache, revalidate="ttl")
    timed.get("a")
    origin.reads = 0
    assert timed.get("a") == b"1"
    assert origin.reads == 0
    assert CachingStore(Plain(), cache, revalidate="ttl", identity="other").exists("a") is False


def test_an_origin_that_cannot_tell_sizes_is_cached_where_bodies_are_small(cache):
    inner = CountingStore(MemoryStore())
    store = CachingStore(GzipStore(inner), cache)
    inner_bytes = os.urandom(10)
    store.put("a", inner_bytes)
    store.write("big", iter([BIG]))
    assert store.get("big") == BIG
    assert store.get("a") == inner_bytes
    inner.reset()
    assert store.get("a") == inner_bytes
    assert inner.bytes_read == 0
    assert store.get("big") == BIG
    assert inner.bytes_read > len(BIG)


def test_threads_that_miss_together_fetch_once(cache):
    counted = CountingStore(MemoryStore())
    counted.put("a", b"x" * 1000)
    counted.reset()
    store = CachingStore(LatencyStore(counted, read=0.05), cache, revalidate="never")
    assert together(8, lambda _: store.get("a")) == [b"x" * 1000] * 8
    assert counted.bytes_read == 1000


def test_that_a_key_is_missing_is_not_remembered(origin, cache):
    for revalidate in ("etag", "ttl", "never"):
        store = CachingStore(origin, cache, revalidate=revalidate)
        key = f"late {revalidate}"
        assert not store.exists(key)
        with pytest.raises(NotFound):
            store.get(key)
        origin.store.put(key, b"1")
        assert store.exists(key)
        assert store.get(key) == b"1"


def used(cache):
    return sum(row.size for row in cache.list("entries/"))


def test_the_least_recently_used_go_first(origin, cache, monkeypatch):
    now = [time.time()]

    def clock():
        now[0] += 100
        return now[0]

    monkeypatch.setattr("holdfast.wrap._ledger.time.time", clock)
    store = CachingStore(origin, cache, max_bytes=20_000)
    for number in range(4):
        origin.store.put(f"k{number}", bytes(4000))
        store.get(f"k{number}")
    store.get("k0")
    origin.store.put("k4", bytes(4000))
    store.get("k4")
    assert used(cache) <= 20_000
    origin.reset()
    store.get("k0")
    store.get("k4")
    assert origin.bytes_read == 0
    store.get("k1")
    assert origin.bytes_read == 4000


def test_the_bound_holds_whatever_was_there_before_and_for_large_objects(origin, cache):
    old = CachingStore(origin, cache)
    for number in range(30):
        origin.store.put(f"k{number}", bytes(1000))
        old.get(f"k{number}")
    assert used(cache) > 30_000
    cache.put("somebody/else", b"stays")
    store = CachingStore(origin, cache, max_bytes=10_000)
    origin.store.put("large", bytes(20_000))
    assert store.get("large") == bytes(20_000)
    store.put("large", bytes(20_001))
    assert store.get("large") == bytes(20_001)
    store.get("k1")
    origin.store.put("new", b"1")
    store.get("new")
    assert used(cache) <= 10_000
    store.clear()
    assert list(cache.keys()) == ["somebody/else"]


def test_a_cache_that_cannot_list_is_bounded_by_what_this_process_added(origin):
    class Blind(SimpleWrapper):
        def keys(self):
            raise self._unsupported("keys()")

    inner = MemoryStore()
    store = CachingStore(origin, Blind(inner), max_bytes=10_000)
    for number in range(20):
        origin.store.put(f"k{number}", bytes(1000))
        assert store.get(f"k{number}") == bytes(1000)
    assert used(inner) <= 10_000


def test_uses_are_told_to_other_processes(origin, tmp_path):
    cache = FileStore(tmp_path)
    one = CachingStore(origin, cache, max_bytes=8000)
    for key in "ab":
        origin.store.put(key, bytes(3000))
        one.get(key)
    for number, path in enumerate(sorted(tmp_path.glob("entries/*/*"), key=lambda p: p.stat().st_mtime_ns)):
        os.utime(path, (1000 + number, 1000 + number))
    another = CachingStore(origin, FileStore(tmp_path), max_bytes=8000)
    another.get("a")
    assert len(list(cache.keys("used/"))) == 1
    third = CachingStore(origin, FileStore(tmp_path), max_bytes=8000)
    origin.store.put("c", bytes(3000))
    third.get("c")
    origin.reset()
    third.get("a")
    assert origin.bytes_read == 0
    assert _ledger.NOTE_EVERY >= 1


def test_a_named_version_is_compared_with_the_copy(origin, cache):
    store = CachingStore(origin, cache)
    first = store.put("a", b"old").etag
    second = store.put("a", b"new").etag
    with store.read("a", ReadOptions(if_match=second)) as blob:
        assert blob.bytes() == b"new"
    with pytest.raises(Conflict):
        store.read("a", ReadOptions(if_match=first))


def test_wrong_settings_are_refused(origin):
    for settings in ({"revalidate": "maybe"}, {"ttl": -1}, {"max_bytes": -1}):
        with pytest.raises(ValueError):
            CachingStore(origin, MemoryStore(), **settings)
    with pytest.raises(ValueError):
        CachingStore(origin, origin)


@pytest.mark.parametrize("revalidate", ["etag", "ttl", "never"])
def test_a_cache_of_somebody_elses_may_fail_in_any_way(revalidate):
    class Broken(ObjectStore):
        def get(self, key):
            raise LookupError("the cache server is gone")

        put = delete = exists = lambda self, *arguments: self.get("")

        def keys(self):
            return self.get("")

    origin = MemoryStore()
    store = CachingStore(origin, Broken(), revalidate=revalidate, max_bytes=10)
    store.put("a", b"1")
    assert store.get("a") == b"1"
    assert store.get_range("a", 0, 1) == b"1"
    store.delete("a")
    with pytest.raises(NotFound):
        store.get("a")
