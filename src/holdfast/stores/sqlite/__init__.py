"""Objects in one SQLite database: see ``holdfast.stores.sqlite.store``."""

from .store import SqliteStore

__all__ = ["SqliteStore"]
