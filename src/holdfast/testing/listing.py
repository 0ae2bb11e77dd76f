"""Conformance of listings: string prefixes, order, delimiters, and where to start."""

from __future__ import annotations

import pytest

from ..errors import InvalidKey, NotFound, Unsupported
from ..keys import sort_key
from ..store import ObjectStore
from .suite import Suite, listed

SIBLINGS = ("run", "run1/a", "run1/b/c", "run1.txt", "run10", "run10.txt", "ru", "r/un1", "other/run1/a")
ORDERED = (
    "Z",
    "a b",
    "a!",
    "a-b",
    "a/b",
    "a0",
    "ab",
    "b/a/c",
    "b/a-c",
    "b/ac",
    "é",
    "\uffee",
    "\U0001f600",
    "z/\u00fc",
)
TREE = ("dir/a", "dir/b", "dir/sub/c", "dir/sub/d", "dir2/x", "other/deep/er/x", "top.txt", "zz")


class ListingConformance(Suite):
    """What every store that lists promises; any other says Unsupported."""

    def lists(self, store: ObjectStore) -> bool:
        """Whether the store lists; if it does not, listing must raise Unsupported."""
        self.declared(store.capabilities.listing, lambda: list(store.keys()))
        return self.declared(store.capabilities.listing, lambda: list(store.list()))

    def test_an_empty_store_lists_nothing(self, store: ObjectStore) -> None:
        """Nothing is listed where nothing is, not even what the store keeps for itself."""
        if self.lists(store):
            assert listed(store) == []
            assert listed(store, "any/thing") == []
            assert listed(store, delimiter="/") == []

    def test_a_listing_tells_what_a_head_tells(self, store: ObjectStore) -> None:
        """Rows have keys relative to the store and, where sizes and ETags are known, the same as a head has."""
        self.fill(store, {key: key.encode() * 3 for key in TREE})
        if not self.lists(store):
            return
        rows = {info.key: info for info in store.list()}
        assert sorted(rows) == sorted(TREE)
        assert sorted(store.keys()) == sorted(TREE)
        for key, row in rows.items():
            head = store.head(key)
            assert row.size in {None, len(key.encode() * 3)}
            assert None in {row.etag, head.etag} or row.etag == head.etag
            assert not row.is_prefix

    @pytest.mark.parametrize("prefix", ["r", "ru", "run", "run1", "run1/", "run10", "run1.", "run1/b/", "run2", "o"])
    def test_a_prefix_is_a_string(self, store: ObjectStore, prefix: str) -> None:
        """A prefix selects by the characters of keys: "run1" selects run10 and run1.txt, and "run1/" does not."""
        self.fill(store, dict.fromkeys(SIBLINGS, b"x"))
        if self.lists(store):
            assert sorted(listed(store, prefix)) == sorted(key for key in SIBLINGS if key.startswith(prefix))

    @pytest.mark.parametrize("prefix", ["/", "//", "run1//", "run1/../run", "./", "\x1b", "run\udcff", "run\U0010ffff"])
    def test_a_prefix_that_no_key_has_lists_nothing(self, store: ObjectStore, prefix: str) -> None:
        """Awkward prefixes are no paths: they select nothing, or are refused as keys that start so are."""
        self.fill(store, dict.fromkeys(SIBLINGS, b"x"))
        if not self.lists(store):
            return
        try:
            assert listed(store, prefix) == []
        except InvalidKey:
            with pytest.raises((InvalidKey, NotFound)):
                store.get(prefix + "a")

    def test_the_order_is_that_of_utf8(self, store: ObjectStore) -> None:
        """A store that calls itself sorted lists in the order of its keys' UTF-8 bytes, also under a prefix."""
        self.fill(store, dict.fromkeys(ORDERED, b"x"))
        if not self.lists(store):
            return
        for prefix in ("", "a", "b/", "b/a"):
            expected = sorted((key for key in ORDERED if key.startswith(prefix)), key=sort_key)
            found = listed(store, prefix)
            assert (found if store.capabilities.sorted else sorted(found, key=sort_key)) == expected

    def test_a_delimiter_rolls_directories_up(self, store: ObjectStore) -> None:
        """With a delimiter what lies below it is one row, marked as a prefix, and everything else is as without."""
        self.fill(store, dict.fromkeys(TREE, b"x"))
        if not self.lists(store):
            return
        for prefix, expected in {
            "": ["dir/", "dir2/", "other/", "top.txt", "zz"],
            "dir/": ["dir/a", "dir/b", "dir/sub/"],
            "dir": ["dir/", "dir2/"],
            "other/deep/": ["other/deep/er/"],
            "other/de": ["other/deep/"],
            "top": ["top.txt"],
            "none/": [],
        }.items():
            rows = list(store.list(prefix, delimiter="/"))
            keys = [row.key for row in rows]
            assert (keys if store.capabilities.sorted else sorted(keys)) == expected
            assert [row.key for row in rows if row.is_prefix] == [key for key in keys if key.endswith("/")]

    def test_any_delimiter_works_or_is_refused(self, store: ObjectStore) -> None:
        """A delimiter other than the slash is honoured or Unsupported, never ignored."""
        self.fill(store, {"a.b/c": b"x", "a.c": b"x", "b": b"x"})
        if not self.lists(store):
            return
        try:
            rows = {row.key: row.is_prefix for row in store.list(delimiter=".")}
        except Unsupported:
            return
        assert rows == {"a.": True, "b": False}

    def test_a_listing_may_start_after_any_key(self, store: ObjectStore) -> None:
        """start_after leaves out what does not come after it, whether there is such a key or not."""
        self.fill(store, dict.fromkeys(ORDERED, b"x"))
        if not self.lists(store):
            return
        in_order = sorted(ORDERED, key=sort_key)
        for after in (*ORDERED, "a", "a.", "\U0010ffff", " "):
            later = [key for key in in_order if sort_key(key) > sort_key(after)]
            assert sorted(listed(store, start_after=after), key=sort_key) == later
        assert sorted(listed(store, "b/", start_after="b/a-c")) == ["b/a/c", "b/ac"]
        assert sorted(listed(store, "b/", start_after="c")) == []
        assert sorted(listed(store, "b/", start_after="A")) == ["b/a-c", "b/a/c", "b/ac"]

    def test_a_listing_with_a_delimiter_may_be_resumed_at_any_row(self, store: ObjectStore) -> None:
        """Starting after a row, rolled up or not, gives the rows after it."""
        self.fill(store, dict.fromkeys(TREE, b"x"))
        if not self.lists(store):
            return
        for prefix in ("", "dir", "dir/"):
            rows = sorted(listed(store, prefix, delimiter="/"))
            for at, row in enumerate(rows):
                assert sorted(listed(store, prefix, delimiter="/", start_after=row)) == rows[at + 1 :], row

    def test_a_long_listing_is_whole(self, store: ObjectStore) -> None:
        """Listings of more than a page have every key once."""
        keys = [f"d{number % 3}/k{number:05d}" for number in range(self.many)]
        self.fill(store, dict.fromkeys(keys, b""))
        if self.lists(store):
            assert sorted(listed(store)) == sorted(keys)
            assert sorted(listed(store, "d1/k0")) == sorted(key for key in keys if key.startswith("d1/k0"))
            assert sorted(listed(store, delimiter="/")) == ["d0/", "d1/", "d2/"]

    def test_a_listing_may_be_left_early(self, store: ObjectStore) -> None:
        """A listing is an iterator: it can be dropped after a row, and another one be made."""
        self.fill(store, dict.fromkeys(TREE, b"x"))
        if self.lists(store):
            for _ in range(5):
                assert next(iter(store.list())).key in TREE
            assert sorted(listed(store)) == sorted(TREE)

    def test_objects_may_be_deleted_while_they_are_listed(self, store: ObjectStore) -> None:
        """Deleting each row as it comes ends with an empty store."""
        if not store.capabilities.write or not self.lists(store):
            return
        self.fill(store, dict.fromkeys(TREE, b"x"))
        for info in store.list():
            store.delete(info.key)
        self.assert_holds(store, {})

    def test_an_object_and_a_directory_may_share_a_name_or_are_refused(self, store: ObjectStore) -> None:
        """Where "a" and "a/b" can both be, both are listed; elsewhere the second is InvalidKey and the first stays."""
        if not store.capabilities.write:
            return
        for first, second in (("a", "a/b"), ("c/d", "c")):
            store.put(first, b"first")
            try:
                store.put(second, b"second")
            except InvalidKey:
                assert not store.exists(second)
            else:
                assert store.get(second) == b"second"
                if store.capabilities.listing:
                    assert sorted(listed(store, first[0])) == sorted((first, second))
            assert store.get(first) == b"first"
