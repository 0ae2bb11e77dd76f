"""What comes out of a read (Blob), and the few ways to look at what goes into a write (a Body)."""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from collections.abc import Set as AbstractSet
from types import TracebackType
from typing import Any, Self

from .errors import IntegrityError
from .types import Body, ObjectInfo

CHUNK = 1 << 20

Buffer = bytes | bytearray | memoryview


class Blob:
    """One opened object: its info, and its body to be taken exactly once.

    ``info`` describes the whole object, also when the blob is a range or a head. Take the body by *one* of
    ``bytes()``, ``chunks()`` or ``readinto(buffer)``, then ``close()`` (or use ``with``). The backend's blob
    resumes broken transfers and checks length and digest: ``bytes()`` fetches once more on a mismatch and then
    raises IntegrityError, ``chunks()`` raises it at the end, so that whoever writes a file renames it only
    after the last chunk.

    A backend implements ``info`` and ``chunks()``; the rest is derived, and overridden where it can be faster.
    """

    __slots__ = ()

    info: ObjectInfo

    @property
    def encoding(self) -> str | None:
        """The content encoding alone (backends answer this without building the whole info)."""
        return self.info.content_encoding

    @property
    def size(self) -> int | None:
        """How many bytes the body has (of a range: the range's), or None where that is not known yet."""
        return None

    @property
    def emulated(self) -> bool:
        """Whether this range is cut out of a read of the whole object, because the server sent no less."""
        return False

    @property
    def stamp(self) -> str | None:
        """What Holdfast noted about the stored bytes when it wrote them (see ``checksums``), where that is told."""
        return None

    def rename(self, key: str) -> Self:
        """This blob, whose info now carries another key (for wrappers that map keys)."""
        self.info = self.info.renamed(key)  # type: ignore[misc]  # every blob has it, as a slot or a property
        return self

    def chunks(self) -> Iterator[Buffer]:
        """The body piece by piece; each piece is the caller's until the next one is asked for."""
        raise NotImplementedError

    def bytes(self) -> bytes:
        """The whole body."""
        return join(self.chunks())

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill the buffer from its start and return the count; IntegrityError if the body is longer."""
        view = memoryview(buffer).cast("B")
        filled = 0
        for chunk in self.chunks():
            if filled + len(chunk) > len(view):
                raise IntegrityError(f"the body is longer than the buffer's {len(view)} bytes", retryable=False)
            view[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
        return filled

    def close(self) -> None:
        """Release what the read holds; harmless when repeated."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BytesBlob(Blob):
    """A blob whose body is in memory already."""

    __slots__ = ("_data", "info")

    def __init__(self, info: ObjectInfo, data: Buffer = b"") -> None:
        self.info = info
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    def chunks(self) -> Iterator[Buffer]:
        if len(self._data):
            yield self._data

    def bytes(self) -> bytes:
        return bytes(self._data)


