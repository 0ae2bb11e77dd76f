"""What ``close`` removes from ROOT/.holdfast, and that nobody who writes meanwhile is harmed by it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from holdfast.errors import AlreadyExists
from holdfast.stores.file import FileStore
from holdfast.stores.file.attributes import Sidecars
from holdfast.stores.file.directories import Directory
from holdfast.stores.file.locking import Locks
from holdfast.types import WriteOptions

COUNT = """
import sys, threading
from holdfast.errors import Conflict
from holdfast.stores.file import FileStore

root, number, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])

def run(name):
    store = FileStore(root)
    for turn in range(rounds):
        while True:
            with store.read("counter") as blob:
                value, etag = int(blob.bytes()), blob.info.etag
            try:
                store.replace_if("counter", b"%d" % (value + 1), etag)
                break
            except Conflict:
                continue
        store.put("plain/" + name, b"%d" % turn)
        assert store.get("plain/" + name) == b"%d" % turn
        store.delete("plain/" + name)
        store.close()

print("ready", flush=True)
sys.stdin.readline()
pool = [threading.Thread(target=run, args=(number + "-" + str(n),)) for n in range(2)]
[thread.start() for thread in pool]
[thread.join() for thread in pool]
"""


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "root")


def names(store: FileStore) -> list[str]:
    """Everything below the root, directories too."""
    root = Path(store.root)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_plain_objects_are_all_that_a_closed_store_leaves(store: FileStore) -> None:
    for number in range(200):
        store.put(f"d/{number}", b"")
    store.remove([f"d/{number}" for number in range(1, 200)])
    with store.locked("d/0"):
        pass
    assert len(names(store)) > 60
    store.close()
    assert names(store) == ["d", "d/0"]


def test_attributes_stay(store: FileStore) -> None:
    store.write("a", b"x", WriteOptions(content_type="x/y"))
    store.close()
    assert len(names(store)) == 4
    assert names(store)[:3] == [".holdfast", ".holdfast/attributes", ".holdfast/attributes/" + os.listdir(
        Path(store.root) / ".holdfast/attributes")[0]]  # fmt: skip
    assert FileStore(store.root).head("a").content_type == "x/y"
    store.delete("a")
    store.close()
    assert names(store) == []


def test_a_closed_store_is_used_and_closed_again(store: FileStore) -> None:
    for number in range(3):
        etag = store.put("a", b"%d" % number).etag or ""
        store.replace_if("a", b"x", etag)
        store.close()
        store.close()
        assert store.get("a") == b"x"
        store.delete("a")
        with pytest.raises(KeyError):
            store.delete("a")
        store.close()
        assert names(store) == []


def test_who_only_read_removes_nothing(store: FileStore) -> None:
    store.put("a", b"1")
    before = names(store)
    with FileStore(store.root) as reader:
        assert reader.get("a") == b"1"
        assert [row.key for row in reader.list()] == ["a"]
    assert names(store) == before


def test_what_others_hold_or_have_begun_stays(store: FileStore) -> None:
    staged = store._stage("big", 3)
    assert staged is not None
    with store.locked("a"):
        other = FileStore(store.root)
        other.put("b", b"")
        other.close()
        assert [name[:20] for name in names(store)] == [
            ".holdfast", ".holdfast/locks", ".holdfast/locks/held", ".holdfast/tmp", names(store)[4][:20], "b"
        ]  # fmt: skip
    staged.write_at(0, b"abc")
    staged.commit()
    store.close()
    assert (names(store), store.get("big")) == (["b", "big"], b"abc")


def test_a_note_of_a_dead_writer_stays_for_the_next(store: FileStore) -> None:
    store.put("a", b"")
    (Path(store.root) / ".holdfast/locks/00").write_text('["gone", "0", "v-0"]')
    store.close()
    assert names(store) == [".holdfast", ".holdfast/locks", ".holdfast/locks/00", "a"]
    again = FileStore(store.root)
    again.put("a", b"")
    again.close()
    assert names(store) == ["a"]


def test_files_that_are_not_ours_stay(store: FileStore) -> None:
    store.put("a", b"")
    for name in ("locks/mine", "tmp/mine", "mine"):
        (Path(store.root) / ".holdfast" / name).write_text("")
    store.close()
    assert names(store) == [
        ".holdfast", ".holdfast/locks", ".holdfast/locks/mine", ".holdfast/mine", ".holdfast/tmp",
        ".holdfast/tmp/mine", "a",
    ]  # fmt: skip


def test_who_waits_for_a_lock_file_that_is_removed_takes_the_next_one(store: FileStore) -> None:
    inside, entered = threading.Event(), threading.Event()
    lock = store._writer._locks.of(b"a")
    lock.__enter__()
    removed = Path(store.root) / ".holdfast/locks"
    (only,) = removed.iterdir()

    def wait_and_hold() -> None:
        with FileStore(store.root)._writer._locks.of(b"a"):
            entered.set()
            assert inside.wait(10)

    waiting = threading.Thread(target=wait_and_hold, daemon=True)
    waiting.start()
    assert not entered.wait(0.2)
    only.unlink()  # as close does, which holds the lock
    lock.__exit__(None, None, None)
    assert entered.wait(10)
    assert only.exists()
    third = threading.Thread(target=lambda: store.put("a", b""), daemon=True)
    third.start()
    third.join(0.2)
    assert third.is_alive()
    inside.set()
    third.join(10)
    waiting.join(10)
    assert store.get("a") == b""


def test_a_lock_file_that_was_made_anew_under_the_same_name_is_not_removed(store: FileStore, monkeypatch) -> None:
    store.put("a", b"")
    locks = store._writer._locks
    path = next((Path(store.root) / ".holdfast/locks").iterdir())
    real = Locks._open_existing

    def late(self: Locks, name: str) -> int | None:
        fd = real(self, name)
        path.unlink()  # by another store that closes at the same moment
        path.touch()  # and by a writer, who has it locked by now
        return fd

    monkeypatch.setattr(Locks, "_open_existing", late)
    locks.remove_unused()
    assert path.exists()


def test_a_sidecar_is_written_though_its_directory_was_just_removed(store: FileStore, monkeypatch) -> None:
    real, removed = Sidecars._create, []

    def late(self: Sidecars, status: os.stat_result, text: bytes, directory: Directory) -> None:
        if not removed:
            removed.append((Path(store.root) / ".holdfast/attributes").rmdir())
        real(self, status, text, directory)

    monkeypatch.setattr(Sidecars, "_create", late)
    store.write("a", b"1", WriteOptions(content_type="x/y"))
    assert removed
    assert store.head("a").content_type == "x/y"


@pytest.mark.slow
def test_no_update_is_lost_while_stores_open_and_close(store: FileStore, soak: bool) -> None:
    rounds = 3000 if soak else 150
    store.put("counter", b"0")
    command = [sys.executable, "-c", COUNT, store.root]
    processes = [
        subprocess.Popen([*command, str(n), str(rounds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(3)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            process.communicate(timeout=110)
            assert process.returncode == 0
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert int(store.get("counter")) == 3 * 2 * rounds
    with pytest.raises(AlreadyExists):
        store.create("counter", b"")
    store.close()
    assert len(names(store)) == 4  # the counter, its sidecar, and where that lies
