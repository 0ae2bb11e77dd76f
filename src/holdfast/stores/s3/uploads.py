"""Multipart uploads over the wire, part after part: for keys and conditions that the engine cannot send."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from xml.sax.saxutils import escape

from ...blob import Buffer
from ...errors import StoreError
from .._obstore_errors import UploadGone
from .wire import Request, Wire


class Upload:
    """A multipart upload that has begun; nothing is visible until ``complete``, and ``abort`` leaves no trace."""

    def __init__(self, wire: Wire, key: str, headers: Mapping[str, str]) -> None:
        begin = Request("write", "POST", key, query={"uploads": ""}, headers=headers)
        document, _ = wire.document(begin, "InitiateMultipartUploadResult")
        self._wire = wire
        self._key = key
        self._parts: list[str] = []
        self._id = document.fields.get("UploadId", "")
        if not self._id:
            raise StoreError("the service began an upload without naming it", store=wire.store, key=key)

    def send(self, data: bytes) -> None:
        """Send the next part: at least 5 MiB, unless it is the last."""
        query = {"partNumber": str(len(self._parts) + 1), "uploadId": self._id}
        answer = self._wire.call(Request("write", "PUT", self._key, query=query, body=data))
        if answer.etag is None:
            raise StoreError("the service took a part without an ETag", store=self._wire.store, key=self._key)
        self._parts.append(answer.etag)

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
        return document.fields.get("ETag") or None

    def abort(self) -> None:
        """Forget the parts; harmless when the upload is gone."""
        try:
            self._wire.call(Request("write", "DELETE", self._key, query={"uploadId": self._id}))
        except UploadGone:
            return


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
