"""SqliteStore and the file it is kept in: removed, replaced, forked, read only, or in somebody else's hands."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import tempfile

import pytest

from holdfast.errors import Conflict, HoldfastError, Indeterminate, StoreError, Unsupported
from holdfast.stores.memory import MemoryStore
from holdfast.stores.sqlite import SqliteStore, changes
from holdfast.types import ReadOptions
from holdfast.wrap.cache import CachingStore


@pytest.fixture
def path(tmp_path):
    return tmp_path / "objects.db"


@pytest.fixture
def store(path):
    with SqliteStore(path) as store:
        yield store


def found(path):
    """What another process would find."""
    with SqliteStore(path) as other:
        return {info.key: other.get(info.key) for info in other.list()}


# ---------------------------------------------------------------- removed and replaced
@pytest.mark.parametrize("closed", [False, True])
def test_what_is_put_after_the_file_was_removed_is_in_the_new_one(path, store, closed):
    store.put("old", b"0")
    if closed:
        store.close()
    for file in path.parent.iterdir():
        file.unlink()
    assert not store.exists("old")
    store.put("new", b"1")
    assert found(path) == {"new": b"1"}
    assert store.get("new") == b"1"


def test_a_directory_that_is_wiped_takes_new_writes(tmp_path):
    path = tmp_path / "cache" / "objects.db"
    with SqliteStore(path) as store:
        store.put("a", b"1")
        shutil.rmtree(path.parent)
        path.parent.mkdir()
        for number in range(3):
            store.put(f"n{number}", b"x")
        assert sorted(found(path)) == ["n0", "n1", "n2"]


def test_a_restored_backup_is_what_is_read(path, store):
    store.put("a", b"0")
    backup = path.with_name("backup.db")
    with SqliteStore(backup) as other:
        other.put("a", b"restored")
    # As one has to: the old journal goes with the old file.
    path.with_name("objects.db-wal").unlink()
    path.with_name("objects.db-shm").unlink()
    os.replace(backup, path)
    assert store.get("a") == b"restored"
    store.put("b", b"1")
    store.close()
    assert found(path) == {"a": b"restored", "b": b"1"}


def test_a_write_that_meets_the_removal_is_not_acknowledged(path, store):
    store.put("a", b"1")
    attempted = store._connections.patiently

    def removing(call, asked=None):
        answer = attempted(call, asked)
        path.unlink(missing_ok=True)
        return answer

    store._connections.patiently = removing
    with pytest.raises(Indeterminate, match="removed or replaced"):
        store.put("b", b"1")


def test_a_large_value_that_was_opened_before_a_fork_stays_the_parents(store):
    """SQLite forbids to use a connection in a forked child."""
    store.put("big", b"x" * (3 << 20))
    with store.read("big") as blob:
        connection = blob._connection
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            store.put("mine", b"1")
            blob.close()
            idle = store._connections._pool.idle
            os._exit(0 if idle and all(one is not connection for one in idle) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert len(blob.bytes()) == 3 << 20
    assert store.get("mine") == b"1"
    with contextlib.closing(sqlite3.connect(store.path)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# ---------------------------------------------------------------- in somebody else's hands
@pytest.fixture
def original(path):
    """The connection of a program that knows nothing of Holdfast, to its table with one row."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE objects (key TEXT PRIMARY KEY, data BLOB)")
        connection.execute("INSERT INTO objects VALUES ('a', x'31')")
        yield connection


def test_reading_changes_nothing_and_knows_no_versions(path, store, original):
    before = path.read_bytes()
    assert store.get("a") == b"1"
    assert store.head("a").etag is None
    assert [info.etag for info in store.list()] == [None]
    with pytest.raises(Unsupported, match="put something first"):
        store.read("a", ReadOptions(if_match="0"))
    store.close()
    assert path.read_bytes() == before
    assert sorted(path.parent.iterdir()) == [path]


