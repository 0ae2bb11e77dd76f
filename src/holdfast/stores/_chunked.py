"""Reads without the engine, of bodies whose length nobody told: chunked ones, which say themselves where they end.

This is the rare way: the engine, which needs a Content-Length, was asked first. A body that breaks is read again from
its start as long as nobody has seen a part of it; it is not resumed.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import urllib3

from ..blob import Blob, BytesBlob
from ..errors import HoldfastError, Unsupported
from ..types import NO_METADATA, ObjectInfo, ReadOptions
from ._answers import OWN_METADATA, content_encoding, other_range, short
from ._engine_copy import inherited
from ._obstore import PIECE, Client, other_version
from ._obstore_errors import OutOfRange, shown
from ._transport import Request, Transport

Data = bytes  # where a method called bytes() hides the type

_METADATA = "x-goog-meta-"
_STORED_LENGTH = "x-goog-stored-content-length"
_STORED_ENCODING = "x-goog-stored-content-encoding"
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Source:
    """One object and what is wanted of it; ``prepare(method, headers)`` signs each request anew.

    An answer without an ETag must have a header that begins with ``own_headers``, or it is not the service's.
    """

    client: Client
    transport: Transport
    prepare: Callable[[str, Mapping[str, str]], Request]
    key: str
    options: ReadOptions
    own_headers: str = ""

    def open(self, method: str) -> urllib3.BaseHTTPResponse:
        """The successful answer to one request; Ctrl-C leaves it."""
        return self.client.attempt("read", self.key, self._open, method)

    def _open(self, method: str) -> urllib3.BaseHTTPResponse:
        answer = self.transport.open(self.prepare(method, self._wanted(method)))
        if "etag" not in answer.headers and not any(n.lower().startswith(self.own_headers) for n in answer.headers):
            answer.close()
            raise self.transport.nonsense(self.prepare(method, {}), "is that of another server", retryable=True)
        etag = self.options.if_match
        if etag is not None and answer.headers.get("etag", etag) != etag:
            answer.close()
            raise other_version(self.key, self.transport.store)
        return answer

    def _wanted(self, method: str) -> dict[str, str]:
        start, end, etag = self.options.start or 0, self.options.end, self.options.if_match
        wanted = {"If-Match": etag} if etag is not None and not etag.startswith("W/") else {}
        if method == "GET" and self.options.ranged:
            last = "" if end is None else end - 1
            wanted["Range"] = f"bytes={start}" if start < 0 else f"bytes={start}-{last}"
        return wanted


def read(source: Source) -> Blob:
    """The blob of an object, a range of it or its head; Unsupported where a body's end could not be told."""
    start, end, policy = source.options.start or 0, source.options.end, source.client.policy
    if not source.options.head and (end is None or end > start):
        try:
            return ChunkedBlob(source, policy.call(functools.partial(source.open, "GET")))
        except OutOfRange:
            pass  # nothing of the object is in that range
    answer = policy.call(functools.partial(source.open, "HEAD"))
    answer.drain_conn()
    return BytesBlob(_info(source.key, answer))


