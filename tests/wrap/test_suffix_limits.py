"""What encodings as suffixes cannot do, bad input, and directories shared with cloud-files."""

from __future__ import annotations

import gzip
import os
import pickle
import subprocess
import sys
import textwrap

import pytest

from holdfast import codecs
from holdfast.errors import Conflict, InvalidKey, NotFound, PathConflict, Unsupported
from holdfast.stores.file import FileStore
from holdfast.types import ReadOptions, WriteOptions
from holdfast.wrap import suffix
from holdfast.wrap.suffix import SuffixStore
from tests.user_stores import FiveMethods

from .suffixes import ENCODINGS, listed, put, stored


def test_conditions_are_refused_and_leave_nothing_behind(store):
    capabilities = store.capabilities
    told = [name for name in ("replace_if", "delete_if", "copy") if getattr(capabilities, name)]
    assert told == []
    assert capabilities.ranges
    assert capabilities.metadata
    assert capabilities.sorted
    etag = put(store, "b", b"b").etag
    with pytest.raises(Unsupported, match="if_match"):
        store.replace_if("b", b"", etag)
    with pytest.raises(Unsupported, match="if_match"):
        store.delete_if("b", etag)
    with pytest.raises(Unsupported, match="if_match"):
        store._stage("b", 1, WriteOptions(if_match=etag))
    assert listed(store) == [("b", None)]
    assert store.get("b") == b"b"


def test_reads_may_name_a_version(store):
    first = put(store, "a", b"1", "gzip").etag
    with store.read("a", ReadOptions(if_match=first)) as blob:
        assert blob.bytes() == b"1"
    put(store, "a", b"2")
    with pytest.raises(Conflict):
        store.read("a", ReadOptions(if_match=first))
    put(store, "q.gz", b"another key's")
    with pytest.raises(NotFound):
        store.read("q", ReadOptions(if_match=first))


def test_bulk_deletes_answer_each_key(store):
    put(store, "a", b"", "gzip")
    put(store, "b", b"")
    put(store, "c", b"", "xz")
    assert store.remove(["a", "missing", "b"]) == [None, None, None]
    assert stored(store) == ["c.xz"]


def test_a_store_without_attributes_has_suffixes_and_refuses_the_names_it_cannot_tell_apart(monkeypatch):
    store = SuffixStore(FiveMethods())
    put(store, "a", b"1")
    put(store, "a", b"2", "gzip")
    put(store, "b", iter([b"3"]), "br")
    monkeypatch.setattr(suffix, "GATHERED", 0)
    put(store, "c", iter([b"4", b"5"]), "zstd")
    assert sorted(listed(store)) == [("a", "gzip"), ("b", "br"), ("c", "zstd")]
    assert store.get("c") == b"45"
    for encoding in (None, "gzip"):
        with pytest.raises(Unsupported, match="choose another key"):
            put(store, "n.gz", b"", encoding)
    assert sorted(store.store.objects) == ["a.gz", "b.br", "c.zstd"]


def test_names_that_are_too_long_with_a_suffix_are_still_names(tmp_path):
    store = SuffixStore(FileStore(tmp_path))
    longest = "k" * 255
    assert not store.exists(longest)
    put(store, longest, b"x")
    assert store.get(longest) == b"x"
    with pytest.raises(InvalidKey) as caught:
        put(store, longest, b"y", "gzip")
    assert caught.value.key == longest
    assert store.get(longest) == b"x"
    store.delete(longest)
    assert listed(store) == []


@pytest.mark.parametrize("key", ["a/..gz", "...gz", "..gz.br"])
def test_names_whose_rest_would_be_no_path_are_still_names(tmp_path, key):
    store = SuffixStore(FileStore(tmp_path))
    put(store, key, b"x")
    assert (store.get(key), listed(store)) == (b"x", [(key, None)])
    store.delete(key)
    assert listed(store) == []


