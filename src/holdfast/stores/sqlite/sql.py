"""The statements: the original's table, what lies beside it, and every query; values go in as parameters only."""
# ruff: noqa: S608 - nothing but constants is put together here

from __future__ import annotations

TABLE = "objects"
DETAILS = "holdfast_details"

#: Rows of one page of a listing.
PAGE = 1000
#: Values up to this size (bytes) come with their row; larger ones are read piece by piece.
WHOLE = 1 << 20

# The table of objects is the original's. What it cannot say lies beside it, and triggers keep that true whoever
# writes: any program's write is a new version, without attributes until somebody sets them.
_OBJECTS = "CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, data BLOB)"
_BESIDE = """
CREATE TABLE IF NOT EXISTS holdfast_details
    (key TEXT PRIMARY KEY, etag TEXT NOT NULL, modified REAL NOT NULL, attributes TEXT) WITHOUT ROWID"""
_NOTE = """
    INSERT OR REPLACE INTO holdfast_details (key, etag, modified)
    VALUES (NEW.key, lower(hex(randomblob(12))), (julianday('now') - 2440587.5) * 86400.0);"""
_FORGET = "DELETE FROM holdfast_details WHERE key = OLD.key;"
_INSERTED = f"CREATE TRIGGER IF NOT EXISTS holdfast_insert AFTER INSERT ON objects BEGIN {_NOTE} END"
_UPDATED = f"CREATE TRIGGER IF NOT EXISTS holdfast_update AFTER UPDATE ON objects BEGIN {_FORGET} {_NOTE} END"
_DELETED = f"CREATE TRIGGER IF NOT EXISTS holdfast_delete AFTER DELETE ON objects BEGIN {_FORGET} END"
SCHEMA = (_OBJECTS, _BESIDE, _INSERTED, _UPDATED, _DELETED)
#: What there is in a database in which versions are kept.
OURS = {TABLE, DETAILS, "holdfast_insert", "holdfast_update", "holdfast_delete"}
# While a trigger was missing anybody may have written anything: every row is a new version, without attributes.
RENEW = (
    "DELETE FROM holdfast_details",
    """INSERT INTO holdfast_details (key, etag, modified)
    SELECT key, lower(hex(randomblob(12))), (julianday('now') - 2440587.5) * 86400.0
    FROM objects WHERE key IS NOT NULL""",
)

_JOIN = "FROM objects o LEFT JOIN holdfast_details d ON d.key = o.key"
# What another program stored as text or NULL is read as its bytes.
_BYTES = "CASE typeof(o.data) WHEN 'blob' THEN o.data ELSE CAST(o.data AS BLOB) END"
# But only ``length`` of the very column knows it without reading: of any expression it reads the whole value.
_SIZE = "CASE typeof(o.data) WHEN 'blob' THEN length(o.data) ELSE coalesce(length(CAST(o.data AS BLOB)), 0) END"
_INFO = f"o.key, {_SIZE}, d.etag, d.modified, d.attributes"
_BARE = f"o.key, {_SIZE}, NULL, NULL, NULL"

FIND = f"SELECT d.etag {_JOIN} WHERE o.key = ?"
SOURCE = f"SELECT {_SIZE}, d.attributes, d.etag {_JOIN} WHERE o.key = ?"
_REPLACE = "ON CONFLICT (key) DO UPDATE SET data = excluded.data"
PUT = f"INSERT INTO objects (key, data) VALUES (?, ?) {_REPLACE}"
PUT_SPACE = f"INSERT INTO objects (key, data) VALUES (?, zeroblob(?)) {_REPLACE} RETURNING rowid"
COPY = f"INSERT INTO objects (key, data) SELECT ?, data FROM objects WHERE key = ? {_REPLACE}"
DESCRIBE = "UPDATE holdfast_details SET attributes = ? WHERE key = ? RETURNING etag, modified"
DESCRIBED = "SELECT etag, modified FROM holdfast_details WHERE key = ?"
DELETE = "DELETE FROM objects WHERE key = ?"
NAMES = "SELECT name FROM sqlite_master"
SCHEMA_VERSION = "PRAGMA schema_version"


def one(*, detailed: bool, value: bool) -> str:
    """A query for one object: its row, its value if it is wanted and small, and its info."""
    data = f"CASE WHEN {_SIZE} <= {WHOLE} THEN {_BYTES} END" if value else "NULL"
    return f"SELECT o.rowid, {data}, {_columns(detailed)} WHERE o.key = ?"


def page(*, detailed: bool, inclusive: bool) -> str:
    """A query for the infos of one page of a listing, after a key or from it on."""
    after = ">=" if inclusive else ">"
    # A key that is no text, which SQLite allows, is none of ours.
    return f"SELECT {_columns(detailed)} WHERE o.key {after} ? AND typeof(o.key) = 'text' ORDER BY o.key LIMIT {PAGE}"


def _columns(detailed: bool) -> str:
    return f"{_INFO} {_JOIN}" if detailed else f"{_BARE} FROM objects o"
