"""``SqliteStore``: objects as rows of one SQLite database, exact between all threads and processes of a machine.

The table is that of amplify-storage-utils, ``objects (key TEXT PRIMARY KEY, data BLOB)``, and stays readable and
writable for it and for everything else that speaks SQL. ETags, times and attributes lie in a second table, which
triggers keep true: a row that another program writes is a new version too, without attributes. The first write adds
that table. Until then a database is read as it is, and the ETags of its objects are not known (None). If another
program drops a trigger, as by making its table anew, the next write makes it again and calls every row a new version.

The database is in WAL mode, so readers and the one writer do not wait for each other. Every acknowledged write has
been committed: it survives the end of the process, however it ends. A power failure may take the last of them
(``synchronous=NORMAL``) but leaves a sound database; with ``durable=True`` (``FULL``) it takes none. Writers that
come at the same time, from any threads, share a transaction.

SQLite makes up to two copies in memory of values that are written from bytes; streams go through a temporary file
beyond 4 MiB. Values of more than 1 MiB are read piece by piece, and reading one holds its version of the database open
until it is closed.
A full disk keeps every old value and refuses deletes too, because they are noted before they free anything.
A file that is replaced or removed is noticed: what comes next goes to the one at the path, and a write that met the
moment is Indeterminate. But SQLite takes the old file's ``-wal`` for the new one's, so remove ``-wal`` and ``-shm``
with the file, or restore a backup by SQLite's own means (``.restore``). Values above SQLite's own limit (1 GB, where
it was not built otherwise) are refused as soon as that is seen. Not for network drives.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ...blob import CHUNK, Blob, Buffer, BytesBlob
from ...errors import ConfigError, Conflict, HoldfastError, Indeterminate, InvalidKey, NotFound
from ...keys import check as check_key
from ...keys import printable, sort_key
from ...redact import url as redacted
from ...store import LIST, READ, REMOVE, WRITE, ObjectStore, Removed, Store, select, stream_copy
from ...types import (
    Body,
    Capabilities,
    ListOptions,
    Location,
    ObjectInfo,
    ReadOptions,
    RemoveOptions,
    WriteOptions,
)
from .. import _attributes
from .._group import Change, GroupCommit
from ..file.failures import translate
from . import sql
from .changes import UNKNOWN_VERSION, Copy, Put, Remove, when
from .connections import Connection, Connections

VENDOR = "sqlite"

_CAPABILITIES = Capabilities(
    listing=True,
    sorted=True,
    ranges=True,
    metadata=True,
    create=True,
    replace_if=True,
    delete_if=True,
    copy=True,
    atomic_write=True,
    write=True,
)


class SqliteStore(Store):
    """The objects in the SQLite database at ``path``, which the first write creates.

    Any number of threads and processes may use it, also after a fork. ``timeout`` is for how many seconds an
    operation waits for other writers before it raises Timeout. ``close()`` (or the end of a ``with`` block) closes all
    connections; the store opens new ones when it is used again. It pickles as its path.

    >>> import tempfile
    >>> directory = tempfile.TemporaryDirectory()
    >>> with SqliteStore(directory.name + "/objects.db") as store:
    ...     info = store.put("a", b"hello")
    ...     stored = [info.key for info in store.put_many((f"b{n}", b"x") for n in range(2))]
    ...     print(store.get("a"), stored, list(store.keys("b")))
    b'hello' ['b0', 'b1'] ['b0', 'b1']
    >>> directory.cleanup()
    """

    name: str = "sqlite://"
    #: Rows of listings tell every attribute that a head tells.
    lists_attributes = True

    def __init__(self, path: str | os.PathLike[str], *, durable: bool = False, timeout: float = 60.0) -> None:
        given = os.fspath(path)
        if not given or "\0" in given or given == ":memory:":
            raise ConfigError(f"{given!r} is not the path of a database; for memory there is mem://")
        if isinstance(timeout, bool) or not isinstance(timeout, int | float):
            raise ConfigError(f"timeout={timeout!r}: it is a number of seconds")
        self.path = os.path.abspath(given)
        self.durable = durable
        self.timeout = timeout
        self.name = redacted(f"sqlite://{self.path}")
        self._connections = Connections(self.path, self.name, durable=durable, timeout=timeout)
        self._writers = GroupCommit(self._commit)

    def __repr__(self) -> str:
        return f"SqliteStore({self.path!r}{', durable=True' if self.durable else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.path, self.durable, self.timeout)

    @property
    def capabilities(self) -> Capabilities:
        """Everything."""
        return _CAPABILITIES

    @property
    def local(self) -> bool:
        return True

    @property
    def remove_batch(self) -> int:
        """So many share one transaction."""
        return GroupCommit.MOST

    def close(self) -> None:
        """Close every connection that no read holds; the store stays usable."""
        self._connections.close()

    def put_many(self, items: Iterable[tuple[str, Body]]) -> Iterator[ObjectInfo]:
        """The info of each (key, body) once it is committed, up to 1,000 of them or 16 MiB in one transaction.

        So an info that came out is an acknowledged write; what the caller never saw may be there or not. Several times
        as fast as one ``put`` after the other.
        """
        batch: list[Put] = []
        weight = 0
        try:
            for key, body in items:
                put = Put(self._checked(check_key(key, self.name)), self.name, body, WRITE)
                batch.append(put)
                weight += put.weight
                if len(batch) == GroupCommit.MOST or weight >= GroupCommit.BYTES:
                    yield from self._put_all(batch)
                    batch, weight = [], 0
            yield from self._put_all(batch)
            batch = []
        finally:
            for put in batch:
                put.close()

    # ------------------------------------------------------------------ the verbs
    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        with self._translating(key, f"read {printable(key)!r}"):
            connection = self._connections.take() if _storable(key) else None
            if connection is None:
                raise self._missing(key)
            try:
                blob = self._opened(connection, key, options)
            except BaseException:
                self._connections.give(connection)
                raise
            if not isinstance(blob, _RowBlob):
                self._connections.give(connection)
            return blob

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        put = Put(self._checked(key), self.name, body, options)
        try:
            with self._translating(key, f"write {printable(key)!r}"):
                return self._perform(put).info
        finally:
            put.close()

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        if options.if_match is not None and len(keys) != 1:
            raise ValueError("if_match goes with exactly one key")
        wanted = [
            Remove(key, self.name, if_match=options.if_match, must_exist=options.must_exist)
            for key in keys
            if _storable(key)
        ]
        if wanted and not self._exists():
            # Nothing is created in order to delete from it.
            return [self._missing(key) if options.must_exist else None for key in keys]
        with self._translating(keys[0] if len(keys) == 1 else None, "delete"):
            self._writers.perform(wanted)
        made = iter(wanted)
        return [next(made).error if _storable(key) else self._refusal(key) for key in keys]

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        rows = self._rows(options.prefix, options.start_after if not options.delimiter else None)
        return select(rows, options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        there = source._locate(src)
        if there is None or (there.vendor, there.bucket) != (VENDOR, self._identity()):
            return stream_copy(source, src, self, dst, options)
        if not _storable(there.key) or not self._exists():
            raise self._missing(src)
        copy = Copy(there.key, self._checked(dst), self.name, options)
        try:
            with self._translating(dst, f"copy to {printable(dst)!r}"):
                return self._perform(copy).info
        except (NotFound, Conflict) as error:
            if error.key == there.key:
                error.key, error.store = src, source.name
            raise

    def _locate(self, key: str) -> Location:
        return Location(VENDOR, "", self._identity(), key)

    # ------------------------------------------------------------------ reading
    def _opened(self, connection: Connection, key: str, options: ReadOptions) -> Blob:
        info, _, data = self._look(connection, key, options, value=not options.head)
        if options.head:
            return BytesBlob(info)
        if (info.size or 0) <= sql.WHOLE:
            data = data or b""
            return BytesBlob(info, data[options.start : options.end] if options.ranged else data)
        # Looked up once more, under the transaction that the pieces are read in.
        self._connections.begin(connection, "DEFERRED")
        info, row, _ = self._look(connection, key, options, value=False)
        start, end, _ = slice(options.start, options.end).indices(info.size or 0)
        return _RowBlob(self, connection, row, info, start, end) if end > start else BytesBlob(info)

    def _look(
        self, connection: Connection, key: str, options: ReadOptions, *, value: bool
    ) -> tuple[ObjectInfo, int, bytes | None]:
        """The object's info, its row, and its value if that is wanted and not large."""
        query = sql.one(detailed=connection.detailed, value=value)
        row = self._connections.patiently(lambda: connection.execute(query, (key,)).fetchone())
        if row is None:
            raise self._missing(key)
        info = _info(row[2:], detailed=connection.detailed)
        if options.if_match is not None and not connection.detailed:
            cure = "only its original program has written this database, which keeps no versions: put something first"
            raise self._unsupported("a read", "if_match", cure)
        if options.if_match is not None and options.if_match != info.etag:
            there = f"{options.if_match!r}: it is {info.etag!r}"
            raise Conflict(f"object {printable(key)!r} is not the version {there}", key=key, store=self.name)
        return info, row[0], row[1]

    def _rows(self, prefix: str, start_after: str | None) -> Iterator[ObjectInfo]:
        """The objects with this prefix, in order: page by page, so that no listing holds an old version open."""
        if not _storable(prefix):
            return
        at, inclusive = prefix, True
        if start_after is not None and sort_key(start_after) >= sort_key(prefix):
            if not _storable(start_after):
                raise self._refusal(start_after)
            at, inclusive = start_after, False
        while True:
            with self._translating(None, "list"), self._connections.reading() as connection:
                page = [] if connection is None else self._page(connection, at, inclusive=inclusive)
                detailed = connection is not None and connection.detailed
            for row in page:
                if not row[0].startswith(prefix):
                    return
                yield _info(row, detailed=detailed)
            if len(page) < sql.PAGE:
                return
            at, inclusive = page[-1][0], False

    def _page(self, connection: Connection, at: str, *, inclusive: bool) -> list[Any]:
        query = sql.page(detailed=connection.detailed, inclusive=inclusive)
        return self._connections.patiently(lambda: connection.execute(query, (at,)).fetchall())

    # ------------------------------------------------------------------ writing
    def _perform(self, change: Put | Copy) -> Put | Copy:
        self._writers.perform([change])
        if change.error is not None:
            raise change.error
        return change

    def _put_all(self, batch: list[Put]) -> list[ObjectInfo]:
        if not batch:
            return []
        try:
            with self._translating(None, f"write {len(batch)} objects"):
                self._writers.perform(batch)
            return [put.info for put in batch]
        finally:
            for put in batch:
                put.close()

    def _commit(self, batch: Sequence[Change[sqlite3.Connection]]) -> None:
        """Make the changes in one transaction; they are done when it is committed."""
        connection = self._connections.take(create=True)
        assert connection is not None
        made = False
        try:
            asked = max(change.asked for change in batch)  # others may have held us up before it was their turn
            self._connections.begin(connection, asked=asked)
            if not self._connections.still_keeps_versions(connection):
                message = "another program changed the tables just now; try again"
                raise Conflict(message, store=self.name)
            for change in batch:
                change.attempt(connection)
            made = True
            # Where the journal is none of WAL, readers hold up the commit too.
            self._connections.patiently(lambda: connection.execute("COMMIT"))
            if not self._connections.is_there(connection):
                message = "the database was removed or replaced during this write, which may be lost with it: read it"
                raise Indeterminate(message, store=self.name)
        except (sqlite3.Error, HoldfastError):
            raise
        except BaseException:
            # Ctrl-C can arrive when the commit has just succeeded.
            if made and not connection.in_transaction:
                _finish(batch)
            raise
        else:
            _finish(batch)
        finally:
            self._connections.give(connection)

    # ------------------------------------------------------------------ helpers
    def _exists(self) -> bool:
        with self._translating(None, "open"):
            return self._connections.exists()

    def _identity(self) -> str:
        return os.path.realpath(self.path)

    def _checked(self, key: str) -> str:
        if not _storable(key):
            raise self._refusal(key)
        return key

    def _refusal(self, key: str) -> InvalidKey:
        message = f"key {printable(key)!r} is no valid Unicode, and a database keeps nothing else"
        return InvalidKey(message, key=key, store=self.name)

    def _missing(self, key: str) -> NotFound:
        return NotFound(f"no object {printable(key)!r}", key=key, store=self.name)

    @contextlib.contextmanager
    def _translating(self, key: str | None, doing: str) -> Iterator[None]:
        try:
            yield
        except HoldfastError:  # some of ours are OSErrors too
            raise
        except sqlite3.Error as error:
            raise self._connections.failure(error, key, doing) from error
        except OSError as error:
            raise translate(error, None, self.name, f"{doing} in {self.path!r}") from error


