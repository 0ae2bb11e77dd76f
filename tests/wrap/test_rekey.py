from __future__ import annotations

import pickle
import threading

import pytest

from holdfast.blob import Staged
from holdfast.errors import AlreadyExists, BucketNotFound, Conflict, IntegrityError, NotFound, StoreError
from holdfast.store import Wrapper
from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore, FaultStore
from holdfast.types import ListOptions, ReadOptions, RemoveOptions, WriteOptions
from holdfast.wrap.rekey import KeyTransform, PrefixStore


class Hashed(KeyTransform):
    """Keys with a digit in front, so that neighbours are spread; what has no right digit is foreign."""

    def to_inner(self, key):
        return f"{len(key) % 10}-{key}"

    def to_outer(self, key):
        outer = key[2:]
        if self.to_inner(outer) != key:
            raise ValueError(key)
        return outer


def test_every_option_reaches_the_store_inside():
    seen = []

    class Recording(Wrapper):
        remove_batch = 7

        def _read(self, key, options):
            seen.append(("read", key, options))
            return super()._read(key, options)

        def _write(self, key, body, options):
            seen.append(("write", key, options))
            return super()._write(key, body, options)

        def _remove(self, keys, options):
            seen.append(("remove", keys, options))
            return super()._remove(keys, options)

        def _scan(self, options):
            seen.append(("scan", options))
            return super()._scan(options)

        def _copy(self, source, src, dst, options):
            seen.append(("copy", source, src, dst, options))
            return super()._copy(source, src, dst, options)

        def _stage(self, key, size, options):
            seen.append(("stage", key, size, options))
            return super()._stage(key, size, options)

    store = PrefixStore(Recording(MemoryStore()), "p/")
    write = WriteOptions(if_absent=True, content_type="a/b", metadata={"x": "y"}, part_size=5)
    etag = store.write("a", b"12345", write).etag
    read, remove = ReadOptions(1, 3, if_match=etag), RemoveOptions(if_match=etag, must_exist=True)
    store.read("a", read)
    list(store._scan(ListOptions("a", "/", "0")))
    store._copy(store, "a", "b", write)
    store._stage("c", 5, write)
    store._remove(["a"], remove)
    assert seen == [
        ("write", "p/a", write),
        ("read", "p/a", read),
        ("scan", ListOptions("p/a", "/", "p/0")),
        ("copy", store, "a", "p/b", write),
        ("stage", "p/c", 5, write),
        ("remove", ["p/a"], remove),
    ]
    assert store.remove_batch == 7


def test_errors_carry_the_key_that_was_asked_for():
    store = PrefixStore(PrefixStore(MemoryStore("errors"), "a/"), "b/")
    store.put("there", b"x")
    for kind, call in {
        NotFound: lambda: store.get("k"),
        AlreadyExists: lambda: store.create("there", b""),
        Conflict: lambda: store.replace_if("there", b"", "no"),
    }.items():
        with pytest.raises(kind) as raised:
            call()
        assert raised.value.key in {"k", "there"}
    for call in (
        lambda: store.delete("k"),
        lambda: store.delete_if("k", "x"),
        lambda: store.head("k"),
        lambda: store.copy("k", "l"),
        lambda: store.copy("k", "l", source=MemoryStore()),
        lambda: store.copy("k", "k"),
    ):
        with pytest.raises(NotFound) as raised:
            call()
        assert raised.value.key == "k"
        assert raised.value.store
    MemoryStore("errors").clear()


def test_an_error_about_something_else_keeps_its_key():
    inner = FaultStore(MemoryStore())
    store = PrefixStore(inner, "p/")
    inner.fail(BucketNotFound("no bucket"), "read")
    with pytest.raises(BucketNotFound) as raised:
        store.get("a")
    assert raised.value.key is None
    other = MemoryStore()

    def body():
        yield other.get("elsewhere")

    with pytest.raises(NotFound) as raised:
        store.write("a", body())
    assert raised.value.key == "elsewhere"


def test_a_bulk_delete_that_fails_as_a_whole_names_the_outer_key():
    inner = FaultStore(MemoryStore())
    inner.fail(lambda key: StoreError("broken", key=key), "remove")
    with pytest.raises(StoreError) as raised:
        PrefixStore(inner, "p/").remove(["a", "b"])
    assert raised.value.key == "a"


def test_a_lost_race_at_commit_names_the_outer_key():
    store = PrefixStore(MemoryStore(), "p/")
    staged = store._stage("k", 1, WriteOptions(if_absent=True))
    store.put("k", b"first")
    staged.write_at(0, b"x")
    with pytest.raises(AlreadyExists) as raised:
        staged.commit()
    assert raised.value.key == "k"


