"""``holdfast ls --sqlite``: a listing in a file of SQLite, which goes on where it was when it was ended.

The table ``objects`` has the names, sizes, times (UTC) and ETags; ``listings`` has for each listing how far it has
come. Both are written together, so that what is noted as listed is there, whatever ends the process.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NamedTuple, Self

from ..errors import ConfigError
from .locations import Row

#: Rows are written together: so many, or those of so many seconds.
ROWS, SECONDS = 1000, 1.0
FORMAT = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS objects (
    location TEXT NOT NULL, key TEXT NOT NULL, type TEXT NOT NULL, size INTEGER, last_modified TEXT, etag TEXT,
    storage_class TEXT, PRIMARY KEY (location, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS listings (
    location TEXT NOT NULL, prefix TEXT NOT NULL, recursive INTEGER NOT NULL, position TEXT, completed TEXT,
    PRIMARY KEY (location, prefix)
) WITHOUT ROWID;
"""


class State(NamedTuple):
    """How far a listing has come: the last key that is noted, and when it was complete."""

    position: str | None
    completed: str | None


class Inventory:
    """The listings in one file, made where there is none; ConfigError if it holds something else."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._database = sqlite3.connect(path, isolation_level=None, timeout=60)
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if version != FORMAT and tables:
                raise ConfigError(f"{path} is a database of something else: name a new file")
            self._database.executescript(f"PRAGMA user_version = {FORMAT}; {_TABLES}")
        except sqlite3.Error as error:
            raise ConfigError(f"{path} cannot be a database for inventories: {error}", cause=error) from error

    def begin(self, location: str, prefix: str, *, recursive: bool, resumable: bool) -> State:
        """How far the listing of a prefix below the location has come; it begins anew where it cannot go on.

        ConfigError if the file has a listing of this prefix of the other kind, recursive or not.
        """
        query = "SELECT recursive, position, completed FROM listings WHERE location = ? AND prefix = ?"
        found = self._database.execute(query, (location, kept(prefix))).fetchone()
        if found is None:
            self._database.execute(
                "INSERT INTO listings VALUES (?, ?, ?, NULL, NULL)", (location, kept(prefix), recursive)
            )
            return State(None, None)
        if bool(found[0]) is not recursive:
            kind = "everything below" if found[0] else "one level of"
            raise ConfigError(
                f"{self.path} lists {kind} {location}{prefix} already: use the same options or a new file"
            )
        if found[2] is None and not resumable:
            self._database.execute(
                "DELETE FROM objects WHERE location = ? AND substr(key, 1, ?) = ?", (location, len(prefix), prefix)
            )
            return State(None, None)
        return State(told(found[1]), found[2])

    def note(self, location: str, prefix: str, rows: Iterator[Row]) -> Iterator[int]:
        """Write the rows of a listing, and yield how many are new each time that some were written.

        The listing is complete when the rows have ended; whatever ends it before that, what came is kept.
        """
        waiting: list[Row] = []
        due = time.monotonic() + SECONDS
        complete = False
        try:
            for row in rows:
                waiting.append(row)
                if len(waiting) >= ROWS or time.monotonic() >= due:
                    self._write(location, prefix, waiting, complete=False)
                    yield len(waiting)
                    waiting, due = [], time.monotonic() + SECONDS
            complete = True
        finally:
            self._write(location, prefix, waiting, complete=complete)
        yield len(waiting)

    def count(self, location: str) -> int:
        """How many rows the location has."""
        (count,) = self._database.execute("SELECT count(*) FROM objects WHERE location = ?", (location,)).fetchone()
        return int(count)

    def forget(self, location: str) -> None:
        """Let the listings of a location begin anew: nothing was there."""
        self._database.execute("DELETE FROM listings WHERE location = ?", (location,))

    def _write(self, location: str, prefix: str, rows: list[Row], *, complete: bool) -> None:
        execute = self._database.execute
        execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)", (_values(location, row) for row in rows)
            )
            where = (location, kept(prefix))
            if rows:
                last = kept(rows[-1].info.key)
                execute("UPDATE listings SET position = ? WHERE location = ? AND prefix = ?", (last, *where))
            if complete:
                now = datetime.now(UTC).isoformat(timespec="seconds")
                execute("UPDATE listings SET completed = ? WHERE location = ? AND prefix = ?", (now, *where))
            execute("COMMIT")
        except BaseException:
            execute("ROLLBACK")
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()


def _values(location: str, row: Row) -> tuple[object, ...]:
    info = row.info
    if row.is_directory:
        return (location, kept(row.name), "directory", None, None, None, None)
    moment = None if info.last_modified is None else info.last_modified.astimezone(UTC).isoformat()
    return (location, kept(row.name), "object", info.size, moment, info.etag, info.storage_class)


def kept(name: str) -> str | bytes:
    """The name as SQLite can keep it: a local one that is no UTF-8 as its bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape")
    return name


def told(value: Any) -> Any:
    """What was kept as the name that it was, and any other value as it is."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
