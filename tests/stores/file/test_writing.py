"""Writes are old-or-new, whole, and leave nothing behind: on a full disk, after a kill, over other file systems."""

from __future__ import annotations

import errno
import io
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import AlreadyExists, IntegrityError, StoreError
from holdfast.stores.file import FileStore, temporaries, writing
from holdfast.types import WriteOptions
from tests.stores.small_disks import small_disk

SIZE = 8 << 20

REWRITE_FOR_EVER = """
import sys
from holdfast.stores.file import FileStore
from holdfast.types import WriteOptions
store = FileStore(sys.argv[1])
number = int(sys.argv[2])
while True:
    number += 1
    byte = number % 251
    store.write("d/big", bytes([byte]) * (8 << 20), WriteOptions(metadata={"byte": str(byte)}))
    print(number, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "root")


def files_in(root: str | Path) -> set[str]:
    return {str(path.relative_to(root)) for path in Path(root).rglob("*") if not path.is_dir()}


def litter(store: FileStore) -> set[str]:
    """Every file that is neither an object nor a lock."""
    return files_in(store.root) - set(store.keys()) - {name for name in files_in(store.root) if "/locks/" in name}


@pytest.mark.parametrize(
    "body",
    [
        b"bytes", bytearray(b"bytes"), memoryview(b"bytes"), memoryview(b"b.y.t.e.s.")[::2].tobytes(),
        io.BytesIO(b"bytes"), iter([b"by", b"", memoryview(b"tes")]), [b"bytes"],
    ],
)  # fmt: skip
def test_every_kind_of_body_is_stored(store: FileStore, body) -> None:
    info = store.put("a/b", body)
    assert (store.get("a/b"), info.size) == (b"bytes", 5)


def test_a_path_is_stored_from_its_file(store: FileStore, tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    source = tmp_path / "source"
    source.write_bytes(data)
    store.put("a", source)
    assert store.get("a") == data
    assert (Path(store.root) / "a").stat().st_ino != source.stat().st_ino
    source.write_bytes(b"")
    store.put("a", source)
    assert store.get("a") == b""
    store.put("proc", Path("/proc/self/status"))
    assert b"Pid:" in store.get("proc")
    with pytest.raises(FileNotFoundError):
        store.put("a", tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        store.put("a", tmp_path)
    assert store.get("a") == b""
    assert litter(store) == set()


def test_an_object_is_as_readable_as_the_umask_says_and_its_temporary_is_private(store: FileStore) -> None:
    seen = []

    def body() -> Iterator[bytes]:
        temporary = Path(store.root) / ".holdfast/tmp"
        seen.append(stat.S_IMODE(temporary.stat().st_mode))
        yield b"x"

    for mask, mode in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        was = os.umask(mask)
        try:
            store.put(f"a{mode}", body())
        finally:
            os.umask(was)
        assert stat.S_IMODE((Path(store.root) / f"a{mode}").stat().st_mode) == mode
    assert seen == [0o700] * 3


def test_a_body_that_fails_midway_leaves_the_old_value_and_nothing_else(store: FileStore) -> None:
    class Broken(Exception):
        pass

    def body() -> Iterator[bytes]:
        yield b"half"
        raise Broken

    store.put("a", b"old")
    before = files_in(store.root)
    for key in ("a", "new/b"):
        with pytest.raises(Broken):
            store.put(key, body())
        with pytest.raises(TypeError):
            store.put(key, ["text"])  # type: ignore[list-item]
    assert store.get("a") == b"old"
    assert files_in(store.root) == before
    assert not (Path(store.root) / "new").exists()


def test_a_reader_sees_only_whole_versions(store: FileStore) -> None:
    values = [bytes([byte]) * 300_000 for byte in range(3)]
    store.put("a", values[0])
    done = threading.Event()
    torn: list[int] = []

    def read() -> None:
        while not done.is_set():
            data = store.get("a")
            if data not in values:
                torn.append(len(data))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        store.put("a", values[number % 3])
    done.set()
    reader.join(30)
    assert not torn


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_leaves_a_whole_value_and_no_litter(store: FileStore, soak: bool) -> None:
    store.write("d/big", bytes(SIZE), WriteOptions(metadata={"byte": "0"}))
    chance = random.Random(7)
    reached = 0
    for _ in range(200 if soak else 20):
        command = [sys.executable, "-c", REWRITE_FOR_EVER, store.root, str(reached)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            reached = int(writer.stdout.readline())
            time.sleep(chance.uniform(0, 0.05))
            writer.send_signal(signal.SIGKILL)
            printed = writer.stdout.read().split()
            reached = int(printed[-1]) if printed else reached
        with store.read("d/big") as blob:
            data = blob.bytes()
            assert len(data) == SIZE
            assert data == data[:1] * SIZE
            assert blob.info.metadata == {"byte": str(data[0])}
        # Acknowledged, or the one that was under way: never an older value.
        assert data[0] in (reached % 251, (reached + 1) % 251)
        FileStore(store.root).put("other", b"x")
        assert len(litter(store)) == 1, "only the sidecar of the object that has attributes"


def test_a_writer_killed_between_rename_and_cleanup_leaves_no_sidecar_behind(store: FileStore, tmp_path: Path) -> None:
    script = """
