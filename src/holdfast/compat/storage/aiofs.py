"""``storage.aiofs``: objects as files, to await; directories are made as they are needed."""

from __future__ import annotations

import os

from ...aio import AsyncStore
from .fs import FilesystemStore, HashdirStore, SafeFilesystemStore

__all__ = ["AsyncFilesystemStore", "AsyncHashdirStore", "AsyncSafeFilesystemStore"]


class _AsyncFiles(AsyncStore):
    """Files below ``root_path``, to await."""

    store: FilesystemStore | HashdirStore | SafeFilesystemStore

    @property
    def root_path(self) -> str | os.PathLike[str]:
        """The directory that they lie in."""
        return self.store.root_path


class AsyncFilesystemStore(_AsyncFiles):
    """A FilesystemStore to await: the files below ``root_path`` by their relative paths."""

    def __init__(self, root_path: str | os.PathLike[str]) -> None:
        super().__init__(FilesystemStore(root_path))


class AsyncHashdirStore(_AsyncFiles):
    """A HashdirStore to await: files in directories that are named by the SHA-256 of their keys."""

    def __init__(self, root_path: str | os.PathLike[str], width: int = 2, depth: int = 3) -> None:
        super().__init__(HashdirStore(root_path, width, depth))


class AsyncSafeFilesystemStore(_AsyncFiles):
    """A SafeFilesystemStore to await: any keys as files in ``root_path``."""

    def __init__(self, root_path: str | os.PathLike[str]) -> None:
        super().__init__(SafeFilesystemStore(root_path))
