"""What is known from earlier: which versions were equal at the last sync, and the digests of local files."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import sqlite3
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from .. import locks
from ..stores.file.attributes import changed_at
from ..types import ObjectInfo
from .actions import Identity
from .places import Place

#: A file that changed less than this (seconds) before it was read may change again without showing it.
FRESH = 2.0
#: Which form the tables have.
FORM = 2
NO_STAMPS: Mapping[str, str | None] = MappingProxyType({})
#: So many keys are asked for at a time: SQLite takes 999 values at least.
ASKED = 500
#: Services whose ETags tell a version from every other one, however soon that follows.
_EXACT = frozenset(("s3", "gs", "az"))
#: What a plan finds equal is written so many keys at a time.
BATCH = 1000

_TABLES = """
create table if not exists synced (
    pair text not null, key text not null, source text not null, target text not null, stamp text,
    source_time integer, target_time integer,
    primary key (pair, key)) without rowid;
create table if not exists digests (
    place text not null, key text not null, etag text not null, algorithm text not null, digest text not null,
    primary key (place, key, algorithm)) without rowid;
"""


#: What was found equal. The stamp of versions that stay the same is kept by who does not know it.
_RECORD = """
insert into synced (pair, key, source, target, stamp, source_time, target_time) values (?, ?, ?, ?, ?, ?, ?)
on conflict do update set
    stamp = case when (source, target) = (excluded.source, excluded.target)
        then ifnull(excluded.stamp, stamp) else excluded.stamp end,
    source = excluded.source, target = excluded.target,
    source_time = excluded.source_time, target_time = excluded.target_time
where (source, target) <> (excluded.source, excluded.target)
    or source_time is not excluded.source_time or target_time is not excluded.target_time
