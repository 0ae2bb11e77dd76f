"""Encodings as name suffixes: every key once, with its last write, whatever was there before and whoever races."""

from __future__ import annotations

import fcntl
import gzip
import itertools
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import codecs
from holdfast.errors import Conflict, InvalidKey, NotFound, PathConflict, Unsupported
from holdfast.keys import sort_key
from holdfast.store import ObjectStore
from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.types import ListOptions, ReadOptions, WriteOptions
from holdfast.wrap import _families, suffix
from holdfast.wrap.rekey import PrefixStore
from holdfast.wrap.suffix import SuffixStore, split_suffix

ENCODINGS = [None, *codecs.SUFFIXES]


class SharedFileStore(FileStore):
    """A file store that offers ``locked``: one lock file for the whole root, beside it."""

    @contextmanager
    def locked(self, key):
        with open(self.root + ".lock", "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


@pytest.fixture(params=["memory", "file"])
def inner(request, tmp_path):
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path)


@pytest.fixture
def store(inner):
    return SuffixStore(inner)


def put(store, key, data, encoding=None):
    info = store.write(key, data, WriteOptions(content_encoding=encoding))
    assert (info.key, info.content_encoding) == (key, encoding)
    return info


def foreign(store, *paths, data=b"foreign"):
    for path in paths:
        store.store.put(path, data)


def listed(store, **options):
    """The listed keys with their encodings, which rows and heads must agree on."""
    rows = []
    for row in store._scan(ListOptions(**options)):
        encoding = store.head(row.key).content_encoding
        if row.content_encoding != encoding:
            # Listings of files do not tell attributes, so not the mark of a name without a suffix.
            assert (row.content_encoding, row.key in stored(store)) == (None, True)
            assert isinstance(store.store, FileStore)
            assert split_suffix(row.key) is None
        rows.append((row.key, encoding))
    return rows


def stored(store):
    return [row.key for row in store.store.list()]


def marks(store):
    return {key: store.store.head(key).content_encoding for key in stored(store)}


# ---------------------------------------------------------------------- the layout
@pytest.mark.parametrize("encoding", codecs.SUFFIXES)
def test_an_encoding_is_stored_as_a_suffix_without_any_mark_and_read_back(store, encoding):
    put(store, "d/a", b"0123456789", encoding)
    assert marks(store) == {"d/a" + codecs.SUFFIXES[encoding]: None}
    assert store.get("d/a") == b"0123456789"
    assert store.get_range("d/a", 2, 5) == b"234"
    assert store.get_range("d/a", -3) == b"789"
    assert store.exists("d/a")
    head = store.head("d/a")
    assert (head.key, head.content_encoding, head.size) == ("d/a", encoding, 10)
    with store.read("d/a") as blob:
        assert (blob.encoding, blob.size, blob.info.key) == (encoding, 10, "d/a")
        buffer = bytearray(10)
        assert blob.readinto(buffer) == 10
    assert buffer == b"0123456789"
    assert listed(store) == [("d/a", encoding)]
    assert [row.size for row in store.list()] == [10]


def test_other_attributes_and_metadata_travel_with_every_variant(store):
    for encoding in (None, "gzip"):
        options = WriteOptions(content_encoding=encoding, content_type="text/plain", metadata={"a": "b"})
        store.write("k", b"x", options)
        head = store.head("k")
        assert (head.content_type, dict(head.metadata), head.content_encoding) == ("text/plain", {"a": "b"}, encoding)


def test_the_plain_object_is_stored_as_it_is(store):
    put(store, "a", b"plain")
    assert marks(store) == {"a": None}
    assert listed(store) == [("a", None)]


def test_aliases_of_encodings_mean_the_same(store):
    info = store.write("a", b"x", WriteOptions(content_encoding="aws-chunked, X-GZIP"))
    assert info.content_encoding == "gzip"
    assert stored(store) == ["a.gz"]
    assert store.write("b", b"x", WriteOptions(content_encoding="identity")).content_encoding is None
    assert stored(store) == ["a.gz", "b"]


@pytest.mark.parametrize("encoding", ["gzip, br", "x-unheard-of"])
def test_encodings_that_no_suffix_says_are_kept_as_marks(store, encoding):
    put(store, "a", b"old", "gzip")
    put(store, "a", b"new", encoding)
    put(store, "b.gz", b"b", encoding)
    assert marks(store) == {"a": encoding, "b.gz": encoding}
    assert store.get("a") == b"new"
    assert listed(store) == [("a", encoding), ("b.gz", encoding)]