class ChunksBlob(Blob):
    """A blob over an iterator of chunks, for wrappers that transform what passes through."""

    __slots__ = ("_chunks", "_close", "_size", "info")

    def __init__(
        self,
        info: ObjectInfo,
        chunks: Iterator[Buffer],
        *,
        size: int | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        self.info = info
        self._chunks = chunks
        self._size = size
        self._close = close

    @property
    def size(self) -> int | None:
        return self._size

    def chunks(self) -> Iterator[Buffer]:
        return self._chunks

    def close(self) -> None:
        if self._close is not None:
            self._close()


class ForwardingBlob(Blob):
    """The blob inside, in every respect; what a subclass changes it overrides, and says so by overriding.

    The body has three doors: a subclass that touches the bytes overrides chunks, bytes and readinto, all of them.
    """

    __slots__ = ("_blob",)

    def __init__(self, blob: Blob) -> None:
        self._blob = blob

    @property
    def info(self) -> ObjectInfo:  # type: ignore[override]
        """What the blob inside tells of the object."""
        return self._blob.info

    @property
    def encoding(self) -> str | None:
        return self._blob.encoding

    @property
    def size(self) -> int | None:
        return self._blob.size

    @property
    def emulated(self) -> bool:
        return self._blob.emulated

    @property
    def stamp(self) -> str | None:
        return self._blob.stamp

    def rename(self, key: str) -> Self:
        self._blob = self._blob.rename(key)
        return self

    def chunks(self) -> Iterator[Buffer]:
        return self._blob.chunks()

    def bytes(self) -> bytes:
        return self._blob.bytes()

    def readinto(self, buffer: bytearray | memoryview) -> int:
        return self._blob.readinto(buffer)

    def close(self) -> None:
        self._blob.close()


class Staged(ABC):
    """An object being written in pieces, at any offsets and by any threads, that appears whole at ``commit``.

    Until then a reader sees the old value; ``abort`` (harmless after commit, or when repeated) leaves no trace.
    """

    @abstractmethod
    def write_at(self, offset: int, data: Buffer) -> None:
        """Store the bytes at this offset; pieces may come in any order and from several threads at once."""

    @abstractmethod
    def commit(self) -> ObjectInfo:
        """The info of the object that is now there, whole."""

    @abstractmethod
    def abort(self) -> None:
        """Forget everything that was written."""


class ForwardingStaged(Staged):
    """The staged object inside, in every respect; what a subclass changes it overrides."""

    def __init__(self, staged: Staged) -> None:
        self._staged = staged

    def write_at(self, offset: int, data: Buffer) -> None:
        self._staged.write_at(offset, data)

    def commit(self) -> ObjectInfo:
        return self._staged.commit()

    def abort(self) -> None:
        self._staged.abort()


def join(chunks: Iterable[Buffer]) -> bytes:
    """All chunks as one bytes object, also when their maker reuses one buffer for each of them."""
    return b"".join(chunk if type(chunk) is bytes else bytes(chunk) for chunk in chunks)


def body_size(body: Body) -> int | None:
    """The body's length in bytes, where it can be known without consuming it."""
    if isinstance(body, bytes | bytearray):
        return len(body)
    if isinstance(body, memoryview):
        return body.nbytes
    if isinstance(body, os.PathLike):
        return os.stat(body).st_size
    return _file_size(body) if hasattr(body, "read") else None


def _file_size(file: Any) -> int | None:
    try:
        here = file.tell()
        end = file.seek(0, io.SEEK_END)
        file.seek(here)
    except (AttributeError, OSError, ValueError):
        return None
    return max(0, int(end) - int(here))


def body_bytes(body: Body) -> Buffer:
    """The whole body as one bytes-like object; without a copy where it is one already."""
    if isinstance(body, bytes | bytearray | memoryview):
        return body if not isinstance(body, memoryview) else _flat(body)
    if isinstance(body, os.PathLike):
        with open(body, "rb") as file:
            return file.read()
    return join(body_chunks(body))


def body_chunks(body: Body, size: int = CHUNK) -> Iterator[Buffer]:
    """The body as chunks of at most ``size`` bytes each (an iterator's own chunks pass as they are).

    Raises TypeError for text, for chunks that are not bytes-like, and for what only happens to be iterable: mappings,
    sets and empty collections. An iterator that ends at once is an empty body, an empty list is a mistake (b"" is
    how to say empty).
    """
    if isinstance(body, bytes | bytearray | memoryview):
        view = _flat(memoryview(body))
        for start in range(0, len(view), size):
            yield view[start : start + size]
    elif isinstance(body, os.PathLike):
        with open(body, "rb", buffering=0) as file:
            yield from _read_chunks(file, size)
    elif hasattr(body, "read"):
        yield from _read_chunks(body, size)
    else:
        for chunk in _iterable(body):
            yield _bytes_like(chunk)


def rewindable(body: Body) -> bool:
    """Whether the body can be sent a second time, so that a failed write may be tried again."""
    return isinstance(body, bytes | bytearray | memoryview | os.PathLike)


def _read_chunks(file: Any, size: int) -> Iterator[Buffer]:
    while chunk := file.read(size):
        yield _bytes_like(chunk)


def _iterable(body: Any) -> Iterable[Any]:
    if not isinstance(body, Iterable) or isinstance(body, str | Mapping | AbstractSet):
        raise TypeError(f"a body is bytes, a path, a binary file or an iterator of bytes, not {type(body).__name__}")
    if isinstance(body, Sized) and not len(body):
        # Nothing in it says that it was meant as chunks: more likely it is a value that nobody encoded.
        raise TypeError(f"a body is no empty {type(body).__name__}: an empty object is b''")
    return body


def _bytes_like(chunk: Any) -> Buffer:
    if isinstance(chunk, bytes | bytearray | memoryview):
        return chunk
    raise TypeError(f"a body's chunks are bytes, not {type(chunk).__name__}: encode text first")


def _flat(view: memoryview) -> memoryview:
    if not view.c_contiguous or not view.nbytes:  # neither can be cast
        return memoryview(view.tobytes())
    return view if view.ndim == 1 and view.format == "B" else view.cast("B")
