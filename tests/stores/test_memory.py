from __future__ import annotations

import contextlib
import os
import pickle
import sys
import threading

import pytest

from holdfast.errors import Conflict
from holdfast.keys import sort_key
from holdfast.stores import memory
from holdfast.stores.memory import MemoryStore, clear_all
from holdfast.testing.suite import together
from holdfast.types import Capabilities, WriteOptions


@pytest.fixture(autouse=True)
def no_buckets_from_elsewhere():
    clear_all()
    yield
    clear_all()


def test_memory_can_do_everything():
    flags = Capabilities.__dataclass_fields__
    assert MemoryStore().capabilities == Capabilities(**dict.fromkeys(flags, True))


def test_stores_of_one_name_are_one_store_and_unnamed_ones_are_their_own():
    MemoryStore("a").put("k", b"1")
    assert MemoryStore("a").get("k") == b"1"
    assert not MemoryStore("b").exists("k")
    first, second = MemoryStore(), MemoryStore()
    first.put("k", b"2")
    assert not second.exists("k")
    assert (MemoryStore("a").name, first.name) == ("mem://a", "memory")
    assert (repr(MemoryStore("a")), repr(first)) == ("MemoryStore('a')", "MemoryStore()")


def test_a_named_store_pickles_as_its_name_and_an_unnamed_one_with_its_objects():
    MemoryStore("a").put("k", b"x" * 10_000)
    text = pickle.dumps(MemoryStore("a"))
    assert len(text) < 200
    MemoryStore("a").put("k", b"changed")
    assert pickle.loads(text).get("k") == b"changed"
    store = MemoryStore()
    store.write("k", b"1", WriteOptions(content_type="a/b", metadata={"x": "y"}))
    store.put("l", b"2")
    copy = pickle.loads(pickle.dumps(store))
    assert list(copy.list()) == list(store.list())
    copy.put("k", b"other")
    assert store.get("k") == b"1"
    assert copy.head("k").etag not in {info.etag for info in store.list()}


def test_every_write_makes_a_new_version_even_of_the_same_bytes_and_after_clearing():
    store = MemoryStore("a")
    etags = [store.put("k", b"same").etag for _ in range(5)]
    store.delete("k")
    etags.append(store.put("k", b"same").etag)
    store.clear()
    etags.append(store.put("k", b"same").etag)
    clear_all()
    etags.append(store.put("k", b"same").etag)
    assert len(set(etags)) == len(etags)


def test_clearing_empties_stores_that_are_open():
    store = MemoryStore("a")
    store.put("k", b"1")
    private = MemoryStore()
    private.put("k", b"1")
    clear_all()
    assert list(store.keys()) == []
    assert private.get("k") == b"1", "an unnamed store belongs to whoever holds it"
    store.put("l", b"2")
    assert list(MemoryStore("a").keys()) == ["l"]


def test_nothing_that_was_handed_over_or_out_can_change_an_object():
    store = MemoryStore()
    body, metadata = bytearray(b"abc"), {"x": "y"}
    store.write("k", body, WriteOptions(metadata=metadata))
    body[0] = 0
    metadata["x"] = "changed"
    store.head("k").metadata["x"] = "changed"
    assert store.get("k") == b"abc"
    assert store.head("k").metadata == {"x": "y"}


def test_bytes_are_kept_without_a_copy():
    store, data = MemoryStore(), b"x" * 100_000
    store.put("k", data)
    assert store.get("k") is data


def test_a_listing_tells_all_that_a_head_tells():
    store = MemoryStore()
    options = WriteOptions(content_type="a/b", content_encoding="gzip", cache_control="no-store", metadata={"a": "b"})
    store.write("a", b"1", options)
    store.put("b", b"2")
    assert store.lists_attributes
    assert list(store.list()) == [store.head("a"), store.head("b")]
    assert [row.content_encoding for row in store.list()] == ["gzip", None]


def test_a_listing_is_a_snapshot():
    store = MemoryStore()
    for number in range(5):
        store.put(f"k{number}", b"")
    listing = store.list()
    store.clear()
    store.put("new", b"")
    assert [info.key for info in listing] == [f"k{number}" for number in range(5)]


