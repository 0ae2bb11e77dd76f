"""Attributes and ETags: bound to the bytes they belong to, at every moment."""

from __future__ import annotations

import gzip
import json
import os
import threading
import time
from pathlib import Path

import pytest

from holdfast.errors import Conflict, Unsupported
from holdfast.stores.file import FileStore, attributes, writing
from holdfast.stores.file.attributes import Sidecar, Sidecars
from holdfast.types import ReadOptions, WriteOptions

FULL = WriteOptions(
    content_type="text/plain; charset=utf-8",
    content_encoding="gzip",
    cache_control="no-store",
    content_disposition='attachment; filename="ü"',
    content_language="de",
    metadata={"name": "wert\n", "ü": "\udcff", "": ""},
)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path)


def sidecars(store: FileStore) -> list[Path]:
    return sorted((Path(store.root) / ".holdfast/attributes").glob("*"))


def test_every_attribute_comes_back_from_write_head_and_read(store: FileStore) -> None:
    written = store.write("a", b"data", FULL)
    assert store.head("a") == written
    with store.read("a") as blob:
        assert blob.info == written
        assert blob.encoding == "gzip"
    assert {name: getattr(written, name) for name in FULL.attributes()} == FULL.attributes()
    assert FileStore(store.root).head("a") == written


def test_an_object_without_attributes_has_no_sidecar(store: FileStore) -> None:
    store.put("a", b"1")
    store.remove(["a", "b"])
    assert not (Path(store.root) / ".holdfast/attributes").exists()


def test_a_read_of_an_object_written_without_a_sidecar_looks_for_none(store: FileStore, monkeypatch) -> None:
    store.write("typed", b"1", FULL)
    store.put("plain", b"1")
    (Path(store.root) / "foreign").write_bytes(b"1")
    looked: list[str] = []
    real = attributes._content
    monkeypatch.setattr(attributes, "_content", lambda directory, name: (looked.append(name), real(directory, name))[1])
    assert store.get("plain") == b"1"
    store.head("plain")
    assert not looked
    assert store.head("typed").content_type == FULL.content_type
    assert store.head("foreign").content_type is None
    assert len(looked) == 2


def test_attributes_go_with_their_object(store: FileStore) -> None:
    store.write("a", b"1", FULL)
    store.write("b", b"1", FULL)
    store.put("a", b"2")
    assert store.head("a").content_type is None
    store.delete("b")
    assert sidecars(store) == []
    for number in range(20):
        store.write("a", b"%d" % number, FULL)
    assert len(sidecars(store)) == 1


def test_attributes_move_with_a_file_that_is_renamed_and_stay_with_a_second_link(store: FileStore) -> None:
    store.write("a", b"1", FULL)
    root = Path(store.root)
    (root / "a").rename(root / "b")
    assert store.head("b").content_encoding == "gzip"
    (root / "c").hardlink_to(root / "b")
    store.delete("b")
    assert store.head("c").content_encoding == "gzip"
    store.delete("c")
    assert sidecars(store) == []


def test_a_file_changed_by_other_means_loses_its_attributes(store: FileStore) -> None:
    old = store.write("a", b"1234", FULL)
    with (Path(store.root) / "a").open("r+b") as file:
        file.write(b"5678")
    changed = store.head("a")
    assert (changed.content_encoding, changed.metadata) == (None, {})
    assert changed.etag != old.etag
    with store.read("a") as blob:
        assert blob.encoding is None
    assert [row.etag for row in store.list()] == [changed.etag]
    with pytest.raises(Conflict):
        store.replace_if("a", b"x", old.etag or "")


def test_a_sidecar_left_from_an_earlier_file_with_the_same_inode_is_not_taken_up(store: FileStore, monkeypatch) -> None:
    store.write("a", b"1", FULL)
    (path,) = sidecars(store)
    planted = []

    def stamp_over_a_leftover(fd: int, replaced: os.stat_result | None, *, bare: bool) -> tuple[os.stat_result, bool]:
        status, exact = attributes.stamp(fd, replaced, bare=False)
        leftover = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "version": "v", "content_type": "left/over"}
        planted.append(path.parent / f"{status.st_ino:x}")
        planted[-1].write_text(json.dumps(leftover))
        return status, exact

    monkeypatch.setattr(writing, "stamp", stamp_over_a_leftover)
    store.put("b", b"1")
    assert store.head("b").content_type is None
    assert not planted[0].exists()
    store.write("c", b"1", WriteOptions(content_type="new/one"))
    assert store.head("c").content_type == "new/one"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 3}', '{"size": 4}'])
def test_a_broken_sidecar_is_ignored_and_replaced(store: FileStore, text: str) -> None:
    store.write("a", b"1234", FULL)
    (path,) = sidecars(store)
    path.write_text(text)
    assert store.head("a").content_type is None
    assert store.get("a") == b"1234"
    store.write("a", b"1", FULL)
    assert store.head("a").content_type == FULL.content_type
    assert len(sidecars(store)) == 1


def test_the_etag_of_a_listing_is_the_etag_of_the_head(store: FileStore) -> None:
    store.put("plain", b"1")
    store.write("typed", b"1", FULL)
    store.create("created", b"1")
    listed = {row.key: row.etag for row in store.list()}
    assert listed == {key: store.head(key).etag for key in ("plain", "typed", "created")}


