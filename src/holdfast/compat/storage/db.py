"""``storage.db``: objects in a SQLite database."""

from __future__ import annotations

import os

from ...stores.sqlite import SqliteStore as NativeSqliteStore
from ._adapted import Adapted

__all__ = ["SqliteStore"]


class SqliteStore(Adapted):
    """The objects in the database at ``db_path``, in the original's table; each put is committed when it returns.

    A context manager; any number of threads and processes may use it.

    >>> import tempfile
    >>> directory = tempfile.TemporaryDirectory()
    >>> with SqliteStore(directory.name + "/objects.db") as store:
    ...     _ = store.put("a", b"1")
    ...     print(store.keys(), store.get("a"))
    ['a'] b'1'
    >>> directory.cleanup()
    """

    def __init__(self, db_path: str | os.PathLike[str]) -> None:
        super().__init__(NativeSqliteStore(db_path))
        self.db_path = db_path

    def open(self) -> None:
        """Make ready for use, as ``with`` does; nothing is created before the first put."""
        self.native.__enter__()

    def keys(self, prefix: str = "") -> list[str]:
        """The keys that start with the string ``prefix``, as a list."""
        return list(self._listed(prefix))
