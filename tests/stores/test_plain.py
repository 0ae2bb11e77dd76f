"""The local stores of amplify-storage-utils: what its users rely on, without what it got wrong."""

from __future__ import annotations

import pytest

from holdfast.errors import ConfigError, InvalidKey, NotFound, Unsupported
from holdfast.stores.file import FileStore
from holdfast.stores.file.renamed import HashdirStore
from holdfast.stores.plain import DictStore, FilesystemStore, SafeFilesystemStore
from holdfast.types import WriteOptions


def test_a_dict_of_ones_own_is_used_as_it_is():
    mine = {"a": b"1", "none": None}
    store = DictStore(mine)
    store.put("b", bytearray(b"2"))
    assert store.objects is mine
    assert mine["b"] == b"2"
    assert store.exists("none")
    assert store.get("none") is None
    assert isinstance(store.keys(), type({}.keys()))
    assert list(store.keys(prefix="n")) == ["none"]
    with pytest.raises(TypeError, match="NoneType, not bytes"):
        store.read("none")
    for call in (store.get, store.delete):
        with pytest.raises(KeyError):
            call("missing")
    assert DictStore().objects == {}


def test_hashdirs_lie_on_disk_as_the_original_put_them(tmp_path):
    store = HashdirStore(tmp_path)
    store.put("key", b"1")
    digits = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"
    assert (tmp_path / "2c/70/e1" / digits[6:]).read_bytes() == b"1"
    (tmp_path / "2c/70/e1" / digits[6:]).write_bytes(b"theirs")
    assert store.get("key") == b"theirs"
    with pytest.raises(NotImplementedError):
        store.keys()
    with pytest.raises(Unsupported, match="tell no keys"):
        list(store.list())
    assert HashdirStore(tmp_path, width=4, depth=1).path_of("key") == f"2c70/{digits[4:]}"
    for width, depth in ((0, 1), (32, 2), (1, -1), (2, 32)):
        with pytest.raises(ConfigError):
            HashdirStore(tmp_path, width, depth)


def test_a_hashdir_keeps_what_a_store_of_files_keeps(tmp_path):
    store = HashdirStore(tmp_path, durable=True)
    etag = store.write("../any?key", b"1", WriteOptions(content_type="text/x", metadata={"k": "v"})).etag
    assert store.head("../any?key").metadata == {"k": "v"}
    store.replace_if("../any?key", b"2", etag)
    with pytest.raises(NotFound) as raised:
        store.get("other")
    assert raised.value.key == "other"
    assert store.remove(["../any?key", "other"]) == [None, None]
    FileStore(tmp_path / "files").put("plain", b"3")
    assert store.copy("plain", "copied", FileStore(tmp_path / "files")).key == "copied"
    with store.locked("copied"):
        assert store.get("copied") == b"3"


def test_a_filesystem_store_answers_as_the_original(tmp_path):
    store = FilesystemStore(tmp_path / "root")
    store.put("a/b/c", b"1")
    assert (tmp_path / "root/a/b/c").read_bytes() == b"1"
    assert not store.exists("a/b")
    assert list(store.keys(prefix="a/")) == ["a/b/c"]
    assert store.delete("a/b/c") is True
    with pytest.raises(KeyError):
        store.delete("a/b/c")
    for key in ("../out", "/etc/passwd", "a/../../out"):
        with pytest.raises(InvalidKey):
            store.put(key, b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]


def test_a_safe_store_overlooks_files_of_another_form(tmp_path):
    for name in ("_x", "readme.txt", "no base32!", "MFRGG"):
        (tmp_path / name).write_bytes(b"theirs")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/MFRGG___").write_bytes(b"theirs")
    store = SafeFilesystemStore(tmp_path)
    store.put("a/../b", b"1")
    assert (tmp_path / "MEXS4LRPMI______").read_bytes() == b"1"
    assert list(store.keys()) == ["a/../b"]
    assert list(store.keys(prefix="b")) == []
    assert store.delete("a/../b") is True
    with pytest.raises(InvalidKey) as raised:
        store.put("x" * 200, b"")
    assert raised.value.key == "x" * 200
