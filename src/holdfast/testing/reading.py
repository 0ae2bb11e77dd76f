"""Conformance of reads: whole, in ranges, heads, versions; from one thread and many."""

from __future__ import annotations

import pickle

import pytest

from ..errors import Conflict, IntegrityError, NotFound
from ..store import ObjectStore, Store
from ..types import ReadOptions
from .suite import Suite, pattern, read, together

SIZES = (0, 1, 2, 4095, 65537, (1 << 20) + 1)

# Of an object of 1000 bytes.
RANGES = (
    (0, 10),
    (10, 20),
    (999, 1000),
    (990, 2000),
    (1000, 1001),
    (5000, 6000),
    (5, 5),
    (0, 0),
    (7, 3),
    (None, 10),
    (None, 0),
    (None, 5000),
    (10, None),
    (0, None),
    (1000, None),
    (-10, None),
    (-1, None),
    (-5000, None),
)


class ReadingConformance(Suite):
    """What every store promises to readers."""

    @pytest.mark.parametrize("size", SIZES)
    def test_what_was_stored_comes_back(self, store: ObjectStore, size: int) -> None:
        """Bytes come back as they are, as real bytes, whatever their number."""
        data = pattern(size)
        self.seed(store, "dir/key", data)
        found = store.get("dir/key")
        assert found == data
        assert type(found) is bytes
        assert store.exists("dir/key")

    def test_a_large_object_comes_back(self, store: ObjectStore) -> None:
        """So do objects that travel in several pieces."""
        data = pattern(self.large)
        self.seed(store, "large", data)
        assert store.get("large") == data
        assert store.get_range("large", self.large - 5, self.large + 5) == data[-5:]

    def test_a_blob_gives_its_body_in_three_ways(self, store: ObjectStore) -> None:
        """bytes(), chunks() and readinto() agree; a buffer that is too small is an error, not a truncation."""
        data = pattern(self.large)
        self.seed(store, "key", data)
        with store.read("key") as blob:
            assert b"".join(bytes(chunk) for chunk in blob.chunks()) == data
        buffer = bytearray(len(data) + 3)
        with store.read("key") as blob:
            assert blob.readinto(buffer) == len(data)
        assert buffer == data + bytes(3)
        with store.read("key", ReadOptions(10, 20)) as blob:
            assert blob.readinto(memoryview(buffer)[:10]) == 10
        assert buffer[:10] == data[10:20]
        with store.read("key") as blob, pytest.raises(IntegrityError):
            blob.readinto(bytearray(len(data) - 1))

    def test_blobs_may_be_left_half_read(self, store: ObjectStore) -> None:
        """Closing a blob early, or twice, harms neither it nor the reads that follow."""
        data = pattern(self.large)
        self.seed(store, "key", data)
        for _ in range(10):
            blob = store.read("key")
            next(iter(blob.chunks()))
            blob.close()
            blob.close()
            store.read("key").close()
        assert store.get("key") == data

    def test_a_missing_object_is_not_found(self, store: ObjectStore) -> None:
        """Every read of a missing key raises NotFound (a KeyError) that knows the key and can be pickled.

        Of a class of five methods, its own ``get`` may raise any KeyError.
        """
        self.seed(store, "there", b"x")
        assert not store.exists("missing")
        for key in ("missing", "the/re", "ther"):
            with pytest.raises(NotFound if isinstance(store, Store) else KeyError):
                store.get(key)
        for reading in (
            lambda: store.read("missing"),
            lambda: store.head("missing"),
            lambda: store.get_range("missing", 0, 10),
            lambda: store.get_range("missing", 0, 0),
            lambda: store.get_range("missing", 5, 5),
            lambda: store.get_range("missing", -3),
        ):
            with pytest.raises(NotFound) as raised:
                reading()
            error = raised.value
            assert error.key == "missing"
            assert isinstance(error, KeyError)
            assert isinstance(error, FileNotFoundError)
            assert error.__cause__ is not error, "it was taken for an OSError of the system's"
            copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
            assert (type(copy), str(copy), copy.key) == (type(error), str(error), error.key)

    def test_a_directory_is_no_object(self, store: ObjectStore) -> None:
        """That keys lie below "dir/" does not make "dir" an object."""
        self.seed(store, "dir/key", b"x")
        assert not store.exists("dir")
        with pytest.raises(KeyError):
            store.get("dir")

    @pytest.mark.parametrize(("start", "end"), RANGES)
    def test_a_range_is_a_slice(self, store: ObjectStore, start: int | None, end: int | None) -> None:
        """Ranges mean what slices mean: past the end is shorter or empty, a negative start counts from the end."""
        data = pattern(1000)
        self.seed(store, "key", data)
        expected = data[start:end]
        assert store.get_range("key", start, end) == expected
        with store.read("key", ReadOptions(start, end)) as blob:
            assert blob.size in {None, len(expected)}
            assert b"".join(bytes(chunk) for chunk in blob.chunks()) == expected

    @pytest.mark.parametrize(("start", "end"), [(0, 1), (0, 0), (3, None), (-5, None), (None, 5), (7, 9)])
    def test_a_range_of_an_empty_object_is_empty(self, store: ObjectStore, start: int | None, end: int | None) -> None:
        """An empty object has only empty ranges, and none of them is an error."""
        self.seed(store, "key", b"")
        assert store.get_range("key", start, end) == b""

    def test_the_info_of_a_range_describes_the_whole_object(self, store: ObjectStore) -> None:
        """A range knows of the object that it is a part of."""
        self.seed(store, "key", pattern(1000))
        for start, end in ((10, 20), (-10, None), (0, 5000)):
            with store.read("key", ReadOptions(start, end)) as blob:
                blob.bytes()
                assert blob.info.key == "key"
                assert blob.info.size in {None, 1000}
                assert blob.info.etag == store.head("key").etag

    def test_a_head_tells_without_the_body(self, store: ObjectStore) -> None:
        """The head of an object has its key and its size, and no body."""
        self.seed(store, "dir/key", pattern(1234))
        info = store.head("dir/key")
        assert (info.key, info.size, info.is_prefix) == ("dir/key", 1234 if self.sizes else None, False)
        if store.capabilities.replace_if:
            assert info.etag is not None
        with store.read("dir/key", ReadOptions(head=True)) as blob:
            assert blob.info == info

    def test_a_read_may_name_a_version(self, store: ObjectStore) -> None:
        """With if_match only the version of that ETag is read, else it is a Conflict; a missing key is NotFound."""
        self.seed(store, "key", b"old value")
        if not self.declared(store.capabilities.ranges, lambda: read(store, "key", if_match="x")):
            return
        etag = store.head("key").etag
        if etag is None:
            pytest.skip("this store's objects have no ETags")
        assert read(store, "key", if_match=etag) == b"old value"
        assert read(store, "key", start=4, end=7, if_match=etag) == b"val"
        self.seed(store, "key", b"newer value")
        for options in ({}, {"start": 4, "end": 7}, {"start": -3}, {"start": 2, "end": 2}, {"head": True}):
            with pytest.raises(Conflict):
                read(store, "key", if_match=etag, **options)
        with pytest.raises(NotFound):
            read(store, "missing", if_match=etag)

    def test_many_threads_may_read_at_once(self, store: ObjectStore) -> None:
        """A store may be shared between threads."""
        objects = {f"dir{number % 3}/key{number}": pattern(1000 + number) for number in range(12)}
        self.fill(store, objects)

        def check(number: int) -> bool:
            keys = sorted(objects)[number:] + sorted(objects)[:number]
            return all(store.get(key) == objects[key] for key in keys)

        assert all(together(8, check))
