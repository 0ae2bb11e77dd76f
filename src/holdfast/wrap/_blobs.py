"""Blobs that are the blob inside but for what they tell about the object."""

from __future__ import annotations

from collections.abc import Callable

from ..blob import Blob, ForwardingBlob
from ..types import ObjectInfo


class ToldBlob(ForwardingBlob):
    """A blob whose info goes through a function first; the body, its checks and its resuming are the inner one's."""

    __slots__ = ("_tell",)

    def __init__(self, blob: Blob, tell: Callable[[ObjectInfo], ObjectInfo]) -> None:
        super().__init__(blob)
        self._tell = tell

    @property
    def info(self) -> ObjectInfo:  # type: ignore[override]
        return self._tell(self._blob.info)