def test_a_listing_shows_nothing_from_beside_the_prefix():
    inner = MemoryStore()
    for key in ("run1", "run1/", "run1/a", "run10", "run1.txt", "run1/b/c", "run"):
        inner.put(key, b"x")
    assert list(PrefixStore(inner, "run1/").keys()) == ["a", "b/c"]
    assert list(PrefixStore(inner, "run1").keys()) == [".txt", "/", "/a", "/b/c", "0"]
    rows = list(PrefixStore(inner, "run1/").list(delimiter="/"))
    assert [(row.key, row.is_prefix) for row in rows] == [("a", False), ("b/", True)]
    assert list(PrefixStore(inner, "").keys()) == list(inner.keys())


def test_a_store_that_lists_too_much_is_filtered():
    class Overflowing(Wrapper):
        def _scan(self, options):
            return self.store._scan(ListOptions())

    inner = MemoryStore()
    inner.put("p/a", b"x")
    inner.put("q/b", b"x")
    assert list(PrefixStore(Overflowing(inner), "p/").keys()) == ["a"]


def test_a_copy_between_prefixes_of_one_bucket_moves_no_bytes():
    counting = CountingStore(MemoryStore())
    source, target = PrefixStore(PrefixStore(counting, "a/"), "b/"), PrefixStore(counting, "c/")
    source.write("k", b"value", WriteOptions(content_type="x/y"))
    counting.reset()
    assert target.copy("k", "l", source=source).key == "l"
    assert target.head("l").content_type == "x/y"
    assert counting.calls["copy"] == 1
    assert counting.bytes_read == counting.bytes_written == 0
    assert target._locate("l").key == "c/l"
    assert source._locate("k").key == "a/b/k"


def test_parts_go_to_the_inner_key_and_come_back_as_the_outer():
    inner = MemoryStore()
    staged = PrefixStore(inner, "p/")._stage("k", 4)
    assert isinstance(staged, Staged)
    staged.write_at(2, b"34")
    staged.write_at(0, b"12")
    assert staged.commit().key == "k"
    assert inner.get("p/k") == b"1234"


def test_capabilities_stay_and_a_mapping_that_loses_the_order_says_so():
    inner = MemoryStore()
    assert PrefixStore(inner, "p/").capabilities == inner.capabilities
    hashed = Hashed(inner)
    assert not hashed.capabilities.sorted
    assert hashed.capabilities.listing


def test_what_only_some_stores_have_is_had_by_outer_keys_or_not_at_all(tmp_path):
    files = FileStore(tmp_path)
    store = PrefixStore(files, "p/")
    entered = threading.Event()

    def enter():
        with store.locked("a"):
            entered.set()

    with files.locked("p/a"):
        thread = threading.Thread(target=enter, daemon=True)
        thread.start()
        assert not entered.wait(0.2)
    thread.join(10)
    assert entered.is_set()
    assert (store.lists_attributes, store.process_local) == (True, False)
    memory = PrefixStore(MemoryStore(), "p/")
    assert (memory.lists_attributes, memory.process_local, hasattr(memory, "locked")) == (True, True, False)
    plain = PrefixStore(CountingStore(files), "p/")
    assert (plain.lists_attributes, plain.process_local, hasattr(plain, "locked")) == (False, False, False)


def test_any_reversible_mapping_will_do():
    inner = MemoryStore()
    store = Hashed(inner)
    for key in ("a", "bb", "bb/c", "bb/d"):
        store.put(key, key.encode())
    inner.put("9-foreign", b"x")
    inner.put("x", b"x")
    assert sorted(inner.keys()) == ["1-a", "2-bb", "4-bb/c", "4-bb/d", "9-foreign", "x"]
    assert sorted(store.keys()) == ["a", "bb", "bb/c", "bb/d"]
    assert [info.key for info in store.list("b", delimiter="/")] == ["bb", "bb/"]
    assert sorted(info.key for info in store.list(start_after="bb")) == ["bb/c", "bb/d"]
    assert store.get("bb/d") == b"bb/d"
    assert store.remove(["a", "bb"]) == [None, None]
    assert store.name == inner.name


def test_a_prefix_store_says_where_it_is_and_pickles():
    store = PrefixStore(MemoryStore("rekey"), "run1/")
    assert store.name == "mem://rekey/run1/"
    assert repr(store) == "PrefixStore(MemoryStore('rekey'), 'run1/')"
    store.put("a", b"1")
    assert pickle.loads(pickle.dumps(store)).get("a") == b"1"
    MemoryStore("rekey").clear()
    with pytest.raises(TypeError):
        PrefixStore(MemoryStore(), b"p")


def test_closing_closes_the_store_inside():
    closed = []

    class Closing(MemoryStore):
        def close(self):
            closed.append(1)

    with PrefixStore(Closing(), "p/") as store:
        store.put("a", b"1")
    assert closed == [1]


def test_the_checks_of_the_blob_inside_stay():
    store = PrefixStore(MemoryStore(), "p/")
    store.put("a", b"12345")
    with store.read("a") as blob:
        assert (blob.info.key, blob.info.size, blob.size) == ("a", 5, 5)
        with pytest.raises(IntegrityError):
            blob.readinto(bytearray(4))