# ---------------------------------------------------------------------- gap 1: stale variants
@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(ENCODINGS, 2)))
def test_the_last_write_is_what_is_read_and_the_only_thing_left(store, first, second):
    put(store, "a", b"first", first)
    put(store, "a", b"second", second)
    assert store.get("a") == b"second"
    assert store.head("a").content_encoding == second
    assert listed(store) == [("a", second)]
    assert len(stored(store)) == 1
    store.delete("a")
    assert not store.exists("a")
    assert stored(store) == []


def test_variants_left_by_other_programs_are_one_key_removed_as_one(store):
    foreign(store, "a.gz", "a.zstd", "a.br", "a")
    store.store.put("a", b"plain first")
    assert store.get("a") == b"plain first"
    assert listed(store) == [("a", None)]
    store.delete("a")
    assert stored(store) == []
    with pytest.raises(NotFound):
        store.get("a")
    with pytest.raises(NotFound):
        store.delete("a")


def test_a_write_replaces_all_variants_of_other_programs(store):
    for encoding in ENCODINGS:
        foreign(store, "a", *("a" + s for s in codecs.SUFFIXES.values()))
        put(store, "a", b"mine", encoding)
        assert len(stored(store)) == 1
        assert store.get("a") == b"mine"


class Watched(MemoryStore):
    """A memory store that tells after each step that something was written or removed."""

    def watch(self, look):
        self.look = look

    def _write(self, key, body, options=suffix.WRITE):
        info = super()._write(key, body, options)
        self.look()
        return info

    def _remove(self, keys, options=suffix.REMOVE):
        removed = super()._remove(keys, options)
        self.look()
        return removed


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("visible", ["a", "a.gz", "a.br"])
def test_at_no_step_of_a_write_or_delete_a_hidden_variant_comes_to_light(encoding, visible):
    store = SuffixStore(Watched())
    store.store.watch(lambda: None)
    foreign(store, "a.zstd", "a.bz2", "a.xz", data=b"hidden")
    foreign(store, visible, data=b"old")
    seen = []
    store.store.watch(lambda: seen.append(store.get("a") if store.exists("a") else None))
    put(store, "a", b"new", encoding)
    assert set(seen) == {b"old", b"new"} or seen[0] == b"new"
    assert seen == sorted(seen, reverse=True)  # old, ..., new: once
    foreign(store, "a.zstd", "a.bz2", "a.xz", data=b"hidden")
    foreign(store, visible, data=b"old")
    put(store, "a", b"new")
    seen.clear()
    store.delete("a")
    assert seen == [None]
    foreign(store, "a.zstd", "a.bz2", "a.xz", data=b"hidden")
    foreign(store, "a", data=b"old")
    seen.clear()
    store.delete("a")
    assert seen == [b"old", b"old", b"old", None]


# ---------------------------------------------------------------------- gap 2: natural names
def test_a_name_with_a_suffix_written_raw_is_that_name(store):
    put(store, "x.gz", b"raw bytes")
    assert store.get("x.gz") == b"raw bytes"
    assert store.head("x.gz").content_encoding is None
    assert listed(store) == [("x.gz", None)]
    assert not store.exists("x")
    with pytest.raises(NotFound):
        store.get("x")
    assert stored(store) == ["x.gz"]
    store.delete("x.gz")
    assert stored(store) == []


def test_a_name_with_its_own_suffix_written_encoded_is_read_encoded_under_that_name(store):
    put(store, "q.gz", b"(compressed)", "gzip")
    assert stored(store) == ["q.gz"]  # the suffix is not doubled
    assert store.get("q.gz") == b"(compressed)"
    assert store.head("q.gz").content_encoding == "gzip"
    assert not store.exists("q")
    assert listed(store) == [("q.gz", "gzip")]


def test_a_name_with_another_suffix_is_a_name_like_any(store):
    put(store, "q.gz", b"1", "br")
    assert stored(store) == ["q.gz.br"]
    assert listed(store) == [("q.gz", "br")]
    assert store.get("q.gz") == b"1"
    put(store, "q.gz", b"2")
    assert marks(store) == {"q.gz": "identity"}
    assert listed(store) == [("q.gz", None)]


