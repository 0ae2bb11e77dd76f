"""Mirrors some of whose children cannot be listed, or not now."""

from __future__ import annotations

import pytest

from holdfast.errors import PartialFailure, StoreError, Timeout, Unsupported
from holdfast.store import LIST, ObjectStore
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FaultStore
from holdfast.types import ListOptions
from holdfast.wrap.mirror import MirroringStore


class Unlisted(ObjectStore):
    """Five methods but for ``keys``."""

    def __init__(self):
        self.objects = {}

    def get(self, key):
        return self.objects[key]

    def put(self, key, data):
        self.objects[key] = data

    def delete(self, key):
        del self.objects[key]

    def exists(self, key):
        return key in self.objects


class Breaking(FaultStore):
    """A store whose listings break off after so many rows."""

    rows = None

    def _scan(self, options=LIST):
        for number, row in enumerate(super()._scan(options)):
            if self.rows is not None and number >= self.rows:
                raise Timeout("unplugged")
            yield row


@pytest.fixture
def children():
    return [Breaking(MemoryStore()) for _ in range(3)]


def listed(store, options=LIST):
    return [row.key for row in store.list(options.prefix, delimiter=options.delimiter)]


def test_a_repair_tells_what_it_did_though_a_child_cannot_be_listed():
    unlisted = Unlisted()
    store = MirroringStore([MemoryStore(), unlisted])
    store.put("a", b"1")
    unlisted.objects.clear()
    assert [result.written for result in store.repair(source=0)] == [("Unlisted",)]
    assert unlisted.objects == {"a": b"1"}
    with pytest.raises(Unsupported):
        store.keys()


@pytest.mark.parametrize("damaged", [b"", b'{"key": 5}', b"[]"])
def test_a_repair_cleans_up_what_it_can(children, damaged, caplog):
    store = MirroringStore(children)
    for key in "ab":
        store.put(key, b"1")
        children[2].fail(StoreError("no answer: password=hunter2secret"), "remove", key)
        with pytest.raises(PartialFailure):
            store.delete(key)
        children[2].store.delete(key)
    tombstones = sorted(children[0].store.keys())
    children[0].store.put(tombstones[0], damaged)
    children[1].fail(StoreError("no answer: password=hunter2secret"), "scan")
    store.put("c", b"1")
    children[1].store.delete("c")
    assert [(result.key, result.error) for result in store.repair(source=0)] == [("c", None)]
    assert children[1].store.get("c") == b"1"
    assert len(list(children[1].store.keys("holdfast-"))) == 1
    for said in ("the tombstone 'holdfast-tombstones/", "the tombstones of memory cannot be listed"):
        assert caplog.text.count(said) == 1
    assert "hunter2secret" not in caplog.text


@pytest.mark.parametrize(("policy", "most"), [("all", 0), ("quorum", 1)])
@pytest.mark.parametrize("rows", [0, 2])
def test_a_listing_needs_what_the_policy_says(children, policy, most, rows, caplog):
    store = MirroringStore(children, policy)
    keys = [f"{letter}/{number}" for letter in "ab" for number in range(3)]
    for key in keys:
        store.put(key, b"1")
    for down in range(1, 4):
        children[down - 1].rows = rows
        if down <= most:
            assert listed(store) == keys
            assert listed(store, ListOptions(delimiter="/")) == ["a/", "b/"]
            assert "has not been listed: unplugged" in caplog.text
        else:
            with pytest.raises((PartialFailure, Timeout), match="unplugged"):
                listed(store)


def test_a_listing_with_a_child_down_asks_for_no_heads(children):
    store = MirroringStore(children, "quorum")
    for key in "abc":
        store.put(key, b"1")
    children[0].rows = 0
    for child in children:
        child.fail(StoreError("asked"), "read")
    assert listed(store) == ["a", "b", "c"]


def test_an_emptied_child_does_not_speak_for_one_that_is_down(children):
    store = MirroringStore(children, "quorum")
    store.put("a", b"1")
    children[0].store.delete("a")
    assert listed(store) == ["a"]
    children[1].rows = 0
    assert listed(store) == ["a"]
