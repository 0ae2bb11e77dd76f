"""The plain data that passes through the waist: what an object is, and the options of each verb."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, BinaryIO

#: What a write accepts: bytes-like, a path to a local file, an open binary file, or chunks of bytes.
#: Chunks can be read only once, so a write of an iterator is never retried.
Body = bytes | bytearray | memoryview | os.PathLike[str] | BinaryIO | Iterable[bytes | bytearray | memoryview]


class _NoMetadata(Mapping[str, str]):
    """The empty metadata: immutable, hashable, and one object also after pickling (a mappingproxy does not pickle)."""

    __slots__ = ()

    def __getitem__(self, name: str) -> str:
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "{}"

    def __reduce__(self) -> str:
        return "NO_METADATA"


NO_METADATA: Mapping[str, str] = _NoMetadata()


@dataclass(frozen=True, slots=True, init=False)
class ObjectInfo:
    """One row of a listing, or the head of one object.

    ``size`` is in stored bytes (before any decoding), or None where the store does not tell. ``etag`` is opaque:
    equal ETags of one key mean the same version as far as the store can tell. ``is_prefix`` marks a row that a
    ``delimiter`` rolled up ("directory"): such a row has a key that ends with the delimiter and nothing else.
    ``metadata`` holds the user's own names only, never Holdfast's.

    >>> ObjectInfo("a/b", size=3).size
    3
    """

    key: str
    size: int | None = None
    etag: str | None = None
    last_modified: datetime | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_language: str | None = None
    storage_class: str | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: NO_METADATA, hash=False)
    is_prefix: bool = False

    def __init__(
        self,
        key: str,
        size: int | None = None,
        etag: str | None = None,
        last_modified: datetime | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        cache_control: str | None = None,
        content_disposition: str | None = None,
        content_language: str | None = None,
        storage_class: str | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
        is_prefix: bool = False,
    ) -> None:
        # One is made for each row of a listing. What the dataclass would generate looks up each field by its name,
        # which takes twice as long.
        _set_key(self, key)
        _set_size(self, size)
        _set_etag(self, etag)
        _set_last_modified(self, last_modified)
        _set_content_type(self, content_type)
        _set_content_encoding(self, content_encoding)
        _set_cache_control(self, cache_control)
        _set_content_disposition(self, content_disposition)
        _set_content_language(self, content_language)
        _set_storage_class(self, storage_class)
        _set_metadata(self, metadata)
        _set_is_prefix(self, is_prefix)

    @property
    def strong_etag(self) -> str | None:
        """The ETag if it names exactly these bytes, so that parts may be read under it: not a weak one (``W/"x"``).

        >>> ObjectInfo("a", etag='"x"').strong_etag, ObjectInfo("a", etag='W/"x"').strong_etag
        ('"x"', None)
        """
        return None if self.etag is None or self.etag.startswith("W/") else self.etag

    def attributes(self) -> dict[str, Any]:
        """The attributes that the object has, by field name, as WriteOptions takes them.

        >>> ObjectInfo("a", size=3, content_type="text/x").attributes()
        {'content_type': 'text/x'}
        """
        return _attributes(self)

    def renamed(self, key: str) -> ObjectInfo:
        """The same info under another key; half the price of ``dataclasses.replace``."""
        return ObjectInfo(
            key,
            self.size,
            self.etag,
            self.last_modified,
            self.content_type,
            self.content_encoding,
            self.cache_control,
            self.content_disposition,
            self.content_language,
            self.storage_class,
            self.metadata,
            self.is_prefix,
        )


(
    _set_key,
    _set_size,
    _set_etag,
    _set_last_modified,
    _set_content_type,
    _set_content_encoding,
    _set_cache_control,
    _set_content_disposition,
    _set_content_language,
    _set_storage_class,
    _set_metadata,
    _set_is_prefix,
) = (ObjectInfo.__dict__[field.name].__set__ for field in fields(ObjectInfo))


#: The fields that ObjectInfo and WriteOptions share: what a writer may attach to an object.
ATTRIBUTES = (
    "content_type",
    "content_encoding",
    "cache_control",
    "content_disposition",
    "content_language",
    "storage_class",
    "metadata",
)


def is_marker(row: ObjectInfo) -> bool:
    """Whether this row of a listing stands for a directory, not for an object."""
    return row.is_prefix or (row.size == 0 and row.key.endswith("/"))


def _attributes(one: ObjectInfo | WriteOptions) -> dict[str, Any]:
    return {name: value for name in ATTRIBUTES if (value := getattr(one, name))}


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read one object: whole, a range, the head alone, one named version.

    ``start`` and ``end`` (exclusive) count stored bytes and mean what a slice means: past the end is shorter or
    empty, never an error. A negative ``start`` (then ``end`` is None) asks for the last ``-start`` bytes.
    ``if_match`` names the ETag to read; another version is a Conflict.
    """

    start: int | None = None
    end: int | None = None
    head: bool = False
    if_match: str | None = None

    def __post_init__(self) -> None:
        start, end = self.start, self.end
        if end is not None and (end < 0 or (start is not None and start < 0)):
            raise ValueError(f"range {start}:{end}: an end must not be negative, nor go with a negative start")

    @property
    def ranged(self) -> bool:
        """Whether this asks for a part of the object."""
        return self.start is not None or self.end is not None


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How to write one object: its attributes, and the condition under which to write it.

    ``if_absent`` writes only where no object is (else AlreadyExists); ``if_match`` only over that ETag (else
    Conflict). A store that cannot do either atomically raises Unsupported. ``source_if_match`` goes with copies alone:
    the ETag of the version to copy; another one is a Conflict, wherever the service can be held to it (some S3 servers
    copy in one request whatever is there by then).

    Two options a store may ignore. ``part_size`` in bytes is a hint for multipart uploads. ``if_match_time`` tells when
    the version of ``if_match`` was last modified, to the second at least. Then S3 need not look at the object before:
    should the answer be lost, it looks, and writes again only over a version of that ETag and that time.
    """

    if_absent: bool = False
    if_match: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_language: str | None = None
    storage_class: str | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: NO_METADATA, hash=False)
    part_size: int | None = None
    source_if_match: str | None = None
    if_match_time: datetime | None = None

    def __post_init__(self) -> None:
        if self.if_absent and self.if_match is not None:
            raise ValueError("if_absent and if_match exclude each other")

    @property
    def conditional(self) -> bool:
        """Whether the write depends on what is there."""
        return self.if_absent or self.if_match is not None

    def attributes(self) -> dict[str, str | Mapping[str, str]]:
        """The attributes that were given, by field name."""
        return _attributes(self)


@dataclass(frozen=True, slots=True)
class RemoveOptions:
    """How to remove: with ``if_match`` (one key only) just that version, else a Conflict.

    With ``must_exist`` a missing key is NotFound; without it a key that is gone counts as removed, which saves a
    request on services whose delete does not tell.
    """

    if_match: str | None = None
    must_exist: bool = False


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What to list: keys that start with the *string* ``prefix`` and come after ``start_after``.

    With a ``delimiter`` keys that contain it after the prefix are rolled up into one ``is_prefix`` row each. Who asks
    for ``names_only`` needs the keys: rows may lack what is costly to find out (``size etag last_modified`` and
    attributes, but for a ``content_encoding`` that this store's listings tell), and most stores tell it all the same.
    """

    prefix: str = ""
    delimiter: str | None = None
    start_after: str | None = None
    names_only: bool = False


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a composed stack of stores can do natively and exactly; all False unless declared.

    listing: keys can be listed. sorted: in UTF-8 byte order of whole keys. ranges: part of an object is read
    without reading it all, and any read may carry ``if_match``. metadata: attributes and metadata are kept.
    create: atomic put-if-absent. replace_if: atomic put-if-match. delete_if: atomic delete-if-match.
    copy: objects are copied without passing through this process. atomic_write: a reader, also after a crash,
    sees the old value or the new one, whole. write: objects can be written and deleted at all.
    """

    listing: bool = False
    sorted: bool = False
    ranges: bool = False
    metadata: bool = False
    create: bool = False
    replace_if: bool = False
    delete_if: bool = False
    copy: bool = False
    atomic_write: bool = False
    write: bool = False

    def __and__(self, other: Capabilities) -> Capabilities:
        """What both can do."""
        return Capabilities(*(getattr(self, f.name) and getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Location:
    """Where an object really lies, so that two stores can tell whether a native copy is possible.

    ``vendor`` is the kind of backend ("s3", "file", "mem"), ``identity`` the endpoint and credentials' identity
    without any secret, ``bucket`` and ``key`` the names over there.
    """

    vendor: str
    identity: str
    bucket: str
    key: str