def test_files_without_marks_are_the_encoded_object_and_their_full_name_reads_the_stored_bytes(store):
    foreign(store, "x.gz")
    assert listed(store) == [("x", "gzip")]
    assert store.get("x") == store.get("x.gz") == b"foreign"
    assert store.head("x").content_encoding == "gzip"
    assert store.head("x.gz").content_encoding is None
    store.delete("x.gz")
    assert not store.exists("x")


@pytest.mark.parametrize("order", list(itertools.permutations(["q", "q.gz", "q.gz.br"])))
@pytest.mark.parametrize("encodings", [{"q": "gzip", "q.gz": "br"}, {"q": "gzip", "q.gz": "gzip"}, {"q.gz": "br"}])
def test_no_key_ever_takes_the_stored_name_of_another(store, order, encodings):
    for key in order:
        put(store, key, key.encode(), encodings.get(key))
    for key in order:
        assert store.get(key) == key.encode()
        assert store.head(key).content_encoding == encodings.get(key)
    assert sorted(listed(store)) == sorted((key, encodings.get(key)) for key in order)
    assert len(stored(store)) == 3
    for key in order:
        store.delete(key)
        assert not store.exists(key) or key == "q.gz"  # the full name of what "q" may be stored as
    assert stored(store) == []


def test_an_encoded_object_that_makes_room_keeps_its_attributes(store):
    options = WriteOptions(content_encoding="gzip", content_type="text/csv", metadata={"m": "1"})
    store.write("q", b"of q", options)
    put(store, "q.gz", b"of q.gz")
    head = store.head("q")
    assert (head.content_encoding, head.content_type, dict(head.metadata)) == ("gzip", "text/csv", {"m": "1"})
    assert store.get("q") == b"of q"
    put(store, "q", b"again", "gzip")  # and it stays beside the object that took its name
    assert (store.get("q"), store.get("q.gz")) == (b"again", b"of q.gz")


@pytest.mark.parametrize("key", [".gz", "d/.gz", ".br"])
def test_a_bare_suffix_is_a_plain_name(store, key):
    put(store, key, b"hidden")
    assert marks(store) == {key: None}
    assert listed(store) == [(key, None)]
    assert store.get(key) == b"hidden"
    put(store, key, b"(compressed)", "zstd")
    assert stored(store) == [key + ".zstd"]


# ---------------------------------------------------------------------- listing
def test_prefixes_starts_and_delimiters_count_keys_and_not_stored_names(store):
    for key in ("a", "a-b", "d/a", "d/e/f", "gz"):
        put(store, key, b"", "gzip")
    put(store, "n.gz", b"")
    assert {key for key, _ in listed(store)} == {"a", "a-b", "d/a", "d/e/f", "gz", "n.gz"}
    assert listed(store, prefix="a.") == []
    assert listed(store, prefix="a") == [("a-b", "gzip"), ("a", "gzip")]
    assert listed(store, prefix="n.") == [("n.gz", None)]
    assert {key for key, _ in listed(store, start_after="a")} == {"a-b", "d/a", "d/e/f", "gz", "n.gz"}
    assert {key for key, _ in listed(store, start_after="a-b")} == {"d/a", "d/e/f", "gz", "n.gz"}
    rolled = list(store._scan(ListOptions(delimiter="/")))
    assert {(row.key, row.is_prefix) for row in rolled} == {
        ("a", False), ("a-b", False), ("d/", True), ("gz", False), ("n.gz", False)
    }  # fmt: skip
    assert {(row.key, row.is_prefix) for row in store._scan(ListOptions(delimiter="."))} == {
        ("a", False), ("a-b", False), ("d/a", False), ("d/e/f", False), ("gz", False), ("n.", True)
    }  # fmt: skip


STEMS = ["a", "a-b", "a.", "a.gz", "a.b", "a/b", "a b", "a.gz.br", "a.bz", "b"]
PATHS = [stem + ending for stem in STEMS for ending in ("", *codecs.SUFFIXES.values())]