import os, signal, sys
from holdfast.stores.file import FileStore, attributes
from holdfast.types import WriteOptions
store = FileStore(sys.argv[1])
store.write("a", b"1", WriteOptions(content_type="x/1"))
attributes.Sidecars.drop = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
store.write("a", b"22", WriteOptions(content_type="x/2")) if sys.argv[2] == "put" else store.delete("a")
"""
    for how in ("put", "delete"):
        for number in range(2):
            done = subprocess.run([sys.executable, "-c", script, store.root, how], timeout=60)
            assert done.returncode == -signal.SIGKILL
            assert len(list((Path(store.root) / ".holdfast/attributes").iterdir())) == (2 if how == "put" else 1)
            if how == "put":
                assert (store.get("a"), store.head("a").content_type) == (b"22", "x/2")
            else:
                assert not store.exists("a")
            # Files that take the inodes just freed: a new owner of one would replace the sidecar left under it.
            for taker in range(50):
                (tmp_path / f"{how}{number}{taker}").touch()
            # Either the next store's first write cleans up, or the next writer under the same lock.
            other = FileStore(store.root)
            other._writer._swept = bool(number)
            other.write("a", b"3", WriteOptions(content_type="x/3"))
            other.write("a", b"4", WriteOptions(content_type="x/4"))
            assert store.head("a").content_type == "x/4"
            assert len(list((Path(store.root) / ".holdfast/attributes").iterdir())) == 1
            store.delete("a")
            assert litter(store) == set()


def test_the_sweep_removes_what_the_dead_left_and_spares_the_living(store: FileStore) -> None:
    staged = store._stage("a", 3)
    assert staged is not None
    dead = Path(store.root) / ".holdfast/tmp/0123456789abcdef"
    dead.write_bytes(b"left")
    FileStore(store.root).put("b", b"1")
    assert not dead.exists()
    staged.write_at(0, b"abc")
    staged.commit()
    assert store.get("a") == b"abc"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path, "4m") as disk:
        yield disk


def test_a_full_disk_leaves_the_old_value_and_nothing_else(disk: Path, tmp_path: Path) -> None:
    store = FileStore(disk)
    old = os.urandom(3 << 20)
    options = WriteOptions(content_type="x/old")
    store.write("a/b", old, options)
    source = tmp_path / "source"
    source.write_bytes(bytes(2 << 20))
    before = files_in(disk)
    bodies = (bytes(2 << 20), iter([bytes(1 << 20)] * 2), source)
    for body in bodies:
        with pytest.raises(StoreError, match="free some space") as caught:
            store.write("a/b", body, options)
        assert caught.value.errno == errno.ENOSPC
    with pytest.raises(StoreError) as caught:
        store._stage("a/b", 2 << 20, options)
    assert caught.value.errno == errno.ENOSPC
    other = FileStore(tmp_path / "other")
    other.put("x", source)
    with pytest.raises(StoreError):
        store.copy("x", "new/x", other)
    assert store.get("a/b") == old
    assert store.head("a/b").content_type == "x/old"
    assert files_in(disk) == before
    store.close()
    assert not (disk / "new").exists()


def test_a_full_disk_does_not_keep_anybody_from_deleting(disk: Path) -> None:
    store = FileStore(disk)
    for key in ("a", "b"):
        store.write(key, b"1", WriteOptions(content_type="x/y"))
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        file.writelines([bytes(1 << 12)] * 2000)
    for key in ("a", "b"):
        store.delete(key)
    filler.unlink()
    assert list(store.keys()) == []
    assert litter(store) == set()


def test_another_file_system_below_the_root_is_written_whole_too(disk: Path) -> None:
    store = FileStore(disk.parent)
    key = f"{disk.name}/x"
    options = WriteOptions(content_type="x/y")
    for number in range(3):
        info = store.write(key, b"%d" % number, options)
        assert (store.get(key), store.head(key)) == (b"%d" % number, info)
    with pytest.raises(AlreadyExists):
        store.create(key, b"")
    assert store.create(f"{disk.name}/y", b"y").etag == store.head(f"{disk.name}/y").etag
    assert sorted(path.name for path in disk.iterdir()) == ["x", "y"]
    with pytest.raises(StoreError):
        store.put(key, bytes(5 << 20))
    assert store.get(key) == b"2"
    assert len(list(disk.iterdir())) == 2
    assert list((disk.parent / ".holdfast/tmp").iterdir()) == []
    store.close()


def test_a_temporary_beside_its_target_is_no_object_and_is_swept_when_its_writer_died(store: FileStore) -> None:
    store.put("d/a", b"1")
    writer = store._writer
    original = writer._temporaries.create()
    original.append(b"copy")
    beside = writer._temporaries.create_beside(original, store._directories.open(b"d"), b"d")
    path = Path(store.root) / "d" / beside.name.decode()
    assert path.read_bytes() == b"copy"
    assert list(store.keys()) == ["d/a"]
    FileStore(store.root).put("x", b"1")
    assert path.exists(), "its writer lives"
    note = beside.note
    assert note is not None
    del original, beside, note
    FileStore(store.root).put("x", b"1")
    assert litter(store) == set()


def test_where_hard_links_are_missing_a_create_is_still_exact(store: FileStore, monkeypatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(writing.os, "link", refuse)
    store.create("a", b"1")
    with pytest.raises(AlreadyExists):
        store.create("a", b"2")
    assert store.get("a") == b"1"


def test_where_the_kernel_cannot_copy_this_process_does(store: FileStore, tmp_path: Path, monkeypatch) -> None:
    def refuse(*args: object, **kwargs: object) -> int:
        raise OSError(errno.EXDEV, "not between these")

    if hasattr(os, "copy_file_range"):
        monkeypatch.setattr(temporaries.os, "copy_file_range", refuse)
    data = os.urandom(2_500_000)
    (tmp_path / "source").write_bytes(data)
    store.put("a", tmp_path / "source")
    store.copy("a", "b")
    assert store.get("b") == data


def test_a_copy_is_a_new_file_with_the_same_attributes(store: FileStore, tmp_path: Path) -> None:
    other = FileStore(tmp_path / "other")
    options = WriteOptions(content_type="x/y", content_encoding="gzip", metadata={"a": "b"})
    store.write("a", b"data" * 1000, options)
    info = other.copy("a", "dir/b", store)
    assert other.get("dir/b") == b"data" * 1000
    assert (info.content_type, info.content_encoding, info.metadata) == ("x/y", "gzip", {"a": "b"})
    changed = other._copy(store, "a", "c", WriteOptions(content_type="z/z"))
    assert (changed.content_type, changed.content_encoding) == ("z/z", "gzip")
    assert (tmp_path / "other/dir/b").stat().st_nlink == 1
    assert store._locate("a") != other._locate("a")
    with pytest.raises(AlreadyExists):
        other._copy(store, "a", "c", WriteOptions(if_absent=True))


def test_parts_in_any_order_appear_whole_at_commit(store: FileStore) -> None:
    store.put("a", b"old")
    data = os.urandom(1_000_000)
    staged = store._stage("a", len(data), WriteOptions(content_type="x/y"))
    assert staged is not None
    starts = list(range(0, len(data), 70_000))
    random.Random(3).shuffle(starts)
    threads = [threading.Thread(target=staged.write_at, args=(start, data[start : start + 70_000])) for start in starts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert store.get("a") == b"old"
    info = staged.commit()
    assert store.get("a") == data
    assert store.head("a") == info
    assert info.content_type == "x/y"
    staged.abort()
    with pytest.raises(ValueError, match="committed or aborted"):
        staged.write_at(0, b"late")
    assert store.get("a") == data


def test_a_staged_object_with_a_hole_or_aborted_leaves_the_old_value(store: FileStore) -> None:
    store.put("a", b"old")
    staged = store._stage("a", 10)
    assert staged is not None
    with pytest.raises(ValueError, match="outside"):
        staged.write_at(8, b"xyz")
    staged.write_at(0, b"12345")
    staged.write_at(6, b"7890")
    with pytest.raises(IntegrityError, match="first 5 of 10"):
        staged.commit()
    again = store._stage("a", 3)
    assert again is not None
    again.abort()
    again.abort()
    empty = store._stage("empty", 0)
    assert empty is not None
    assert empty.commit().size == 0
    assert store.get("a") == b"old"
    assert litter(store) == set()


def test_a_staged_create_that_comes_second_fails_whole(store: FileStore) -> None:
    staged = store._stage("a", 1, WriteOptions(if_absent=True))
    assert staged is not None
    staged.write_at(0, b"s")
    store.put("a", b"first")
    with pytest.raises(AlreadyExists):
        staged.commit()
    assert store.get("a") == b"first"
    assert litter(store) == set()


def test_durable_writes_sync_the_file_before_and_its_directories_after_the_rename(tmp_path: Path, monkeypatch) -> None:
    happened: list[str] = []
    real_sync, real_rename, real_unlink = os.fsync, os.rename, os.unlink

    def sync(fd: int) -> None:
        happened.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        real_sync(fd)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "rename", lambda *a, **k: (happened.append("rename"), real_rename(*a, **k))[1])
    monkeypatch.setattr(os, "unlink", lambda *a, **k: (happened.append("unlink"), real_unlink(*a, **k))[1])
    store = FileStore(tmp_path / "root", durable=True)
    store.put("a/b", b"1")
    at = happened.index("rename")
    assert "file" in happened[:at]
    assert happened[at + 1 :] == ["directory"]
    happened.clear()
    store.write("a/b", b"2", WriteOptions(content_type="x/y"))
    # The sidecar and its directory are durable before the object is.
    assert happened[: happened.index("rename")].count("file") >= 2
    assert "directory" in happened[: happened.index("rename")]
    happened.clear()
    store.delete("a/b")
    assert happened[-1] == "directory"
    fast = FileStore(tmp_path / "fast")
    happened.clear()
    fast.write("a/b", b"2", WriteOptions(content_type="x/y"))
    assert "file" not in happened
    assert "directory" not in happened


def test_a_delete_leaves_no_empty_directories_but_keeps_the_root(store: FileStore) -> None:
    store.put("a/b/c/x", b"1")
    store.put("a/y", b"1")
    store.delete("a/b/c/x")
    assert [path.name for path in (Path(store.root) / "a").iterdir()] == ["y"]
    store.remove(["a/y", "missing/z"])
    assert [path.name for path in Path(store.root).iterdir()] == [".holdfast"]


def test_an_interrupt_after_the_rename_keeps_the_attributes(store: FileStore, monkeypatch) -> None:
    real = os.rename

    def rename_then_interrupt(*args: object, **kwargs: object) -> None:
        real(*args, **kwargs)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(writing.os, "rename", rename_then_interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.write("a", b"packed", WriteOptions(content_encoding="gzip"))
    assert (store.get("a"), store.head("a").content_encoding) == (b"packed", "gzip")
