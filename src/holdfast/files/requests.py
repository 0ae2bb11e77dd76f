"""The forms in which CloudFiles takes its requests, brought into one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from .. import codecs
from ..keys import check
from ..store import READ
from ..types import Body, ReadOptions

Item = TypeVar("Item")

#: A path, or a byte range of one: {"path": ..., "start": ..., "end": ...} with an exclusive end.
ReadRequest = str | Mapping[str, Any]
#: {"path": ..., "content": ..., and what overrides the call's arguments}, or (path, content).
WriteRequest = Mapping[str, Any] | tuple[str, Any]

_READ_FIELDS = frozenset(("path", "start", "end", "tags"))
_WRITE_FIELDS = frozenset(
    ("path", "content", "content_type", "compress", "compression_level", "cache_control", "storage_class", "raw")
)
#: What rows of get have beside those: they may be put as they are.
_ROW_FIELDS = frozenset(("byte_range", "error", "tags", "fullpath"))


def is_scalar(paths: Any) -> bool:
    """Whether this is one request rather than an iterable of them; TypeError if it is neither."""
    if isinstance(paths, str | Mapping):
        return True
    if isinstance(paths, bytes) or not isinstance(paths, Iterable):
        raise TypeError(f"paths are a str, a dict with a 'path', or an iterable of those, not {type(paths).__name__}")
    return False


def parse_read(request: ReadRequest) -> tuple[str, ReadOptions, Any]:
    """(path, options, tags) of one read request."""
    if isinstance(request, str):
        return check(request), READ, None
    if not isinstance(request, Mapping):
        raise TypeError(f"a request is a str or a dict with a 'path', not {type(request).__name__}")
    _known(request, _READ_FIELDS)
    if "path" not in request:
        raise TypeError("a request to get has a 'path'")
    start, end = request.get("start"), request.get("end")
    options = READ if start is None and end is None else ReadOptions(start, end)
    return check(request["path"]), options, request.get("tags")


class Write(NamedTuple):
    """One object to write, with everything said about it."""

    path: str
    content: Body
    content_type: str | None
    encoding: str | None
    level: int | None
    cache_control: str | None
    storage_class: str | None
    raw: bool


class WriteDefaults(NamedTuple):
    """The arguments of one ``puts``, for what a request does not say itself."""

    content_type: str | None = None
    compress: str | bool | None = None
    compression_level: int | None = None
    cache_control: str | None = None
    storage_class: str | None = None
    raw: bool = False

    def complete(self, request: WriteRequest) -> Write:
        """The request with what it left out; ValueError for an unknown codec, TypeError for a wrong form."""
        request = write_fields(request)
        say = request.get
        return Write(
            check(request["path"]),
            request["content"],
            say("content_type", self.content_type),
            codecs.canonical(say("compress", self.compress)),
            say("compression_level", self.compression_level),
            say("cache_control", self.cache_control),
            say("storage_class", self.storage_class),
            say("raw", self.raw),
        )


def write_fields(request: WriteRequest) -> Mapping[str, Any]:
    """The request as a mapping with a path and a content; TypeError for a wrong form."""
    if isinstance(request, tuple):
        if len(request) != 2:
            raise TypeError(f"a tuple to put is (path, content), not {len(request)} values")
        return {"path": request[0], "content": request[1]}
    if not isinstance(request, Mapping):
        raise TypeError(f"a request is a dict or a (path, content) tuple, not {type(request).__name__}")
    _known(request, _WRITE_FIELDS | _ROW_FIELDS)
    if "path" not in request or "content" not in request:
        raise TypeError("a request to put has a 'path' and a 'content'")
    if request.get("error") is not None:
        raise ValueError(f"the row of {request['path']!r} tells of an error, not of an object: {request['error']}")
    return request


def complete_writes(files: Any, defaults: WriteDefaults) -> Iterable[Write]:
    """The requests, completed: all checked before the first is written, unless they come from a generator.

    A collection with the same path twice is a ValueError. Of a generator each request is checked as it comes.
    """
    if isinstance(files, Mapping) or (isinstance(files, tuple) and len(files) == 2 and isinstance(files[0], str)):
        return [defaults.complete(files)]
    if isinstance(files, Iterator):
        codecs.canonical(defaults.compress)
        return map(defaults.complete, files)
    writes = [defaults.complete(file) for file in files]
    seen: set[str] = set()
    for write in writes:
        if write.path in seen:
            raise ValueError(f"{write.path!r} stands twice in one puts: which content should win? Nothing was written")
        seen.add(write.path)
    return writes


def batches(keys: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The keys, or requests, in lists of at most ``size``."""
    iterator = iter(keys)
    while batch := list(islice(iterator, size)):
        yield batch


def _known(request: Mapping[str, Any], fields: frozenset[str]) -> None:
    if unknown := request.keys() - fields:
        raise TypeError(f"unknown field {min(unknown)!r} in a request: known are {', '.join(sorted(fields))}")