"""
_COLUMNS = "source, target, stamp, source_time, target_time"


class Synced(NamedTuple):
    """What is known of one key: the ETags of both sides when they were last known to be equal.

    And the stamp of the bytes, and when both were last modified (seconds since 1970); None for what is not known.
    """

    source: str
    target: str
    stamp: str | None = None
    source_time: int | None = None
    target_time: int | None = None


class Index:
    """A SQLite file of what earlier syncs learned, so that unchanged objects are neither read nor asked for.

    It holds ETags and digests, no names of credentials. Losing it costs time only, so a
    full disk or a damaged file ends no sync. Any number of threads and
    processes may share one. ``path`` may be ":memory:".

    >>> from holdfast.sync.actions import Identity
    >>> index = Index(":memory:")
    >>> index.record("pair", [("a", Identity(1, "x"), Identity(1, "y"))], read=0.0)
    >>> index.synced("pair", "a")
    Synced(source='x', target='y', stamp=None, source_time=None, target_time=None)
    >>> index.close()
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        if self.path != ":memory:":
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            # It has the keys of private buckets; SQLite gives its other files the same mode.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._lock = locks.lock()
        self._connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=60)
        self._connection.execute("pragma journal_mode=wal")
        self._connection.execute("pragma synchronous=normal")
        if self._connection.execute("pragma user_version").fetchone()[0] < FORM:
            # What an earlier form knows costs time only, too.
            self._connection.executescript(f"drop table if exists synced; pragma user_version = {FORM}")
        self._connection.executescript(_TABLES)

    @classmethod
    def default(cls) -> Self | None:
        """The index of this user, below $XDG_CACHE_HOME/holdfast or ~/.cache/holdfast; None where none can be kept."""
        try:
            return cls(state_directory() / "index.sqlite")
        except (OSError, sqlite3.Error):
            return None  # it would have saved time, and is needed for nothing else

    def synced(self, pair: str, key: str) -> Synced | None:
        """The versions that were equal at the last sync, or None."""
        row = self._one(f"select {_COLUMNS} from synced where pair = ? and key = ?", (pair, key))  # noqa: S608
        return None if row is None else Synced(*row)

    def synced_of(self, pair: str, keys: Sequence[str]) -> dict[str, Synced]:
        """The versions of these keys that were equal at the last sync; keys that are not known are left out."""
        found: dict[str, Synced] = {}
        for start in range(0, len(keys), ASKED):
            asked = _storable(tuple(keys[start : start + ASKED]))
            marks = ", ".join("?" * len(asked))
            sql = f"select key, {_COLUMNS} from synced where pair = ? and key in ({marks})"  # noqa: S608
            with self._lock, _sparing():
                rows = self._connection.execute(sql, (pair, *asked)).fetchall()
                found.update((_as_key(key), Synced(*known)) for key, *known in rows)
        return found

    def record(
        self,
        pair: str,
        rows: Iterable[tuple[str, Identity, Identity]],
        read: float | None,
        stamps: Mapping[str, str | None] = NO_STAMPS,
    ) -> None:
        """Remember that these versions (key, source, target) are equal, and their ``stamps``; not those without ETags.

        ``read`` is the time before which nothing of the sources was read (see ``watched``): those that were fresh then
        are left out. What is known already is not written again.
        """
        known = [
            (pair, key, source.etag, target.etag, stamps.get(key), seconds(source), seconds(target))
            for key, source, target in rows
            if source.etag and target.etag and not is_fresh(source, read)
        ]
        if known:
            self._many(_RECORD, known)

    def forget(self, pair: str, keys: list[str]) -> None:
        """Forget these keys, which are deleted."""
        self._many("delete from synced where pair = ? and key = ?", [(pair, key) for key in keys])

    def digest(self, place: str, key: str, etag: str, algorithm: str) -> str | None:
        """The digest of this version, if it was computed before."""
        row = self._one(
            "select digest from digests where place = ? and key = ? and algorithm = ? and etag = ?",
            (place, key, algorithm, etag),
        )
        return None if row is None else str(row[0])

    def remember_digest(
        self, place: str, key: str, identity: Identity, algorithm: str, digest: str, read: float
    ) -> None:
        """Keep the digest of this version, unless it was so fresh when its reading began that it may change unseen."""
        if identity.etag is not None and not is_fresh(identity, read):
            row = (place, key, identity.etag, algorithm, digest)
            self._many("insert or replace into digests values (?, ?, ?, ?, ?)", [row])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _one(self, sql: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        found: list[tuple[Any, ...]] = []
        with self._lock, _sparing():
            found = self._connection.execute(sql, _storable(values)).fetchmany(1)
        return found[0] if found else None

    def _many(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        with self._lock, _sparing():
            self._connection.execute("begin immediate")
            try:
                self._connection.executemany(sql, map(_storable, rows))
                self._connection.execute("commit")
            finally:
                if self._connection.in_transaction:  # after some errors SQLite has rolled back by itself
                    self._connection.execute("rollback")


@contextlib.contextmanager
def _sparing() -> Iterator[None]:
    """A block that a full disk or a damaged file does not end: what is not remembered costs time only."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # such as an index that was closed
    except sqlite3.DatabaseError:
        pass


def _storable(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values as SQLite takes them: names that are no UTF-8 as bytes."""
    return tuple(
        value.encode("utf-8", "surrogateescape") if isinstance(value, str) and not _is_utf8(value) else value
        for value in values
    )


def _as_key(stored: str | bytes) -> str:
    """The key that is stored so."""
    return stored if isinstance(stored, str) else stored.decode("utf-8", "surrogateescape")


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Findings:
    """What a plan finds to be equal, on its way into the index, so that the next one need not prove it again.

    Any number of threads may add to it.
    """

    def __init__(self, index: Index, pair: str, source: Place, target: Place) -> None:
        self._index = index
        self._pair = pair
        now = time.time()
        self._read, self._read_there = watched(source, now), watched(target, now)
        self._rows: deque[tuple[str, Identity, Identity]] = deque()

    def add(self, key: str, source: Identity, target: Identity) -> None:
        """Take in one pair of versions; one that may still change unseen is left out."""
        if not is_fresh(target, self._read_there):
            self._rows.append((key, source, target))
        if len(self._rows) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what was added."""
        self._index.record(self._pair, self._taken(), self._read)

    def _taken(self) -> Iterator[tuple[str, Identity, Identity]]:
        with contextlib.suppress(IndexError):  # another thread may be the one that empties it
            while True:
                yield self._rows.popleft()


def seconds(version: Identity | ObjectInfo) -> int | None:
    """When it was last modified, in whole seconds since 1970: listings may tell more of the time than heads do."""
    return None if version.last_modified is None else math.floor(version.last_modified.timestamp())


def watched(place: Place, at: float) -> float | None:
    """The time to tell ``is_fresh`` about objects of this place; None where ETags tell any two versions apart."""
    return None if place.vendor in _EXACT else at


def is_fresh(identity: Identity, at: float | None) -> bool:
    """Whether the object had changed less than two seconds before that time, or later; nothing is fresh for None.

    Then its times prove nothing, because a change within the same tick of the clock leaves them as they are. Of a file
    the ctime counts, too: a copy that keeps the mtime of its original is as fresh as any other.
    """
    if at is None:
        return False
    modified = None if identity.last_modified is None else identity.last_modified.timestamp()
    return any(moment is not None and at - moment < FRESH for moment in (changed_at(identity.etag), modified))


def pair_of(source: Place, target: Place, reencode: str | None = None) -> str | None:
    """What the two places are together, across processes; None where one of them cannot be recognised.

    With another encoding on the way they are another pair: what is equal then differs in its stored bytes. So they are
    where objects get other names on the way, and where only stored bytes are compared (see ``Place.identity``).
    """
    if source.identity is None or target.identity is None:
        return None
    both = f"{source.identity}\n{target.identity}\n{reencode}"
    return hashlib.sha256(both.encode("utf-8", "surrogateescape")).hexdigest()


def state_directory() -> Path:
    """Where this user's indexes and journals are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "holdfast" / "sync"
