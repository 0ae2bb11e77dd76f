"""Entries of a cache: the body, then what it is a copy of, then how long that is.

    body | trailer: JSON | length of the trailer (4 bytes, big-endian) | b"HFC1"

The trailer holds the origin's identity, the key, the object's info, the time of the copy, and a CRC-32C for each
MiB of the body, so that any range can be checked. It comes last because a stream's digests are known only then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from ..blob import Blob, Buffer
from ..checksums import crc32c
from ..errors import IntegrityError
from ..store import ObjectStore
from ..types import ObjectInfo, ReadOptions

BLOCK = 1 << 20
MAGIC = b"HFC1"
#: How much of an entry's end is read at first: a small entry is here with one read.
TAIL = 64 << 10

Data = bytes  # where a method called bytes() hides the type
_INFO = tuple(field.name for field in fields(ObjectInfo) if field.name not in {"key", "is_prefix", "last_modified"})


@dataclass(frozen=True, slots=True)
class Entry:
    """What an entry says about itself, and where to find it; ``body`` is there when the entry is small."""

    path: str
    info: ObjectInfo
    size: int
    stored: float
    digests: tuple[int, ...]
    etag: str | None = None
    body: bytes | None = None


class EntryWriter:
    """The bytes of an entry: take ``chunks`` to their end."""

    def __init__(self, origin: str, info: ObjectInfo, body: Iterator[Buffer], stored: float) -> None:
        self._origin = origin
        self._info = info
        self._body = body
        self._stored = stored
        #: The error of the body, if it was that which broke.
        self.failed: BaseException | None = None

    def chunks(self) -> Iterator[bytes]:
        """The body, then the trailer."""
        digests: list[int] = []
        size = 0
        try:
            for chunk in self._body:
                view = memoryview(chunk).cast("B") if len(chunk) else memoryview(b"")
                at = 0
                while at < len(view):
                    room = BLOCK - size % BLOCK
                    piece = view[at : at + room]
                    if room == BLOCK:
                        digests.append(0)
                    digests[-1] = crc32c(piece, digests[-1])
                    at += len(piece)
                    size += len(piece)
                yield bytes(view)
        except Exception as error:
            self.failed = error
            raise
        yield self._trailer(digests, size)

    def room(self, size: int) -> int:
        """How many bytes the entry has at most if the body has so many."""
        return size + len(self._trailer([0xFFFFFFFF] * -(-size // BLOCK), size))

    def _trailer(self, digests: list[int], size: int) -> bytes:
        info: dict[str, Any] = {name: getattr(self._info, name) for name in _INFO if getattr(self._info, name)}
        if "metadata" in info:
            info["metadata"] = dict(info["metadata"])
        if self._info.last_modified is not None:
            info["last_modified"] = self._info.last_modified.isoformat()
        info["size"] = size
        told = {
            "origin": self._origin,
            "key": self._info.key,
            "info": info,
            "stored": self._stored,
            "digests": digests,
        }
        text = json.dumps(told).encode()
        return text + len(text).to_bytes(4, "big") + MAGIC


def open_entry(cache: ObjectStore, path: str, origin: str, key: str) -> Entry:
    """The entry at this path, if it is sound and a copy of just this object; else some error."""
    with cache._read(path, ReadOptions(start=-TAIL)) as blob:
        tail = blob.bytes()
        etag = blob.info.etag
    if tail[-4:] != MAGIC or len(tail) < 8:
        raise _broken(path, "it is cut")
    length = int.from_bytes(tail[-8:-4], "big") + 8
    if length > len(tail):
        with cache._read(path, ReadOptions(start=-length)) as blob:
            tail = blob.bytes()
    try:
        told = json.loads(tail[-length:-8])
        info = dict(told["info"])
        if told["origin"] != origin or told["key"] != key:
            raise _broken(path, "it is of another object")
        modified = info.pop("last_modified", None)
        found = ObjectInfo(key, last_modified=None if modified is None else datetime.fromisoformat(modified), **info)
        size, digests, stored = int(info["size"]), tuple(map(int, told["digests"])), float(told["stored"])
    except (ValueError, TypeError, KeyError) as error:
        raise _broken(path, "its trailer is damaged") from error
    if len(digests) != -(-size // BLOCK):
        raise _broken(path, "its trailer is damaged")
    body = tail[:-length] if len(tail) < TAIL else None
    if body is not None and len(body) != size:
        raise _broken(path, "it is cut")
    return Entry(path, found, size, stored, digests, etag, body)


class CachedBlob(Blob):
    """A cached object, or a range of it, checked block by block; what is damaged comes from the origin instead.

    The entry is opened here: whatever happens to it from now on, these bytes are of one version.
    """

    __slots__ = ("_body", "_end", "_entry", "_rest", "_start", "info")

    def __init__(
        self,
        cache: ObjectStore,
        entry: Entry,
        info: ObjectInfo,
        options: ReadOptions,
        rest: Callable[[int, int], Iterator[Buffer]],
    ) -> None:
        self.info = info
        self._entry = entry
        self._start, self._end, _ = slice(options.start, options.end).indices(entry.size)
        self._end = max(self._start, self._end)
        self._rest = rest
        self._body: Blob | None = None
        if entry.body is None and self._start < self._end:
            etag = entry.etag if cache.capabilities.ranges else None
            self._body = cache._read(entry.path, ReadOptions(*self._span(), if_match=etag))

    @property
    def size(self) -> int:
        return self._end - self._start

    def chunks(self) -> Iterator[Buffer]:
        position = self._start
        if position == self._end:
            return
        try:
            for at, block in self._blocks():
                piece = block[max(0, position - at) : self._end - at]
                yield piece
                position += len(piece)
        except Exception:  # noqa: BLE001 - whatever a user's class raises, the origin has the object
            yield from self._rest(position, self._end)

    def bytes(self) -> Data:
        return b"".join(bytes(chunk) for chunk in self.chunks())

    def close(self) -> None:
        if self._body is not None:
            self._body.close()

    def _span(self) -> tuple[int, int]:
        """The blocks that hold the range, as bytes of the entry."""
        return self._start // BLOCK * BLOCK, min(self._entry.size, -(-self._end // BLOCK) * BLOCK)

    def _blocks(self) -> Iterator[tuple[int, Data]]:
        """The blocks that hold the range, each with its place; IntegrityError at the first that is damaged."""
        entry = self._entry
        at, until = self._span()
        waiting = bytearray()
        for chunk in self._stored(at, until):
            waiting += chunk
            while len(waiting) >= BLOCK or (waiting and at + len(waiting) == until):
                block = bytes(waiting[:BLOCK])
                if crc32c(block) != entry.digests[at // BLOCK]:
                    raise _broken(entry.path, "its bytes are not those that were stored")
                yield at, block
                at += len(block)
                del waiting[:BLOCK]
        if at != until:
            raise _broken(entry.path, "it is cut")

    def _stored(self, start: int, end: int) -> Iterator[Buffer]:
        if self._body is not None:
            yield from self._body.chunks()
        elif self._entry.body is not None:
            yield self._entry.body[start:end]


def _broken(path: str, why: str) -> IntegrityError:
    return IntegrityError(f"cache entry {path!r} is no use: {why}", retryable=False)
