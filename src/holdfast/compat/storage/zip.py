"""``storage.zip``: objects as members of a zip archive."""

from __future__ import annotations

import os

from ...stores.zip import ZipStore as NativeZipStore
from ._adapted import Adapted

__all__ = ["ZipStore"]


class ZipStore(Adapted):
    """The members of the archive at ``path``, to which puts append; an existing key is AlreadyExists (a KeyError).

    A context manager. Members are never replaced, and ``delete`` is Unsupported (a NotImplementedError).

    >>> import tempfile
    >>> directory = tempfile.TemporaryDirectory()
    >>> with ZipStore(directory.name + "/objects.zip") as store:
    ...     _ = store.put("a", b"1")
    ...     print(store.keys(), store.get("a"))
    ['a'] b'1'
    >>> directory.cleanup()
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(NativeZipStore(path))
        self.path = path

    def keys(self, prefix: str = "") -> list[str]:
        """The names of the members that start with the string ``prefix``, as a list."""
        return list(self._listed(prefix))
