"""What writers do to the database: each a change that shares its transaction with those of others."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from datetime import UTC, datetime

from ...errors import AlreadyExists, Conflict, NotFound
from ...keys import printable
from ...types import Body, ObjectInfo, WriteOptions
from .. import _attributes
from .._gather import gather
from .._group import Change
from . import sql

#: The ETag of a row that was there before Holdfast knew the table, and that nobody has written since.
UNKNOWN_VERSION = "0"


# What has nothing to do with one change: other changes of the same transaction would meet it too.
_GENERAL = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM,
}  # fmt: skip


def is_general(error: Exception) -> bool:
    """Whether SQLite failed for a reason that concerns the whole database."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _GENERAL


#: What a row holds besides its key and value, at most (bytes).
ROW = 64


@functools.cache
def largest() -> int:
    """The size (bytes) of the largest row that SQLite takes; 1 GB where it was not built otherwise."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        return connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)


def when(modified: float | None) -> datetime | None:
    """The time of the last write, if it is known."""
    return None if modified is None else datetime.fromtimestamp(modified, UTC)


class _Conditional(Change[sqlite3.Connection]):
    """A change of one object, perhaps under a condition."""

    info: ObjectInfo

    def __init__(self, key: str, store: str) -> None:
        self.key = key
        self.store = store

    def is_own(self, error: Exception) -> bool:
        return not is_general(error) and super().is_own(error)

    def find(self, connection: sqlite3.Connection) -> str | None:
        """The ETag of the object, or None if there is none."""
        row = connection.execute(sql.FIND, (self.key,)).fetchone()
        return None if row is None else row[0] or UNKNOWN_VERSION

    def conflict(self, wanted: str, found: str | None) -> Conflict:
        """The error for another version than the one that was named."""
        there = "there is none" if found is None else f"it is {found!r}"
        message = f"object {printable(self.key)!r} is not the version {wanted!r}: {there}; read it again"
        return Conflict(message, key=self.key, store=self.store)

    def check(self, connection: sqlite3.Connection, options: WriteOptions) -> None:
        """Refuse what the condition does not allow."""
        if not options.conditional:
            return
        found = self.find(connection)
        if options.if_absent and found is not None:
            message = f"there is an object {printable(self.key)!r} already"
            raise AlreadyExists(message, key=self.key, store=self.store)
        if options.if_match is not None and found != options.if_match:
            raise self.conflict(options.if_match, found)

    def describe(self, connection: sqlite3.Connection, size: int, attributes: str | None) -> ObjectInfo:
        """Set the attributes of what was just written, and tell what it is."""
        if attributes is None:  # the trigger has left none: to look is half the work of writing that
            found = connection.execute(sql.DESCRIBED, (self.key,))
        else:
            found = connection.execute(sql.DESCRIBE, (attributes, self.key))
        etag, modified = found.fetchone()
        kept = _attributes.load(attributes)
        return ObjectInfo(self.key, size=size, etag=etag, last_modified=when(modified), **kept)


class Put(_Conditional):
    """Store a body; ``info`` then tells what was stored."""

    def __init__(self, key: str, store: str, body: Body, options: WriteOptions) -> None:
        super().__init__(key, store)
        self.options = options
        self.attributes = _attributes.dump(options, store)
        self.body = gather(body, store, most=largest() - len(key.encode()) - ROW, key=key)
        self.weight = self.body.size

    def make(self, connection: sqlite3.Connection) -> None:
        self.check(connection, self.options)
        size = self.body.size
        if self.body.data is not None:
            connection.execute(sql.PUT, (self.key, self.body.data))
        else:
            (row,) = connection.execute(sql.PUT_SPACE, (self.key, size)).fetchone()
            with connection.blobopen(sql.TABLE, "data", row) as blob:
                for chunk in self.body.chunks():
                    blob.write(chunk)
        self.info = self.describe(connection, size, self.attributes)

    def close(self) -> None:
        """Forget the gathered body."""
        self.body.close()


class Copy(_Conditional):
    """Copy an object within the database, with its attributes."""

    def __init__(self, src: str, dst: str, store: str, options: WriteOptions) -> None:
        super().__init__(dst, store)
        self.src = src
        self.options = options
        _attributes.dump(options, store)  # refuses before anything happens

    def make(self, connection: sqlite3.Connection) -> None:
        found = connection.execute(sql.SOURCE, (self.src,)).fetchone()
        if found is None:
            raise NotFound(f"no object {printable(self.src)!r}", key=self.src, store=self.store)
        size, inherited, etag = found
        version = self.options.source_if_match
        if version is not None and version != (etag or UNKNOWN_VERSION):
            message = f"object {printable(self.src)!r} is not the version {version!r} any more"
            raise Conflict(message, key=self.src, store=self.store)
        self.check(connection, self.options)
        connection.execute(sql.COPY, (self.key, self.src))
        attributes = _attributes.dump(self.options, self.store, _attributes.load(inherited))
        self.info = self.describe(connection, size, attributes)


class Remove(_Conditional):
    """Delete an object."""

    def __init__(self, key: str, store: str, *, if_match: str | None, must_exist: bool) -> None:
        super().__init__(key, store)
        self.if_match = if_match
        self.must_exist = must_exist

    def make(self, connection: sqlite3.Connection) -> None:
        if self.if_match is not None or self.must_exist:
            found = self.find(connection)
            if found is None:
                if self.must_exist:
                    raise NotFound(f"no object {printable(self.key)!r}", key=self.key, store=self.store)
                return
            if self.if_match is not None and found != self.if_match:
                raise self.conflict(self.if_match, found)
        connection.execute(sql.DELETE, (self.key,))