class _RowBlob(Blob):
    """A value that is read piece by piece, under a transaction that keeps its version there; owns the connection."""

    __slots__ = ("_connection", "_end", "_handle", "_start", "_store", "info")

    def __init__(
        self, store: SqliteStore, connection: Connection, row: int, info: ObjectInfo, start: int, end: int
    ) -> None:
        self.info = info
        self._handle = connection.blobopen(sql.TABLE, "data", row, readonly=True)
        self._store = store
        self._connection: Connection | None = connection
        self._start = start
        self._end = end

    @property
    def size(self) -> int:
        return self._end - self._start

    def chunks(self) -> Iterator[Buffer]:
        for at in range(self._start, self._end, CHUNK):
            yield self._piece(at, min(at + CHUNK, self._end))

    def bytes(self) -> bytes:
        return bytes(self._piece(self._start, self._end))

    def _piece(self, start: int, end: int) -> Buffer:
        with self._store._translating(self.info.key, f"read {printable(self.info.key)!r}"):
            self._handle.seek(start)
            return self._handle.read(end - start)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._handle.close()
            self._store._connections.give(connection)


def _info(row: Sequence[Any], *, detailed: bool) -> ObjectInfo:
    """What a row says; the version of one that is not in a table of details is not known."""
    key, size, etag, modified, attributes = row
    return ObjectInfo(
        key,
        size=size,
        etag=etag or (UNKNOWN_VERSION if detailed else None),
        last_modified=when(modified),
        **(_attributes.load(attributes) if attributes else {}),
    )


def _finish(batch: Sequence[Change[sqlite3.Connection]]) -> None:
    for change in batch:
        change.done = True


def _storable(key: str) -> bool:
    """Whether the key is Unicode: file names that are none come with surrogates, which SQLite cannot hold."""
    if key.isascii():
        return True
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _rebuild(kind: type[SqliteStore], path: str, durable: bool, timeout: float) -> SqliteStore:
    return kind(path, durable=durable, timeout=timeout)
