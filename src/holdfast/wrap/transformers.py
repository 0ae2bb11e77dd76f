"""What is done to bodies, as data: transformations that the stores of ``wrap.transform`` apply.

A transformer is made once, holds no state of any body, and may be shared by threads and stores.
"""

from __future__ import annotations

import binascii
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from .. import codecs
from ..blob import Buffer, join
from ..errors import EncodingError


class DataTransformer:
    """A transformation of bodies and its reversal; this one changes nothing: subclass it.

    Write ``transform`` and ``reverse_transform`` for whole bodies. Where a body can be transformed piece by piece,
    write ``transform_chunks`` and ``reverse_chunks`` as well: they are what stores call, in bounded memory. Where a
    subclass changes a method for whole bodies only, whole bodies are what its store gives it.
    With ``values`` True the outer side is no bytes but a value of any type, and only whole ones are transformed.

    >>> DataTransformer().transform(b"abc")
    b'abc'
    """

    #: Whether ``transform`` takes, and ``reverse_transform`` gives, something other than bytes.
    values = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for whole, piecewise in (("transform", "transform_chunks"), ("reverse_transform", "reverse_chunks")):
            # The method that was written last must be heard: one for chunks, of a base, knows nothing of it.
            if _place(cls, whole) < _place(cls, piecewise):
                setattr(cls, piecewise, getattr(DataTransformer, piecewise))

    def transform(self, data: Any) -> Any:
        """The bytes to store for the data."""
        return data

    def reverse_transform(self, data: Any) -> Any:
        """The data whose stored bytes these are."""
        return data

    def transform_chunks(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """The bytes to store for a body of these chunks."""
        yield _checked(self.transform(join(chunks)), self)

    def reverse_chunks(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """The body whose stored bytes these chunks are."""
        yield _checked(self.reverse_transform(join(chunks)), self)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({values})"


def _place(cls: type, name: str) -> int:
    """How far up among its bases the class finds this method."""
    return next(place for place, base in enumerate(cls.__mro__) if name in vars(base))


def _checked(data: Any, transformer: DataTransformer) -> Buffer:
    if isinstance(data, bytes | bytearray | memoryview):
        return data
    raise TypeError(f"{type(transformer).__name__} gave {type(data).__name__} where bytes are needed")


class CompressingTransformer(DataTransformer):
    """Compression by any codec of ``holdfast.codecs``, streamed, checked to the last byte and bounded.

    ``encoding`` is one of gzip, br, zstd, xz, bz2 (or several, as in Content-Encoding), ``level`` None its default,
    ``limit`` how many decoded bytes are accepted at most (None: the limit of ``holdfast.codecs``).

    >>> packed = CompressingTransformer("zstd").transform(b"abc" * 100)
    >>> len(packed) < 50, CompressingTransformer("zstd").reverse_transform(packed) == b"abc" * 100
    (True, True)
    """

    def __init__(self, encoding: str = "zstd", level: int | None = None, *, limit: int | None = None) -> None:
        codecs.compress_chunks((), encoding, level)  # a wrong name or level is told now, not at the first body
        if codecs.canonical(encoding) is None:
            raise ValueError(f"{encoding!r} is no compression: name one of {', '.join(codecs.SUFFIXES)}")
        self.encoding = encoding
        self.level = level
        self.limit = limit

    def transform(self, data: Buffer) -> bytes:
        """The data, compressed."""
        return codecs.compress(data, self.encoding, self.level)

    def reverse_transform(self, data: Buffer) -> bytes:
        """The data, whole and sound; DecompressionError for anything else."""
        return codecs.decompress(data, self.encoding, limit=self.limit)

    def transform_chunks(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """The body, compressed on the way."""
        return codecs.compress_chunks(chunks, self.encoding, self.level)

    def reverse_chunks(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """The body, decompressed on the way."""
        return codecs.decompress_chunks(chunks, self.encoding, limit=self.limit)


class GzipTransformer(CompressingTransformer):
    """Compression with gzip.

    >>> GzipTransformer().reverse_transform(GzipTransformer().transform(b"abc"))
    b'abc'
    """

    def __init__(self, level: int | None = None, *, limit: int | None = None) -> None:
        super().__init__("gzip", level, limit=limit)

    def __repr__(self) -> str:
        return f"GzipTransformer(level={self.level!r}, limit={self.limit!r})"


class Base64Transformer(DataTransformer):
    """Base64 (RFC 4648, the standard alphabet, padded, without line breaks), streamed.

    Reading skips ASCII white space, such as the line breaks of other programs, and refuses everything else that is
    no base64 with EncodingError.

    >>> Base64Transformer().transform(b"hello"), Base64Transformer().reverse_transform(b"aGVs bG8=")
    (b'aGVsbG8=', b'hello')
    """

    def transform(self, data: Buffer) -> bytes:
        """The data in base64."""
        return binascii.b2a_base64(data, newline=False)

    def reverse_transform(self, data: Buffer | str) -> bytes:
        """The bytes that the base64 stands for."""
        # Not of self: a subclass that changes this method is given whole bodies by its own reverse_chunks.
        return join(Base64Transformer.reverse_chunks(self, [data.encode() if isinstance(data, str) else data]))

    def transform_chunks(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """The body in base64: every three bytes become four."""
        rest = b""
        for chunk in chunks:
            data = rest + bytes(chunk)
            whole = len(data) - len(data) % 3
            rest = data[whole:]
            if whole:
                yield binascii.b2a_base64(data[:whole], newline=False)
        if rest:
            yield binascii.b2a_base64(rest, newline=False)

    def reverse_chunks(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """The bytes that the base64 stands for, in steps of four characters."""
        rest = b""
        ended = False
        for chunk in chunks:
            data = rest + bytes(chunk).translate(None, b" \t\r\n\f\v")
            whole = len(data) - len(data) % 4
            rest = data[whole:]
            if ended and data:
                raise EncodingError("no base64: something follows its padding")
            if whole:
                ended = data[whole - 1 : whole] == b"="
                yield _from_base64(data[:whole])
        if rest:
            raise EncodingError("no base64: it ends in the middle of a group of four")


def _from_base64(data: bytes) -> bytes:
    try:
        return binascii.a2b_base64(data, strict_mode=True)
    except binascii.Error as error:
        raise EncodingError(f"no base64: {error}", cause=error) from error


class TextEncodingTransformer(DataTransformer):
    r"""Text as bytes of a character encoding.

    >>> TextEncodingTransformer("utf-16-le").transform("a")
    b'a\x00'
    """

    values = True

    def __init__(self, encoding: str = "utf-8") -> None:
        "".encode(encoding)  # an unknown name is told now (LookupError)
        self.encoding = encoding

    def transform(self, data: str) -> bytes:
        """The text's bytes; UnicodeEncodeError where the encoding lacks a character."""
        if not isinstance(data, str):
            raise TypeError(f"text is a str, not {type(data).__name__}")
        return data.encode(self.encoding)

    def reverse_transform(self, data: Buffer) -> str:
        """The text of the bytes; UnicodeDecodeError where they are none."""
        return bytes(data).decode(self.encoding)


class BufferTransformer(DataTransformer):
    """Binary files instead of bytes: whatever has a ``read`` goes in, a BytesIO comes out.

    >>> BufferTransformer().reverse_transform(b"abc").read()
    b'abc'
    """

    values = True

    def transform(self, data: Any) -> bytes:
        """What is left to read from the file."""
        read = data.read()
        if not isinstance(read, bytes | bytearray | memoryview):
            raise TypeError(f"a buffer is a binary file; this one reads {type(read).__name__}")
        return bytes(read)

    def reverse_transform(self, data: Buffer) -> io.BytesIO:
        """The bytes as a file that stands at its start."""
        return io.BytesIO(data)


class JsonTransformer(DataTransformer):
    """Values as JSON in UTF-8.

    >>> JsonTransformer().transform({"a": [1, None]})
    b'{"a": [1, null]}'
    """

    values = True

    def transform(self, data: Any) -> bytes:
        """The value's JSON; TypeError for what JSON cannot say."""
        return json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")

    def reverse_transform(self, data: Buffer | str) -> Any:
        """The value that the JSON says; a ValueError where it is none."""
        return json.loads(data if isinstance(data, str) else bytes(data).decode("utf-8", "surrogatepass"))
