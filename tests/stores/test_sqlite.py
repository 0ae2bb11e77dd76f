"""SqliteStore: beside the program it takes over from, among threads and processes, killed, full and broken."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
import time

import pytest

from holdfast import CloudFiles
from holdfast.errors import AuthError, ConfigError, Conflict, IntegrityError, InvalidKey, NotFound, StoreError, Timeout
from holdfast.stores import _gather
from holdfast.stores.sqlite import SqliteStore, changes
from holdfast.stores.sqlite.connections import Connection, Connections
from holdfast.testing.suite import pattern, together
from holdfast.types import ReadOptions, WriteOptions
from tests.stores.killing import killed_round, number_of
from tests.stores.small_disks import small_disk

BIG = 8 << 20


@pytest.fixture
def path(tmp_path):
    return tmp_path / "objects.db"


@pytest.fixture
def store(path):
    with SqliteStore(path) as store:
        yield store


class Original:
    """What amplify-storage-utils does to its table, statement by statement."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path)
        self.connection.execute("CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, data BLOB)")

    def put(self, key, data):
        self.connection.execute("REPLACE INTO objects (key, data) VALUES (?, ?)", (key, data))
        self.connection.commit()

    def get(self, key):
        return self.connection.execute("SELECT data FROM objects WHERE key = ?", (key,)).fetchone()[0]

    def delete(self, key):
        self.connection.execute("DELETE FROM objects WHERE key = ?", (key,))
        self.connection.commit()

    def keys(self):
        return [key for (key,) in self.connection.execute("SELECT key FROM objects")]


@pytest.fixture
def original(path):
    original = Original(path)
    yield original
    original.connection.close()


# ---------------------------------------------------------------- the original's table
def test_the_original_and_holdfast_write_one_table(original, store):
    original.put("a", b"1")
    original.put("b", b"2")
    assert (store.get("a"), list(store.keys())) == (b"1", ["a", "b"])
    store.put("c", b"3")
    store.put("a", b"new")
    store.delete("b")
    assert (original.get("a"), original.get("c"), original.keys()) == (b"new", b"3", ["a", "c"])
    original.delete("a")
    assert not store.exists("a")


def test_another_programs_write_is_a_new_version_without_attributes(original, store):
    etag = store.write("a", b"1", WriteOptions(content_type="text/x", metadata={"k": "v"})).etag
    for statement in ("REPLACE INTO objects VALUES ('a', x'32')", "UPDATE objects SET data = x'33' WHERE key = 'a'"):
        original.connection.execute(statement)
        original.connection.commit()
        info = store.head("a")
        assert info.etag != etag
        assert (info.content_type, info.metadata) == (None, {})
        with pytest.raises(Conflict):
            store.replace_if("a", b"x", etag)
        etag = info.etag
    original.connection.execute("UPDATE objects SET key = 'b' WHERE key = 'a'")
    original.connection.commit()
    assert [info.key for info in store.list()] == ["b"]
    store.replace_if("b", b"4", store.head("b").etag)


def test_rows_from_before_holdfast_can_be_replaced_under_a_condition(original, store):
    original.put("a", b"1")
    assert store.head("a").etag is None
    store.put("first", b"")
    etag = store.head("a").etag
    assert etag is not None
    store.replace_if("a", b"2", etag)
    with pytest.raises(Conflict):
        store.replace_if("a", b"3", etag)
    original.put("b", b"1")
    store.delete_if("b", store.head("b").etag)
    assert list(store.keys()) == ["a", "first"]


def test_values_that_are_no_blobs_are_read_as_their_bytes(original, store):
    for number, value in enumerate(["text é", None, 17, "x" * (3 << 20)]):
        original.put(f"k{number}", value)
    assert [store.get(f"k{n}") for n in range(3)] == ["text é".encode(), b"", b"17"]
    assert [info.size for info in store.list()] == [7, 0, 2, 3 << 20]
    assert store.get("k3") == b"x" * (3 << 20)
    assert store.get_range("k2", 1, 2) == b"7"


def test_a_database_that_may_only_be_read_is_read_as_it_is(original, path, monkeypatch):
    original.put("a", pattern(BIG))
    original.connection.close()
    before = path.read_bytes()

    def read_only(self, *, create):
        uri = f"{path.as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, factory=Connection)
        connection.pool = self._current()
        return connection

    monkeypatch.setattr(Connections, "_open", read_only)
    with SqliteStore(path) as store:
        assert store.get("a") == pattern(BIG)
        assert store.get_range("a", 5, 9) == pattern(BIG)[5:9]
        assert [info.size for info in store.list()] == [BIG]
        with pytest.raises(AuthError, match="owner and mode"):
            store.put("b", b"")
    assert path.read_bytes() == before


