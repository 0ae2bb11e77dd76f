"""SqliteStore and the file it is kept in: removed, replaced, forked, read only, or in somebody else's hands."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3

import pytest

from holdfast.errors import Indeterminate
from holdfast.stores.sqlite import SqliteStore


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
