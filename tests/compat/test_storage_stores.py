"""``storage.object``, ``.fs``, ``.db`` and ``.zip``: the stores of this machine."""

from __future__ import annotations

import base64
import hashlib
import os
import sqlite3
import threading
import zipfile

import pytest

from holdfast.compat.storage.db import SqliteStore
from holdfast.compat.storage.fs import FilesystemStore, HashdirStore, SafeFilesystemStore
from holdfast.compat.storage.object import DictStore, ObjectStore, StoreError
from holdfast.compat.storage.zip import ZipStore
from holdfast.errors import InvalidKey
from tests.compat.rows import row


@pytest.fixture(params=["dict", "filesystem", "hashdir", "safe", "sqlite"])
def store(request, tmp_path):
    opened = {
        "dict": DictStore,
        "filesystem": lambda: FilesystemStore(tmp_path / "root"),
        "hashdir": lambda: HashdirStore(tmp_path / "root"),
        "safe": lambda: SafeFilesystemStore(tmp_path / "root"),
        "sqlite": lambda: SqliteStore(tmp_path / "objects.db"),
    }[request.param]()
    with opened as store:
        yield store


@row("storage", "get, put, exists, delete; an overwrite is allowed")
def test_the_five(store):
    assert store.exists("key") is False
    store.put("key", b"one")
    store.put("key", b"two")
    assert store.exists("key") is True
    assert store.get("key") == b"two"
    store.delete("key")
    assert store.exists("key") is False


@row("storage", "a missing key is a KeyError in get")
@row("storage", "a missing key is a KeyError in delete (Dict, Filesystem, Sqlite, Hashdir)")
def test_a_missing_key_is_a_key_error(store):
    with pytest.raises(KeyError):
        store.get("missing")
    with pytest.raises(KeyError):
        store.delete("missing")


@row(
    "storage",
    "keys(**kwargs) is an iterable",
    "kept and fixed",
    "keys(prefix=...) filters in every store; most of the original's ignored it",
)
def test_keys_are_filtered_by_prefix(store):
    store.put("a/1", b"")
    store.put("b", b"")
    if isinstance(store, HashdirStore):
        with pytest.raises(NotImplementedError):
            store.keys(prefix="a/")
        return
    assert sorted(store.keys()) == ["a/1", "b"]
    assert list(store.keys(prefix="a/")) == ["a/1"]


@row("storage", "ObjectStore is the abstract base; StoreError the error of backends")
def test_the_base_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        ObjectStore()
    assert issubclass(StoreError, Exception)


@row("storage", "DictStore.objects; keys() is dict_keys; values of any type")
def test_a_dict_store_is_a_dict():
    objects = {"a": b"1"}
    store = DictStore(objects)
    store.put("b", "text")
    assert store.objects is objects
    assert objects == {"a": b"1", "b": "text"}
    assert isinstance(store.keys(), type({}.keys()))


@row("storage", "gap: DictStore: the value None reads as missing", "kept and fixed", "None is a value like any other")
def test_none_is_a_value():
    store = DictStore()
    store.put("a", None)
    assert store.exists("a")
    assert store.get("a") is None


@row("storage", "FilesystemStore: put makes directories; delete returns True; keys() are relative paths")
def test_files_lie_where_they_are_called(tmp_path):
    store = FilesystemStore(str(tmp_path))
    store.put("a/b/c", b"1")
    assert (tmp_path / "a" / "b" / "c").read_bytes() == b"1"
    (tmp_path / "other").write_bytes(b"2")
    assert sorted(store.keys()) == ["a/b/c", "other"]
    assert store.delete("a/b/c") is True


@row(
    "storage",
    "gap: FilesystemStore: '../' and absolute keys leave the root",
    "kept and fixed",
    "such keys are InvalidKey, and nothing outside of the root is read or written",
)
@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "/etc/hostname"])
def test_keys_stay_inside_the_root(tmp_path, key):
    (tmp_path / "outside").write_bytes(b"theirs")
    store = FilesystemStore(tmp_path / "root")
    with pytest.raises(InvalidKey):
        store.put(key, b"mine")
    with pytest.raises(InvalidKey):
        store.get(key)
    assert (tmp_path / "outside").read_bytes() == b"theirs"


@row(
    "storage",
    "gap: FilesystemStore: exists('dir') is True, then get is an IsADirectoryError",
    "kept and fixed",
    "a directory is no object: exists is False, get a KeyError",
)
def test_a_directory_is_no_object(tmp_path):
    store = FilesystemStore(tmp_path)
    store.put("dir/a", b"1")
    assert store.exists("dir") is False
    with pytest.raises(KeyError):
        store.get("dir")


@row(
    "storage",
    "gap: FilesystemStore: a put is not atomic",
    "kept and fixed",
    "a body that breaks leaves the old bytes, and no half-written file",
)
def test_a_broken_put_leaves_the_old_object(tmp_path):
    def broken():
        yield b"new"
        raise OSError("the source broke")

    store = FilesystemStore(tmp_path)
    store.put("a", b"old")
    with pytest.raises(OSError, match="the source broke"):
        store.put("a", broken())
    assert store.get("a") == b"old"
    assert list(store.keys()) == ["a"]


