"""The shipped test stores do what they say, so that tests that use them mean something."""

from __future__ import annotations

import time

import pytest

from holdfast.errors import NotFound, StoreError, Throttled
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore, FaultStore, LatencyStore
from holdfast.types import ReadOptions


def test_a_fault_strikes_where_and_as_often_as_it_was_armed():
    store = FaultStore(MemoryStore())
    store.put("a", b"1")
    store.put("b", b"2")
    store.fail(Throttled("slow down"), "read", "a", times=2, after=1)
    assert store.pending == 2
    assert store.get("a") == b"1"
    for _ in range(2):
        with pytest.raises(Throttled):
            store.get("a")
        assert store.get("b") == b"2"
    assert store.get("a") == b"1"
    assert store.pending == 0


@pytest.mark.parametrize(
    ("verb", "call"),
    [
        ("read", lambda store: store.get("a")),
        ("write", lambda store: store.put("a", b"2")),
        ("remove", lambda store: store.remove(["a", "b"])),
        ("scan", lambda store: list(store.list())),
        ("copy", lambda store: store.copy("a", "b")),
        ("stage", lambda store: store._stage("b", 1)),
        ("locate", lambda store: store._locate("a")),
    ],
)
def test_every_verb_can_fail_before_anything_happened(verb, call):
    inner = MemoryStore()
    inner.put("a", b"1")
    store = FaultStore(inner)
    store.fail(lambda key: StoreError("broken", key=key), verb)
    with pytest.raises(StoreError) as raised:
        call(store)
    assert raised.value.key in {"a", "b", ""}
    assert [(info.key, info.size) for info in inner.list()] == [("a", 1)]
    assert inner.get("a") == b"1"
    call(store)


def test_an_answer_can_be_lost_after_the_deed():
    inner = MemoryStore()
    store = FaultStore(inner)
    store.fail(StoreError("connection reset"), "write", landed=True)
    store.fail(StoreError("connection reset"), "remove", landed=True)
    with pytest.raises(StoreError):
        store.put("a", b"1")
    assert inner.get("a") == b"1"
    with pytest.raises(StoreError):
        store.delete("a")
    assert not inner.exists("a")


def test_a_fault_that_could_never_strike_is_refused():
    store = FaultStore(MemoryStore())
    with pytest.raises(ValueError, match="no verb"):
        store.fail(StoreError("x"), "get")
    with pytest.raises(ValueError, match="landed"):
        store.fail(StoreError("x"), "read", landed=True)
    with pytest.raises(ValueError, match="get"):
        LatencyStore(MemoryStore(), get=1)


def test_latency_is_added_to_the_verb_that_was_named():
    store = LatencyStore(MemoryStore(), read=0.05)
    store.put("a", b"1")
    before = time.monotonic()
    assert store.get("a") == b"1"
    assert time.monotonic() - before >= 0.05


def test_calls_bytes_and_errors_are_counted():
    store = CountingStore(MemoryStore())
    store.put("a", b"12345")
    store.write("b", iter([b"123", b"45"]))
    store.get("a")
    with store.read("a", ReadOptions(1, 3)) as blob:
        assert b"".join(blob.chunks()) == b"23"
    buffer = bytearray(10)
    with store.read("b") as blob:
        assert blob.readinto(buffer) == 5
    store.head("a")
    store.read("a").close()
    with pytest.raises(NotFound):
        store.get("missing")
    store.copy("a", "c")
    list(store.list())
    store.remove(["a", "b", "c"])
    expected = {"write": 2, "read": 6, "copy": 1, "scan": 1, "remove": 1}
    assert {verb: count for verb, count in store.calls.items() if verb != "locate"} == expected
    assert (store.bytes_written, store.bytes_read, store.errors) == (10, 12, 1)
    store.reset()
    assert not store.calls
    assert store.bytes_read == store.errors == 0


def test_a_counted_body_is_handed_on_as_it_came():
    handed = []

    class Receiving(MemoryStore):
        def _write(self, key, body, options):
            handed.append(body)
            return super()._write(key, body, options)

    data = b"12345"
    CountingStore(Receiving()).put("a", data)
    assert handed[0] is data, "as an iterator it could not be sent twice"
