"""Blobs that are the blob inside but for what they tell about the object."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self

from ..blob import Blob, Buffer
from ..types import ObjectInfo

Data = bytes  # where a method called bytes() hides the type


class ToldBlob(Blob):
    """A blob whose info goes through a function first; the body, its checks and its resuming are the inner one's."""

    __slots__ = ("_blob", "_tell")

    def __init__(self, blob: Blob, tell: Callable[[ObjectInfo], ObjectInfo]) -> None:
        self._blob = blob
        self._tell = tell

    @property
    def info(self) -> ObjectInfo:  # type: ignore[override]
        return self._tell(self._blob.info)

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

    def bytes(self) -> Data:
        return self._blob.bytes()

    def readinto(self, buffer: bytearray | memoryview) -> int:
        return self._blob.readinto(buffer)

    def close(self) -> None:
        self._blob.close()
