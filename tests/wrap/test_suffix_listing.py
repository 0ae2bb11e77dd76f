"""Listings of encoded objects: each key once, as its head tells it, whatever lies there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import codecs
from holdfast.keys import sort_key
from holdfast.store import LIST
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore
from holdfast.types import ListOptions, WriteOptions
from holdfast.wrap import _listing
from holdfast.wrap.rekey import PrefixStore
from holdfast.wrap.suffix import SuffixStore, split_suffix

from .suffixes import listed, put


def test_prefixes_starts_and_delimiters_count_keys_and_not_stored_names(store):
    for key in ("a", "a-b", "d/a", "d/e/f", "gz"):
        put(store, key, b"", "gzip")
    put(store, "n.gz", b"")
    assert {key for key, _ in listed(store)} == {"a", "a-b", "d/a", "d/e/f", "gz", "n.gz"}
    assert listed(store, prefix="a.") == []
    assert listed(store, prefix="a") == [("a", "gzip"), ("a-b", "gzip")]
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


@pytest.mark.slow
@settings(max_examples=300)
@given(
    paths=st.dictionaries(st.sampled_from(PATHS), st.sampled_from([None, None, "identity", "gzip", "gzip, br"])),
    prefix=st.sampled_from(["", "a", "a.", "a.g", "a.gz", "a/"]),
    start_after=st.none() | st.sampled_from(PATHS),
    ordered=st.booleans(),
    most_waiting=st.sampled_from([0, 1, 4096]),
)
def test_whatever_lies_there_list_head_and_read_agree_and_delete_removes(
    paths, prefix, start_after, ordered, most_waiting
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_listing, "MOST_WAITING", most_waiting)
        check_that_list_head_and_read_agree_and_delete_removes(paths, prefix, start_after, ordered)


def check_that_list_head_and_read_agree_and_delete_removes(paths, prefix, start_after, ordered):
    inner = MemoryStore() if ordered else Unsorted()
    for path, mark in paths.items():
        inner.write(path, path.encode(), WriteOptions(content_encoding=mark))
    store = SuffixStore(inner)
    rows = list(store.list())
    keys = [row.key for row in rows]
    assert keys == sorted(set(keys), key=sort_key)
    told = {path if mark or split_suffix(path) is None else split_suffix(path)[0] for path, mark in paths.items()}
    assert set(keys) == told
    for row in rows:
        head = store.head(row.key)
        assert (head.size, head.etag) == (row.size, row.etag)
        told = head.content_encoding if ordered or split_suffix(row.key) is not None else None
        assert row.content_encoding in {head.content_encoding, told}
        assert len(store.get(row.key)) == row.size
    some = [k for k in keys if k.startswith(prefix) and (start_after is None or sort_key(k) > sort_key(start_after))]
    assert [row.key for row in store.list(prefix, start_after=start_after)] == some
    for key in keys:
        store.delete(key)
        assert key not in {row.key for row in store.list()}
    assert list(inner.keys()) == []


NAMES = st.text("-. /ab\xe9", min_size=1, max_size=6) | st.sampled_from(STEMS)


@settings(max_examples=200)
@given(names=st.dictionaries(NAMES, st.sampled_from([None, *codecs.SUFFIXES])), most_waiting=st.integers(0, 3))
def test_keys_come_in_order_whatever_their_stored_names_are(names, most_waiting):
    store = SuffixStore(MemoryStore())
    for name, encoding in names.items():
        put(store, name, b"", encoding)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_listing, "MOST_WAITING", most_waiting)
        assert [row.key for row in store.list()] == sorted(names, key=sort_key)
        prefix = "".join(sorted(names))[:1]
        assert [row.key for row in store.list(prefix)] == sorted(
            (n for n in names if n.startswith(prefix)), key=sort_key
        )
        rolled = [row.key for row in store._scan(ListOptions(delimiter="/"))]
        assert rolled == sorted({n[: n.find("/") + 1] or n for n in names}, key=sort_key)


class Watched(MemoryStore):
    """A memory store that counts how many rows of its listings were taken."""

    taken = 0

    def _scan(self, options=LIST):
        for row in super()._scan(options):
            self.taken += 1
            yield row


@pytest.mark.parametrize("name", ["{:05}", "{:05}.bin", "run-{:05}", "run.{:05}.png", "0-64_{:05}-128_5-9", "d/.{:05}"])
@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_a_listing_streams_and_keeps_few_rows_waiting(monkeypatch, name, encoding):
    monkeypatch.setattr(_listing, "MOST_WAITING", 100)
    inner = Watched()
    store = SuffixStore(inner)
    put(store, "run", b"", "zstd")
    for number in range(1000):
        put(store, name.format(number), b"", encoding)
    inner.taken = ahead = 0
    for count, row in enumerate(store.list("r" if name.startswith("run") else "")):
        ahead = max(ahead, inner.taken - count)
        assert count or row.key in {"run", name.format(0)}
    assert inner.taken >= 1000
    assert ahead < 110


class Unsorted(MemoryStore):
    """A memory store that lists in no useful order, and tells no encodings in its rows."""

    lists_attributes = False

    @property
    def capabilities(self):
        return replace(MemoryStore.capabilities.fget(self), sorted=False)

    def _scan(self, options=LIST):
        for row in sorted(super()._scan(options), key=lambda row: row.key[::-1]):
            yield replace(row, content_encoding=None)


def test_a_listing_asks_nothing_more_where_rows_tell_the_encoding(inner):
    store = SuffixStore(inner)
    for key, encoding in (("p/a", "gzip"), ("p/b.gz", None), ("p/c", None), ("p/d", "gzip, br"), ("p/e.br", "gzip")):
        put(store, key, b"", encoding)
    expected = sorted(listed(store))
    assert dict(expected) == {"p/a": "gzip", "p/b.gz": None, "p/c": None, "p/d": "gzip, br", "p/e.br": "gzip"}
    counting = CountingStore(inner)
    counting.lists_attributes = True
    assert [(row.key, row.content_encoding) for row in SuffixStore(counting).list()] == expected
    assert counting.calls == {"scan": 1}
    assert [row.content_encoding for row in SuffixStore(PrefixStore(counting, "p/")).list("b")] == [None]
    assert counting.calls == {"scan": 2}
