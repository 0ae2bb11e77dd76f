"""The Storage of CloudVolume, over Holdfast: ``from holdfast.compat.cloudvolume import Storage``.

CloudVolume's volumes, meshes and skeletons are not here: they are built on what is.
"""

from typing import Any

from . import exceptions, storage
from .storage import GreenStorage, SimpleStorage, Storage, ThreadedStorage


def __getattr__(name: str) -> Any:
    raise AttributeError(f"Holdfast stands for CloudVolume's Storage alone: it has no {name!r}")


__all__ = ["GreenStorage", "SimpleStorage", "Storage", "ThreadedStorage", "exceptions", "storage"]
