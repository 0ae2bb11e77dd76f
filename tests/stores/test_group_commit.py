"""Writers that share commits: who is told what when one fails, is interrupted, or is forked off."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading

import pytest

from holdfast.errors import ConfigError, StoreError, Timeout
from holdfast.stores.sqlite import SqliteStore, changes
from holdfast.stores.zip import ZipStore
from holdfast.testing.suite import together


@pytest.fixture
def path(tmp_path):
    return tmp_path / "objects.db"


@pytest.fixture
def store(path):
    with SqliteStore(path) as store:
        yield store


def test_waiting_writers_time_out_together(path):
    """Not one after the other: with eight of them the last one waited eight times as long."""
    with SqliteStore(path, timeout=0.2) as store:
        store.put("a", b"")
        begun = []
        commit = store._writers._commit
        store._writers._commit = lambda batch: (begun.append(len(batch)), commit(batch))
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")

            def put(number):
                with pytest.raises(Timeout) as raised:
                    store.put(f"k{number}", b"")
                return raised.value.key

            assert together(8, put) == [f"k{number}" for number in range(8)]
        # Each was tried once: a batch that timed out is not taken apart.
        assert sum(begun) == 8
        assert list(store.keys()) == ["a"]


def test_one_refused_value_costs_one_commit_more(store, monkeypatch):
    make, commits = changes.Put.make, []

    def too_big(self, connection):
        if self.key == "k0499":
            raise sqlite3.DataError("string or blob too big")
        make(self, connection)

    monkeypatch.setattr(changes.Put, "make", too_big)
    commit = store._writers._commit
    store._writers._commit = lambda batch: (commits.append(len(batch)), commit(batch))
    with pytest.raises(StoreError, match="too big"):
        list(store.put_many((f"k{number:04}", b"x") for number in range(1000)))
    assert commits == [1000, 999]
    assert len(list(store.keys())) == 999


def test_commits_wait_for_readers_where_there_is_no_wal(path):
    with SqliteStore(path, timeout=20) as store:
        store.put("a", b"1")
        store.close()
        with contextlib.closing(sqlite3.connect(path)) as other:
            assert other.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM objects").fetchone()
            # Longer than SQLite itself waits.
            ending = threading.Timer(1.0, lambda: reader.execute("COMMIT"))
            ending.start()
            store.put("a", b"2")
            ending.join()
        assert store.get("a") == b"2"


def test_every_thread_of_a_forked_child_gets_its_turn(store):
    """Also one that comes while another is just leaving the parent's queue behind."""
    store.put("a", b"1")
    turn = store._writers.queue.turn
    with turn:  # as if another thread of the parent were committing
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            together(4, lambda number: store.put(f"child{number}", b"x"))
            queues = {id(store._writers.queue) for _ in range(3)}
            os._exit(0 if len(queues) == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(list(store.keys("child"))) == 4


@pytest.mark.parametrize("kind", [SqliteStore, ZipStore])
def test_a_timeout_is_a_number_and_refused_at_once_if_not(kind, tmp_path):
    with pytest.raises(ConfigError, match="number of seconds"):
        kind(tmp_path / "objects", timeout="2")
    assert list(tmp_path.iterdir()) == []