# ---------------------------------------------------------------- reading
def test_reading_creates_nothing(path, store):
    assert list(store.list()) == []
    assert store.remove(["a"]) == [None]
    for call in (store.get, store.head, store.delete):
        with pytest.raises(NotFound):
            call("a")
    with pytest.raises(NotFound):
        store.copy("a", "b")
    assert not path.exists()
    sqlite3.connect(path).close()
    path.touch()
    assert list(store.keys()) == []
    assert path.read_bytes() == b""


def test_a_large_value_is_read_in_pieces_of_one_version(store):
    data = pattern(BIG)
    store.put("a", data)
    with store.read("a") as blob:
        chunks = blob.chunks()
        first = bytes(next(chunks))
        store.put("a", b"new")
        assert first + b"".join(chunks) == data
    assert store.get("a") == b"new"


def test_a_range_of_a_large_value_reads_no_more_than_that(store):
    store.put("a", pattern(BIG))
    for start, end in ((0, 1), (BIG - 3, BIG + 9), (1 << 20, (3 << 20) + 7), (-5, None), (BIG, None)):
        with store.read("a", ReadOptions(start, end)) as blob:
            assert blob.bytes() == pattern(BIG)[start:end]


def test_a_listing_holds_no_version_of_the_database_open(path, store):
    list(store.put_many((f"k{number:05d}", b"x") for number in range(2500)))
    rows = store.list()
    assert next(rows).key == "k00000"
    store.put("k02000x", b"later")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0
    assert [row.key for row in rows].count("k02000x") == 1


# ---------------------------------------------------------------- writing
def test_many_are_put_in_few_transactions_and_told_after_each(store, monkeypatch):
    sizes = []
    commit = store._commit

    def counted(batch):
        sizes.append(len(batch))
        commit(batch)

    store._writers._commit = counted
    infos = store.put_many((f"k{number:04d}", b"%d" % number) for number in range(2345))
    assert next(infos).key == "k0000"
    assert len(list(SqliteStore(store.path).keys())) == 1000
    assert len(list(infos)) == 2344
    assert sizes == [1000, 1000, 345]
    assert store.get("k2344") == b"2344"
    assert store.head("k0007").etag is not None


def test_items_that_break_leave_what_was_told(store):
    def items():
        for number in range(1500):
            yield f"k{number:04d}", b"x"
        raise RuntimeError("no more")

    told = []
    with pytest.raises(RuntimeError, match="no more"):
        told.extend(info.key for info in store.put_many(items()))
    assert list(store.keys()) == [f"k{number:04d}" for number in range(1000)]
    with pytest.raises(InvalidKey):
        list(store.put_many([("fine", b""), ("", b"")]))
    assert not store.exists("fine")


def test_writers_that_come_together_share_a_commit(store):
    sizes = []
    commit, hold = store._commit, threading.Event()

    def gathered(batch):
        if not sizes:
            hold.wait(10)
        sizes.append(len(batch))
        commit(batch)

    store._writers._commit = gathered

    def put(number):
        if number == 7:
            deadline = time.monotonic() + 10
            while len(store._writers.queue.waiting) < 6 and time.monotonic() < deadline:
                time.sleep(0.001)
            hold.set()
            return
        store.put(f"k{number}", b"x")

    together(8, put)
    assert sorted(sizes) == [1, 6]
    assert len(list(store.keys())) == 7


def test_one_change_that_cannot_be_made_fails_alone(store, monkeypatch):
    """A transaction that fails because of one change is made again without it."""
    make = changes.Put.make

    def poisoned(self, connection):
        if self.key == "k3":
            connection.execute("INSERT INTO no_such_table VALUES (1)")
        make(self, connection)

    monkeypatch.setattr(changes.Put, "make", poisoned)
    hold = threading.Event()
    commit = store._commit

    def gathered(batch):
        hold.wait(10)
        commit(batch)

    store._writers._commit = gathered

    def put(number):
        if number == 8:
            deadline = time.monotonic() + 10
            while len(store._writers.queue.waiting) < 7 and time.monotonic() < deadline:
                time.sleep(0.001)
            hold.set()
            return None
        try:
            store.put(f"k{number}", b"x")
        except StoreError as error:
            return error
        return None

    errors = together(9, put)
    assert [number for number, error in enumerate(errors) if error] == [3]
    assert errors[3].key == "k3"
    assert list(store.keys()) == [f"k{number}" for number in range(8) if number != 3]