@row("storage", "HashdirStore(root_path, width=2, depth=3): 2c/70/e1/<the rest of the SHA-256>")
def test_a_hashdir_lies_as_the_originals(tmp_path):
    digest = hashlib.sha256(b"key").hexdigest()
    HashdirStore(tmp_path).put("key", b"1")
    assert (tmp_path / "2c" / "70" / "e1" / digest[6:]).read_bytes() == b"1"
    other = HashdirStore(tmp_path, width=1, depth=2)
    (tmp_path / digest[0] / digest[1]).mkdir(parents=True)
    (tmp_path / digest[0] / digest[1] / digest[2:]).write_bytes(b"by another program")
    assert other.get("key") == b"by another program"
    assert other.delete("key") is True


@row("storage", "HashdirStore.keys(): NotImplementedError")
def test_a_hashdir_lists_nothing(tmp_path):
    with pytest.raises(NotImplementedError):
        HashdirStore(tmp_path).keys()


@row("storage", "SafeFilesystemStore: files are called by the base32 of their keys, '_' for '='")
def test_safe_names(tmp_path):
    store = SafeFilesystemStore(tmp_path)
    store.put("../a?b", b"1")
    name = base64.b32encode(b"../a?b").decode().replace("=", "_")
    assert (tmp_path / name).read_bytes() == b"1"
    assert list(store.keys()) == ["../a?b"]


@row(
    "storage",
    "gap: SafeFilesystemStore.keys() is an AttributeError when a file's name starts with '_'",
    "kept and fixed",
    "files of other names are left out",
)
def test_other_files_are_no_objects(tmp_path):
    (tmp_path / "_notes").write_bytes(b"")
    store = SafeFilesystemStore(tmp_path)
    store.put("a", b"1")
    assert list(store.keys()) == ["a"]


@row("storage", "SqliteStore: the table objects (key TEXT PRIMARY KEY, data BLOB)")
def test_the_originals_database_is_read_and_written(tmp_path):
    path = tmp_path / "objects.db"
    database = sqlite3.connect(path)
    with database:
        database.execute("CREATE TABLE objects (key TEXT PRIMARY KEY, data BLOB)")
        database.execute("INSERT INTO objects VALUES ('a', x'31')")
    with SqliteStore(db_path=str(path)) as store:
        assert store.get("a") == b"1"
        store.put("b", b"2")
    assert database.execute("SELECT key, data FROM objects ORDER BY key").fetchall() == [("a", b"1"), ("b", b"2")]
    database.close()


@row("storage", "SqliteStore: a commit for each put")
def test_a_put_is_committed_when_it_returns(tmp_path):
    with SqliteStore(tmp_path / "objects.db") as store:
        store.put("a", b"1")
        database = sqlite3.connect(tmp_path / "objects.db")
        assert database.execute("SELECT data FROM objects").fetchall() == [(b"1",)]
        database.close()


@row("storage", "SqliteStore: keys() is a list")
def test_sqlite_keys_are_a_list(tmp_path):
    with SqliteStore(tmp_path / "objects.db") as store:
        store.put("b", b"")
        store.put("a", b"")
        assert store.keys() == ["a", "b"]
        assert store.keys(prefix="b") == ["b"]


@row(
    "storage",
    "SqliteStore: open() alone does not create the table",
    "kept and fixed",
    "the first put creates it, so a store that was only opened can be used as well",
)
def test_sqlite_is_opened_by_hand(tmp_path):
    store = SqliteStore(tmp_path / "objects.db")
    store.open()
    assert not (tmp_path / "objects.db").exists()
    store.put("a", b"1")
    store.close()
    assert store.get("a") == b"1"
    store.close()


@row("storage", "gap: SqliteStore: one thread only", "kept and fixed", "any number of threads and processes")
def test_sqlite_serves_every_thread(tmp_path):
    with SqliteStore(tmp_path / "objects.db") as store:
        store.put("a", b"1")
        read = []
        thread = threading.Thread(target=lambda: read.append(store.get("a")))
        thread.start()
        thread.join()
        assert read == [b"1"]


@row("storage", "ZipStore: with, appending; keys() is a list")
def test_a_zip_archive_is_appended_to(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("theirs", b"1")
    with ZipStore(tmp_path / "a.zip") as store:
        store.put("ours", b"2")
        assert store.keys() == ["ours", "theirs"]
        assert (store.get("ours"), store.get("theirs")) == (b"2", b"1")
        with pytest.raises(KeyError):
            store.get("missing")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.read("ours") == b"2"


@row("storage", "ZipStore: put of an existing key is a KeyError")
@row("storage", "ZipStore: delete is a NotImplementedError")
def test_members_are_never_replaced_or_deleted(tmp_path):
    with ZipStore(tmp_path / "a.zip") as store:
        store.put("a", b"1")
        with pytest.raises(KeyError):
            store.put("a", b"2")
        with pytest.raises(NotImplementedError):
            store.delete("a")
        assert store.get("a") == b"1"


def test_a_root_may_be_a_path_or_text(tmp_path):
    assert FilesystemStore(tmp_path).root_path == tmp_path
    assert os.fspath(HashdirStore(str(tmp_path)).root_path) == str(tmp_path)