def test_a_prefix_listing_sorts_nothing_again():
    encoded = []

    class Key(str):
        __slots__ = ()

        def encode(self, *arguments):
            encoded.append(self)
            return super().encode(*arguments)

    store = MemoryStore()
    for number in range(20_000):
        store._bucket.set(Key(f"d{number % 100:02d}/k{number:05d}"), b"", {})
    assert len(list(store.list())) == 20_000
    encoded.clear()
    assert len(list(store.list("d42/"))) == 200
    assert len(list(store.list("d42/", start_after="d42/k19000"))) == 10
    store.put("d42/new", b"")
    assert len(list(store.list("d42/"))) == 201
    assert len(encoded) < 200, "each listing looks at a few keys by bisection"


def test_keys_that_come_and_go_are_listed_once_and_in_order():
    store = MemoryStore()
    for turn in range(60):
        for number in range(turn % 23):
            store.put(f"k{(number * 7 + turn) % 40}", b"")
        keys = list(store.keys())
        assert keys == sorted(set(keys), key=sort_key)
        assert set(keys) == set(store._bucket.objects)
        store.remove([f"k{number}" for number in range(turn % 40)])
        assert list(store.keys()) == sorted(store._bucket.objects, key=sort_key)
    assert len(store._bucket._order) < 200


def test_copies_between_buckets_of_a_process_move_no_bytes():
    data = b"x" * 100_000
    MemoryStore("a").write("k", data, WriteOptions(content_type="a/b"))
    assert MemoryStore("b").copy("k", "l", source=MemoryStore("a")).content_type == "a/b"
    assert MemoryStore("b").get("l") is data
    private = MemoryStore()
    private.copy("k", "l", source=MemoryStore("a"))
    assert private.get("l") is data
    MemoryStore("c").copy("l", "m", source=private)
    assert MemoryStore("c").get("m") == data


def test_a_part_beyond_the_end_or_after_the_end_is_refused():
    store = MemoryStore()
    staged = store._stage("k", 4)
    for offset, data in ((4, b"x"), (-1, b"x"), (0, b"12345"), (2, b"123")):
        with pytest.raises(ValueError, match="outside"):
            staged.write_at(offset, data)
    staged.write_at(0, b"1234")
    staged.commit()
    for late in (lambda: staged.write_at(0, b"x"), staged.commit):
        with pytest.raises(ValueError, match="committed"):
            late()
    assert store.get("k") == b"1234"


def test_a_body_may_read_the_store_that_it_is_written_to():
    store = MemoryStore("a")
    store.put("k", b"1")

    def body():
        yield store.get("k")
        store.put("other", b"2")
        yield b"3"

    store.write("k", body())
    assert store.get("k") == b"13"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_in_the_middle_of_writes_finds_a_store_that_works():
    store, stop = MemoryStore("forked"), threading.Event()

    def write_on():
        number = 0
        while not stop.is_set():
            number += 1
            store.put(f"k{number % 50}", b"x")
            list(store.keys())

    writers = [threading.Thread(target=write_on) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(30):
            child = os.fork()
            if child == 0:
                ok = False
                try:
                    store.put("child", b"1")
                    ok = store.get("child") == b"1" and "child" in set(store.keys())
                finally:
                    os._exit(0 if ok else 1)
            assert wait(child) == 0
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert not store.exists("child")


def wait(child):
    """The exit status of a child, which is killed when it hangs."""
    alarm = threading.Timer(10, os.kill, (child, 9))
    alarm.start()
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        alarm.cancel()
        alarm.join()


@pytest.fixture
def frequent_switches():
    """Threads take turns so often that a check and a write without a lock would come apart."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("frequent_switches")
def test_no_increment_is_lost_however_often_threads_switch():
    store = MemoryStore()
    store.put("counter", b"0")

    def increment(_):
        acknowledged = 0
        for _ in range(3000):
            with store.read("counter") as blob:
                etag, value = blob.info.etag, int(blob.bytes())
            with contextlib.suppress(Conflict):
                store.replace_if("counter", b"%d" % (value + 1), etag)
                acknowledged += 1
        return acknowledged

    assert sum(together(4, increment)) == int(store.get("counter"))


@pytest.mark.slow
@pytest.mark.usefixtures("frequent_switches")
def test_listings_are_right_however_often_threads_switch():
    store = MemoryStore()

    def work(number):
        for turn in range(400):
            mine = [f"{number}/{turn % 7}{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
            for key in mine:
                store.put(key, b"")
            assert list(store.keys(f"{number}/")) == mine
            store.remove(mine)

    together(4, work)


def test_the_lock_is_never_held_while_a_caller_s_code_runs():
    store = MemoryStore()

    def body():
        assert not memory._lock.locked()
        yield b"x"

    store.write("k", body())
    for _ in store.list():
        assert not memory._lock.locked()
