"""``storage.aiodb``: objects in a SQLite database, to await."""

from __future__ import annotations

import os

from ...aio import AsyncStore
from .db import SqliteStore
from .utils import clear_store

__all__ = ["AsyncSqliteStore"]


class AsyncSqliteStore(AsyncStore):
    """A SqliteStore to await (``async with``): the objects in the database at ``db_path``."""

    store: SqliteStore

    def __init__(self, db_path: str | os.PathLike[str]) -> None:
        super().__init__(SqliteStore(db_path))

    @property
    def db_path(self) -> str | os.PathLike[str]:
        """Where the database is."""
        return self.store.db_path

    async def clear(self) -> None:
        """Remove every object."""
        await self._calls.call(clear_store, self.store)
