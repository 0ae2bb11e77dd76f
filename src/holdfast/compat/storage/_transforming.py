"""Wrappers that change what is stored, with the original's manners, and the transformers that say how."""

from __future__ import annotations

import json
from typing import Any

from ...store import ObjectStore
from ...wrap import transform, transformers
from ...wrap.transformers import (
    Base64Transformer,
    BufferTransformer,
    DataTransformer,
    GzipTransformer,
    TextEncodingTransformer,
)
from ._adapted import Wrapping, as_store, takes_text


class JsonTransformer(transformers.JsonTransformer):
    """Values as JSON text (str); the reversal takes text and bytes.

    >>> JsonTransformer().transform({"a": 1}), JsonTransformer().reverse_transform(b'{"a": 1}')
    ('{"a": 1}', {'a': 1})
    """

    def transform(self, data: Any) -> str:  # type: ignore[override]  # text is what the original's class gives
        """The value's JSON; TypeError for what JSON cannot say."""
        return json.dumps(data)


class TransformingStore(Wrapping):
    """A store that keeps what ``transform`` makes of the data, and gives what ``reverse_transform`` makes of that.

    Pass a transformer, or subclass and write the two methods.

    >>> from holdfast.compat.storage.object import DictStore
    >>> class Flipped(TransformingStore):
    ...     def transform(self, data):
    ...         return data[::-1]
    ...
    ...     def reverse_transform(self, data):
    ...         return data[::-1]
    >>> inner = DictStore()
    >>> store = Flipped(inner)
    >>> store.put("a", b"abc")
    >>> inner.objects, store.get("a")
    ({'a': b'cba'}, b'abc')
    """

    def __init__(self, store: Any, transformer: Any = None) -> None:
        self.transformer = DataTransformer() if transformer is None else transformer
        super().__init__(store, self._native(as_store(store)))

    def _native(self, store: ObjectStore) -> ObjectStore:
        methods = _Methods(self)
        if self.values:
            return transform.ValueStore(store, methods)
        return transform.TransformingStore(store, methods)

    @property
    def values(self) -> bool:
        """Whether what it takes and gives is known to be something other than bytes."""
        return getattr(self.transformer, "values", False)

    def transform(self, data: Any) -> Any:
        """What to store for the data."""
        return self.transformer.transform(data)

    def reverse_transform(self, data: Any) -> Any:
        """The data for which this is stored."""
        return self.transformer.reverse_transform(data)

    def get(self, key: str) -> Any:
        """The data, as it was put."""
        return self.reverse_transform(self.store.get(key))

    def put(self, key: str, data: Any) -> Any:
        """What the store inside answers when it is given the transformed data."""
        return self.store.put(key, self.transform(data))


class _Streaming(TransformingStore):
    """A TransformingStore whose bytes are transformed on their way, in bounded memory."""

    #: Bytes are what it takes, whatever the store inside could hold.
    takes_text = False

    def get(self, key: str) -> Any:
        """The object's bytes, as they were put."""
        return self.native.get(key)

    def put(self, key: str, data: Any) -> Any:
        """The info of what was stored."""
        return self.native.put(key, data)


class GzipStore(_Streaming):
    """A store whose bodies are stored compressed with gzip."""

    def __init__(self, store: Any) -> None:
        super().__init__(store, GzipTransformer())

    def _native(self, store: ObjectStore) -> ObjectStore:
        return transform.GzipStore(store)


class Base64Store(_Streaming):
    """A store whose bodies are stored in base64."""

    def __init__(self, store: Any) -> None:
        super().__init__(store, Base64Transformer())

    def _native(self, store: ObjectStore) -> ObjectStore:
        return transform.Base64Store(store)


class BufferStore(_Streaming):
    """A store of binary files: ``put`` takes whatever has a ``read``, ``get`` gives a BytesIO at its start."""

    def __init__(self, store: Any) -> None:
        super().__init__(store, BufferTransformer())

    def _native(self, store: ObjectStore) -> ObjectStore:
        return transform.BufferStore(store)


class TextEncodingStore(_Streaming):
    """A store of text (str), stored in a character encoding."""

    #: Text is what it holds.
    takes_text = True

    def __init__(self, store: Any, encoding: str = "utf-8") -> None:
        self.encoding = encoding
        super().__init__(store, TextEncodingTransformer(encoding))

    def _native(self, store: ObjectStore) -> ObjectStore:
        return transform.TextEncodingStore(store, self.encoding)


class JsonStore(TransformingStore):
    """A store of what JSON can say: as text in a store that takes text, as UTF-8 in any other.

    >>> from holdfast.compat.storage.object import DictStore
    >>> inner = DictStore()
    >>> store = JsonStore(inner)
    >>> store.put("a", {"b": 1})
    >>> inner.objects, store.get("a")
    ({'a': '{"b": 1}'}, {'b': 1})
    """

    def __init__(self, store: Any) -> None:
        super().__init__(store, JsonTransformer())

    #: It takes values, not JSON.
    takes_text = False

    def transform(self, data: Any) -> str | bytes:
        """The JSON to store for the value."""
        text: str = self.transformer.transform(data)
        return text if takes_text(self.store) else text.encode()


class _Methods(DataTransformer):
    """The two methods of a store, as a transformer of what is stored."""

    def __init__(self, store: TransformingStore) -> None:
        self._store = store

    def __repr__(self) -> str:
        return repr(self._store.transformer)

    def transform(self, data: Any) -> Any:
        """What the store's ``transform`` gives."""
        return self._store.transform(data)

    def reverse_transform(self, data: Any) -> Any:
        """What the store's ``reverse_transform`` gives."""
        return self._store.reverse_transform(data)
