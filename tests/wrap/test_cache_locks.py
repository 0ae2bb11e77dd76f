"""Nothing that a cache does while somebody else's code runs keeps other callers waiting for it."""

from __future__ import annotations

import threading

import pytest

from holdfast.errors import StoreError
from holdfast.store import Wrapper, stream_copy
from holdfast.stores.memory import MemoryStore
from holdfast.testing.suite import together
from holdfast.types import ReadOptions, WriteOptions
from holdfast.wrap.cache import CachingStore

MODES = pytest.mark.parametrize("revalidate", ["etag", "ttl", "never"])
PATIENCE = 20.0


class Meeting(Wrapper):
    """An origin in which two copies wait for each other before either reads its source."""

    def __init__(self, store):
        super().__init__(store)
        self.barrier = threading.Barrier(2)

    def _copy(self, source, src, dst, options=WriteOptions()):  # noqa: B008
        self.barrier.wait(PATIENCE)
        return stream_copy(source, src, self.store, dst, options)


def ended(work):
    """Whether two threads came to an end with ``work(0)`` and ``work(1)``."""
    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return not any(thread.is_alive() for thread in threads)


@MODES
def test_two_copies_that_read_each_others_target_come_to_an_end(revalidate):
    origin = MemoryStore()
    store = CachingStore(Meeting(origin), MemoryStore(), revalidate=revalidate)
    origin.put("a", b"1")
    origin.put("b", b"2")
    assert ended(lambda number: store.copy(*(("a", "b"), ("b", "a"))[number])), "each waits for the other"
    assert {store.get("a"), store.get("b")} <= {b"1", b"2"}
    assert [store.get("a"), store.get("b")] == [origin.get("a"), origin.get("b")]


@MODES
def test_two_streams_that_read_each_others_target_come_to_an_end(revalidate):
    origin = MemoryStore()
    store = CachingStore(origin, MemoryStore(), revalidate=revalidate)
    origin.put("a", b"1")
    origin.put("b", b"2")
    barrier = threading.Barrier(2)

    def body(other):
        barrier.wait(PATIENCE)
        yield store.get(other) * 2

    assert ended(lambda number: store.write("ab"[number], body("ba"[number]))), "each waits for the other"
    assert [store.get("a"), store.get("b")] == [origin.get("a"), origin.get("b")]


@MODES
def test_a_body_may_be_made_in_other_threads_from_the_object_it_replaces(revalidate):
    origin = MemoryStore()
    origin.put("a", b"x")
    store = CachingStore(origin, MemoryStore(), revalidate=revalidate)

    def body():
        yield together(1, lambda _: store.get("a").upper())[0]

    assert ended(lambda number: number or store.write("a", body()))
    assert store.get("a") == b"X"


@pytest.mark.parametrize("revalidate", ["ttl", "never"])
@pytest.mark.parametrize("landed", [True, False])
def test_what_is_read_while_it_is_written_is_not_kept(revalidate, landed):
    cache = MemoryStore()

    class Slow(Wrapper):
        def _write(self, key, body, options=WriteOptions()):  # noqa: B008
            info = super()._write(key, body, options) if landed else None
            seen.append(store.get(key))
            seen.append(list(cache.keys("entries/")))
            return info or super()._write(key, body, options)

    seen = []
    origin = MemoryStore()
    origin.put("a", b"old")
    store = CachingStore(Slow(origin), cache, revalidate=revalidate)
    store.put("a", b"new")
    assert seen == [b"new" if landed else b"old", []], "a process that ends here must leave no copy"
    assert store.get("a") == b"new"
    assert len(list(cache.keys("entries/"))) == 1


@MODES
def test_a_reader_that_began_before_a_write_leaves_no_copy_behind(revalidate):
    """In one store, as between processes: what was read before a change and stored after it is not believed."""

    class Overtaken(Wrapper):
        def _read(self, key, options=ReadOptions()):  # noqa: B008
            blob = super()._read(key, options)
            if not options.head and not changed:
                changed.append(store.put(key, b"new"))
            return blob

    changed = []
    origin = MemoryStore()
    origin.put("a", b"old")
    store = CachingStore(Overtaken(origin), MemoryStore(), revalidate=revalidate)
    assert store.get("a") == b"old"
    assert store.get("a") == store.get("a") == b"new"


def test_a_failed_write_lets_copies_be_kept_again():
    class Refusing(Wrapper):
        def _write(self, key, body, options=WriteOptions()):  # noqa: B008
            raise StoreError("no")

    cache = MemoryStore()
    origin = MemoryStore()
    origin.put("a", b"1")
    store = CachingStore(Refusing(origin), cache, revalidate="never")
    for call in (lambda: store.put("a", b"2"), lambda: store.write("a", iter([b"2"]))):
        with pytest.raises(StoreError):
            call()
    assert store.get("a") == b"1"
    assert len(list(cache.keys("entries/"))) == 1
