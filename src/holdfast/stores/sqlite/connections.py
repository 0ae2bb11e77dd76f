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

from ...errors import AuthError, ConfigError, Conflict, HoldfastError, IntegrityError, StoreError, Timeout
from ..file.failures import ABSENT
from . import sql

Value = TypeVar("Value")
#: A file, whatever its name: device and inode.
File = tuple[int, int]

#: Seconds that SQLite itself waits for a lock, out of Ctrl-C's reach; then we decide whether to go on.
PATIENCE = 0.5
KEPT = 64
_SHARED = "even reading needs a -shm file beside it, unless another program has the database open"

# Connections that a child inherited. SQLite forbids using them there, and closing one would drop the parent's locks:
# so they are kept, untouched, for as long as the child lives.
_inherited: list[Any] = []


class Pool:
    """The idle connections that one process has to one file."""

    def __init__(self, file: File | None) -> None:
        self.file = file
        self.pid = os.getpid()
        self.idle: deque[Connection] = deque()
        #: The version of the schema with which the file was found to have our table of details and its triggers.
        self.schema: int | None = None

    def close(self) -> None:
        """Close what is idle."""
        _close_all(self.idle, self.pid)


class Connection(sqlite3.Connection):
    """A connection that knows where it belongs."""

    pool: Pool

    #: Whether the database keeps versions: it has our table of details, and the triggers that keep it true.
    detailed = False


class Connections:
    """Connections to the database at ``path``: taken for one operation, given back, closed together.

    A thread that ends leaves nothing open, because connections belong to the pool and not to threads. A pool belongs
    to one file: once another one is at the path, or none, its connections are given up.
    """

    def __init__(self, path: str, store: str, *, durable: bool, timeout: float) -> None:
        self.path = path
        self.store = store
        self.durable = durable
        self.timeout = timeout
        self._renew(None)

    def _renew(self, file: File | None) -> Pool:
        """Begin a new pool, which is closed at the latest when nobody uses this object any more."""
        pool = self._pool = Pool(file)
        finalizer, self._finalizer = getattr(self, "_finalizer", None), weakref.finalize(self, pool.close)
        if finalizer is not None:
            finalizer.detach()
        return pool

    def take(self, *, create: bool = False) -> Connection | None:
        """A connection of one's own until it is given back; None if there is no database and none to be created."""
        pool = self._current()
        try:
            connection = pool.idle.pop()
        except IndexError:
            opened = self._open(create=create)
            if opened is None:
                return None
            connection = opened
        try:
            there = self._prepare(connection, create=create)
        except BaseException:
            self.give(connection)
            raise
        if not there:
            self.give(connection)
            return None
        return connection

    def _current(self) -> Pool:
        """The pool of this process for the file that is there now; what belongs to another file is closed."""
        pool, file = self._pool, _file_at(self.path)
        if pool.pid != os.getpid():
            _inherited.append(pool)
            pool = self._renew(file)
        elif pool.file != file:
            # SQLite itself does not touch the new file when connections to the old one are closed.
            pool.close()
            pool = self._renew(file)
        return pool

    def is_there(self, connection: Connection) -> bool:
        """Whether the path still leads to the file that this is a connection to."""
        return connection.pool.file == _file_at(self.path)

    def give(self, connection: Connection) -> None:
        """Give a connection back, outside of any transaction."""
        pool = connection.pool
        if pool.pid != os.getpid():
            _inherited.append(connection)
            return
        if connection.in_transaction:
            connection.rollback()
        if pool is self._pool and len(pool.idle) < KEPT:
            pool.idle.append(connection)
        else:
            connection.close()

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """A connection for one read, or None where there is nothing to read."""
        connection = self.take()
        try:
            yield connection
        finally:
            if connection is not None:
                self.give(connection)

    def exists(self) -> bool:
        """Whether there is a database; an OSError if that cannot be seen."""
        return _file_at(self.path) is not None

    def close(self) -> None:
        """Close what is idle; whoever comes next opens anew."""
        pool = self._pool
        self._renew(None)
        pool.close()

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

    def _open(self, *, create: bool) -> Connection | None:
        if not create and _file_at(self.path) is None:
            return None
        if create:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
        before = self._current()
        uri = f"{Path(self.path).as_uri()}?mode={'rwc' if create else 'rw'}"
        connection = sqlite3.connect(
            uri, timeout=PATIENCE, isolation_level=None, check_same_thread=False, uri=True, factory=Connection
        )
        try:
            connection.pool = self._current()
            if before.file not in (None, connection.pool.file):
                raise Conflict("the database was replaced just now; try again", store=self.store)
            self.patiently(lambda: connection.execute(f"PRAGMA synchronous={'FULL' if self.durable else 'NORMAL'}"))
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: Connection, *, create: bool) -> bool:
        """Whether there is a table of objects; whoever writes adds what else we need, if it is not there."""
        schema = self._schema(connection)
        connection.detailed = connection.pool.schema == schema
        if connection.detailed:
            return True
        names = self._names(connection)
        if create and not names >= sql.OURS:
            self._set_up(connection)
            schema, names = self._schema(connection), sql.OURS
        if names >= sql.OURS:
            connection.pool.schema, connection.detailed = schema, True
        return sql.TABLE in names

    def still_keeps_versions(self, connection: Connection) -> bool:
        """Whether no other program has changed the tables since the connection was taken."""
        return self._schema(connection) == connection.pool.schema

    def _schema(self, connection: Connection) -> int:
        version: int = self.patiently(lambda: connection.execute(sql.SCHEMA_VERSION).fetchone())[0]
        return version

    def _names(self, connection: Connection) -> set[str]:
        return {name for (name,) in self.patiently(lambda: connection.execute(sql.NAMES).fetchall())}

    def _set_up(self, connection: Connection) -> None:
        encoding = connection.execute("PRAGMA encoding").fetchone()[0]
        if encoding != "UTF-8":
            raise ConfigError(
                f"the database is in {encoding}, where keys have another order: copy it", store=self.store
            )
        # Where shared memory cannot be had (some network drives) SQLite keeps its old journal: slower, as safe.
        self.patiently(lambda: connection.execute("PRAGMA journal_mode=WAL").fetchone())
        self.begin(connection)
        try:
            names = self._names(connection)
            incomplete = sql.DETAILS in names and not names >= sql.OURS
            for statement in sql.SCHEMA + (sql.RENEW if incomplete else ()):
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
            text = f"{doing}: {message}; check the owner and mode of the file and of its directory: {_SHARED}"
            return AuthError(text, key=key, store=self.store, cause=error)
        if code == sqlite3.SQLITE_CANTOPEN:
            text = f"{doing}: {message}; the path must be that of a file, in a directory where you may write: {_SHARED}"
            return StoreError(text, key=key, store=self.store, cause=error)
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            text = f"{doing}: {message}; this is no sound SQLite database"
            return IntegrityError(text, key=key, store=self.store, cause=error, retryable=False)
        return StoreError(f"{doing}: {message}", key=key, store=self.store, cause=error)


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _is_read_only(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY


def _file_at(path: str) -> File | None:
    try:
        status = os.stat(path)
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise
    return status.st_dev, status.st_ino


def _close_all(idle: deque[Connection], pid: int) -> None:
    if pid != os.getpid():
        _inherited.append(idle)
        return
    while idle:
        idle.pop().close()
