"""Connections to one database: one for each thread that needs one at a time, none across a fork."""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ...errors import AuthError, ConfigError, HoldfastError, IntegrityError, StoreError, Timeout
from . import sql

Value = TypeVar("Value")

#: Seconds that SQLite itself waits for a lock, out of Ctrl-C's reach; then we decide whether to go on.
PATIENCE = 0.5
KEPT = 64

# Connections that a child inherited. SQLite forbids using them there, and closing one would drop the parent's locks:
# so they are kept, untouched, for as long as the child lives.
_inherited: list[Any] = []


class Connections:
    """Connections to the database at ``path``: taken for one operation, given back, closed together.

    A thread that ends leaves nothing open, because connections belong to the pool and not to threads.
    """

    def __init__(self, path: str, store: str, *, durable: bool, timeout: float) -> None:
        self.path = path
        self.store = store
        self.durable = durable
        self.timeout = timeout
        self.prepared = False
        self._pid = os.getpid()
        self._idle: deque[sqlite3.Connection] = deque()
        weakref.finalize(self, _close_all, self._idle, self._pid)

    def take(self, *, create: bool = False) -> sqlite3.Connection | None:
        """A connection of one's own until it is given back; None if there is no database and none to be created."""
        if self._pid != os.getpid():
            _inherited.append(self._idle)
            self._idle, self._pid, self.prepared = deque(), os.getpid(), False
            weakref.finalize(self, _close_all, self._idle, self._pid)
        try:
            connection = self._idle.pop()
        except IndexError:
            opened = self._open(create=create)
            if opened is None:
                return None
            connection = opened
        if not self.prepared and not self._prepare(connection, create=create):
            self.give(connection)
            return None
        return connection

    def give(self, connection: sqlite3.Connection) -> None:
        """Give a connection back, outside of any transaction."""
        if connection.in_transaction:
            connection.rollback()
        if len(self._idle) < KEPT and self._pid == os.getpid():
            self._idle.append(connection)
        else:
            connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection for one read, or None where there is nothing to read."""
        connection = self.take()
        try:
            yield connection
        finally:
            if connection is not None:
                self.give(connection)

    def close(self) -> None:
        """Close what is idle; whoever comes next opens anew."""
        if self._pid == os.getpid():
            _close_all(self._idle, self._pid)

    def begin(self, connection: sqlite3.Connection, mode: str = "IMMEDIATE", asked: float | None = None) -> None:
        """Begin a transaction as soon as other writers let us."""
        self.patiently(lambda: connection.execute(f"BEGIN {mode}"), asked)

    def patiently(self, call: Callable[[], Value], asked: float | None = None) -> Value:
        """What the call returns once the database is not locked any more, or its error after ``timeout`` seconds.

        They count from ``asked`` (of the monotonic clock), or from now.
        """
        deadline = (time.monotonic() if asked is None else asked) + self.timeout
        while True:
            try:
                return call()
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.001)  # some locks are refused at once

    def _open(self, *, create: bool) -> sqlite3.Connection | None:
        if not create and not os.path.exists(self.path):
            return None
        if create:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
        uri = f"{Path(self.path).as_uri()}?mode={'rwc' if create else 'rw'}"
        connection = sqlite3.connect(uri, timeout=PATIENCE, isolation_level=None, check_same_thread=False, uri=True)
        try:
            self.patiently(lambda: connection.execute(f"PRAGMA synchronous={'FULL' if self.durable else 'NORMAL'}"))
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection, *, create: bool) -> bool:
        """Whether there is a table of objects; if it is the original's alone, ours are added where that is allowed."""
        tables = self.patiently(lambda: _tables(connection))
        if not create and sql.TABLE not in tables:
            return False
        if not {sql.TABLE, sql.DETAILS} <= tables:
            try:
                self._set_up(connection)
            except sqlite3.OperationalError as error:
                if create or not _is_read_only(error):
                    raise
                return True  # to be read as it is
        self.prepared = True
        return True

    def _set_up(self, connection: sqlite3.Connection) -> None:
        encoding = connection.execute("PRAGMA encoding").fetchone()[0]
        if encoding != "UTF-8":
            raise ConfigError(
                f"the database is in {encoding}, where keys have another order: copy it", store=self.store
            )
        # Where shared memory cannot be had (some network drives) SQLite keeps its old journal: slower, as safe.
        self.patiently(lambda: connection.execute("PRAGMA journal_mode=WAL").fetchone())
        self.begin(connection)
        try:
            for statement in sql.SCHEMA:
                connection.execute(statement)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.rollback()
            raise

    def failure(self, error: sqlite3.Error, key: str | None, doing: str) -> HoldfastError:
        """The typed error for what SQLite said."""
        message, code = str(error), getattr(error, "sqlite_errorcode", 0) & 0xFF
        if _is_busy(error):
            cure = f"somebody else held the database longer than timeout={self.timeout:g} s; try again, or give more"
            return Timeout(f"{doing}: {message}: {cure}", key=key, store=self.store, cause=error)
        if code == sqlite3.SQLITE_FULL:
            text = f"{doing}: {message}; the old value is untouched, free some space"
            return StoreError(text, key=key, store=self.store, cause=error)
        if _is_read_only(error) or code in {sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}:
            text = f"{doing}: {message}; check the owner and mode of the file and of its directory"
            return AuthError(text, key=key, store=self.store, cause=error)
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            text = f"{doing}: {message}; this is no sound SQLite database"
            return IntegrityError(text, key=key, store=self.store, cause=error, retryable=False)
        return StoreError(f"{doing}: {message}", key=key, store=self.store, cause=error)


def _tables(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute(sql.TABLES).fetchall()
    return {name for (name,) in rows}


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _is_read_only(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY


def _close_all(idle: deque[sqlite3.Connection], pid: int) -> None:
    if pid != os.getpid():
        _inherited.append(idle)
        return
    while idle:
        idle.pop().close()