def test_a_stream_goes_through_a_temporary_file_and_arrives_whole(store, monkeypatch, tmp_path):
    monkeypatch.setattr(_gather.tempfile, "tempdir", str(tmp_path / "spool"))
    (tmp_path / "spool").mkdir()
    data = pattern(BIG)
    store.put("a", (data[at : at + 70_000] for at in range(0, BIG, 70_000)))
    assert store.get("a") == data
    assert os.listdir(tmp_path / "spool") == []
    with open(tmp_path / "body", "wb") as file:
        file.write(data)
    store.put("b", tmp_path / "body")
    assert store.get("b") == data


def test_who_holds_the_database_makes_others_time_out(path):
    with SqliteStore(path, timeout=0.1) as store:
        store.put("a", b"old")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert store.get("a") == b"old"
            with pytest.raises(Timeout) as raised:
                store.put("a", b"new")
            assert raised.value.retryable
            assert raised.value.key == "a"
        assert store.get("a") == b"old"
        store.put("a", b"new")
        assert store.get("a") == b"new"


# ---------------------------------------------------------------- what can go wrong
def test_what_is_no_database_says_so(path, store):
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(IntegrityError, match="no sound SQLite database"):
        store.get("a")
    with pytest.raises(IntegrityError):
        store.put("a", b"")
    assert path.read_bytes() == b"no database at all" * 100
    for wrong in ("", ":memory:", "a\0b"):
        with pytest.raises(ConfigError):
            SqliteStore(wrong)


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path, "4m") as disk:
        yield disk


def test_a_full_disk_leaves_the_old_values(disk):
    (disk / "filler").write_bytes(bytes(1 << 20))
    with SqliteStore(disk / "objects.db") as store:
        store.put("old", b"old value")
        held = {"old": b"old value"}
        for number in range(100):
            try:
                store.put(f"k{number}", pattern(100_000))
            except StoreError as error:
                assert "free some space" in str(error)  # noqa: PT017
                break
            held[f"k{number}"] = pattern(100_000)
        assert len(held) < 60
        with pytest.raises(StoreError):
            store.put("old", pattern(3 << 20))
        with pytest.raises(StoreError):
            list(store.put_many([("old", pattern(3 << 20)), ("new", pattern(3 << 20))]))
        assert {info.key: store.get(info.key) for info in store.list()} == held
        (disk / "filler").unlink()
        store.delete("k1")
        store.put("old", b"new value")
        assert store.get("old") == b"new value"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_writers_lose_nothing_they_were_told(path, soak):
    chance = random.Random(11)
    last: dict[str, int] = {}
    for number in range(100 if soak else 5):
        last |= killed_round("holdfast.stores.sqlite:SqliteStore", path, number, chance, replaces=True)
        with SqliteStore(path) as store:
            found = {info.key: number_of(info.key, store.get(info.key)) for info in store.list()}
        # Acknowledged, or put by the writer when it died: a key is put again only after 40 others.
        lost = {key: told for key, told in last.items() if found.get(key) not in {told, told + 40}}
        assert not lost
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_uses_connections_of_its_own(store):
    store.put("a", b"parent")
    with store.read("a"):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                store.put("b", b"child")
                status = 0 if store.get("a") == b"parent" else 2
                store.close()
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
    assert store.get("b") == b"child"
    store.put("c", b"parent again")
    assert list(store.keys()) == ["a", "b", "c"]


def test_a_closed_store_opens_again_and_leaves_nothing_open(path, no_leaks):
    with SqliteStore(path) as store:
        together(6, lambda number: store.put(f"k{number}", b"x"))
    assert sorted(os.listdir(path.parent)) == ["objects.db"]
    with store:
        assert len(list(store.keys())) == 6
    no_leaks.verify()
    SqliteStore(path).get("k1")  # dropped without a close


def test_cloudfiles_over_a_database(path):
    files = CloudFiles(SqliteStore(path))
    files.puts([(f"d/{number}", b"%d" % number) for number in range(50)], compress="gzip")
    assert files.get("d/7") == b"7"
    assert sorted(files.list("d/1")) == sorted(["d/1", *(f"d/1{n}" for n in range(10))])
    files.store.close()
