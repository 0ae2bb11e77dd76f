"""A cache that fails, in whatever way its class fails, makes reads slow and nothing else."""

from __future__ import annotations

import os

import pytest

from holdfast.blob import ChunksBlob
from holdfast.errors import Conflict, IntegrityError
from holdfast.store import Wrapper
from holdfast.stores.memory import MemoryStore
from holdfast.types import ReadOptions
from holdfast.wrap.cache import CachingStore
from tests.user_stores import FiveMethods

BIG = os.urandom(9 << 20)
MODES = pytest.mark.parametrize("revalidate", ["etag", "ttl", "never"])


class Shaky(FiveMethods):
    """A user's cache that raises errors of its own client."""

    broken = ""

    def _attempt(self, name):
        if name in self.broken:
            raise ConnectionError("the cache's server is gone")

    def get(self, key):
        self._attempt("get")
        return super().get(key)

    def put(self, key, data):
        self._attempt("put")
        super().put(key, data)

    def delete(self, key):
        self._attempt("delete")
        super().delete(key)

    def keys(self):
        self._attempt("keys")
        return super().keys()


@MODES
@pytest.mark.parametrize("broken", ["get", "put", "delete", "keys", "get put delete keys"])
def test_a_cache_that_raises_errors_of_its_own_makes_nothing_fail(revalidate, broken):
    origin, cache = MemoryStore(), Shaky()
    store = CachingStore(origin, cache, revalidate=revalidate, max_bytes=10 << 20)
    origin.put("a", b"1")
    assert store.get("a") == b"1"
    cache.broken = broken
    assert store.get("a") == b"1"
    assert store.put("a", b"2").size == 1
    assert store.get("a") == b"2"
    assert store.get_range("a", 0, 5) == b"2"
    store.write("big", iter([BIG]))
    assert store.get("big") == BIG
    store.delete("a")
    assert not store.exists("a")
    assert origin.exists("big")
    cache.broken = ""
    assert not store.exists("a")
    assert store.get("big") == BIG


@MODES
def test_a_cache_that_breaks_off_in_the_middle_of_a_body_is_made_good(revalidate):
    class Cut(Wrapper):
        def _read(self, key, options=ReadOptions()):  # noqa: B008
            blob = super()._read(key, options)
            if options.start == 0:
                whole = blob.bytes()

                def chunks():
                    yield whole[: 2 << 20]
                    raise OSError("the cache's disk is gone")

                return ChunksBlob(blob.info, chunks())
            return blob

    origin = MemoryStore()
    origin.put("a", BIG)
    store = CachingStore(origin, Cut(MemoryStore()), revalidate=revalidate)
    with store.read("a") as blob:
        assert b"".join(bytes(chunk) for chunk in blob.chunks()) == BIG


@pytest.mark.parametrize("revalidate", ["ttl", "never"])
def test_a_version_that_the_origin_has_is_no_conflict_because_the_copy_is_older(revalidate):
    origin = MemoryStore()
    store = CachingStore(origin, MemoryStore(), revalidate=revalidate)
    first = origin.put("a", b"1").etag
    assert store.get("a") == b"1"
    second = origin.put("a", b"2").etag

    def version(etag, **options):
        with store.read("a", ReadOptions(if_match=etag, **options)) as blob:
            return blob.bytes()

    assert version(first) == b"1", "a copy is just this version"
    assert version(second) == b"2"
    assert version(second, end=1) == b"2"
    assert store.get("a") == b"2", "and that the copy is old is known from now on"
    with pytest.raises(Conflict):
        version(first)
    assert version(second) == b"2"


@pytest.mark.parametrize("data", [b"1234567890", BIG])
@pytest.mark.parametrize("told", [True, False])
def test_a_body_that_arrives_damaged_once_is_read_again_as_without_a_cache(data, told):
    class Damaged(Wrapper):
        """An origin whose next body is not what it should be, as is found at its end."""

        times = 0

        def _read(self, key, options=ReadOptions()):  # noqa: B008
            blob = super()._read(key, options)
            if options.head:
                return blob

            def chunks():
                yield from blob.chunks()
                if self.times:
                    self.times -= 1
                    raise IntegrityError("other bytes")

            return ChunksBlob(blob.info, chunks(), size=blob.size if told else None)

    origin = Damaged(MemoryStore())
    origin.put("a", data)
    store = CachingStore(origin, MemoryStore())
    origin.times = 1
    assert store.get("a") == data
    assert store.get("a") == data
    store.clear()
    origin.times = 5
    with pytest.raises(IntegrityError):
        store.get("a")
