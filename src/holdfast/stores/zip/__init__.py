"""Objects in one zip archive: see ``holdfast.stores.zip.store``."""

from .store import ZipStore

__all__ = ["ZipStore"]
