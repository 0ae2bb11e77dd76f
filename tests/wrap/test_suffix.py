"""Encodings as name suffixes: how objects are stored, and that every key has its last write, whatever was there."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import codecs
from holdfast.errors import NotFound
from holdfast.stores.memory import MemoryStore
from holdfast.types import WriteOptions
from holdfast.wrap import suffix
from holdfast.wrap.suffix import SuffixStore, split_suffix

from .suffixes import ENCODINGS, Watched, foreign, listed, marks, put, stored


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


# ---------------------------------------------------------------------- a model
KEYS = ["a", "a.gz", "a.gz.br", "a.gz.gz", "a.zstd", "a-b", "b/.gz", "b/c.bz2", "a.g"]
CODINGS = [None, "gzip", "br", "zstd", "bz2", "gzip, br", "x-unheard-of"]
OPERATIONS = st.one_of(
    st.tuples(st.sampled_from(["put", "stream", "copy"]), st.sampled_from(KEYS), st.sampled_from(CODINGS)),
    st.tuples(st.sampled_from(["delete", "stage"]), st.sampled_from(KEYS), st.none()),
)


@pytest.mark.slow
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
