from __future__ import annotations

import os
import zipfile

import pytest

from holdfast.errors import AlreadyExists, ConfigError, InvalidKey, StoreError
from holdfast.files.whole import clear_store, copy_store, sync_stores
from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.stores.zip import ZipStore
from holdfast.testing import CountingStore, FaultStore
from holdfast.types import ListOptions, WriteOptions
from holdfast.wrap.encrypt import EncryptingStore
from holdfast.wrap.rekey import HashPrefixStore, PrefixStore
from holdfast.wrap.transform import GzipStore
from tests.user_stores import FiveMethods


class Viewed(FiveMethods):
    """A third party's five methods; its keys() is the dict's own view."""

    def keys(self):
        return self.objects.keys()


def contents(store):
    return {row.key: store.get(row.key) for row in store.list()}


def actions(results):
    return {result.key: result.action for result in results}


OBJECTS = {"a": b"1", "dir/b": b"22", "dir/c": b"", "z": os.urandom(70_000)}


@pytest.fixture(params=["memory", "dict", "file", "gzip", "hashed", "encrypted"])
def target(request, tmp_path):
    return {
        "memory": MemoryStore,
        "dict": Viewed,
        "file": lambda: FileStore(tmp_path),
        "gzip": lambda: GzipStore(MemoryStore()),
        "hashed": lambda: HashPrefixStore(Viewed()),
        "encrypted": lambda: EncryptingStore(FileStore(tmp_path), bytes(32)),
    }[request.param]()


@pytest.fixture(params=[MemoryStore, Viewed, lambda: GzipStore(MemoryStore())])
def source(request):
    store = request.param()
    for key, data in OBJECTS.items():
        store.put(key, data)
    return store


def test_a_copied_store_has_every_object(source, target):
    target.put("a", b"old")
    target.put("stays", b"x")
    results = copy_store(source, target)
    assert contents(target) == {**OBJECTS, "stays": b"x"}
    assert [result.key for result in results] == sorted(OBJECTS)
    assert set(actions(results).values()) == {"copied"}


def test_a_copy_that_overwrites_nothing_keeps_what_is_there(source, target):
    target.put("a", b"old")
    results = copy_store(source, target, overwrite=False)
    assert contents(target) == {**OBJECTS, "a": b"old"}
    assert actions(results) == {"a": "kept", "dir/b": "copied", "dir/c": "copied", "z": "copied"}


def test_what_appears_while_it_is_copied_is_kept_too():
    class Late(FaultStore):
        def _write(self, key, body, options=WriteOptions()):  # noqa: B008
            self.store.put(key, b"somebody else's")
            return self.store._write(key, body, options)

        def _copy(self, source, src, dst, options=WriteOptions()):  # noqa: B008
            raise self._unsupported("a copy", "if_absent")

    source, target = MemoryStore(), Late(MemoryStore())
    source.put("a", b"1")
    assert actions(copy_store(source, target, overwrite=False)) == {"a": "kept"}
    assert target.get("a") == b"somebody else's"
    with pytest.raises(AlreadyExists):
        target.create("a", b"")


def test_synced_stores_are_really_equal(source, target):
    target.put("a", b"2")  # same size, other bytes
    target.put("dir/b", b"22")
    target.put("z", OBJECTS["z"][:-1] + bytes([OBJECTS["z"][-1] ^ 1]))
    target.put("extra", b"x")
    results = sync_stores(source, target)
    assert contents(target) == {**OBJECTS, "extra": b"x"}
    assert actions(results) == {"a": "copied", "dir/b": "same", "dir/c": "copied", "extra": "kept", "z": "copied"}
    results = sync_stores(source, target, delete=True)
    assert contents(target) == OBJECTS == contents(source)
    assert actions(results) == {"a": "same", "dir/b": "same", "dir/c": "same", "extra": "deleted", "z": "same"}


def test_equal_etags_of_memory_do_not_mean_equal_bytes():
    one, two = MemoryStore(), MemoryStore()
    assert one.put("a", b"1").etag == two.put("a", b"2").etag
    sync_stores(one, two)
    assert two.get("a") == b"1"


@pytest.mark.parametrize("etag", ['"5d41402abc4b2a76b9719d911017c592"', "5d41402abc4b2a76b9719d911017c592-3"])
def test_digests_of_one_kind_of_service_spare_the_reading(etag):
    from dataclasses import replace

    class Digests(CountingStore):
        def _scan(self, options=ListOptions()):  # noqa: B008
            return (replace(row, etag=etag) for row in self.store._scan(options))

    one, two = Digests(MemoryStore()), Digests(MemoryStore())
    one.put("a", b"hello")
    two.put("a", b"hello")
    for store in (one, two):
        store.reset()
    assert actions(sync_stores(one, two)) == {"a": "same"}
    assert one.bytes_read == two.bytes_read == 0


def test_digests_of_two_kinds_of_service_are_not_compared(tmp_path):
    from dataclasses import replace

    class Forged(CountingStore):
        def _scan(self, options=ListOptions()):  # noqa: B008
            return (replace(row, etag="5d41402abc4b2a76b9719d911017c592") for row in self.store._scan(options))

    one, two = Forged(MemoryStore()), Forged(FileStore(tmp_path))
    one.put("a", b"hello")
    two.put("a", b"other")
    assert actions(sync_stores(one, two)) == {"a": "copied"}