def test_a_directory_in_the_way_is_refused_and_nothing_is_lost(tmp_path):
    store = SuffixStore(FileStore(tmp_path))
    put(store, "x/inside", b"1")
    put(store, "x", b"2", "gzip")  # as in cloud-files, x.gz beside x/
    assert store.get("x") == b"2"
    with pytest.raises(PathConflict):
        put(store, "x", b"3")
    with pytest.raises(PathConflict):
        put(store, "x.gz", b"4")  # x would have to make room
    assert (store.get("x"), store.get("x/inside")) == (b"2", b"1")
    assert listed(store) == [("x", "gzip"), ("x/inside", None)]


def test_it_pickles_and_closes_with_what_it_wraps(tmp_path):
    store = SuffixStore(FileStore(tmp_path))
    put(store, "a", b"1", "gzip")
    again = pickle.loads(pickle.dumps(store))
    assert again.get("a") == b"1"
    assert repr(again) == f"SuffixStore({again.store!r})"
    assert again.name == again.store.name
    with again:
        pass
    assert again.get("a") == b"1"


def test_reading_a_directory_creates_nothing_in_it(tmp_path):
    (tmp_path / "a.gz").write_bytes(b"x")
    store = SuffixStore(FileStore(tmp_path))
    assert store.get("a") == b"x"
    assert not store.exists("missing")
    assert store.remove(["missing"]) == [None]
    with pytest.raises(NotFound):
        store.delete("missing")
    assert listed(store) == [("a", "gzip")]
    assert os.listdir(tmp_path) == ["a.gz"]


# ---------------------------------------------------------------------- beside cloud-files
@pytest.mark.slow
def test_directories_of_cloud_files_are_read_and_ours_are_read_by_it(tmp_path):
    program = textwrap.dedent("""
        import sys, json
        from cloudfiles import CloudFiles
        mode, root = sys.argv[1:]
        files = CloudFiles("file://" + root, progress=False)
        if mode == "write":
            for encoding in (None, "gzip", "br", "zstd", "xz", "bz2"):
                files.put(f"d/theirs-{encoding}", b"data of " + str(encoding).encode(), compress=encoding)
        else:
            print(json.dumps({key: files.get(key).decode() for key in sys.argv[2:] and
                [f"d/ours-{encoding}" for encoding in (None, "gzip", "br", "zstd", "xz", "bz2")]}))
    """)
    run = [sys.executable, "-c", program]
    subprocess.run([*run, "write", str(tmp_path)], check=True, timeout=120, capture_output=True)
    store = SuffixStore(FileStore(tmp_path))
    assert sorted(listed(store)) == sorted((f"d/theirs-{encoding}", encoding) for encoding in ENCODINGS)
    for encoding in ENCODINGS:
        data = codecs.decompress(store.get(f"d/theirs-{encoding}"), store.head(f"d/theirs-{encoding}").content_encoding)
        assert data == b"data of " + str(encoding).encode()
        put(store, f"d/ours-{encoding}", codecs.compress(b"ours %s" % str(encoding).encode(), encoding), encoding)
    read = subprocess.run([*run, "read", str(tmp_path)], check=True, timeout=120, capture_output=True, text=True)
    for encoding in ENCODINGS:
        assert f'"d/ours-{encoding}": "ours {encoding}"' in read.stdout
    assert gzip.decompress((tmp_path / "d/ours-gzip.gz").read_bytes()) == b"ours gzip"


@pytest.mark.parametrize("key", ["a/", "/a", ".", "a/..", "a//b", ".holdfast", "a/.holdfast", "a/nul\0", "b" * 300])
def test_what_is_no_key_of_a_file_is_refused_also_after_objects_that_lay_under_suffixes(tmp_path, key):
    store = SuffixStore(FileStore(tmp_path))
    for name in ("plain", "a/encoded"):
        put(store, name, b"body", "gzip")
        assert store.get(name) == b"body"
        with pytest.raises(InvalidKey):
            store.get(key)
        with pytest.raises(InvalidKey):
            store.head(key)
