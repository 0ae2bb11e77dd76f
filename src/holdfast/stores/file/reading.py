"""The body of an opened file, read by position from one descriptor: a file replaced meanwhile stays readable."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ...blob import CHUNK, Blob, Buffer
from ...errors import IntegrityError
from ...types import ObjectInfo
from .attributes import Sidecar, describe
from .failures import translate


class HeadBlob(Blob):
    """What is known of a file that was looked at, without a body. Its info is made when somebody asks for it."""

    __slots__ = ("_info", "_key", "_sidecar", "_status")

    def __init__(self, key: str, status: os.stat_result, sidecar: Sidecar | None) -> None:
        self._key = key
        self._status = status
        self._sidecar = sidecar

    @property
    def info(self) -> ObjectInfo:
        """The whole object's info, as it was when the file was looked at."""
        try:
            return self._info
        except AttributeError:
            self._info: ObjectInfo = describe(self._key, self._status, self._sidecar)
            return self._info

    @info.setter
    def info(self, info: ObjectInfo) -> None:
        self._info = info

    @property
    def encoding(self) -> str | None:
        return None if self._sidecar is None else self._sidecar.attributes.get("content_encoding")

    @property
    def size(self) -> int:
        return 0

    def bytes(self) -> bytes:
        return b""

    def chunks(self) -> Iterator[Buffer]:
        return iter(())


class FileBlob(HeadBlob):
    """One opened file; owns the descriptor until ``close``."""

    __slots__ = ("_end", "_start", "_store", "fd")

    def __init__(
        self, key: str, store: str, fd: int, status: os.stat_result, sidecar: Sidecar | None, start: int, end: int
    ) -> None:
        # Written out: this is done for each small read, and counted in nanoseconds.
        self.fd = fd
        self._key = key
        self._store = store
        self._status = status
        self._sidecar = sidecar
        self._start = start
        self._end = end

    @property
    def size(self) -> int:
        return self._end - self._start

    @property
    def extent(self) -> tuple[int, int]:
        """Where in the file the body begins and ends."""
        return self._start, self._end

    def bytes(self) -> bytes:
        size = self._end - self._start
        try:
            data = os.pread(self.fd, size, self._start)
        except OSError as error:
            raise translate(error, self._key, self._store, "read") from error
        # One read is all of it, but for bodies beyond what the kernel moves at once (2 GiB) and files cut short.
        return data if len(data) == size else b"".join([data, *self._pieces(self._start + len(data))])

    def chunks(self) -> Iterator[Buffer]:
        return self._pieces(self._start)

    def readinto(self, buffer: bytearray | memoryview) -> int:
        view = memoryview(buffer).cast("B")
        size = self._end - self._start
        if size > len(view):
            message = f"the body of {size} bytes is longer than the buffer of {len(view)}"
            raise IntegrityError(message, key=self._key, store=self._store, retryable=False)
        filled = 0
        while filled < size:
            try:
                count = os.preadv(self.fd, [view[filled:size]], self._start + filled)
            except OSError as error:
                raise translate(error, self._key, self._store, "read") from error
            if not count:
                raise self._cut_short(filled)
            filled += count
        return filled

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    __del__ = close

    def _pieces(self, position: int) -> Iterator[Buffer]:
        while position < self._end:
            try:
                piece = os.pread(self.fd, min(CHUNK, self._end - position), position)
            except OSError as error:
                raise translate(error, self._key, self._store, "read") from error
            if not piece:
                raise self._cut_short(position - self._start)
            yield piece
            position += len(piece)

    def _cut_short(self, got: int) -> IntegrityError:
        message = f"the file was cut short while it was read: {got} of {self._end - self._start} bytes; read it again"
        return IntegrityError(message, key=self._key, store=self._store)
