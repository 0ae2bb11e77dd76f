"""Conditions as S3 takes them: the version that is there, by a HEAD, and the headers that name it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

from ...errors import NotFound
from .. import _conditions
from .._answers import HISTORY
from .._conditions import Place, Send, Version, bare
from .._obstore_errors import BadRequest
from .direct import METADATA
from .wire import Request, Wire


def place(wire: Wire, key: str) -> Place:
    """The key, as conditions see it."""
    return Place(wire.store, key, wire.policy, functools.partial(look, wire, key), etags_return=True)


def quoted(etag: str | None) -> str | None:
    """The ETag as a header has it: in documents some services leave its quotes out, or all of it (None)."""
    return f'"{bare(etag)}"' if etag else None


def look(wire: Wire, key: str) -> Version | None:
    """The version that is there now, or None."""
    try:
        answer = wire.call(Request("read", "HEAD", key))
    except NotFound:
        return None
    except BadRequest:
        wire.call(Request("read", "GET", key, headers={"range": "bytes=0-0"}))  # whose refusal says why
        raise
    modified = None
    with contextlib.suppress(ValueError):
        modified = parsedate_to_datetime(answer.headers.get("last-modified") or "")
    return Version.of(answer.etag, answer.headers.get(METADATA + HISTORY), modified=modified)


def by_headers(send: Callable[[Mapping[str, str]], str | None]) -> Send:
    """What sends a write under the headers of a condition, as one that is given the version."""
    return lambda base: send({"if-none-match": "*"} if base is None else {"if-match": bare(base.etag)})


def delete(wire: Wire, key: str, etag: str) -> None:
    """Delete exactly this version; Conflict or NotFound if it is not there, Indeterminate if that cannot be known."""

    def send(base: Version) -> None:
        wire.attempt(Request("delete", "DELETE", key, headers={"if-match": bare(base.etag)}))

    _conditions.delete(place(wire, key), etag, send)
