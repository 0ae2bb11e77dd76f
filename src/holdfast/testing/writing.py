"""Conformance of writes: bodies of every kind, attributes, deletes, copies, parts; old or new, and whole."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..errors import Conflict, NotFound, Unsupported
from ..store import ObjectStore, Store
from ..stores.memory import MemoryStore
from ..types import WriteOptions
from .suite import Suite, pattern, together, write

ATTRIBUTES: dict[str, Any] = {
    "content_type": "text/x-holdfast",
    "content_encoding": "gzip",
    "cache_control": "max-age=60",
    "content_disposition": 'attachment; filename="a.txt"',
    "content_language": "de",
    "metadata": {"owner": "ann", "unit": "3"},
}


class Broken(Exception):
    """What an iterator of chunks raises in the middle."""


def broken_chunks() -> Iterator[bytes]:
    """Two chunks, then an error."""
    yield b"half of "
    yield b"a new value"
    raise Broken


def reused_buffer(data: bytes, size: int) -> Iterator[bytearray]:
    """The data in chunks that are all the same bytearray, filled anew each time."""
    buffer = bytearray(size)
    for start in range(0, len(data), size):
        chunk = data[start : start + size]
        buffer[: len(chunk)] = chunk
        del buffer[len(chunk) :]
        yield buffer


class WritingConformance(Suite):
    """What every store that can be written promises to writers; a read-only one says Unsupported."""

    def writes(self, store: ObjectStore) -> bool:
        """Whether the store can be written; if it cannot, writing and deleting must be Unsupported."""
        if store.capabilities.write:
            return True
        self.seed(store, "there", b"value")
        for operation in (
            lambda: store.put("new", b"x"),
            lambda: store.put("there", b"x"),
            lambda: store.delete("there"),
            lambda: store.remove(["there"]),
            lambda: store.create("new", b"x"),
            lambda: store.copy("there", "new"),
        ):
            # A bulk delete tells of each key by itself.
            try:
                answer = operation()
            except Unsupported:
                continue
            assert isinstance(answer, list)
            assert [type(error) for error in answer] == [Unsupported]
        assert not store.exists("new")
        assert store.get("there") == b"value"
        return False

    def test_bodies_of_every_kind_are_stored(self, store: ObjectStore, tmp_path: Path) -> None:
        """A body is bytes-like, a path, a binary file (from where it stands) or an iterator of chunks."""
        if not self.writes(store):
            return
        data = pattern(300_000)
        path = tmp_path / "body"
        path.write_bytes(data)
        with path.open("rb") as whole, path.open("rb") as rest:
            rest.seek(1000)
            bodies: dict[str, tuple[Any, bytes]] = {
                "bytes": (data, data),
                "bytearray": (bytearray(data), data),
                "memoryview": (memoryview(data)[5:], data[5:]),
                "strided memoryview": (memoryview(data)[::2], data[::2]),
                "memoryview of other items": (memoryview(data).cast("I"), data),
                "path": (path, data),
                "file": (whole, data),
                "file from the middle": (rest, data[1000:]),
                "file in memory": (io.BytesIO(data), data),
                "list of chunks": ([data[:10], data[10:]], data),
                "generator": ((data[at : at + 70_000] for at in range(0, len(data), 70_000)), data),
                "generator of one buffer": (reused_buffer(data, 70_000), data),
                "empty chunks": (iter([b"", b"a", b"", b"b", b""]), b"ab"),
                "no chunks": (iter([]), b""),
                "empty bytearray": (bytearray(), b""),
            }
            for kind, (body, expected) in bodies.items():
                info = write(store, f"body/{kind}", body)
                assert info.key == f"body/{kind}"
                assert info.size in {None, len(expected)}
        self.assert_holds(store, {f"body/{kind}": expected for kind, (_, expected) in bodies.items()})

    def test_a_large_body_of_unknown_length_is_stored(self, store: ObjectStore) -> None:
        """An iterator may be longer than any buffer."""
        if self.writes(store):
            data = pattern(self.large)
            write(store, "large", (data[at : at + 100_000] for at in range(0, len(data), 100_000)))
            assert store.get("large") == data

    def test_what_was_stored_is_a_copy(self, store: ObjectStore) -> None:
        """A body that changes after the write changes nothing in the store."""
        if self.writes(store):
            body = bytearray(b"value")
            write(store, "key", body)
            write(store, "view", memoryview(body))
            body[:] = b"other"
            self.assert_holds(store, {"key": b"value", "view": b"value"})

    @pytest.mark.parametrize("body", ["text", 7, None, ["text", "chunks"], [7]], ids=repr)
    def test_what_is_no_body_is_a_type_error(self, store: ObjectStore, body: Any) -> None:
        """Text and other objects are refused with TypeError and store nothing."""
        if self.writes(store):
            store.put("old", b"old")
            for key in ("new", "old"):
                with pytest.raises(TypeError):
                    write(store, key, body)
            self.assert_holds(store, {"old": b"old"})

    def test_a_body_that_breaks_leaves_what_was_there(self, store: ObjectStore) -> None:
        """An error from the body arrives as it is; the old value stays, or nothing appears."""
        if self.writes(store):
            store.put("old", b"old")
            for key in ("new", "old"):
                with pytest.raises(Broken):
                    write(store, key, broken_chunks())
            self.assert_holds(store, {"old": b"old"})

    def test_an_overwrite_replaces_the_whole_value(self, store: ObjectStore) -> None:
        """Shorter, longer, empty: nothing of the old value is left."""
        if self.writes(store):
            for data in (b"middle value", b"short", b"a much longer value than before", b"", b"again"):
                store.put("key", data)
                self.assert_holds(store, {"key": data})

    def test_a_write_tells_the_version_it_made(self, store: ObjectStore) -> None:
        """The ETag of a write is that of the next head, and another value has another."""
        if self.writes(store):
            first, head = write(store, "key", b"1"), store.head("key")
            assert None in {first.etag, head.etag} or first.etag == head.etag
            second = write(store, "key", b"2")
            assert second.etag is None or second.etag != first.etag
            assert head.etag is None or store.head("key").etag != head.etag

    @pytest.mark.parametrize("names", [(name,) for name in ATTRIBUTES] + [tuple(ATTRIBUTES)], ids="+".join)
    def test_attributes_are_kept_or_refused(self, store: ObjectStore, names: tuple[str, ...]) -> None:
        """What is attached to an object comes back with it until it is written again; or it is Unsupported."""
        if not self.writes(store):
            return
        given = {name: ATTRIBUTES[name] for name in names}
        if not self.declared(store.capabilities.metadata, lambda: write(store, "key", b"value", **given)):
            self.assert_holds(store, {})
            return
        write(store, "key", b"value", **given)
        info = store.head("key")
        assert {name: getattr(info, name) for name in names} == given
        with store.read("key") as blob:
            assert blob.encoding == given.get("content_encoding")
            assert blob.info.metadata == given.get("metadata", {})
            assert blob.bytes() == b"value"
        store.put("key", b"plain")
        info = store.head("key")
        kept = {name for name in names if getattr(info, name) == given[name]}
        assert not kept, "attributes of the old value on the new one"
        self.assert_holds(store, {"key": b"plain"})

    def test_a_deleted_object_is_gone(self, store: ObjectStore) -> None:
        """A deleted object is not found, not listed, and its neighbours stay; its key can be used again."""
        if self.writes(store):
            objects = {"dir/a": b"1", "dir/a.txt": b"2", "dir/b/c": b"3"}
            self.fill(store, objects)
            store.delete("dir/a")
            assert not store.exists("dir/a")
            with pytest.raises(KeyError):
                store.get("dir/a")
            with pytest.raises(NotFound):
                store.head("dir/a")
            self.assert_holds(store, {"dir/a.txt": b"2", "dir/b/c": b"3"})
            store.put("dir/a", b"new")
            self.assert_holds(store, {**objects, "dir/a": b"new"})

    def test_deleting_a_missing_object_tells(self, store: ObjectStore) -> None:
        """One missing key is NotFound, a KeyError that knows its key (of five methods: any KeyError)."""
        if self.writes(store):
            store.put("there", b"x")
            for key in ("missing", "there/not", "ther"):
                with pytest.raises(NotFound if isinstance(store, Store) else KeyError) as raised:
                    store.delete(key)
                assert not isinstance(raised.value, NotFound) or raised.value.key == key
            self.assert_holds(store, {"there": b"x"})

    def test_many_keys_are_removed_together(self, store: ObjectStore) -> None:
        """A bulk delete answers for each key in order; a key that is gone already counts as removed."""
        if self.writes(store):
            keys = [f"d{number % 3}/k{number}" for number in range(25)]
            self.fill(store, {**dict.fromkeys(keys, b"x"), "stays": b"y"})
            wanted = [*keys[::2], "missing", keys[0], "d0/missing", *keys[1::2]]
            assert store.remove(wanted) == [None] * len(wanted)
            assert store.remove([]) == []
            self.assert_holds(store, {"stays": b"y"})

    def test_readers_see_the_old_value_or_the_new_one(self, store: ObjectStore) -> None:
        """While a value is replaced, every reader gets one of them, whole; with atomic_write only."""
        if not self.writes(store) or not store.capabilities.atomic_write:
            return
        values = [b"a" * 200_000, b"b" * 100_000, b"c" * 50]
        store.put("key", values[0])

        def work(number: int) -> None:
            for turn in range(self.rounds):
                if number == 0:
                    store.put("key", values[turn % 3])
                else:
                    found = store.get("key")
                    assert found in values, f"{len(found)} bytes of {set(found)}"

        together(4, work)

    def test_a_copy_is_the_object_again(self, store: ObjectStore) -> None:
        """A copy has the bytes and the attributes of its source, which stays as it is."""
        if not self.writes(store):
            return
        given = ATTRIBUTES if store.capabilities.metadata else {}
        write(store, "dir/source", b"value", **given)
        store.put("old", b"to be replaced")
        assert store.copy("dir/source", "new/copy").key == "new/copy"
        store.copy("dir/source", "old")
        self.assert_holds(store, {"dir/source": b"value", "new/copy": b"value", "old": b"value"})
        for key in ("new/copy", "old", "dir/source"):
            info = store.head(key)
            assert {name: getattr(info, name) for name in given} == given
        store.put("dir/source", b"changed")
        assert store.get("new/copy") == b"value"

    def test_a_copy_may_come_from_another_store(self, store: ObjectStore) -> None:
        """Copies between unlike stores work in both directions."""
        other = MemoryStore()
        self.seed(store, "key", b"value")
        assert other.copy("key", "theirs", source=store).size == 5
        assert other.get("theirs") == b"value"
        if self.writes(store):
            store.copy("theirs", "back", source=other)
            self.assert_holds(store, {"key": b"value", "back": b"value"})

    def test_a_copy_may_name_the_version_of_its_source(self, store: ObjectStore) -> None:
        """A copy of another version than the one that is named is a Conflict, and writes nothing."""
        if not self.writes(store):
            return
        store.put("source", b"value")
        version = store.head("source").etag
        if version is not None:
            store._copy(store, "source", "new", WriteOptions(source_if_match=version))
            with pytest.raises(Conflict):
                store._copy(store, "source", "other", WriteOptions(source_if_match='"another-version"'))
            self.assert_holds(store, {"source": b"value", "new": b"value"})

    def test_a_copy_of_nothing_leaves_nothing(self, store: ObjectStore) -> None:
        """Copying a missing object is NotFound and leaves the target alone."""
        if self.writes(store):
            store.put("old", b"old")
            for source in (store, MemoryStore()):
                for target in ("old", "new"):
                    with pytest.raises(NotFound):
                        store.copy("missing", target, source=source)
            self.assert_holds(store, {"old": b"old"})

    def test_an_object_copied_onto_itself_stays(self, store: ObjectStore) -> None:
        """Copying an object onto itself keeps it, or is refused."""
        if self.writes(store):
            store.put("key", b"value")
            with contextlib.suppress(Unsupported):
                store.copy("key", "key")
            self.assert_holds(store, {"key": b"value"})

    def test_parts_in_any_order_become_one_object(self, store: ObjectStore) -> None:
        """A staged object takes parts from several threads and appears whole when it is committed, not before."""
        if not self.writes(store):
            return
        data = pattern(self.large)
        store.put("key", b"old")
        staged = store._stage("key", len(data))
        if staged is None:
            return
        step = len(data) // 7

        def part(number: int) -> None:
            start = (6 - number) * step
            staged.write_at(start, memoryview(data)[start : len(data) if number == 0 else start + step])

        together(7, part)
        self.assert_holds(store, {"key": b"old"})
        info = staged.commit()
        assert (info.key, info.size) == ("key", len(data))
        staged.abort()
        self.assert_holds(store, {"key": data})

    def test_an_aborted_stage_leaves_no_trace(self, store: ObjectStore) -> None:
        """Aborting, also twice, leaves the old value or nothing; an empty stage commits to an empty object."""
        if not self.writes(store):
            return
        store.put("old", b"old")
        for key in ("old", "new/deep/key"):
            staged = store._stage(key, 10)
            if staged is None:
                return
            staged.write_at(0, b"01234")
            staged.abort()
            staged.abort()
        self.assert_holds(store, {"old": b"old"})
        empty = store._stage("empty", 0)
        assert empty is not None
        empty.commit()
        self.assert_holds(store, {"old": b"old", "empty": b""})

    def test_a_stage_takes_the_options_of_a_write(self, store: ObjectStore) -> None:
        """Attributes go along with a staged object."""
        if not self.writes(store) or not store.capabilities.metadata:
            return
        staged = store._stage("key", 5, WriteOptions(**ATTRIBUTES))
        if staged is not None:
            staged.write_at(0, b"value")
            staged.commit()
            info = store.head("key")
            assert {name: getattr(info, name) for name in ATTRIBUTES} == ATTRIBUTES

    def test_a_closed_store_may_be_closed_again(self, store: ObjectStore) -> None:
        """Closing is harmless when repeated, and a store is a context manager."""
        self.seed(store, "key", b"value")
        with store as entered:
            assert entered is store
            assert store.get("key") == b"value"
        store.close()
