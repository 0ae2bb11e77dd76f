"""How much a cache holds, what it gives up, and what that costs."""

from __future__ import annotations

import pytest

from holdfast.store import WRITE, Wrapper
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore
from holdfast.testing.suite import together
from holdfast.wrap import _ledger
from holdfast.wrap.cache import CachingStore

BOUND = 1_000_000


class Watched(Wrapper):
    """A cache that remembers how much it held at most."""

    peak = 0

    def _write(self, key, body, options=WRITE):
        info = super()._write(key, body, options)
        self.peak = max(self.peak, used(self.store))
        return info


def used(cache):
    return sum(row.size for row in cache.list())


def names(cache, place="entries/"):
    return {key.removeprefix(place) for key in cache.keys(place)}


def test_one_large_object_makes_room_for_itself_and_no_more():
    cache = MemoryStore()
    store = CachingStore(MemoryStore(), cache, max_bytes=BOUND)
    for number in range(40):
        store.put(f"k{number}", bytes(10_000))
    store.put("large", bytes(900_000))
    assert 8 <= len(names(cache)) <= 10
    origin = CountingStore(store.main_store)
    again = CachingStore(origin, cache, max_bytes=BOUND, identity=store._origin)
    assert again.get("large") == bytes(900_000)
    assert again.get("k39") == bytes(10_000), "the least recently used went"
    assert origin.bytes_read == 0


@pytest.mark.parametrize("size", [990_000, 130_000, 9_000])
def test_room_is_made_before_an_entry_is_stored(size):
    cache = Watched(MemoryStore())
    store = CachingStore(MemoryStore(), cache, max_bytes=BOUND)
    for number in range(2 * BOUND // size + 5):
        store.put(f"k{number % 7 if size > 200_000 else number}", bytes(size))
    assert size <= cache.peak <= BOUND


def test_threads_that_store_at_once_keep_the_bound():
    cache = Watched(MemoryStore())
    store = CachingStore(MemoryStore(), cache, max_bytes=BOUND)

    def work(number):
        for turn in range(20):
            store.put(f"k{number} {turn}", bytes(50_000))

    together(4, work)
    assert BOUND // 2 <= cache.peak <= BOUND


def test_what_is_being_stored_takes_room_already():
    class Nested(Watched):
        """While the first entry is on its way, another object is written."""

        first = True

        def _write(self, key, body, options=WRITE):
            first, self.first = self.first, False
            if first:
                store.put("meanwhile", bytes(600_000))
            return super()._write(key, body, options)

    cache = Nested(MemoryStore())
    store = CachingStore(MemoryStore(), cache, max_bytes=BOUND)
    store.put("k", bytes(500_000))
    assert cache.peak < 600_000
    store.put("meanwhile", bytes(600_000))
    assert cache.peak > 600_000, "now there is room"


def test_what_does_not_fit_with_what_is_told_of_it_is_not_kept():
    cache = Watched(MemoryStore())
    store = CachingStore(MemoryStore(), cache, max_bytes=BOUND)
    store.put("small", b"1")
    before = names(cache)
    store.put("k", bytes(BOUND))
    assert store.get("k") == bytes(BOUND)
    assert names(cache) == before
    assert cache.peak <= BOUND


def test_marks_go_with_their_entries(monkeypatch):
    monkeypatch.setattr(_ledger, "NOTE_EVERY", 0.0)
    origin, cache = MemoryStore(), MemoryStore()
    store = CachingStore(origin, cache, max_bytes=BOUND)
    for number in range(20):
        store.put(f"k{number}", b"1")
        store.get(f"k{number}")
        assert len(names(cache, "used/")) == 1
        store.delete(f"k{number}")
    assert list(cache.keys()) == []


def test_marks_that_others_left_are_cleared_away(monkeypatch):
    monkeypatch.setattr(_ledger, "NOTE_EVERY", 0.0)
    origin, cache = MemoryStore(), MemoryStore()
    stores = [CachingStore(origin, cache, max_bytes=BOUND) for _ in range(3)]
    stores[0].put("a", b"1")
    stores[0].put("b", b"1")
    for key in "ab":
        stores[1].get(key)
    stores[0].delete("a")
    assert len(names(cache, "used/")) == 2, "of the other store's mark this one knows nothing"
    stores[2].put("c", b"1")
    assert names(cache, "used/") == names(cache) & names(cache, "used/") != set()


def test_an_entry_more_costs_the_same_however_many_there_are():
    class Sizes(dict):
        """Sizes that count how often all of them are looked at."""

        looked = 0

        def values(self):
            self.looked += 1
            return super().values()

    store = CachingStore(MemoryStore(), MemoryStore(), max_bytes=BOUND)
    store.put("first", b"1")
    store._ledger._sizes = sizes = Sizes(store._ledger._sizes)
    for number in range(20):
        store.put(f"k{number}", bytes(100))
    assert store._ledger._sizes is sizes
    assert sizes.looked == 0
    assert sum(dict(sizes).values()) == store._ledger._total == used(store.cache_store)
