"""Wrappers that call objects by other keys, with the original's manners."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...errors import HoldfastError
from ...wrap import rekey
from ...wrap.key_transformers import KeyTransformer
from ._adapted import Wrapping, as_store


class _Rekeying(Wrapping):
    """A store whose keys are others inside, as the native wrapper says."""

    native: rekey.KeyTransform

    def inner(self, key: str) -> str:
        """The key under which the object is stored."""
        return self.native.to_inner(key)

    def get(self, key: str) -> Any:
        """What the store inside gives for the key."""
        with self._naming(key):
            return super().get(key)

    def put(self, key: str, data: Any) -> Any:
        """What the store inside answers when it is given the data."""
        with self._naming(key):
            return super().put(key, data)

    def delete(self, key: str) -> Any:
        """What the store inside answers when it is to remove the object."""
        with self._naming(key):
            return super().delete(key)

    def exists(self, key: str) -> bool:
        """Whether the store inside has the object."""
        with self._naming(key):
            return super().exists(key)

    @contextmanager
    def _naming(self, key: str) -> Iterator[None]:
        """A block whose errors carry the outer key."""
        try:
            yield
        except HoldfastError as error:
            if error.key is not None and error.key != key and error.key == self.inner(key):
                error.key = key
            raise


class KeyTransformingStore(_Rekeying):
    """A store whose keys are changed by a transformer, or by a subclass's ``transform_key`` and its reversal.

    ``keys()`` leaves out stored keys whose reversal raises ValueError.
    """

    def __init__(self, store: Any, transformer: Any = None) -> None:
        self.transformer = KeyTransformer() if transformer is None else transformer
        super().__init__(store, rekey.KeyTransformingStore(as_store(store), _Methods(self)))

    def transform_key(self, key: str) -> str:
        """The key to store the object under."""
        inner: str = self.transformer.transform_key(key)
        return inner

    def reverse_transform_key(self, key: str) -> str:
        """The key of the object that is stored under this one; ValueError if there is none."""
        outer: str = self.transformer.reverse_transform_key(key)
        return outer


class _Fixed(_Rekeying):
    """A store whose keys change in a way that lists well."""

    def transform_key(self, key: str) -> str:
        """The key to store the object under."""
        return self.native.to_inner(key)

    def reverse_transform_key(self, key: str) -> str:
        """The key of the object that is stored under this one; ValueError if there is none."""
        return self.native.to_outer(key)


class PrefixStore(_Fixed):
    """The objects whose keys start with a prefix, by the rest of their keys; others are not seen.

    >>> from holdfast.compat.storage.object import DictStore
    >>> inner = DictStore({"zz/2": b"2"})
    >>> store = PrefixStore(inner, "p/")
    >>> store.put("1", b"1")
    >>> list(inner.objects), list(store.keys())
    (['zz/2', 'p/1'], ['1'])
    """

    def __init__(self, store: Any, prefix: str) -> None:
        super().__init__(store, rekey.PrefixStore(as_store(store), prefix))
        self.prefix = prefix


class HashPrefixStore(_Fixed):
    """A store whose keys have the start of their SHA-256 before them.

    >>> from holdfast.compat.storage.object import DictStore
    >>> inner = DictStore()
    >>> HashPrefixStore(inner).put("key", b"1")
    >>> list(inner.objects)
    ['2c70e12b/key']
    """

    def __init__(self, store: Any, hash_length: int = 8, separator: str = "/") -> None:
        super().__init__(store, rekey.HashPrefixStore(as_store(store), hash_length, separator))
        self.hash_length = hash_length
        self.separator = separator


class UrlEncodingStore(_Fixed):
    """A store whose keys are percent-encoded inside, part by part between slashes."""

    def __init__(self, store: Any) -> None:
        super().__init__(store, rekey.UrlEncodingStore(as_store(store)))


class _Methods(KeyTransformer):
    """The two methods of a store, as a transformer of keys."""

    def __init__(self, store: KeyTransformingStore) -> None:
        self._store = store

    def __repr__(self) -> str:
        return repr(self._store.transformer)

    def transform_key(self, key: str) -> str:
        """What the store's ``transform_key`` gives."""
        return self._store.transform_key(key)

    def reverse_transform_key(self, key: str) -> str:
        """What the store's ``reverse_transform_key`` gives."""
        return self._store.reverse_transform_key(key)
