"""Objects of stores that tell neither ETags nor times: what was read of one is known again by its digest."""

from __future__ import annotations

from collections.abc import Iterator

from ..blob import Blob, Buffer
from ..checksums import Digest
from ..types import ObjectInfo


def etag_of(digest: Digest) -> str:
    """What stands for the ETag of an object whose bytes have this SHA-256."""
    return f"sha256-{digest.hex()}"


class DigestedBlob(Blob):
    """A blob that digests what is taken of it, so that it can be told in the end which version that was."""

    __slots__ = ("_blob", "_digest", "info")

    def __init__(self, blob: Blob) -> None:
        self.info: ObjectInfo = blob.info
        self._blob = blob
        self._digest = Digest("sha256")

    @property
    def size(self) -> int | None:
        return self._blob.size

    @property
    def etag(self) -> str:
        """What stands for the ETag of the bytes that were taken."""
        return etag_of(self._digest)

    def chunks(self) -> Iterator[Buffer]:
        for chunk in self._blob.chunks():
            self._digest.update(chunk)
            yield chunk

    def close(self) -> None:
        self._blob.close()
