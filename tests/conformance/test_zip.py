"""The matrix, in zip archives: where members stay as they are, replacing and deleting must be refused."""

from __future__ import annotations

import zipfile

import pytest

from holdfast.errors import AlreadyExists, InvalidKey, NotFound, Unsupported
from holdfast.keys import sort_key
from holdfast.stores.zip import ZipStore
from holdfast.testing import StoreConformance
from holdfast.testing.naming import AWKWARD
from holdfast.testing.suite import pattern, read
from holdfast.testing.writing import Broken, broken_chunks
from holdfast.wrap.rekey import PrefixStore


def members(path):
    """What Python's own zipfile finds, each checked against its checksum."""
    if not path.exists():
        return {}
    with zipfile.ZipFile(path) as archive:
        assert len(set(archive.namelist())) == len(archive.namelist())
        return {name: archive.read(name) for name in archive.namelist()}


class TestZip(StoreConformance):
    """All of the suite that needs neither replacing nor deleting, and the refusal of both."""

    compression = "stored"

    @pytest.fixture
    def store(self, tmp_path):
        self.path = tmp_path / "objects.zip"
        with ZipStore(self.path, compression=self.compression) as store:
            yield store
        members(self.path)

    def truth(self, store):
        return members(self.path)

    # ------------------------------------------------------------ instead of replacing and deleting
    def refuses_changes(self, store):
        store.put("key", b"first")
        with pytest.raises(AlreadyExists) as raised:
            store.put("key", b"second")
        assert raised.value.key == "key"
        assert isinstance(raised.value, KeyError)
        with pytest.raises(Unsupported) as refused:
            store.delete("key")
        assert isinstance(refused.value, NotImplementedError)
        assert [type(error) for error in store.remove(["key", "missing"])] == [Unsupported] * 2
        for conditional in (
            lambda: store.replace_if("key", b"x", store.head("key").etag),
            lambda: store.delete_if("key", store.head("key").etag),
        ):
            with pytest.raises(Unsupported):
                conditional()
        self.assert_holds(store, {"key": b"first"})

    test_an_overwrite_replaces_the_whole_value = refuses_changes
    test_a_deleted_object_is_gone = refuses_changes
    test_deleting_a_missing_object_tells = refuses_changes
    test_many_keys_are_removed_together = refuses_changes
    test_objects_may_be_deleted_while_they_are_listed = refuses_changes
    test_readers_see_the_old_value_or_the_new_one = refuses_changes
    test_a_refused_key_says_so_in_bulk = refuses_changes

    def test_create_makes_what_is_not_there(self, store):
        info = store.create("key", b"first")
        assert info.etag == store.head("key").etag
        with pytest.raises(AlreadyExists):
            store.create("key", b"second")
        store.create("other", iter([b"thi", b"rd"]))
        self.assert_holds(store, {"key": b"first", "other": b"third"})

    def test_a_write_tells_the_version_it_made(self, store):
        assert store.put("a", b"1").etag == store.head("a").etag
        assert store.put("b", b"2").etag != store.head("a").etag

    def test_a_read_may_name_a_version(self, store):
        store.put("key", b"old value")
        etag = store.head("key").etag
        assert read(store, "key", if_match=etag) == b"old value"
        assert read(store, "key", start=4, end=7, if_match=etag) == b"val"
        for options in ({}, {"start": 4, "end": 7}, {"head": True}):
            with pytest.raises(Exception, match="is not the version"):
                read(store, "key", if_match="other", **options)

    @pytest.mark.parametrize("body", ["text", 7, None, ["text", "chunks"], [7]], ids=repr)
    def test_what_is_no_body_is_a_type_error(self, store, body):
        with pytest.raises(TypeError):
            store.put("new", body)
        self.assert_holds(store, {})

    def test_a_body_that_breaks_leaves_what_was_there(self, store):
        store.put("old", b"old")
        with pytest.raises(Broken):
            store.put("new", broken_chunks())
        self.assert_holds(store, {"old": b"old"})

    test_an_object_copied_onto_itself_stays = refuses_changes

    def test_a_copy_is_the_object_again(self, store):
        store.put("a", pattern(100_000))
        assert store.copy("a", "b").size == 100_000
        with pytest.raises(AlreadyExists):
            store.copy("a", "b")
        self.assert_holds(store, {"a": pattern(100_000), "b": pattern(100_000)})

    @pytest.mark.parametrize("key", AWKWARD, ids=lambda key: ascii(key)[:40])
    def test_a_key_is_stored_faithfully_or_refused(self, store, key):
        value = b"value of " + sort_key(key)
        try:
            store.put(key, value)
        except InvalidKey as error:
            assert error.key == key  # noqa: PT017
            self.assert_holds(store, {})
            with pytest.raises((InvalidKey, NotFound)):
                store.get(key)
        else:
            self.assert_holds(store, {key: value})
            assert store.head(key).key == key

    def test_two_keys_are_never_one_object(self, store):
        accepted = {}
        for key in AWKWARD:
            try:
                store.put(key, sort_key(key))
            except InvalidKey:
                continue
            accepted[key] = sort_key(key)
        assert set(AWKWARD) - set(accepted) <= {"nul\x00key", "bad\udcff"}
        self.assert_holds(store, accepted)
        assert [info.key for info in store.list()] == sorted(accepted, key=sort_key)


class TestDeflatedZip(TestZip):
    compression = "deflated"


class TestZipUnderPrefix(TestZip):
    @pytest.fixture
    def store(self, tmp_path):
        self.path = tmp_path / "objects.zip"
        with ZipStore(self.path) as inner:
            inner.put("run10", b"neighbour")
            yield PrefixStore(inner, "run1/")
            assert inner.get("run10") == b"neighbour"

    def truth(self, store):
        return {key[5:]: data for key, data in members(self.path).items() if key.startswith("run1/")}
