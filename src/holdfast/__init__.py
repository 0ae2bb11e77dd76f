"""Objects under string keys, in any cloud and on the local machine, one set of promises for all.

Names are loaded when they are first used, so that ``import holdfast`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import Engine, Outcome
    from .errors import (
        AlreadyExists,
        AuthError,
        BucketNotFound,
        ConfigError,
        Conflict,
        DecompressionError,
        EncodingError,
        HoldfastError,
        Indeterminate,
        IntegrityError,
        InvalidKey,
        NotFound,
        PathConflict,
        StoreError,
        Throttled,
        Timeout,
        UnknownEncoding,
        Unsupported,
    )
    from .files.cloudfiles import CloudFiles
    from .files.copying import copy_objects
    from .registry import open_object, open_store, register
    from .store import Facade, ObjectStore, SimpleWrapper, Store, Wrapper
    from .stores.bucket import BucketStore
    from .stores.file.renamed import HashdirStore
    from .stores.plain import DictStore, FilesystemStore, SafeFilesystemStore
    from .stores.redis import RedisStore
    from .stores.sqlite import SqliteStore
    from .stores.zip import ZipStore
    from .types import Capabilities, ListOptions, ObjectInfo, ReadOptions, RemoveOptions, WriteOptions

__version__ = "0.1.0"

_HOMES = {
    "engine": ("Engine", "Outcome"),
    "errors": (
        "AlreadyExists", "AuthError", "BucketNotFound", "ConfigError", "Conflict", "DecompressionError",
        "EncodingError", "HoldfastError", "Indeterminate", "IntegrityError", "InvalidKey", "NotFound", "PathConflict",
        "StoreError", "Throttled", "Timeout", "UnknownEncoding", "Unsupported",
    ),
    "files.cloudfiles": ("CloudFiles",),
    "files.copying": ("copy_objects",),
    "registry": ("open_object", "open_store", "register"),
    "store": ("Facade", "ObjectStore", "SimpleWrapper", "Store", "Wrapper"),
    "stores.bucket": ("BucketStore",),
    "stores.file.renamed": ("HashdirStore",),
    "stores.plain": ("DictStore", "FilesystemStore", "SafeFilesystemStore"),
    "stores.redis": ("RedisStore",),
    "stores.sqlite": ("SqliteStore",),
    "stores.zip": ("ZipStore",),
    "types": ("Capabilities", "ListOptions", "ObjectInfo", "ReadOptions", "RemoveOptions", "WriteOptions"),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AlreadyExists",
    "AuthError",
    "BucketNotFound",
    "BucketStore",
    "Capabilities",
    "CloudFiles",
    "ConfigError",
    "Conflict",
    "DecompressionError",
    "DictStore",
    "EncodingError",
    "Engine",
    "Facade",
    "FilesystemStore",
    "HashdirStore",
    "HoldfastError",
    "Indeterminate",
    "IntegrityError",
    "InvalidKey",
    "ListOptions",
    "NotFound",
    "ObjectInfo",
    "ObjectStore",
    "Outcome",
    "PathConflict",
    "ReadOptions",
    "RedisStore",
    "RemoveOptions",
    "SafeFilesystemStore",
    "SimpleWrapper",
    "SqliteStore",
    "Store",
    "StoreError",
    "Throttled",
    "Timeout",
    "UnknownEncoding",
    "Unsupported",
    "Wrapper",
    "WriteOptions",
    "ZipStore",
    "copy_objects",
    "open_object",
    "open_store",
    "register",
]


def __getattr__(name: str) -> Any:
    if (home := _HOME.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
