"""``storage.fs``: objects as files."""

from __future__ import annotations

import os

from ...store import ObjectStore
from ...stores.file.renamed import HashdirStore as NativeHashdirStore
from ...stores.plain import FilesystemStore as NativeFilesystemStore
from ...stores.plain import SafeFilesystemStore as NativeSafeFilesystemStore
from ._adapted import Adapted

__all__ = ["FilesystemStore", "HashdirStore", "SafeFilesystemStore"]


class _Files(Adapted):
    """Files below ``root_path``; ``delete`` returns True."""

    def __init__(self, root_path: str | os.PathLike[str], native: ObjectStore) -> None:
        super().__init__(native)
        self.root_path = root_path

    def get(self, key: str) -> bytes:
        """The file's bytes; NotFound (a KeyError) if there is none."""
        return self.native.get(key)

    def delete(self, key: str) -> bool:
        """True once the file is removed; NotFound (a KeyError) if there is none."""
        self.native.delete(key)
        return True


class FilesystemStore(_Files):
    """The files below ``root_path`` by their relative paths; directories are made, keys stay inside the root.

    >>> import tempfile
    >>> root = tempfile.TemporaryDirectory()
    >>> store = FilesystemStore(root.name)
    >>> _ = store.put("a/b", b"1")
    >>> list(store.keys()), store.delete("a/b")
    (['a/b'], True)
    >>> root.cleanup()
    """

    def __init__(self, root_path: str | os.PathLike[str]) -> None:
        super().__init__(root_path, NativeFilesystemStore(root_path))


class HashdirStore(_Files):
    """Files in directories that are named by the SHA-256 of their keys: the original's layout; it cannot be listed.

    >>> import tempfile
    >>> root = tempfile.TemporaryDirectory()
    >>> store = HashdirStore(root.name)
    >>> _ = store.put("key", b"1")
    >>> store.native.path_of("key")[:12], store.get("key")
    ('2c/70/e1/2b7', b'1')
    >>> root.cleanup()
    """

    native: NativeHashdirStore

    def __init__(self, root_path: str | os.PathLike[str], width: int = 2, depth: int = 3) -> None:
        super().__init__(root_path, NativeHashdirStore(root_path, width, depth))
        self.width = width
        self.depth = depth


class SafeFilesystemStore(_Files):
    """Any keys as files directly in ``root_path``, by their base32 with "_" for "="; other files are no objects."""

    def __init__(self, root_path: str | os.PathLike[str]) -> None:
        super().__init__(root_path, NativeSafeFilesystemStore(root_path))
