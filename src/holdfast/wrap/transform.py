"""Stores that change bodies on their way: compressed, in base64; or values, such as text and JSON, for bytes.

There are two kinds. ``TransformingStore`` makes other bytes of bytes, and everything that Holdfast does with bytes
works above it: other wrappers, bulk work, streams. ``ValueStore`` takes and gives values that are no bytes, so it
belongs on top of a stack: its ``get`` and ``put`` speak of values, its verbs of the bytes that they are stored as.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..blob import Blob, Buffer, BytesBlob, Staged, body_chunks, join
from ..codecs import decode_range
from ..errors import EncodingError, HoldfastError
from ..keys import check
from ..store import HEAD, LIST, READ, REMOVE, WRITE, Facade, ObjectStore, Removed, stream_copy
from ..types import (
    Body,
    Capabilities,
    ListOptions,
    Location,
    ObjectInfo,
    ReadOptions,
    RemoveOptions,
    WriteOptions,
)
from ._bodies import Counted, gathered
from ._single import SingleStore, overrides
from .transformers import (
    Base64Transformer,
    BufferTransformer,
    CompressingTransformer,
    DataTransformer,
    GzipTransformer,
    JsonTransformer,
    TextEncodingTransformer,
)

Data = bytes  # where a method called bytes() hides the type


class TransformingStore(SingleStore):
    """A store whose bodies are stored transformed: by a transformer, or by a subclass's own two methods.

    The methods of a subclass, also of one of the stores below, go before the transformer, which ``super()`` calls;
    bodies are whole in memory then. One method alone leaves the other to the transformer.
    Attributes, ETags and conditional writes pass unchanged. Bodies stream where the transformer can. A range is cut
    out of the decoded bytes, so it costs a read from the start of the object, and a read cannot name a version; the
    decoded size is not known before the end: ``size`` is None in heads and listings. Copies pass through this
    process.

    >>> from holdfast.stores.memory import MemoryStore
    >>> class Flipped(TransformingStore):
    ...     def transform(self, data):
    ...         return data[::-1]
    ...
    ...     def reverse_transform(self, data):
    ...         return data[::-1]
    >>> inner = MemoryStore()
    >>> store = Flipped(inner)
    >>> _ = store.put("a", b"abc")
    >>> inner.get("a"), store.get("a"), store.get_range("a", 0, 2)
    (b'cba', b'abc', b'ab')
    """

    def __init__(self, store: ObjectStore, transformer: DataTransformer | None = None) -> None:
        super().__init__(store)
        transformer = DataTransformer() if transformer is None else transformer
        if transformer.values:
            raise TypeError(f"{type(transformer).__name__} makes values of bytes: use ValueStore(store, transformer)")
        self.transformer = transformer
        own = overrides(self, TransformingStore, "transform", "reverse_transform")
        self._applied = _OwnMethods(self) if own else transformer

    def transform(self, data: Any) -> Any:
        """The bytes to store for a whole body."""
        return self.transformer.transform(data)

    def reverse_transform(self, data: Any) -> Any:
        """The whole body whose stored bytes these are."""
        return self.transformer.reverse_transform(data)

    @property
    def capabilities(self) -> Capabilities:
        """Those of the store inside, without ranges and native copies."""
        return replace(self.store.capabilities, ranges=False, copy=False)

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        if options.if_match is not None:
            raise self._unsupported("a read", "if_match", "bodies are transformed here; read the wrapped store")
        if options.head:
            with self.store._read(key, HEAD) as blob:
                return BytesBlob(_sizeless(blob.info))
        return _TransformedBlob(self.store._read(key), self._applied.reverse_chunks, options, self.name)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        passed = Counted(body_chunks(body))
        chunks = self._applied.transform_chunks(passed)
        whole = isinstance(body, bytes | bytearray | memoryview)
        info = self.store._write(key, join(chunks) if whole else gathered(chunks), options)
        return replace(info, size=passed.size)

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        return self.store._remove(keys, options)

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        return map(_sizeless, self.store._scan(options))

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        return stream_copy(source, src, self, dst, options)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        """None: where a part lies among the stored bytes is not known before those in front of it are transformed."""
        return None

    def _locate(self, key: str) -> Location | None:
        """None: what lies there is not what a read returns."""
        return None


class CompressingStore(TransformingStore):
    """A store whose bodies are stored compressed, by any codec of ``holdfast.codecs``.

    The objects are plain compressed streams, of any length, that other programs can read; they carry no
    Content-Encoding. A body that decodes to more than ``limit`` bytes is refused (see ``holdfast.codecs``).

    >>> from holdfast.stores.memory import MemoryStore
    >>> inner = MemoryStore()
    >>> _ = CompressingStore(inner, "zstd").put("a", b"abc" * 1000)
    >>> inner.head("a").size < 100
    True
    """

    def __init__(
        self, store: ObjectStore, encoding: str = "zstd", level: int | None = None, *, limit: int | None = None
    ) -> None:
        super().__init__(store, CompressingTransformer(encoding, level, limit=limit))


class GzipStore(TransformingStore):
    r"""A store whose bodies are stored compressed with gzip.

    >>> from holdfast.stores.memory import MemoryStore
    >>> inner = MemoryStore()
    >>> store = GzipStore(inner)
    >>> _ = store.put("a", b"abc")
    >>> inner.get("a")[:2], store.get("a")
    (b'\x1f\x8b', b'abc')
    """

    def __init__(self, store: ObjectStore, level: int | None = None, *, limit: int | None = None) -> None:
        super().__init__(store, GzipTransformer(level, limit=limit))


class Base64Store(TransformingStore):
    """A store whose bodies are stored in base64, for services that take text only.

    >>> from holdfast.stores.memory import MemoryStore
    >>> inner = MemoryStore()
    >>> _ = Base64Store(inner).put("a", b"hello")
    >>> inner.get("a")
    b'aGVsbG8='
    """

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store, Base64Transformer())


class ValueStore(Facade):
    """A store of values: ``put`` and ``get`` speak of them, everything else of the bytes they are stored as.

    It sits on any store. Put it on top: a wrapper around it, and every verb (ranges, conditions, bulk work), deals in
    bytes. Bytes that are no such value are an EncodingError (a ValueError) that names the key.

    >>> from holdfast.stores.memory import MemoryStore
    >>> store = ValueStore(MemoryStore(), JsonTransformer())
    >>> _ = store.put("a", {"b": 1})
    >>> store.get("a"), store.get_range("a", 0, 4)
    ({'b': 1}, b'{"b"')
    """

    def __init__(self, store: ObjectStore, transformer: DataTransformer) -> None:
        super().__init__(store)
        self.transformer = transformer

    def get(self, key: str) -> Any:
        """The value, or NotFound (a KeyError)."""
        with self.store._read(check(key, self.name)) as blob:
            data = blob.bytes()
        try:
            return self.transformer.reverse_transform(data)
        except ValueError as error:
            message = f"object {key!r} is no such value: {error}"
            raise EncodingError(message, key=key, store=self.name, cause=error) from error

    def put(self, key: str, data: Any) -> ObjectInfo:
        """The info of the bytes that the value was stored as."""
        return self.store._write(check(key, self.name), self._body(data))

    def delete(self, key: str) -> None:
        """Remove the object, or raise NotFound (a KeyError)."""
        self.store.delete(key)

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return self.store.exists(key)

    def keys(self, **options: Any) -> Iterable[str]:
        """The keys of the store inside."""
        return self.store.keys(**options)

    def _body(self, value: Any) -> Body:
        body: Body = self.transformer.transform(value)
        return body


class TextEncodingStore(ValueStore):
    """A store of text (str), stored in a character encoding.

    >>> from holdfast.stores.memory import MemoryStore
    >>> store = TextEncodingStore(MemoryStore())
    >>> _ = store.put("a", "grüezi")
    >>> store.get("a")
    'grüezi'
    """

    def __init__(self, store: ObjectStore, encoding: str = "utf-8") -> None:
        super().__init__(store, TextEncodingTransformer(encoding))


class BufferStore(ValueStore):
    """A store of binary files: ``put`` streams whatever has a ``read``, ``get`` gives a BytesIO.

    >>> import io
    >>> from holdfast.stores.memory import MemoryStore
    >>> store = BufferStore(MemoryStore())
    >>> _ = store.put("a", io.BytesIO(b"abc"))
    >>> store.get("a").read()
    b'abc'
    """

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store, BufferTransformer())

    def _body(self, value: Any) -> Body:
        if not hasattr(value, "read"):
            raise TypeError(f"a buffer has a read(), {type(value).__name__} has none")
        file: Body = value  # a body as it is, so that it streams
        return file


class JsonStore(ValueStore):
    """A store of what JSON can say, stored as JSON in UTF-8.

    >>> from holdfast.stores.memory import MemoryStore
    >>> store = JsonStore(MemoryStore())
    >>> _ = store.put("a", [1, None, "ü"])
    >>> store.get("a")
    [1, None, 'ü']
    """

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store, JsonTransformer())


class _OwnMethods(DataTransformer):
    """The methods of a subclass of TransformingStore, as a transformer."""

    def __init__(self, store: TransformingStore) -> None:
        self._store = store

    def transform(self, data: Any) -> Any:
        return self._store.transform(data)

    def reverse_transform(self, data: Any) -> Any:
        return self._store.reverse_transform(data)

    def __repr__(self) -> str:
        return "its own methods"


class _TransformedBlob(Blob):
    """An opened object whose body is decoded as it is taken, and cut where a range was asked for."""

    __slots__ = ("_blob", "_options", "_reverse", "_store", "info")

    def __init__(
        self,
        blob: Blob,
        reverse: Callable[[Iterable[Buffer]], Iterator[Buffer]],
        options: ReadOptions,
        store: str,
    ) -> None:
        self._blob = blob
        self._reverse = reverse
        self._options = options
        self._store = store
        self.info = _sizeless(blob.info)

    @property
    def emulated(self) -> bool:
        return self._options.ranged

    def chunks(self) -> Iterator[Buffer]:
        return self._decoded(self._blob.chunks())

    def bytes(self) -> Data:
        # Of the blob inside, bytes() reads again what arrived damaged; chunks() could not.
        return join(self._decoded(iter((self._blob.bytes(),))))

    def close(self) -> None:
        self._blob.close()

    def _decoded(self, chunks: Iterator[Buffer]) -> Iterator[Buffer]:
        decoded = self._reverse(chunks)
        if self._options.ranged:
            decoded = decode_range(decoded, None, self._options.start, self._options.end)
        try:
            yield from decoded
        except HoldfastError as error:
            if error.key is None:
                error.key, error.store = self.info.key, self._store
            raise


def _sizeless(info: ObjectInfo) -> ObjectInfo:
    return info if info.size is None else replace(info, size=None)
