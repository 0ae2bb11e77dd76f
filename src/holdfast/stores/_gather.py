"""Bodies that are written under a lock, made ready before it: in memory, or beyond some size in a temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from ..blob import CHUNK, Buffer, body_bytes, body_chunks
from ..errors import StoreError
from ..types import Body

#: Bodies that come as a stream are gathered in memory up to this size (bytes), beyond it in a temporary file.
GATHERED = 4 << 20


class Gathered:
    """A body that can be read again and again until it is closed; ``size`` in bytes."""

    __slots__ = ("_file", "data", "size")

    def __init__(self, data: Buffer | None, file: BinaryIO | None, size: int) -> None:
        #: The whole body, where it is in memory.
        self.data = data
        self._file = file
        self.size = size

    def chunks(self) -> Iterator[Buffer]:
        """The body in pieces, from its start."""
        if self._file is None:
            if self.data:
                yield self.data
            return
        self._file.seek(0)
        while chunk := self._file.read(CHUNK):
            yield chunk

    def close(self) -> None:
        """Remove the temporary file; harmless when repeated."""
        if self._file is not None:
            self._file.close()


def check_size(size: int, store: str, most: int | None, key: str | None = None) -> None:
    """StoreError for more bytes than the store takes."""
    if most is not None and size > most:
        message = f"a body of more than {most} bytes is more than this store takes: cut it up, or keep it elsewhere"
        raise StoreError(message, key=key, store=store)


def limited(chunks: Iterator[Buffer], store: str, most: int | None, key: str | None = None) -> Iterator[Buffer]:
    """The chunks, until they are too many."""
    size = 0
    for chunk in chunks:
        size += memoryview(chunk).nbytes
        check_size(size, store, most, key)
        yield chunk


def gather(body: Body, store: str, *, most: int | None = None, key: str | None = None) -> Gathered:
    """The body, made ready.

    Bytes are taken as they are, without a copy. Raises what the body raises, and StoreError if there is no room, or
    once there are more than ``most`` bytes: a stream is not taken any further then.
    """
    if isinstance(body, bytes | bytearray | memoryview):
        data = body_bytes(body)
        check_size(len(data), store, most, key)
        return Gathered(data, None, len(data))
    file = tempfile.SpooledTemporaryFile(max_size=GATHERED)  # noqa: SIM115 - closed by whoever writes
    try:
        for chunk in limited(body_chunks(body, CHUNK), store, most, key):
            try:
                file.write(chunk)
            except OSError as error:
                message = f"cannot gather a body of unknown length: {error}; free some space in {tempfile.gettempdir()}"
                raise StoreError(message, store=store, cause=error) from error
        size = file.tell()
        if size > GATHERED:
            return Gathered(None, cast(BinaryIO, file), size)
        file.seek(0)
        data = file.read()
        file.close()
        return Gathered(data, None, size)
    except BaseException:
        file.close()
        raise