def test_reading_does_not_wait_for_the_originals_writer(path, original):
    original.execute("BEGIN IMMEDIATE")
    original.execute("INSERT INTO objects VALUES ('b', x'32')")
    with SqliteStore(path, timeout=0) as store:
        assert store.get("a") == b"1"
        assert list(store.keys()) == ["a"]


def test_a_cache_does_not_believe_what_has_no_version(path, store, original):
    with CachingStore(store, MemoryStore()) as cache:
        assert cache.get("a") == b"1"
        original.execute("REPLACE INTO objects VALUES ('a', x'32')")
        assert cache.get("a") == b"2"


@pytest.mark.parametrize("anew", [False, True])
def test_triggers_that_went_with_the_table_are_made_again(path, store, anew):
    old = store.put("k", b"1").etag
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.executescript(
            "CREATE TABLE copy AS SELECT * FROM objects; DROP TABLE objects;"
            "CREATE TABLE objects (key TEXT PRIMARY KEY, data BLOB);"
            "INSERT INTO objects SELECT * FROM copy; DROP TABLE copy; REPLACE INTO objects VALUES ('k', x'39');"
        )
    if anew:
        store.close()
    assert store.head("k").etag != old
    with pytest.raises(Conflict):
        store.replace_if("k", b"lost", old)
    store.put("new", b"2")
    etag = store.head("k").etag
    assert etag not in (None, old)
    store.replace_if("k", b"3", etag)
    assert found(path) == {"k": b"3", "new": b"2"}


def test_keys_that_are_no_text_are_not_listed(store, original):
    original.execute("INSERT INTO objects VALUES (?, ?)", (b"binary", b"1"))
    assert list(store.keys()) == ["a"]


def read_by_this_process():
    """Bytes, of files as of anything else."""
    with open("/proc/self/io") as file:
        return int(file.readline().split()[1])


def test_lengths_are_told_without_reading_the_values(store):
    store.put("big", b"x" * (64 << 20))
    store.close()  # what was cached is gone
    for look in (lambda: store.head("big").size, lambda: next(store.list()).size):
        before = read_by_this_process()
        assert look() == 64 << 20
        assert read_by_this_process() - before < 1 << 20
    before = read_by_this_process()
    assert store.get_range("big", 0, 10) == b"x" * 10
    assert read_by_this_process() - before < 1 << 20


def as_nobody(call):
    """The type and message of what the call raises for a user without rights, in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os.setgid(65534)
        os.setuid(65534)
        try:
            said = repr(call())
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode()[:4000])
        os._exit(0)
    os.close(writing)
    with open(reading) as file:
        said = file.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_directory_that_may_not_be_read_is_no_empty_store(path, store):
    store.put("a", b"1")
    store.close()
    path.parent.chmod(0o700)
    for call in (
        lambda: store.get("a"),
        lambda: list(store.keys()),
        lambda: store.exists("a"),
        lambda: store.remove("a"),
    ):
        assert as_nobody(call).startswith("AuthError"), as_nobody(call)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_database_without_write_permission_says_what_reading_needs():
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        with SqliteStore(os.path.join(directory, "a.db")) as store:
            store.put("a", b"1")
        assert "-shm" in as_nobody(lambda: store.get("a"))


@pytest.mark.parametrize("place", ["file/objects.db", "directory"])
def test_paths_that_cannot_be_are_errors_of_ours(tmp_path, place):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "directory").mkdir()
    with SqliteStore(tmp_path / place) as store, pytest.raises(HoldfastError) as raised:
        store.put("a", b"1")
    assert str(tmp_path) in str(raised.value)


def test_values_beyond_sqlites_limit_are_refused_as_soon_as_that_is_seen(store, monkeypatch):
    monkeypatch.setattr(changes, "largest", lambda: 1000)
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield b"x" * 100

    for body in (b"x" * 1000, endless()):
        with pytest.raises(StoreError, match="cut it up"):
            store.write("a", body)
    assert len(taken) <= 10
    store.put("b", b"x" * 900)
    assert list(store.keys()) == ["b"]
