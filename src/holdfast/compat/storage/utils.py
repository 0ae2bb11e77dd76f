"""``storage.utils``: wrappers, transformers, validators, and utilities for whole stores."""

from __future__ import annotations

from typing import Any

from ...files.whole import KeyResult
from ...files.whole import clear_store as _clear_store
from ...files.whole import copy_store as _copy_store
from ...files.whole import sync_stores as _sync_stores
from ...wrap.guard import RegexValidator, validate_http_url_key
from ...wrap.key_transformers import (
    HashPrefixKeyTransformer,
    KeyTransformer,
    PrefixKeyTransformer,
    UrlEncodingKeyTransformer,
    ValidatingKeyTransformer,
)
from ...wrap.transformers import (
    Base64Transformer,
    BufferTransformer,
    DataTransformer,
    GzipTransformer,
    TextEncodingTransformer,
)
from ._adapted import as_store
from ._observing import ExceptionLoggingStore, LoggingStore, NotifyingStore
from ._policies import (
    CachingStore,
    IdentityStore,
    KeyValidatingStore,
    MirroringStore,
    ReadonlyStore,
    RegexRoutingStore,
    RegexValidatingStore,
    UrlValidatingStore,
    WriteonlyStore,
)
from ._rekeying import HashPrefixStore, KeyTransformingStore, PrefixStore, UrlEncodingStore
from ._transforming import (
    Base64Store,
    BufferStore,
    GzipStore,
    JsonStore,
    JsonTransformer,
    TextEncodingStore,
    TransformingStore,
)

__all__ = [
    "Base64Store",
    "Base64Transformer",
    "BufferStore",
    "BufferTransformer",
    "CachingStore",
    "DataTransformer",
    "ExceptionLoggingStore",
    "GzipStore",
    "GzipTransformer",
    "HashPrefixKeyTransformer",
    "HashPrefixStore",
    "IdentityStore",
    "JsonStore",
    "JsonTransformer",
    "KeyTransformer",
    "KeyTransformingStore",
    "KeyValidatingStore",
    "LoggingStore",
    "MirroringStore",
    "NotifyingStore",
    "PrefixKeyTransformer",
    "PrefixStore",
    "ReadonlyStore",
    "RegexRoutingStore",
    "RegexValidatingStore",
    "RegexValidator",
    "TextEncodingStore",
    "TextEncodingTransformer",
    "TransformingStore",
    "UrlEncodingKeyTransformer",
    "UrlEncodingStore",
    "UrlValidatingStore",
    "ValidatingKeyTransformer",
    "WriteonlyStore",
    "clear_store",
    "copy_store",
    "sync_stores",
    "validate_http_url_key",
]


def copy_store(from_store: Any, to_store: Any, overwrite: bool = True) -> list[KeyResult]:
    """One result for each object of the first store, each of them now in the second under the same key.

    With ``overwrite=False`` objects that are there already are kept.

    >>> from holdfast.compat.storage.object import DictStore
    >>> target = DictStore()
    >>> _ = copy_store(DictStore({"a": b"1"}), target)
    >>> target.objects
    {'a': b'1'}
    """
    return _copy_store(as_store(from_store), as_store(to_store), overwrite)


def sync_stores(from_store: Any, to_store: Any, delete: bool = False) -> list[KeyResult]:
    """One result for each key, after which all objects of the first store are in the second, with the same bytes.

    With ``delete=True`` whatever else the second store holds is deleted: all of it if the first one is empty.
    """
    return _sync_stores(as_store(from_store), as_store(to_store), delete, allow_empty=True)


def clear_store(store: Any) -> list[KeyResult]:
    """One result for each object that was in the store, which is now empty: unasked, as the original does."""
    return _clear_store(as_store(store), confirm=True)
