"""The local file store: see ``holdfast.stores.file.store``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ...errors import Unsupported

if TYPE_CHECKING or (hasattr(os, "O_NOFOLLOW") and os.open in os.supports_dir_fd):
    from .store import FileStore
else:

    class FileStore:
        """What a FileStore is where the system cannot walk a path without following symlinks: unsupported."""

        def __init__(self, root: Any, *, durable: bool = False) -> None:
            raise Unsupported(
                "local files need openat and O_NOFOLLOW, which this system lacks; use Linux, macOS or WSL",
                store=f"file://{root}",
            )

        @classmethod
        def root_of(cls, directory: str) -> tuple[str, str]:
            """The directory itself: see ``store.FileStore``."""
            return directory, ""


__all__ = ["FileStore"]
