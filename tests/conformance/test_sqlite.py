"""The matrix, in SQLite: bare, durable and under a prefix, against what SQL says."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from holdfast.stores.sqlite import SqliteStore
from holdfast.testing import StoreConformance
from holdfast.wrap.rekey import PrefixStore


def rows(path):
    """What the original's table holds, and that there is a note for each row and for nothing else."""
    if not path.exists():
        return {}
    with contextlib.closing(sqlite3.connect(path)) as connection:
        objects = dict(connection.execute("SELECT key, data FROM objects"))
        assert {key for (key,) in connection.execute("SELECT key FROM holdfast_details")} == set(objects)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return objects


class TestSqlite(StoreConformance):
    durable = False

    @pytest.fixture
    def store(self, tmp_path):
        self.path = tmp_path / "objects.db"
        with SqliteStore(self.path, durable=self.durable) as store:
            yield store

    def truth(self, store):
        return rows(self.path)


class TestDurableSqlite(TestSqlite):
    durable = True
    rounds = 10
    many = 120


class TestSqliteUnderPrefix(TestSqlite):
    @pytest.fixture
    def store(self, tmp_path):
        self.path = tmp_path / "objects.db"
        with SqliteStore(self.path) as inner:
            inner.put("run10", b"neighbour")
            inner.put("run1.txt", b"neighbour")
            yield PrefixStore(inner, "run1/")
            assert inner.get("run10") == inner.get("run1.txt") == b"neighbour"

    def truth(self, store):
        return {key[5:]: data for key, data in rows(self.path).items() if key.startswith("run1/")}
