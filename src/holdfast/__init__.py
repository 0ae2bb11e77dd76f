"""Objects under string keys, in any cloud and on the local machine, one set of promises for all.

Names are loaded when they are first used, so that ``import holdfast`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import StoreFactory, register_store
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
        KeySyncError,
        NotFound,
        PartialFailure,
        PathConflict,
        RefusedKey,
        StoreError,
        Throttled,
        Timeout,
        UnknownEncoding,
        Unsupported,
    )
    from .files.cloudfile import CloudFile, dl
    from .files.cloudfiles import CloudFiles
    from .files.resumable import ResumableTransfer
    from .files.storage import GreenStorage, SimpleStorage, Storage, ThreadedStorage
    from .files.transcoding import transcode
    from .files.whole import KeyResult, clear_store, copy_store, sync_stores
    from .mapping.cloudmapping import CloudMapping
    from .mapping.clouds import (
        AWSS3Mapping,
        AWSS3Storage,
        AzureBlobMapping,
        AzureBlobStorage,
        GoogleCloudStorage,
        GoogleCloudStorageMapping,
    )
    from .monitoring import IOEnum, IOSampler, TransmissionMonitor
    from .recipes import pickling
    from .registry import open_object, open_store, register
    from .remote_storage import (
        Provider,
        RemoteObjectProtocol,
        RemoteStorage,
        RemoteStorageConfig,
        SyncObject,
        TransactionSummary,
    )
    from .store import Facade, ObjectStore, SimpleWrapper, Store, Wrapper
    from .stores.bucket import BucketStore
    from .stores.file.renamed import HashdirStore
    from .stores.http import HttpStore
    from .stores.plain import DictStore, FilesystemStore, SafeFilesystemStore
    from .stores.redis import RedisStore
    from .stores.sqlite import SqliteStore
    from .stores.zip import ZipStore
    from .sync.copying import copy_objects
    from .types import Capabilities, ListOptions, ObjectInfo, ReadOptions, RemoveOptions, WriteOptions
    from .wrap.cache import CachingStore
    from .wrap.encrypt import EncryptingStore, KeyRing
    from .wrap.guard import (
        IdentityStore,
        KeyValidatingStore,
        ReadonlyStore,
        RegexValidatingStore,
        RegexValidator,
        UrlValidatingStore,
        WriteonlyStore,
        validate_http_url_key,
    )
    from .wrap.key_transformers import (
        HashPrefixKeyTransformer,
        KeyTransformer,
        PrefixKeyTransformer,
        UrlEncodingKeyTransformer,
        ValidatingKeyTransformer,
    )
    from .wrap.mirror import MirroringStore
    from .wrap.observe import ExceptionLoggingStore, LoggingStore, NotifyingStore
    from .wrap.rekey import HashPrefixStore, KeyTransformingStore, PrefixStore, UrlEncodingStore
    from .wrap.retrying import RetryingStore
    from .wrap.route import RegexRoutingStore
    from .wrap.throttle import ThrottledStore
    from .wrap.transform import (
        Base64Store,
        BufferStore,
        CompressingStore,
        GzipStore,
        JsonStore,
        TextEncodingStore,
        TransformingStore,
        ValueStore,
    )
    from .wrap.transformers import (
        Base64Transformer,
        BufferTransformer,
        CompressingTransformer,
        DataTransformer,
        GzipTransformer,
        JsonTransformer,
        TextEncodingTransformer,
    )

__version__ = "0.1.0"

_HOMES = {
    "config": ("StoreFactory", "register_store"),
    "engine": ("Engine", "Outcome"),
    "errors": (
        "AlreadyExists", "AuthError", "BucketNotFound", "ConfigError", "Conflict", "DecompressionError",
        "EncodingError", "HoldfastError", "Indeterminate", "IntegrityError", "InvalidKey", "KeySyncError", "NotFound",
        "PartialFailure", "PathConflict",
        "RefusedKey", "StoreError", "Throttled", "Timeout", "UnknownEncoding", "Unsupported",
    ),
    "files.cloudfile": ("CloudFile", "dl"),
    "files.cloudfiles": ("CloudFiles",),
    "files.resumable": ("ResumableTransfer",),
    "sync.copying": ("copy_objects",),
    "mapping.cloudmapping": ("CloudMapping",),
    "mapping.clouds": (
        "AWSS3Mapping", "AWSS3Storage", "AzureBlobMapping", "AzureBlobStorage", "GoogleCloudStorage",
        "GoogleCloudStorageMapping",
    ),
    "recipes": ("pickling",),
    "files.storage": ("GreenStorage", "SimpleStorage", "Storage", "ThreadedStorage"),
    "files.transcoding": ("transcode",),
    "files.whole": ("KeyResult", "clear_store", "copy_store", "sync_stores"),
    "monitoring": ("IOEnum", "IOSampler", "TransmissionMonitor"),
    "registry": ("open_object", "open_store", "register"),
    "remote_storage": (
        "Provider", "RemoteObjectProtocol", "RemoteStorage", "RemoteStorageConfig", "SyncObject", "TransactionSummary",
    ),
    "store": ("Facade", "ObjectStore", "SimpleWrapper", "Store", "Wrapper"),
    "stores.bucket": ("BucketStore",),
    "stores.file.renamed": ("HashdirStore",),
    "stores.http": ("HttpStore",),
    "stores.plain": ("DictStore", "FilesystemStore", "SafeFilesystemStore"),
    "stores.redis": ("RedisStore",),
    "stores.sqlite": ("SqliteStore",),
    "stores.zip": ("ZipStore",),
    "types": ("Capabilities", "ListOptions", "ObjectInfo", "ReadOptions", "RemoveOptions", "WriteOptions"),
    "wrap.cache": ("CachingStore",),
    "wrap.encrypt": ("EncryptingStore", "KeyRing"),
    "wrap.guard": (
        "IdentityStore", "KeyValidatingStore", "ReadonlyStore", "RegexValidatingStore", "RegexValidator",
        "UrlValidatingStore", "WriteonlyStore", "validate_http_url_key",
    ),
    "wrap.key_transformers": (
        "HashPrefixKeyTransformer", "KeyTransformer", "PrefixKeyTransformer", "UrlEncodingKeyTransformer",
        "ValidatingKeyTransformer",
    ),
    "wrap.mirror": ("MirroringStore",),
    "wrap.observe": ("ExceptionLoggingStore", "LoggingStore", "NotifyingStore"),
    "wrap.rekey": ("HashPrefixStore", "KeyTransformingStore", "PrefixStore", "UrlEncodingStore"),
    "wrap.retrying": ("RetryingStore",),
    "wrap.throttle": ("ThrottledStore",),
    "wrap.route": ("RegexRoutingStore",),
    "wrap.transform": (
        "Base64Store", "BufferStore", "CompressingStore", "GzipStore", "JsonStore", "TextEncodingStore",
        "TransformingStore", "ValueStore",
    ),
    "wrap.transformers": (
        "Base64Transformer", "BufferTransformer", "CompressingTransformer", "DataTransformer",
        "GzipTransformer", "JsonTransformer", "TextEncodingTransformer",
    ),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AWSS3Mapping",
    "AWSS3Storage",
    "AlreadyExists",
    "AuthError",
    "AzureBlobMapping",
    "AzureBlobStorage",
    "Base64Store",
    "Base64Transformer",
    "BucketNotFound",
    "BucketStore",
    "BufferStore",
    "BufferTransformer",
    "CachingStore",
    "Capabilities",
    "CloudFile",
    "CloudFiles",
    "CloudMapping",
    "CompressingStore",
    "CompressingTransformer",
    "ConfigError",
    "Conflict",
    "DataTransformer",
    "DecompressionError",
    "DictStore",
    "EncodingError",
    "EncryptingStore",
    "Engine",
    "ExceptionLoggingStore",
    "Facade",
    "FilesystemStore",
    "GoogleCloudStorage",
    "GoogleCloudStorageMapping",
    "GreenStorage",
    "GzipStore",
    "GzipTransformer",
    "HashPrefixKeyTransformer",
    "HashPrefixStore",
    "HashdirStore",
    "HoldfastError",
    "HttpStore",
    "IOEnum",
    "IOSampler",
    "IdentityStore",
    "Indeterminate",
    "IntegrityError",
    "InvalidKey",
    "JsonStore",
    "JsonTransformer",
    "KeyResult",
    "KeyRing",
    "KeySyncError",
    "KeyTransformer",
    "KeyTransformingStore",
    "KeyValidatingStore",
    "ListOptions",
    "LoggingStore",
    "MirroringStore",
    "NotFound",
    "NotifyingStore",
    "ObjectInfo",
    "ObjectStore",
    "Outcome",
    "PartialFailure",
    "PathConflict",
    "PrefixKeyTransformer",
    "PrefixStore",
    "Provider",
    "ReadOptions",
    "ReadonlyStore",
    "RedisStore",
    "RefusedKey",
    "RegexRoutingStore",
    "RegexValidatingStore",
    "RegexValidator",
    "RemoteObjectProtocol",
    "RemoteStorage",
    "RemoteStorageConfig",
    "RemoveOptions",
    "ResumableTransfer",
    "RetryingStore",
    "SafeFilesystemStore",
    "SimpleStorage",
    "SimpleWrapper",
    "SqliteStore",
    "Storage",
    "Store",
    "StoreError",
    "StoreFactory",
    "SyncObject",
    "TextEncodingStore",
    "TextEncodingTransformer",
    "ThreadedStorage",
    "Throttled",
    "ThrottledStore",
    "Timeout",
    "TransactionSummary",
    "TransformingStore",
    "TransmissionMonitor",
    "UnknownEncoding",
    "Unsupported",
    "UrlEncodingKeyTransformer",
    "UrlEncodingStore",
    "UrlValidatingStore",
    "ValidatingKeyTransformer",
    "ValueStore",
    "Wrapper",
    "WriteOptions",
    "WriteonlyStore",
    "ZipStore",
    "clear_store",
    "copy_objects",
    "copy_store",
    "dl",
    "open_object",
    "open_store",
    "pickling",
    "register",
    "register_store",
    "sync_stores",
    "transcode",
    "validate_http_url_key",
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
