"""Multipart uploads over the wire, part after part: for keys and conditions that the engine cannot send."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from xml.sax.saxutils import escape

from ...blob import Buffer
from ...errors import HoldfastError, StoreError
from .conditions import quoted
from .wire import Request, Wire


def begin(wire: Wire, key: str, headers: Mapping[str, str]) -> str:
    """The name of a multipart upload that has begun."""
    request = Request("write", "POST", key, query={"uploads": ""}, headers=headers)
    document, _ = wire.document(request, "InitiateMultipartUploadResult")
    if name := document.fields.get("UploadId"):
        return name
    raise StoreError("the service began an upload without naming it", store=wire.store, key=key)


class Upload:
    """A multipart upload that has begun; nothing is visible until ``complete``, and ``abort`` leaves no trace."""

    def __init__(self, wire: Wire, key: str, headers: Mapping[str, str]) -> None:
        self._wire = wire
        self._key = key
        self._parts: list[str] = []
        self._id = begin(wire, key, headers)

    def send_all(self, pieces: Iterable[bytes]) -> int:
        """Send the pieces as parts, and return how many bytes they were."""
        total = 0
        for piece in pieces:
            self.send(piece)
            total += len(piece)
        return total

    def send(self, data: bytes) -> None:
        """Send the next part: at least 5 MiB, unless it is the last. One that fails is repeated alone."""
        answer = self._wire.call(Request("write", "PUT", self._key, query=self._next_part(), body=data))
        self._add(answer.etag)

    def copy(self, headers: Mapping[str, str]) -> None:
        """Have the service make the next part from (a range of) the object that the headers name."""
        request = Request("copy", "PUT", self._key, query=self._next_part(), headers=headers)
        document, _ = self._wire.document(request, "CopyPartResult")
        self._add(document.fields.get("ETag"))

    def _next_part(self) -> dict[str, str]:
        return {"partNumber": str(len(self._parts) + 1), "uploadId": self._id}

    def _add(self, etag: str | None) -> None:
        if not etag:
            raise StoreError("the service took a part without an ETag", store=self._wire.store, key=self._key)
        self._parts.append(etag)

    def complete(self, headers: Mapping[str, str] | None = None) -> str | None:
        """The ETag of the object, which is there now; asked once, under the conditions in the headers."""
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in enumerate(self._parts, 1)
        )
        request = Request(
            "write",
            "POST",
            self._key,
            query={"uploadId": self._id},
            headers=headers or {},
            body=f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode(),
        )
        document, _ = self._wire.document(request, "CompleteMultipartUploadResult", repeat=False)
        return quoted(document.fields.get("ETag"))

    def abort(self) -> None:
        """Forget the parts, if the service is there to be told: whatever led here is the error to be shown."""
        with contextlib.suppress(HoldfastError):
            self._wire.attempt(Request("write", "DELETE", self._key, query={"uploadId": self._id}))


def in_parts(chunks: Iterable[Buffer], size: int) -> Iterator[bytes]:
    """The chunks cut anew, into pieces of exactly this size and a shorter last one.

    >>> [*in_parts([b"abc", b"defg", b"h"], 3)]
    [b'abc', b'def', b'gh']
    """
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)