@settings(max_examples=300)
@given(
    paths=st.dictionaries(st.sampled_from(PATHS), st.sampled_from([None, None, "identity", "gzip", "gzip, br"])),
    prefix=st.sampled_from(["", "a", "a.", "a.g", "a.gz", "a/"]),
    start_after=st.none() | st.sampled_from(PATHS),
    ordered=st.booleans(),
)
def test_whatever_lies_there_list_head_and_read_agree_and_delete_removes(paths, prefix, start_after, ordered):
    inner = MemoryStore() if ordered else Unsorted()
    for path, mark in paths.items():
        inner.write(path, path.encode(), WriteOptions(content_encoding=mark))
    store = SuffixStore(inner)
    rows = list(store.list())
    keys = [row.key for row in rows]
    assert len(keys) == len(set(keys))
    told = {path if mark or split_suffix(path) is None else split_suffix(path)[0] for path, mark in paths.items()}
    assert set(keys) == told
    for row in rows:
        head = store.head(row.key)
        assert (head.size, head.content_encoding, head.etag) == (row.size, row.content_encoding, row.etag)
        assert len(store.get(row.key)) == row.size
    some = [k for k in keys if k.startswith(prefix) and (start_after is None or sort_key(k) > sort_key(start_after))]
    assert [row.key for row in store.list(prefix, start_after=start_after)] == some
    for key in keys:
        store.delete(key)
        assert key not in {row.key for row in store.list()}
    assert list(inner.keys()) == []


class Unsorted(MemoryStore):
    """A memory store that lists in the order of hashes."""

    @property
    def capabilities(self):
        return MemoryStore.capabilities.fget(self) & type(MemoryStore.capabilities.fget(self))(
            **dict.fromkeys(("listing", "ranges", "metadata", "create", "replace_if", "delete_if", "write"), True)
        )

    def _scan(self, options=suffix.LIST):
        yield from sorted(super()._scan(options), key=lambda row: row.key[::-1])


# ---------------------------------------------------------------------- a model
KEYS = ["a", "a.gz", "a.gz.br", "a.gz.gz", "a.zstd", "a-b", "b/.gz", "b/c.bz2", "a.g"]
CODINGS = [None, "gzip", "br", "zstd", "bz2", "gzip, br", "x-unheard-of"]
OPERATIONS = st.one_of(
    st.tuples(st.sampled_from(["put", "stream", "copy"]), st.sampled_from(KEYS), st.sampled_from(CODINGS)),
    st.tuples(st.sampled_from(["delete", "stage"]), st.sampled_from(KEYS), st.none()),
)


@settings(max_examples=400)
@given(operations=st.lists(OPERATIONS, max_size=25))
def test_any_sequence_of_writes_and_deletes_leaves_what_a_dict_would(operations):
    inner = MemoryStore()
    store, model = SuffixStore(inner), {}
    for number, (operation, key, encoding) in enumerate(operations):
        data = b"%d" % number
        if operation == "delete":
            delete_like(store, model, key)
        else:
            write_like(store, operation, key, data, encoding)
            model[key] = (data, encoding)
        check_model(store, model)


def write_like(store, operation, key, data, encoding):
    if operation == "put":
        put(store, key, data, encoding)
    elif operation == "copy":
        source = MemoryStore()
        source.write("s", data, WriteOptions(content_encoding=encoding))
        assert store.copy("s", key, source).content_encoding == encoding
    elif operation == "stream":
        gathered, suffix.GATHERED = suffix.GATHERED, 0
        try:
            put(store, key, iter([data[:1], data[1:]]), encoding)
        finally:
            suffix.GATHERED = gathered
    else:
        staged = store._stage(key, len(data))
        staged.write_at(0, data)
        assert staged.commit().key == key
        staged.abort()


def delete_like(store, model, key):
    alias = None
    if key not in model and split_suffix(key) is not None and split_suffix(key)[0] in model:
        stem = split_suffix(key)[0]
        alias = stem if marks(store).get(key, key) is None else None
    if key in model or alias is not None:
        store.delete(key)
        del model[key if alias is None else alias]
    else:
        with pytest.raises(NotFound):
            store.delete(key)


def check_model(store, model):
    marked = marks(store)
    assert len(marked) == len(model)
    assert sorted(listed(store)) == sorted((key, encoding) for key, (_, encoding) in model.items())
    for key in KEYS:
        if key in model:
            assert (store.get(key), store.head(key).content_encoding) == model[key]
        elif key in marked and marked[key] is None:
            assert store.get(key) == model[split_suffix(key)[0]][0]
            assert store.exists(key)
        else:
            assert not store.exists(key)
            with pytest.raises(NotFound):
                store.get(key)


