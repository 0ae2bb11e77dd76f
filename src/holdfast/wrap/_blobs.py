"""Blobs that are the blob inside but for one thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from ..blob import Blob, Buffer, ForwardingBlob, join
from ..errors import IntegrityError
from ..types import ObjectInfo

Data = bytes  # where a method called bytes() hides the type


class BegunBlob(ForwardingBlob):
    """A blob of which the ``first`` chunks were taken already; taken whole, it is opened again if it is damaged."""

    __slots__ = ("_chunks", "_reopen")

    def __init__(self, blob: Blob, first: Sequence[Buffer], rest: Iterator[Buffer], reopen: Callable[[], Blob]) -> None:
        super().__init__(blob)
        self._chunks = chain(first, rest)
        self._reopen = reopen

    def chunks(self) -> Iterator[Buffer]:
        return self._chunks

    def bytes(self) -> Data:
        try:
            return join(self._chunks)
        except IntegrityError:
            self.close()
            self._blob = self._reopen()
            return self._blob.bytes()

    def readinto(self, buffer: bytearray | memoryview) -> int:
        return Blob.readinto(self, buffer)  # by chunks


class ToldBlob(ForwardingBlob):
    """A blob whose info goes through a function first; the body, its checks and its resuming are the inner one's."""

    __slots__ = ("_tell",)

    def __init__(self, blob: Blob, tell: Callable[[ObjectInfo], ObjectInfo]) -> None:
        super().__init__(blob)
        self._tell = tell

    @property
    def info(self) -> ObjectInfo:  # type: ignore[override]
        return self._tell(self._blob.info)
