"""``FileStore.locked``: one block at a time for each key, between threads, stores and processes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from holdfast.errors import Unsupported
from holdfast.stores.file import FileStore, locking
from holdfast.stores.file.locking import STRIPES

COUNT = """
import sys, threading
from holdfast.stores.file import FileStore

root, rounds, closing = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "closing"

def run():
    store = FileStore(root)
    for _ in range(rounds):
        with store.locked("counter"):
            store.put("counter", b"%d" % (int(store.get("counter")) + 1))
        if closing:
            store.close()

print("ready", flush=True)
sys.stdin.readline()
pool = [threading.Thread(target=run) for _ in range(2)]
[thread.start() for thread in pool]
[thread.join() for thread in pool]
"""

HOLD = """
import sys
from holdfast.stores.file import FileStore
with FileStore(sys.argv[1]).locked("a"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "root")


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def count_in_processes(root: str, rounds: int, how: str) -> None:
    processes = [start(COUNT, root, rounds, how) for _ in range(2)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            process.communicate(timeout=100)
            assert process.returncode == 0
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def waits(store: FileStore, key: str) -> threading.Thread:
    """A thread that enters the block; it cannot yet."""
    thread = threading.Thread(target=lambda: _enter(store, key), daemon=True)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    return thread


def _enter(store: FileStore, key: str) -> None:
    with store.locked(key):
        store.put("entered", b"")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["staying", "closing"])
def test_a_read_and_a_write_inside_are_one_step_for_all_threads_and_processes(
    store: FileStore, soak: bool, how: str
) -> None:
    rounds = 3000 if soak else 200
    store.put("counter", b"0")
    count_in_processes(store.root, rounds, how)
    assert int(store.get("counter")) == 2 * 2 * rounds


def test_it_keeps_threads_and_other_stores_of_the_root_out(store: FileStore) -> None:
    for other in (store, FileStore(store.root)):
        with store.locked("a"):
            thread = waits(other, "a")
            assert not store.exists("entered")
        thread.join(10)
        assert not thread.is_alive()
        store.delete("entered")


def test_every_verb_works_inside_for_the_same_key_and_for_others(store: FileStore) -> None:
    with store.locked("a"):
        etag = store.put("a", b"1").etag or ""
        etag = store.replace_if("a", b"2", etag).etag or ""
        store.copy("a", "b")
        store.create("c", b"3")
        staged = store._stage("a", 1)
        assert staged is not None
        staged.write_at(0, b"4")
        etag = staged.commit().etag or ""
        store.delete_if("a", etag)
        for number in range(2 * STRIPES):  # every stripe of the verbs
            store.put(f"d/{number}", b"")
        store.remove([f"d/{number}" for number in range(2 * STRIPES)])
        FileStore(store.root).put("a", b"5")
    assert [row.key for row in store.list()] == ["a", "b", "c"]


def test_a_thread_may_enter_again_and_leaves_when_it_leaves_the_outermost(store: FileStore) -> None:
    with store.locked("a"):
        with store.locked("a"), FileStore(store.root).locked("a"):
            pass
        for number in range(2 * STRIPES):  # one of them shares the stripe of "a"
            with store.locked(str(number)):
                pass
        thread = waits(store, "a")
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("key", ["", "..", "a//b", "a\0", "\udcff", "x" * 1000, ".holdfast"])
def test_any_string_can_be_locked(store: FileStore, key: str) -> None:
    with store.locked(key):
        thread = waits(FileStore(store.root), key)
    thread.join(10)
    assert not thread.is_alive()


def test_an_error_inside_ends_it(store: FileStore, no_leaks) -> None:
    with store.locked("a"):
        pass
    store.close()
    no_leaks.baseline()
    with pytest.raises(ZeroDivisionError), store.locked("a"):
        raise ZeroDivisionError
    with FileStore(store.root).locked("a"):
        pass
    store.close()


def test_who_is_killed_inside_leaves_it_to_others_and_writers_do_not_wait(store: FileStore) -> None:
    process = start(HOLD, store.root)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        FileStore(store.root).put("a", b"1")  # whose sweep meets the held lock
        thread = waits(store, "a")
        process.kill()
        thread.join(10)
        assert not thread.is_alive()
    finally:
        process.kill()
        process.communicate()


def test_a_child_forked_inside_leaves_it_to_its_parent(store: FileStore) -> None:
    with store.locked("a"):
        child = os.fork()
        if child:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            thread = waits(FileStore(store.root), "a")
    if not child:
        os._exit(0)
    thread.join(10)
    assert not thread.is_alive()


def test_without_file_locks_it_is_refused(store: FileStore, monkeypatch) -> None:
    def refuse(fd: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, "no locks here")

    monkeypatch.setattr(locking.fcntl, "flock", refuse)
    with pytest.raises(Unsupported, match=r"no file locks; keep the store on a file system with flock"):
        store.locked("a").__enter__()
    store.put("a", b"1")
