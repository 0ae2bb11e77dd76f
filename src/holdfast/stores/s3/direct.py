"""Objects over the wire, under any key: reads that resume as the engine's do, one-request writes, copies, deletes."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3

from ...errors import HoldfastError, NotFound, Unsupported
from .. import _obstore
from .._answers import ATTRIBUTE_FIELDS, other_range
from .._digests import Verifier
from .._engine_copy import inherited
from .._obstore import Client
from .._obstore_errors import RangeIgnored
from .wire import Request, Wire

METADATA = "x-amz-meta-"
#: What else an object may have, which no store of Holdfast writes, and copies carry along.
EXPIRES, REDIRECT = "expires", "x-amz-website-redirect-location"
#: What the engine calls the attributes, and what they are called on the wire.
HEADERS = {name: name.lower() for name in ATTRIBUTE_FIELDS} | {"Storage-Class": "x-amz-storage-class"}
_NAMES = {header: name for name, header in HEADERS.items()}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def headers(named: Mapping[str, str] | None) -> dict[str, str]:
    """The headers that give an object these attributes, which are named as the engine names them."""
    return {HEADERS.get(name, METADATA + name): value for name, value in (named or {}).items()}


class Body(bytes):
    """A body in one piece, in the manner of the engine's."""

    __slots__ = ()

    def to_bytes(self) -> bytes:
        """The body as real bytes."""
        return bytes(self)


class Opened:
    """The opened answer to a read, in the manner of the engine's: ``meta``, ``attributes``, ``range``, the body."""

    __slots__ = (
        *("_process", "_request", "_response", "_wire", "attributes"),
        *("etag", "expires", "meta", "part", "range", "redirect", "size"),
    )

    def __init__(self, wire: Wire, request: Request, response: urllib3.BaseHTTPResponse) -> None:
        self._wire = wire
        self._request = request
        self._response = response
        self._process = os.getpid()
        said = response.headers
        if "content-length" not in said:
            raise Unsupported(
                f"could not {request.doing} {request.key!r}: the server does not say how long the object is "
                "(no Content-Length)",
                store=wire.store,
                key=request.key,
            )
        length = int(said["content-length"])
        part = _CONTENT_RANGE.fullmatch(said.get("content-range", ""))
        self.part = part is not None  # whether it says which part of the object it is
        self.range = (int(part[1]), int(part[2]) + 1) if part else (0, length)
        changed = said.get("last-modified")
        self.size = int(part[3]) if part else length
        self.etag = said.get("etag") or None
        self.expires, self.redirect = said.get(EXPIRES), said.get(REDIRECT)
        self.meta = {
            "size": self.size,
            "e_tag": self.etag,
            "last_modified": parsedate_to_datetime(changed) if changed else datetime.fromtimestamp(0, UTC),
        }
        self.attributes = {_NAMES[n.lower()]: v for n, v in said.items() if n.lower() in _NAMES}
        self.attributes |= {
            n.lower().removeprefix(METADATA): v for n, v in said.items() if n.lower().startswith(METADATA)
        }

    def close(self) -> None:
        """Leave the body, and with it the connection."""
        self._response.close()

    def bytes(self) -> Body:
        """The whole body."""
        return Body(b"".join(self.stream(_obstore.PIECE)))

    def stream(self, size: int) -> Iterator[bytes]:  # type: ignore[valid-type]  # bytes() hides the type
        """The body in pieces of about so many bytes; errors are Holdfast's."""
        pieces = self._wire.pieces(self._response, size)
        try:
            while self._process == os.getpid():
                if (piece := next(pieces, None)) is None:
                    return
                yield piece
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if isinstance(error, HoldfastError):
                raise
            told = self._wire.broken(self._request, error)
        else:
            raise inherited()  # the parent reads from this connection too
        raise told


class DirectClient(Client):
    """A Client whose reads go over the wire, so that its blobs carry any key."""

    __slots__ = ("wire",)

    def __init__(self, wire: Wire, verifier: Verifier | None = None) -> None:
        make = functools.partial(_no_engine, wire)
        super().__init__(wire.store, make, timeouts=wire.timeouts, policy=wire.policy, verifier=verifier)
        self.wire = wire

    def get(self, path: str, options: Mapping[str, Any], *, patient: bool = False) -> Opened:
        wanted: dict[str, str] = {}
        if "if_match" in options:
            wanted["if-match"] = options["if_match"]
        match options.get("range"):
            case {"suffix": count}:
                wanted["range"] = f"bytes=-{count}"
            case {"offset": start}:
                wanted["range"] = f"bytes={start}-"
            case (start, end):
                wanted["range"] = f"bytes={start}-{end - 1}"
        request = Request("read", "HEAD" if options.get("head") else "GET", path, headers=wanted)
        response = self.wire.open(request)
        if "range" in wanted and response.status != 206:
            response.close()
            raise RangeIgnored("the server does not answer ranges", store=self.store, key=path)
        if request.method == "HEAD":
            response.drain_conn()  # there is no body, and only so the connection learns that it is free
        opened = Opened(self.wire, request, response)
        if "range" in wanted:
            self._check_range(path, options["range"], opened)
        if self.verifier is not None:
            self.verifier.refuse_page(path, opened.attributes, opened.meta["e_tag"])
        return opened

    def _check_range(self, path: str, asked: Any, opened: Opened) -> None:
        """Raise IntegrityError for an answer with another range than the one that was asked for."""
        match asked:
            case {"suffix": count}:
                wanted = slice(-count, None)
            case {"offset": start}:
                wanted = slice(start, None)
            case _:
                wanted = slice(*asked)
        if not opened.part or opened.range != wanted.indices(opened.size)[:2]:
            opened.close()
            raise other_range(path, self.store)


def _no_engine(wire: Wire, *_: Any) -> Wire:
    return wire


def put(wire: Wire, key: str, data: bytes, named: Mapping[str, str] | None) -> str | None:
    """The ETag of what was written in one request, which is repeated as the policy allows."""
    return wire.call(put_request(key, data, named)).etag


def put_request(key: str, data: bytes, named: Mapping[str, str] | None) -> Request:
    """The request that writes an object whole."""
    return Request("write", "PUT", key, headers=headers(named), body=data)


def delete(wire: Wire, key: str) -> HoldfastError | None:
    """None once there is no such object, or else the error."""
    try:
        wire.call(Request("delete", "DELETE", key))
    except NotFound:
        return None
    except HoldfastError as error:
        return error
    return None