# ---------------------------------------------------------------------- what it cannot do, and bad input
def test_conditions_are_refused_and_leave_nothing_behind(store):
    capabilities = store.capabilities
    told = [name for name in ("create", "replace_if", "delete_if", "sorted", "copy") if getattr(capabilities, name)]
    assert told == []
    assert capabilities.ranges
    assert capabilities.metadata
    with pytest.raises(Unsupported, match="if_absent"):
        store.create("a", b"")
    etag = put(store, "b", b"b").etag
    with pytest.raises(Unsupported, match="if_match"):
        store.replace_if("b", b"", etag)
    with pytest.raises(Unsupported, match="if_match"):
        store.delete_if("b", etag)
    with pytest.raises(Unsupported, match="if_absent"):
        store._stage("a", 1, WriteOptions(if_absent=True))
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


class Five(ObjectStore):
    """A user's store of five methods: no attributes, no conditions, no order."""

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

    def keys(self):
        return iter(self.objects)


def test_a_store_without_attributes_has_suffixes_and_refuses_the_names_it_cannot_tell_apart(monkeypatch):
    store = SuffixStore(Five())
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
    store = SuffixStore(SharedFileStore(tmp_path))
    assert store.get("a") == b"x"
    assert not store.exists("missing")
    assert listed(store) == [("a", "gzip")]
    assert os.listdir(tmp_path) == ["a.gz"]


# ---------------------------------------------------------------------- beside cloud-files
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


# ---------------------------------------------------------------------- races between threads
def in_threads(*functions, seconds=30.0):
    """Run them all at once; the first failure is raised here."""
    failures = []

    def guarded(function):
        try:
            function()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(function,), daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    if failures:
        raise failures[0]
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"