class ChunkedBlob(Blob):
    """The opened answer to a GET; how long the body is shows when it has been read."""

    __slots__ = ("_answer", "_process", "_source", "info")

    def __init__(self, source: Source, answer: urllib3.BaseHTTPResponse) -> None:
        if "content-length" not in answer.headers and not answer.chunked:
            answer.close()
            raise Unsupported(
                f"could not read {shown(source.key)!r}: the server tells neither its length nor its end, so that a "
                "broken connection would look like a whole object",
                store=source.client.store,
                key=source.key,
            )
        self._source = source
        self._answer = answer
        self._process = os.getpid()
        self.info = _info(source.key, answer)

    @property
    def emulated(self) -> bool:
        return self._source.options.ranged and self._answer.status != 206

    def close(self) -> None:
        self._answer.close()

    def bytes(self) -> Data:
        try:
            return b"".join(self.chunks())
        except HoldfastError as error:
            failed = error
        # Nothing was handed out yet, so the whole of it may be read again.
        return self._source.client.policy.again(self._bytes_again, failed)

    def _bytes_again(self) -> Data:
        self.close()
        self._answer = self._source.open("GET")
        self.info = _info(self._source.key, self._answer)
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[Data]:
        options, pieces = self._source.options, self._pieces()
        if not self.emulated:
            return pieces
        if options.start is not None and options.start < 0:
            return _last(pieces, -options.start)
        return _between(pieces, options.start or 0, options.end)

    def _pieces(self) -> Iterator[Data]:
        client, key, promised = self._source.client, self._source.key, self._promised()
        received, pieces = 0, self._source.transport.pieces(self._answer, PIECE)
        while piece := client.attempt("read", key, self._piece, pieces):
            received += len(piece)
            yield piece
        self.close()
        if promised is not None and promised != received:
            raise short(client.store, key, promised, received)

    def _piece(self, pieces: Iterator[Data]) -> Data:
        if self._process != os.getpid():  # the parent reads from this connection too
            raise inherited()
        try:
            return next(pieces, b"")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            told = self._source.transport.broken(self._source.prepare("GET", {}), error)
        raise told

    def _promised(self) -> int | None:
        """How many bytes the answer must have, as far as it tells; IntegrityError if it is another range."""
        headers = self._answer.headers
        if self._answer.status != 206:
            stored = "" if _transcoded(headers) else headers.get(_STORED_LENGTH, "")
            return int(stored) if stored.isdigit() else None
        match = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
        if match is None or not _is_asked_for(self._source.options, int(match[1]), int(match[2]) + 1, match[3]):
            raise other_range(self._source.key, self._source.client.store)
        return int(match[2]) - int(match[1]) + 1


def _is_asked_for(options: ReadOptions, start: int, stop: int, size: str) -> bool:
    """Whether this is the range that was asked for, as far as an object of this size (or "*") has it."""
    wanted, end = options.start or 0, options.end
    if size != "*":
        return (start, stop) == slice(wanted, end).indices(int(size))[:2]
    if wanted < 0:
        return stop - start <= -wanted
    return start == wanted and (end is None or stop <= end)


def _info(key: str, answer: urllib3.BaseHTTPResponse) -> ObjectInfo:
    """What the answer tells about the object; the size where it is told at all."""
    headers = answer.headers
    names = [name.lower() for name in headers if name.lower().startswith(_METADATA)]
    metadata = {name.removeprefix(_METADATA): headers[name] for name in names}
    modified = headers.get("last-modified")
    return ObjectInfo(
        key,
        size=_size(answer),
        etag=headers.get("etag"),
        last_modified=parsedate_to_datetime(modified) if modified else None,
        content_type=headers.get("content-type"),
        content_encoding=content_encoding(headers.get("content-encoding")),
        cache_control=headers.get("cache-control"),
        content_disposition=headers.get("content-disposition"),
        content_language=headers.get("content-language"),
        storage_class=headers.get("x-goog-storage-class"),
        metadata={n: v for n, v in metadata.items() if not n.startswith(OWN_METADATA)} or NO_METADATA,
    )


def _size(answer: urllib3.BaseHTTPResponse) -> int | None:
    headers = answer.headers
    size = headers.get("content-range", "").rpartition("/")[2]
    if not size and answer.status == 200 and not _transcoded(headers):
        size = headers.get(_STORED_LENGTH) or headers.get("content-length", "")
    return int(size) if size.isdigit() else None


def _transcoded(headers: Mapping[str, str]) -> bool:
    """Whether Google decompressed on the way what it has stored (a proxy took our Accept-Encoding off)."""
    return headers.get(_STORED_ENCODING, "identity") != "identity" and "content-encoding" not in headers


def _between(pieces: Iterator[Data], start: int, end: int | None) -> Iterator[Data]:
    at = 0
    for piece in pieces:  # to its end, so that a broken body is noticed
        part = piece[max(0, start - at) : None if end is None else max(0, end - at)]
        at += len(piece)
        if part:
            yield part


def _last(pieces: Iterator[Data], count: int) -> Iterator[Data]:
    tail = b""
    for piece in pieces:
        tail = (tail + piece)[-count:]
    if tail:
        yield tail