def test_a_listing_tells_all_that_a_head_tells(store: FileStore) -> None:
    assert store.lists_attributes
    store.write("a", b"1", FULL)
    store.put("b", b"2")
    store.create("c", b"3")
    (Path(store.root) / "d").write_bytes(b"4")
    store.write("e", b"5", WriteOptions(content_encoding="gzip"))
    assert list(store.list()) == [store.head(key) for key in "abcde"]
    (Path(store.root) / "e").write_bytes(b"changed")
    assert list(FileStore(store.root).list("e")) == [store.head("e")]
    assert store.head("e").content_encoding is None


@pytest.mark.parametrize("change", ["replace", "delete", "strip"])
def test_a_row_whose_file_is_replaced_while_it_is_looked_at_is_the_new_one_or_none(
    store: FileStore, monkeypatch, change: str
) -> None:
    store.write("a", b"old", WriteOptions(content_encoding="gzip"))
    other, changes = FileStore(store.root), [change]
    real = Sidecars.read

    def late(self: Sidecars, status: os.stat_result) -> Sidecar | None:
        if changes and self is store._sidecars:
            changes.pop()
            if change == "replace":
                other.write("a", b"newer", WriteOptions(content_encoding="br"))
            elif change == "delete":
                other.delete("a")
            else:
                other.put("a", b"newer")
        return real(self, status)

    monkeypatch.setattr(Sidecars, "read", late)
    rows = [(row.size, row.content_encoding, row.etag) for row in store.list()]
    assert not changes
    if change == "delete":
        assert rows == []
    else:
        assert rows == [(5, "br" if change == "replace" else None, store.head("a").etag)]


@pytest.mark.parametrize("clock", ["running", "standing", "coarse"])
def test_an_etag_never_comes_back_however_fast_the_object_is_rewritten(store: FileStore, monkeypatch, clock) -> None:
    if clock == "standing":
        now = time.time_ns()
        monkeypatch.setattr(time, "time_ns", lambda: now)
    if clock == "coarse":
        real = os.utime
        monkeypatch.setattr(
            attributes.os, "utime", lambda fd, ns: real(fd, ns=tuple(t // 2_000_000_000 * 2_000_000_000 for t in ns))
        )
    seen = set()
    for number in range(300):
        info = store.put("a", b"%04d" % number)
        # Without the change time, which the system keeps as finely as it likes.
        seen.add((info.etag or "").rpartition("-")[0] if clock != "coarse" else info.etag)
        assert store.head("a").etag == info.etag
        assert (info.etag or "").startswith("v-") == (clock == "coarse")
    assert len(seen) == 300


def test_a_write_is_stamped_with_the_clock_or_just_after_the_version_it_replaces(tmp_path: Path, monkeypatch) -> None:
    now = 1_700_000_000_123_456_789
    monkeypatch.setattr(time, "time_ns", lambda: now)
    with (tmp_path / "file").open("wb") as file:
        first, exact = attributes.stamp(file.fileno(), None, bare=False)
        assert (first.st_mtime_ns, exact) == (1_700_000_000_123_456_000, True)
        second, _ = attributes.stamp(file.fileno(), first, bare=True)
        assert second.st_mtime_ns == first.st_mtime_ns + 1000 + attributes.BARE
        again, _ = attributes.stamp(file.fileno(), second, bare=True)
        assert again.st_mtime_ns == second.st_mtime_ns + 1000
        # A date far in the future is somebody's mistake, and not carried on.
        os.utime(file.fileno(), ns=(now * 2, now * 2))
        third, _ = attributes.stamp(file.fileno(), os.fstat(file.fileno()), bare=False)
        assert third.st_mtime_ns == first.st_mtime_ns


@pytest.mark.slow
def test_new_bytes_are_never_seen_with_old_attributes(store: FileStore, soak: bool) -> None:
    texts = {None: b"plain " * 50, "gzip": gzip.compress(b"packed " * 50), "br": b"brotli " * 70}
    done = threading.Event()
    wrong: list[object] = []

    def write() -> None:
        for number in range(6000 if soak else 600):
            coding = list(texts)[number % 3]
            store.write("a", texts[coding], WriteOptions(content_encoding=coding))
        done.set()

    def read(mine: FileStore) -> None:
        while not done.is_set():
            with mine.read("a") as blob:
                body = blob.bytes()
                if texts[blob.encoding] != body:
                    wrong.append((blob.encoding, body[:10]))
            head = mine.head("a")
            if head.size != len(texts[head.content_encoding]):
                wrong.append(head)

    store.put("a", texts[None])
    threads = [threading.Thread(target=write)] + [
        threading.Thread(target=read, args=(mine,)) for mine in (store, FileStore(store.root))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert len(sidecars(store)) <= 1


def test_what_a_file_cannot_carry_is_refused(store: FileStore, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="storage_class"):
        store.write("a", b"1", WriteOptions(storage_class="GLACIER"))
    with pytest.raises(TypeError, match="metadata"):
        store.write("a", b"1", WriteOptions(metadata={"n": 1}))  # type: ignore[dict-item]
    assert list(tmp_path.iterdir()) == []


def test_a_sidecar_is_as_private_as_its_object(store: FileStore) -> None:
    was = os.umask(0o077)
    try:
        store.write("a", b"1", FULL)
    finally:
        os.umask(was)
    (path,) = sidecars(store)
    assert path.stat().st_mode & 0o777 == (Path(store.root) / "a").stat().st_mode & 0o777 == 0o600


def test_a_named_version_is_read_with_its_sidecar(store: FileStore) -> None:
    info = store.create("a", b"1")
    assert store.read("a", ReadOptions(if_match=info.etag)).bytes() == b"1"