@pytest.fixture
def restless():
    """Threads that take turns as often as they can, so that races happen."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def writer(store, number, rounds, acknowledged, key="a", names=ENCODINGS, streamed=False):
    def run():
        for turn in range(rounds):
            data = b"%d:%d" % (number, turn)
            body = iter([data, b""]) if streamed else data
            put(store, key, body, names[(turn + number) % len(names)])
            acknowledged[number] = data

    return run


@pytest.mark.parametrize("streamed", [False, True])
def test_racing_writes_leave_exactly_one_variant_one_of_the_last(inner, soak, restless, monkeypatch, streamed):
    if streamed:
        monkeypatch.setattr(suffix, "GATHERED", -1)
    for attempt in range(3000 if soak else 100):
        acknowledged = {}
        # Two wrappers of the same objects, as two CloudFiles of one directory are; streams race on the names
        # that only they can claim, because elsewhere they may be refused.
        names = [None] if streamed else ENCODINGS
        writers = [writer(SuffixStore(inner), n, 2, acknowledged, names=names, streamed=streamed) for n in range(2)]
        in_threads(*writers, writer(SuffixStore(inner), 2 + attempt % 6, 2, acknowledged))
        store = SuffixStore(inner)
        assert len(stored(store)) == 1, attempt
        assert store.get("a") in acknowledged.values()
        assert len(listed(store)) == 1


def test_a_reader_never_misses_a_key_that_is_there_nor_sees_less_than_was_acknowledged(inner, soak, restless):
    store = SuffixStore(inner)
    put(store, "a", b"0")
    acknowledged = [0]
    done = threading.Event()

    def write():
        try:
            for turn in range(1, 4000 if soak else 400):
                put(store, "a", b"%d" % turn, ENCODINGS[turn % len(ENCODINGS)])
                acknowledged[0] = turn
                assert store.get("a") == b"%d" % turn
        finally:
            done.set()

    def read():
        while not done.is_set():
            before = acknowledged[0]
            assert int(store.get("a")) >= before
            assert store.exists("a")

    in_threads(write, read, read, seconds=120)


def test_natural_names_and_encodings_of_one_family_do_not_lose_each_other(inner, soak, restless):
    stores = [SuffixStore(inner) for _ in range(3)]
    acknowledged = [{}, {}, {}]
    rounds = 600 if soak else 60
    in_threads(
        writer(stores[0], 0, rounds, acknowledged[0], "q", ["gzip", None, "gzip", "br"]),
        writer(stores[1], 0, rounds, acknowledged[1], "q.gz", [None, "gzip", "br"]),
        writer(stores[2], 0, rounds, acknowledged[2], "q.gz.br", [None, "br"]),
        seconds=120,
    )
    for store, key, last in zip(stores, ("q", "q.gz", "q.gz.br"), acknowledged, strict=True):
        assert store.get(key) == last[0]
    assert len(stored(stores[0])) == 3


def test_racing_deletes_and_writes_end_with_one_variant_or_none(inner, soak, restless):
    store = SuffixStore(inner)

    def delete():
        for _ in range(40):
            assert store.remove(["a"]) == [None]

    for _ in range(100 if soak else 8):
        acknowledged = {}
        in_threads(*(writer(store, number, 30, acknowledged) for number in range(2)), delete)
        assert len(stored(store)) <= 1
        assert store.exists("a") == bool(stored(store))


def test_a_long_stream_holds_nobody_up_and_may_write_to_the_store_itself(inner, monkeypatch):
    monkeypatch.setattr(suffix, "GATHERED", 10)
    store = SuffixStore(inner)
    put(store, "a", b"old", "gzip")

    def body(encoding):
        yield b"x" * 20
        assert store.get("a")
        put(store, "progress", b"half", encoding)
        in_threads(lambda: put(store, "other", b"1"), lambda: put(store, "a.zstd", b"relative"), seconds=10)
        yield b"y"

    for encoding in (None, "br"):
        put(store, "a", body(encoding), encoding)
        assert store.get("a") == b"x" * 20 + b"y"
        assert store.get("a.zstd") == b"relative"
        assert [row.key for row in store.list("a")].count("a") == 1


@pytest.mark.parametrize("encoding", [None, "br"])
def test_a_stream_that_was_overtaken_before_it_took_the_lock_takes_nothing_away(monkeypatch, encoding):
    monkeypatch.setattr(suffix, "GATHERED", 0)
    store = SuffixStore(Watched())

    def overtake(change):
        store.store.watch(lambda: (store.store.watch(lambda: None), change()))

    overtake(lambda: put(store, "a", b"later", "gzip"))
    put(store, "a", iter([b"stream", b"ed"]), encoding)
    assert (store.get("a"), stored(store)) == (b"later", ["a.gz"])
    overtake(lambda: store.delete("a"))
    put(store, "a", iter([b"stream", b"ed"]), encoding)
    assert stored(store) == []


def test_a_stream_that_finds_its_name_taken_is_refused_and_takes_nothing(inner, monkeypatch):
    monkeypatch.setattr(suffix, "GATHERED", 0)
    store = SuffixStore(inner)

    def body():
        yield b"of a"
        put(store, "a.gz", b"of a.gz")
        yield b"!"

    with pytest.raises(Conflict, match="write it again") as caught:
        store.write("a", body(), WriteOptions(content_encoding="gzip"))
    assert caught.value.retryable
    assert listed(store) == [("a.gz", None)]
    assert store.get("a.gz") == b"of a.gz"


def test_a_staged_object_replaces_every_variant_when_it_is_committed(inner):
    store = SuffixStore(inner)
    put(store, "a", b"old", "gzip")
    staged = store._stage("a", 3)
    staged.write_at(1, b"ew")
    assert store.get("a") == b"old"
    staged.write_at(0, b"n")
    assert staged.commit().key == "a"
    assert store.get("a") == b"new"
    assert listed(store) == [("a", None)]
    abandoned = store._stage("a", 3)
    abandoned.abort()
    assert store.get("a") == b"new"
    assert store._stage("a", 3, WriteOptions(content_encoding="gzip")) is None
    natural = store._stage("a.br", 1)
    natural.write_at(0, b"n")
    assert natural.commit().content_encoding is None
    assert listed(store) == [("a", None), ("a.br", None)]


def test_one_object_has_one_lock_under_whatever_prefix_it_is_opened(tmp_path):
    bucket = MemoryStore("locks")
    pairs = [
        (SuffixStore(bucket), "p/a", SuffixStore(PrefixStore(MemoryStore("locks"), "p/")), "a.gz"),
        (SuffixStore(FileStore(tmp_path)), "p/a", SuffixStore(FileStore(tmp_path / "p")), "a"),
    ]
    for one, its_key, other, other_key in pairs:
        with one._locked(its_key):
            assert len(_families.families._locks) == 1
            with other._locked(other_key):
                assert len(_families.families._locks) == 1
            with other._locked("b"):
                assert len(_families.families._locks) == 2


def test_no_lock_is_left_behind():
    store = SuffixStore(MemoryStore())
    put(store, "a", b"", "gzip")
    with pytest.raises(NotFound):
        store.get("b")
    with pytest.raises(Unsupported):
        store.create("a", b"")
    with pytest.raises(TypeError):
        store.put("c", ["not bytes"])
    assert _families.families._locks == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are tested where there are forks")
def test_a_child_forked_while_a_lock_is_held_can_write():
    store = SuffixStore(MemoryStore())
    held, release = threading.Event(), threading.Event()

    def hold():
        with store._locked("a"):
            held.set()
            release.wait(30)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    assert held.wait(10)
    child = os.fork()
    if not child:
        signal.alarm(10)  # ends the child if it hangs
        put(store, "a", b"1", "gzip")
        os._exit(0 if store.get("a") == b"1" else 1)
    try:
        assert os.waitpid(child, 0)[1] == 0
    finally:
        release.set()
        thread.join(10)


# ---------------------------------------------------------------------- races between processes
WRITER = """
import sys
from holdfast.codecs import SUFFIXES
from holdfast.types import WriteOptions
from holdfast.wrap.suffix import SuffixStore
from tests.wrap.test_suffix import SharedFileStore
root, number, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
store = SuffixStore(SharedFileStore(root))
names = [None, *SUFFIXES]
for turn in range(rounds):
    encoding = names[(turn + number) % len(names)]
    for _ in range(BURST):
        store.write("a", b"%d:%d" % (number, turn), WriteOptions(content_encoding=encoding))
    AFTER_EACH
