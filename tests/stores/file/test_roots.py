"""Roots inside roots: one tree reads the same from wherever it is opened."""

from __future__ import annotations

import gzip
import os

import pytest

from holdfast import CloudFiles, open_store
from holdfast import errors as e
from holdfast.stores.file import FileStore
from holdfast.types import WriteOptions


def test_a_directory_below_a_root_with_attributes_belongs_to_that_root(tmp_path):
    body = gzip.compress(b"hello")
    above = FileStore(tmp_path / "data")
    above._write("sub/a.json", body, WriteOptions(content_encoding="gzip"))
    below = open_store(str(tmp_path / "data/sub"))
    assert below.head("a.json").content_encoding == "gzip"
    assert CloudFiles(str(tmp_path / "data/sub")).get("a.json") == b"hello"
    assert list(below.keys()) == ["a.json"]
    below._write("b", body, WriteOptions(content_encoding="gzip"))
    assert above.head("sub/b").content_encoding == "gzip"
    assert not os.path.exists(tmp_path / "data/sub/.holdfast")


def test_a_directory_below_nothing_of_ours_is_a_root(tmp_path):
    FileStore(tmp_path).put("sub/a", b"1")  # no attributes: nothing to find
    store = open_store(str(tmp_path / "sub"))
    assert isinstance(store, FileStore)
    assert store.root == str(tmp_path / "sub")


def test_a_symlink_between_parts_a_directory_from_the_root(tmp_path):
    FileStore(tmp_path)._write("a", b"", WriteOptions(content_type="text/x"))
    os.mkdir(tmp_path / "real")
    os.symlink(tmp_path / "real", tmp_path / "link")
    assert FileStore.root_of(str(tmp_path / "link")) == (str(tmp_path / "link"), "")
    assert FileStore.root_of(str(tmp_path / "real")) == (str(tmp_path), "real")


def test_what_a_store_below_keeps_to_itself_is_no_object_here(tmp_path):
    FileStore(tmp_path / "sub")._write("a", b"1", WriteOptions(content_type="text/x"))
    above = FileStore(tmp_path)
    assert list(above.keys()) == ["sub/a"]
    assert [row.key for row in above.list("", delimiter="/")] == ["sub/"]
    with pytest.raises(e.InvalidKey):
        above.put("sub/.holdfast/x", b"")


@pytest.mark.parametrize("leads", ["file", "file/through", "dangling"])
def test_a_root_that_is_no_directory_is_named_as_such(tmp_path, leads):
    (tmp_path / "file").write_bytes(b"")
    os.symlink(tmp_path / "nowhere", tmp_path / "dangling")
    store = FileStore(tmp_path / leads)
    with pytest.raises(e.BucketNotFound, match="name a directory"):
        store.put("a", b"")
