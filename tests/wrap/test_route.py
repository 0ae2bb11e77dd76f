from __future__ import annotations

import re

import pytest

from holdfast.errors import Conflict, NotFound, StoreError, Unsupported
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore, FaultStore
from holdfast.wrap.guard import ReadonlyStore, WriteonlyStore
from holdfast.wrap.rekey import HashPrefixStore
from holdfast.wrap.route import RegexRoutingStore


@pytest.fixture
def stores():
    return [CountingStore(MemoryStore()) for _ in range(3)]


@pytest.fixture
def store(stores):
    photos, logs, rest = stores
    return RegexRoutingStore(rest, [(r".*\.jpg", photos), (re.compile("LOGS/.*", re.IGNORECASE), logs)])


def test_the_first_route_that_matches_the_whole_key_leads(store, stores):
    for key in ("a.jpg", "logs/a.jpg", "logs/x", "xlogs/x", "a.jpg.txt", "b"):
        store.put(key, key.encode())
    assert [list(inner.keys()) for inner in stores] == [
        ["a.jpg", "logs/a.jpg"],
        ["logs/x"],
        ["a.jpg.txt", "b", "xlogs/x"],
    ]
    assert list(store.keys()) == sorted(("a.jpg", "logs/a.jpg", "logs/x", "xlogs/x", "a.jpg.txt", "b"))
    assert [row.key for row in store.list(delimiter="/")] == ["a.jpg", "a.jpg.txt", "b", "logs/", "xlogs/"]
    assert store.get("logs/a.jpg") == b"logs/a.jpg"


def test_a_bulk_delete_asks_each_store_once_and_answers_in_order(store, stores):
    for key in ("a.jpg", "logs/x", "b"):
        store.put(key, b"")
    for inner in stores:
        inner.reset()
    assert store.remove(["b", "a.jpg", "missing.jpg", "logs/x"]) == [None] * 4
    assert [inner.calls["remove"] for inner in stores] == [1, 1, 1]
    assert list(store.keys()) == []
    with pytest.raises(NotFound):
        store.delete("b")


def test_conditions_ranges_and_copies_stay_those_of_the_routes(store):
    first = store.put("a.jpg", b"0123456789").etag
    store.replace_if("a.jpg", b"abcdefghij", first)
    with pytest.raises(Conflict):
        store.replace_if("a.jpg", b"", first)
    assert store.get_range("a.jpg", 2, 4) == b"cd"
    store.copy("a.jpg", "logs/copy")
    assert store.get("logs/copy") == b"abcdefghij"


def test_a_stack_can_do_what_all_of_its_routes_can():
    memory = MemoryStore()
    assert RegexRoutingStore(memory, {}).capabilities == memory.capabilities
    unsorted = RegexRoutingStore(memory, {"a.*": HashPrefixStore(MemoryStore())})
    assert not unsorted.capabilities.sorted
    assert unsorted.capabilities.listing
    readonly = RegexRoutingStore(memory, {"a.*": ReadonlyStore(MemoryStore())})
    assert not readonly.capabilities.write
    blind = RegexRoutingStore(memory, {"a.*": WriteonlyStore(MemoryStore())})
    with pytest.raises(Unsupported):
        list(blind.keys())


class Opened(MemoryStore):
    opened = 0
    refuses = False

    def __enter__(self):
        if self.refuses:
            raise StoreError("cannot be opened")
        self.opened += 1
        return self

    def close(self):
        self.opened -= 1


def test_all_stores_are_opened_and_closed_together_each_once():
    one, two = Opened(), Opened()
    store = RegexRoutingStore(one, [("a", two), ("b", one)])
    for _ in range(2):
        with store:
            assert (one.opened, two.opened) == (1, 1)
        assert (one.opened, two.opened) == (0, 0)
    two.refuses = True
    with pytest.raises(StoreError), store:
        pass
    assert (one.opened, two.opened) == (0, 0)


def test_an_error_is_that_of_the_store_it_happened_in():
    inner = FaultStore(MemoryStore())
    store = RegexRoutingStore(MemoryStore(), {"a.*": inner})
    inner.fail(StoreError("full"), "write")
    with pytest.raises(StoreError, match="full"):
        store.put("a", b"")
    store.put("b", b"")
    assert list(store.keys()) == ["b"]