def test_other_encodings_are_other_contents():
    one, two = MemoryStore(), MemoryStore()
    one.write("a", b"x", WriteOptions(content_encoding="gzip"))
    two.put("a", b"x")
    assert actions(sync_stores(one, two)) == {"a": "copied"}
    assert two.head("a").content_encoding == "gzip"


def test_a_source_that_lists_nothing_deletes_nothing():
    one, two = MemoryStore(), MemoryStore()
    two.put("a", b"1")
    with pytest.raises(ConfigError, match="allow_empty"):
        sync_stores(one, two, delete=True)
    assert two.exists("a")
    assert actions(sync_stores(one, two)) == {"a": "kept"}
    assert actions(sync_stores(one, two, delete=True, allow_empty=True)) == {"a": "deleted"}
    assert sync_stores(one, two, delete=True) == []


@pytest.mark.parametrize("utility", [copy_store, sync_stores])
def test_errors_are_raised_or_collected_by_key(utility):
    source = FaultStore(MemoryStore())
    for key in "abc":
        source.put(key, b"1")
    source.fail(StoreError("broken"), "read", key="b", times=10)
    with pytest.raises(StoreError, match="broken"):
        utility(source, MemoryStore())
    target = MemoryStore()
    results = utility(source, target, on_error="collect")
    assert actions(results) == {"a": "copied", "b": "failed", "c": "copied"}
    assert isinstance(results[1].error, StoreError)
    assert list(target.keys()) == ["a", "c"]


def test_after_an_error_nothing_is_deleted():
    source, target = FaultStore(MemoryStore()), MemoryStore()
    source.put("a", b"1")
    target.put("extra", b"1")
    source.fail(StoreError("broken"), "read", times=10)
    results = sync_stores(source, target, delete=True, on_error="collect")
    assert actions(results) == {"a": "failed", "extra": "kept"}
    with pytest.raises(StoreError):
        sync_stores(source, target, delete=True)
    assert target.exists("extra")


def test_clearing_wants_to_be_confirmed(target):
    for key in ("a", "b/c"):
        target.put(key, b"1")
    for no in (False, lambda count: False, lambda count: None):
        with pytest.raises(ConfigError):
            clear_store(target, confirm=no)
    with pytest.raises(ConfigError, match="confirm=True"):
        clear_store(target)
    assert len(contents(target)) == 2
    counts = []
    results = clear_store(target, confirm=lambda count: counts.append(count) is None)
    assert counts == [2]
    assert actions(results) == {"a": "deleted", "b/c": "deleted"}
    assert contents(target) == {}
    assert clear_store(target, confirm=True) == []


def test_what_cannot_be_deleted_is_told():
    store = FaultStore(MemoryStore())
    store.put("a", b"1")
    store.fail(StoreError("locked"), "remove", times=2)
    with pytest.raises(StoreError):
        clear_store(store, confirm=True)
    [result] = clear_store(store, confirm=True, on_error="collect")
    assert (result.key, result.action, type(result.error)) == ("a", "failed", StoreError)
    assert store.exists("a")


def test_a_store_may_be_copied_into_itself():
    store = MemoryStore()
    for number in range(50):
        store.put(f"k{number}", b"x")
    assert len(copy_store(store, PrefixStore(store, "copy/"))) == 50
    assert len(list(store.keys())) == 100


def test_large_objects_and_attributes_are_copied(tmp_path):
    source = MemoryStore()
    big = os.urandom(3 << 20)
    source.write("big", iter([big]), WriteOptions(content_type="text/x", metadata={"unit": "3"}))
    target = FileStore(tmp_path)
    [result] = copy_store(source, target, progress=True)
    assert result.nbytes == len(big)
    assert target.get("big") == big
    assert target.head("big").metadata == {"unit": "3"}
    assert actions(sync_stores(source, target)) == {"big": "same"}


# ---------------------------------------------------------------- directory markers
def with_markers(path):
    """What ``zip -r`` makes of a directory."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (("dir/", b""), ("dir/a", b"1"), ("z", b"2")):
            archive.writestr(name, data)
    return ZipStore(path)


@pytest.mark.parametrize("copy", [copy_store, sync_stores, lambda one, two: copy_store(one, two, overwrite=False)])
def test_directory_markers_are_skipped_where_directories_are_real(tmp_path, copy):
    source, target = with_markers(tmp_path / "a.zip"), FileStore(tmp_path / "files")
    assert actions(copy(source, target)) == {"dir/": "skipped", "dir/a": "copied", "z": "copied"}
    assert contents(target) == {"dir/a": b"1", "z": b"2"}


def test_markers_do_not_keep_a_sync_from_deleting_and_are_copied_where_they_can_be(tmp_path):
    source, target = with_markers(tmp_path / "a.zip"), FileStore(tmp_path / "files")
    target.put("old", b"")
    assert actions(sync_stores(source, target, delete=True))["old"] == "deleted"
    assert actions(copy_store(source, MemoryStore())) == {"dir/": "copied", "dir/a": "copied", "z": "copied"}


def test_an_object_of_some_bytes_is_no_marker(tmp_path):
    source = MemoryStore()
    source.put("dir/", b"bytes")
    with pytest.raises(InvalidKey):
        copy_store(source, FileStore(tmp_path))


def test_a_confirmation_is_true_or_a_function():
    with pytest.raises(ConfigError, match="confirm=True"):
        clear_store(MemoryStore(), confirm=1)