"""
IN_STEP = WRITER.replace("BURST", "5").replace("AFTER_EACH", "print(flush=True); sys.stdin.readline()")
ON_ITS_OWN = WRITER.replace("BURST", "1").replace("AFTER_EACH", "turn or print('started', flush=True)")


@contextmanager
def writers(program, root, count, rounds):
    """Processes that write ``a``; all of them are gone at the end of the block."""
    arguments = [sys.executable, "-c", program, str(root)]
    processes = []
    try:
        for number in range(count):
            command = [*arguments, str(number), str(rounds)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            processes.append(subprocess.Popen(command, text=True, **pipes))
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_processes_that_race_for_a_key_leave_one_variant_every_time(tmp_path, soak):
    rounds = 3000 if soak else 150
    store = SuffixStore(SharedFileStore(tmp_path))
    with writers(IN_STEP, tmp_path, 2, rounds) as processes:
        for turn in range(rounds):
            for process in processes:
                assert process.stdout.readline() == "\n"
            assert len(stored(store)) == 1, turn
            assert store.get("a") in {b"0:%d" % turn, b"1:%d" % turn}
            for process in processes:
                process.stdin.write("\n")
                process.stdin.flush()


def test_a_reader_never_misses_what_other_processes_replace(tmp_path, soak):
    rounds = 3000 if soak else 200
    store = SuffixStore(SharedFileStore(tmp_path))
    put(store, "a", b"9:9")
    reads = 0
    with writers(ON_ITS_OWN, tmp_path, 3, rounds) as processes:
        while any(process.poll() is None for process in processes) and reads < 10_000_000:
            assert store.get("a")
            reads += 1
        assert [process.returncode for process in processes] == [0, 0, 0]
    assert reads > 100
    assert len(stored(store)) == 1
    assert store.get("a") in {b"%d:%d" % (number, rounds - 1) for number in range(3)}


def test_a_writer_killed_at_any_moment_leaves_the_old_object_or_the_new(tmp_path, soak):
    store = SuffixStore(SharedFileStore(tmp_path))
    last = -1
    for attempt in range(100 if soak else 8):
        with writers(ON_ITS_OWN, tmp_path, 1, 1_000_000) as (process,):
            assert process.stdout.readline() == "started\n"
            time.sleep(0.003 * attempt)
        number, turn = map(int, store.get("a").split(b":"))
        assert number == 0
        assert turn >= 0
        assert [row.key for row in store.list()] == ["a"]
        last = max(last, turn)
        put(store, "a", b"0:0", "xz")  # and the next write leaves one variant again
        assert len(stored(store)) == 1
    assert last > 0
