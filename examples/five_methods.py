"""A store of your own is five methods; everything else works over it, here a prefix and bulk reads with ranges."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from holdfast import CloudFiles, ObjectStore
from holdfast.wrap.rekey import PrefixStore


class TableStore(ObjectStore):
    """Objects in one table of a database."""

    def __init__(self, path: str) -> None:
        self.database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.database.execute("CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, data BLOB)")

    def get(self, key: str) -> bytes:
        """The object's bytes."""
        for (data,) in self.database.execute("SELECT data FROM objects WHERE key = ?", [key]).fetchall():
            return bytes(data)
        raise KeyError(key)

    def put(self, key: str, data: bytes) -> None:
        """Store the bytes."""
        self.database.execute("INSERT OR REPLACE INTO objects VALUES (?, ?)", [key, data])

    def delete(self, key: str) -> None:
        """Remove the object."""
        if not self.database.execute("DELETE FROM objects WHERE key = ?", [key]).rowcount:
            raise KeyError(key)

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return bool(self.database.execute("SELECT 1 FROM objects WHERE key = ?", [key]).fetchall())

    def keys(self) -> Iterable[str]:
        """All keys."""
        return [key for (key,) in self.database.execute("SELECT key FROM objects ORDER BY key").fetchall()]

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def main() -> None:
    """Write and read many objects below a prefix of the table."""
    with TableStore(":memory:") as table:
        files = CloudFiles(PrefixStore(table, "run1/"))
        count = files.puts((f"{n}.txt", f"result {n}\n".encode()) for n in range(1000))
        print(f"{count} objects put; the first two in the table: {list(table.keys())[:2]}")

        rows = files.get({"path": f"{n}.txt", "start": 7} for n in range(3))
        print(f"ranges: {[row['content'] for row in rows]}")
        print(f"missing: {files.get('no such object')}, listed: {len(list(files.list()))}")


if __name__ == "__main__":
    main()
