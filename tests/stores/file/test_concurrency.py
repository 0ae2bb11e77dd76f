"""Exactness between threads and processes, bounded descriptors, pickles and forks."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import AlreadyExists, Conflict, NotFound, Unsupported
from holdfast.stores.file import FileStore, locking
from holdfast.types import RemoveOptions

WORK = """
import sys, threading
from holdfast.errors import AlreadyExists, Conflict, NotFound
from holdfast.stores.file import FileStore

store, job, threads, rounds = FileStore(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
won = []

def increment(number):
    while True:
        with store.read("counter") as blob:
            value, etag = int(blob.bytes()), blob.info.etag
        try:
            return store.replace_if("counter", b"%d" % (value + 1), etag)
        except Conflict:
            continue

def create(number):
    try:
        store.create(f"d/{number}", b"x")
        won.append(number)
    except AlreadyExists:
        pass

def delete_if(number):
    try:
        store.delete_if(f"d/{number}", store.head(f"d/{number}").etag)
        won.append(number)
    except (Conflict, NotFound):
        pass

def run():
    for number in range(rounds):
        globals()[job](number)

print("ready", flush=True)
sys.stdin.readline()
pool = [threading.Thread(target=run) for _ in range(threads)]
[t.start() for t in pool]
[t.join() for t in pool]
print(len(won), flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "root")


def in_processes(store: FileStore, job: str, *, processes: int = 2, threads: int = 4, rounds: int) -> int:
    """How many times the job was won by any thread of any process, all started together."""
    command = [sys.executable, "-c", WORK, store.root, job, str(threads), str(rounds)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        outputs: list[str] = []
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in running:
            output, _ = process.communicate(timeout=100)
            assert process.returncode == 0
            outputs.append(output)
    finally:
        for process in running:
            process.kill()
            process.wait()
    return sum(int(output) for output in outputs)


def in_threads(*functions: Callable[[], object]) -> list[BaseException]:
    """The errors that the functions raised, run all at once."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(functions))

    def run(function: Callable[[], object]) -> None:
        start.wait(30)
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
        assert not thread.is_alive()
    return errors


@pytest.mark.slow
def test_no_increment_is_lost_between_processes_and_threads(store: FileStore, soak: bool) -> None:
    rounds = 500 if soak else 40
    store.put("counter", b"0")
    in_processes(store, "increment", rounds=rounds)
    assert int(store.get("counter")) == 2 * 4 * rounds
    assert len(list((Path(store.root) / ".holdfast/attributes").iterdir())) == 1


@pytest.mark.slow
def test_each_create_has_one_winner(store: FileStore, soak: bool) -> None:
    rounds = 2000 if soak else 150
    assert in_processes(store, "create", rounds=rounds) == rounds
    assert len(list(store.keys("d/"))) == rounds


@pytest.mark.slow
@pytest.mark.parametrize("plain", [True, False])
def test_each_conditional_delete_has_one_winner(store: FileStore, soak: bool, plain: bool) -> None:
    rounds = 2000 if soak else 150
    for number in range(rounds):
        (store.put if plain else store.create)(f"d/{number}", b"x")
    assert in_processes(store, "delete_if", rounds=rounds) == rounds
    assert list(store.keys()) == []
    assert not list((Path(store.root) / ".holdfast/tmp").iterdir())


def test_a_create_loses_to_a_file_made_without_holdfast(store: FileStore, monkeypatch) -> None:
    writer = store._writer
    real = type(writer)._rename

    def late(self, temporary, parent, path, *, create):
        (Path(store.root) / "a").write_bytes(b"theirs")
        real(self, temporary, parent, path, create=create)

    monkeypatch.setattr(type(writer), "_rename", late)
    with pytest.raises(AlreadyExists):
        store.create("a", b"ours")
    assert store.get("a") == b"theirs"


@pytest.mark.parametrize("other", ["put", "delete", "commit"])
def test_a_plain_change_waits_for_a_conditional_one_that_has_looked_already(
    store: FileStore, monkeypatch, other: str
) -> None:
    etag = store.put("a", b"1").etag or ""
    looked, go_on = threading.Event(), threading.Event()
    real = type(store._writer)._rename

    def pause(self, *args, **kwargs):
        if threading.current_thread().name == "conditional":
            looked.set()
            assert go_on.wait(30)
        real(self, *args, **kwargs)

    monkeypatch.setattr(type(store._writer), "_rename", pause)
    conditional = threading.Thread(target=store.replace_if, args=("a", b"2", etag), name="conditional")
    conditional.start()
    assert looked.wait(30)
    second = FileStore(store.root)
    staged = second._stage("a", 1)
    assert staged is not None
    staged.write_at(0, b"3")
    change = {"put": lambda: second.put("a", b"3"), "delete": lambda: second.delete("a"), "commit": staged.commit}
    plain = threading.Thread(target=change[other])
    plain.start()
    plain.join(0.3)
    assert plain.is_alive()
    assert store.get("a") == b"1"
    go_on.set()
    conditional.join(30)
    plain.join(30)
    assert not plain.is_alive()
    if other == "delete":
        assert not store.exists("a")
    else:
        assert store.get("a") == b"3"
    staged.abort()


def test_conditions_name_exactly_one_version(store: FileStore) -> None:
    first = store.put("a", b"same").etag or ""
    store.put("a", b"same")
    for call in (lambda: store.replace_if("a", b"x", first), lambda: store.delete_if("a", first)):
        with pytest.raises(Conflict):
            call()
    second = store.head("a").etag or ""
    third = store.replace_if("a", b"same", second).etag or ""
    assert third != second
    with pytest.raises(Conflict):
        store.delete_if("a", second)
    store.delete_if("a", third)
    with pytest.raises(NotFound):
        store.delete_if("a", third)
    with pytest.raises(Conflict):
        store.replace_if("a", b"x", third)
    assert store._remove(["a"], RemoveOptions(if_match=third)) == [None]
    with pytest.raises(ValueError, match="exactly one"):
        store._remove(["a", "b"], RemoveOptions(if_match=third))
    assert not store.exists("a")


def test_without_file_locks_plain_writes_work_and_conditional_ones_are_refused(store: FileStore, monkeypatch) -> None:
    import errno

    def refuse(fd: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, "no locks here")

    etag = store.put("a", b"1").etag or ""
    monkeypatch.setattr(locking.fcntl, "flock", refuse)
    store.put("a", b"2")
    for call in (
        lambda: store.create("b", b""),
        lambda: store.replace_if("a", b"3", store.head("a").etag or ""),
        lambda: store.delete_if("a", store.head("a").etag or ""),
    ):
        with pytest.raises(Unsupported, match="no file locks"):
            call()
    assert store.get("a") == b"2"
    assert etag != store.head("a").etag
    store.delete("a")
    assert list(store.keys()) == []


def test_puts_and_deletes_in_the_same_directories_do_not_disturb_each_other(store: FileStore, soak: bool) -> None:
    rounds = 1000 if soak else 120

    def work(name: str, mine: FileStore) -> None:
        for _ in range(rounds):
            key = f"a/b/c/{name}"
            mine.put(key, name.encode())
            assert mine.get(key) == name.encode()
            mine.delete(key)

    stores = [store, FileStore(store.root)]
    assert in_threads(*(lambda n=n: work(str(n), stores[n % 2]) for n in range(6))) == []
    assert [path.name for path in Path(store.root).iterdir()] == [".holdfast"]


def test_threads_share_one_store_over_more_directories_than_it_keeps_open(store: FileStore, no_leaks) -> None:
    for number in range(300):
        store.put(f"{number}/deep/x", b"%d" % number)
    store.close()
    no_leaks.baseline()

    def work(offset: int) -> None:
        for number in range(300):
            wanted = (number * 7 + offset) % 300
            assert store.get(f"{wanted}/deep/x") == b"%d" % wanted

    assert in_threads(*(lambda offset=offset: work(offset * 40) for offset in range(6))) == []
    assert len(no_leaks.leaks()) <= store._directories.keep + 64
    store.close()


def test_operations_leave_no_descriptor_open(store: FileStore, no_leaks) -> None:
    store.put("a/b", b"1")
    store.close()
    no_leaks.baseline()
    etag = store.put("a/b", b"2").etag or ""
    etag = store.replace_if("a/b", b"3", etag).etag or ""
    for call in (
        lambda: store.replace_if("a/b", b"x", "other"),
        lambda: store.create("a/b", b"x"),
        lambda: store.put("a", b"x"),
        lambda: store.get("a"),
        lambda: store.get("a/c"),
        lambda: store.delete_if("a/b", "other"),
    ):
        with pytest.raises(Exception, match="a"):
            call()
    store.get("a/b")
    store.head("a/b")
    next(store.list())
    store.delete("a/b")
    store.close()


def test_a_pickled_store_is_its_root(store: FileStore) -> None:
    store.put("a", b"1")
    again = pickle.loads(pickle.dumps(store))
    assert (again.root, again.durable, again.get("a")) == (store.root, False, b"1")
    assert pickle.loads(pickle.dumps(FileStore(store.root, durable=True))).durable
    assert repr(again) == f"FileStore({store.root!r})"
    assert again.name == f"file://{store.root}"


def test_a_relative_root_stays_where_it_was_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = FileStore("here")
    monkeypatch.chdir("/")
    store.put("a", b"1")
    assert (tmp_path / "here/a").read_bytes() == b"1"


def test_a_forked_child_works_while_its_parent_goes_on(store: FileStore) -> None:
    store.put("d/a", b"1")
    assert store.get("d/a") == b"1"
    etag = store.create("d/lock", b"1").etag or ""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for number in range(50):
                store.put(f"d/child{number}", b"c")
            if store.get("d/a") == b"1" and len(list(store.keys("d/child"))) == 50:
                status = 0
            store.replace_if("d/lock", b"child", etag)
            status += 10
        except Conflict:
            status += 20
        finally:
            os._exit(status)
    for number in range(50):
        store.put(f"d/parent{number}", b"p")
    try:
        store.replace_if("d/lock", b"parent", etag)
        won = 20
    except Conflict:
        won = 10
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == won
    assert len(list(store.keys("d/"))) == 102
