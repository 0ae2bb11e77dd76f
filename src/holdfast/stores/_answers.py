"""What an answer tells about an object: its info, and the body that came with it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any, Self

from ..blob import Blob, Buffer, BytesBlob
from ..errors import IntegrityError
from ..types import NO_METADATA, ObjectInfo
from ._obstore_errors import shown

Data = bytes  # where a method called bytes() hides the type

#: What the engine calls the attributes; it takes these names in any letter case.
ATTRIBUTE_FIELDS = {
    "Content-Type": "content_type",
    "Content-Encoding": "content_encoding",
    "Cache-Control": "cache_control",
    "Content-Disposition": "content_disposition",
    "Content-Language": "content_language",
    "Storage-Class": "storage_class",
}
#: Codings that describe how a body travelled, not what it is.
_TRAVEL = frozenset(("aws-chunked", "identity", ""))
#: Metadata names that Holdfast keeps for itself.
OWN_METADATA = "holdfast"
#: That of the history of conditional writes: letters only, as Azure wants it.
HISTORY = f"{OWN_METADATA}history"


class SeenETag(str):
    """An ETag that remembers what else the answer told of its version: a write over it need not ask for that again.

    ``history`` is that of ``_conditions``, as it stands in the metadata; ``version`` the service's own name of it;
    ``seen`` when the answer came, by the monotonic clock: for ever ago, once it was pickled.

    >>> SeenETag('"x"', "a-new", None) == '"x"'
    True
    """

    __slots__ = ("history", "seen", "version")

    history: str | None
    version: str | None
    seen: float

    def __new__(
        cls, etag: str, history: str | None = None, version: str | None = None, seen: float | None = None
    ) -> Self:
        self = super().__new__(cls, etag)
        self.history, self.version = history, version
        self.seen = time.monotonic() if seen is None else seen
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (str(self), self.history, self.version, -math.inf))


def content_encoding(header: str | None) -> str | None:
    """The encodings that the stored bytes really have, or None."""
    if header is None:
        return None
    real = [coding for part in header.split(",") if (coding := part.strip().lower()) not in _TRAVEL]
    return ", ".join(real) or None


def object_info(key: str, result: Any) -> ObjectInfo:
    """What the engine's answer to a GET or HEAD tells about the object."""
    meta, attributes = result.meta, result.attributes
    known: dict[str, Any] = {field: attributes[name] for name, field in ATTRIBUTE_FIELDS.items() if name in attributes}
    if "content_encoding" in known:
        known["content_encoding"] = content_encoding(known["content_encoding"])
    metadata = {n: v for n, v in attributes.items() if n not in ATTRIBUTE_FIELDS and not n.startswith(OWN_METADATA)}
    return ObjectInfo(
        key,
        size=meta["size"],
        etag=SeenETag(etag, attributes.get(HISTORY), meta.get("version")) if (etag := meta["e_tag"]) else None,
        last_modified=meta["last_modified"],
        metadata=metadata or NO_METADATA,
        **known,
    )


def short(store: str, key: str, promised: int, received: int) -> IntegrityError:
    """The error for a body that ends before its time."""
    message = f"{promised} bytes of {shown(key)!r} promised, {received} received"
    return IntegrityError(message, store=store, key=key)


def other_range(key: str, store: str) -> IntegrityError:
    """The error for an answer with another part of an object than the one that was asked for."""
    message = f"could not read {shown(key)!r}: the server answers another range than was asked for"
    return IntegrityError(message, store=store, key=key)


class HeadBlob(BytesBlob):
    """What is told about an object, without its body."""

    __slots__ = ("_stamp",)

    def __init__(self, info: ObjectInfo, stamp: str | None) -> None:
        super().__init__(info)
        self._stamp = stamp

    @property
    def stamp(self) -> str | None:
        return self._stamp


class FetchedBlob(Blob):
    """A small object that is here already, whole and checked."""

    __slots__ = ("_attributes", "_data", "_info", "_key", "_result", "size")

    def __init__(self, key: str, result: Any, attributes: Any, data: Any, size: int) -> None:
        self._key = key
        self._result = result
        self._attributes = attributes  # which the engine makes anew each time
        self._data = data
        self.size = size  # type: ignore[misc]

    @property
    def info(self) -> ObjectInfo:
        try:
            return self._info
        except AttributeError:
            self._info: ObjectInfo = object_info(self._key, self._result)
            return self._info

    @info.setter
    def info(self, info: ObjectInfo) -> None:
        self._info = info

    @property
    def encoding(self) -> str | None:
        header = self._attributes.get("Content-Encoding")
        return None if header is None else content_encoding(header)

    def bytes(self) -> Data:
        return self._data.to_bytes()  # type: ignore[no-any-return]

    def chunks(self) -> Iterator[Buffer]:
        if self.size:
            yield self._data.to_bytes()
