"""How CloudFiles reads one object: from the store's blob to the decoded bytes the caller gets."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

from .. import codecs, engine
from ..blob import Blob
from ..engine import SMALL
from ..errors import EncodingError, HoldfastError, IntegrityError, NotFound
from ..store import HEAD, READ, ObjectStore
from ..types import ObjectInfo, ReadOptions
from .requests import ReadRequest, parse_read


class Reader:
    """The operation of reading one object, for an engine."""

    __slots__ = ("into", "part_size", "raw", "read", "store")

    def __init__(
        self, store: ObjectStore, *, raw: bool = False, into: Any = None, part_size: int | None = None
    ) -> None:
        if part_size is not None and part_size < 1:
            raise ValueError(f"part_size is a number of bytes, not {part_size!r}")
        self.store = store
        self.read = store._read
        self.raw = raw
        self.into = into
        self.part_size = part_size

    def row(self, request: ReadRequest) -> Any:
        """The row for one request; errors are raised."""
        # The common case stands apart, because its few steps are done millions of times: one plain path.
        if type(request) is str and self.into is None and self.part_size is None and request and request.isascii():
            content: bytes | None
            try:
                blob = self.read(request)
                try:
                    size = blob.size
                    if size is not None and size >= SMALL:
                        engine.reserve(size)
                    content = blob.bytes()
                    encoding = blob.encoding
                finally:
                    blob.close()
            except NotFound:
                content = encoding = None
            if content is not None and encoding and not self.raw:
                content = codecs.decompress(content, encoding, key=request)
            return {
                "path": request, "content": content, "byte_range": (None, None), "error": None,
                "compress": encoding, "raw": self.raw, "tags": None,
            }  # fmt: skip
        return self.one(request)

    def gather(self, request: ReadRequest) -> Any:
        """The row for one request; an error becomes a part of it."""
        try:
            row = self.row(request)
        except Exception as error:  # noqa: BLE001 - it goes into the row
            return self.failed(request, error)
        if isinstance(row, engine.Split):
            finish = row.finish

            def gathered(parts: list[Any]) -> Any:
                try:
                    return finish(parts)
                except Exception as error:  # noqa: BLE001 - it goes into the row
                    return self.failed(request, error)

            row.parts, row.finish = [_kept(part) for part in row.parts], gathered
        return row

    def failed(self, request: ReadRequest, error: Exception) -> dict[str, Any]:
        """The row that tells of an error."""
        # As it was given, because what is wrong may be the request itself.
        given = request if isinstance(request, Mapping) else {"path": request}
        bounds = (given.get("start"), given.get("end"))
        return _row(given.get("path"), bounds, None, None, self.raw, given.get("tags"), error)

    def one(self, request: ReadRequest, scalar: bool = False) -> Any:
        """The row for any form of request, or what will read a large object in parts."""
        path, options, tags = parse_read(request)
        if self.part_size is not None and self.into is None and not options.ranged:
            split = self.split(path, tags, self.part_size)
            if split is not None:
                return split
        buffer = self.into
        if buffer is not None and not scalar:
            buffer = buffer.get(path)
        encoding = None
        content: Any
        try:
            with self.read(path, options) as blob:
                encoding = blob.encoding
                if encoding and not self.raw:
                    content = self.decoded(blob, path, options, encoding)
                    content = content if buffer is None else _copy_into(buffer, content, path)
                elif buffer is None:
                    engine.reserve(blob.size or 0)
                    content = blob.bytes()
                else:
                    content = memoryview(buffer).cast("B")[: blob.readinto(buffer)]
        except NotFound:
            content = None
        if scalar and buffer is not None and content is not None:
            content = len(content)
        return _row(path, (options.start, options.end), content, encoding, self.raw, tags, None)

    def split(self, path: str, tags: Any, step: int) -> engine.Split | None:
        """The parts of a large object, or None: it is small, missing, or its store reads no parts of one version."""
        if not self.store.capabilities.ranges:
            return None
        try:
            with self.read(path, HEAD) as head:
                size, etag, encoding = head.info.size, head.info.strong_etag, head.encoding
        except NotFound:
            return None
        if size is None or size <= step or etag is None:
            return None

        def part(start: int) -> bytes:
            engine.reserve(min(step, size - start))
            with self.read(path, ReadOptions(start, min(start + step, size), if_match=etag)) as blob:
                return blob.bytes()

        def finish(parts: list[Any]) -> dict[str, Any]:
            if failed := [one for one in parts if isinstance(one, Exception)]:
                raise failed[0]
            content = b"".join(parts)
            if len(content) != size:
                raise IntegrityError(f"{size} bytes promised, {len(content)} received", key=path, store=self.store.name)
            if encoding and not self.raw:
                content = codecs.decompress(content, encoding, key=path)
            return _row(path, (None, None), content, encoding, self.raw, tags, None)

        return engine.Split([functools.partial(part, start) for start in range(0, size, step)], finish)

    def decoded(self, blob: Blob, path: str, options: ReadOptions, encoding: str) -> bytes:
        """The decoded content, or the range of it that was asked for."""
        if not options.ranged:
            engine.reserve(blob.size or 0)
            return codecs.decompress(blob.bytes(), encoding, key=path)
        # The range was read from the stored bytes, before anybody knew that they are encoded.
        blob.close()
        with self.read(path, READ) as whole:
            if options.start is not None and options.start < 0:
                return codecs.decompress(whole.bytes(), encoding, key=path)[options.start :]
            pieces = codecs.decode_range(whole.chunks(), encoding, options.start or 0, options.end, key=path)
            return b"".join(pieces)


def reader(
    store: ObjectStore, raw: bool, into: Any, part_size: int | None, gather: bool
) -> Callable[[ReadRequest], Any]:
    """The operation of reading one object, as a job."""
    made = Reader(store, raw=raw, into=into, part_size=part_size)
    return made.gather if gather else made.row


def json_reader(store: ObjectStore) -> Callable[[ReadRequest], Any]:
    """The operation of reading one JSON document, as a job."""
    made = Reader(store)

    def parsed(request: ReadRequest) -> Any:
        row = made.row(request)
        return parse_json(row["content"], row["path"], store.name)

    return parsed


def _kept(part: Callable[[], Any]) -> Callable[[], Any]:
    """The part, whose error ends nothing yet: joining the parts raises it."""

    def kept() -> Any:
        try:
            return part()
        except Exception as error:  # noqa: BLE001 - raised by the join below
            return error

    return kept


def _row(
    path: Any, bounds: tuple[Any, Any], content: Any, encoding: str | None, raw: bool, tags: Any, error: Any
) -> dict[str, Any]:
    return {
        "path": path, "content": content, "byte_range": bounds, "error": error,
        "compress": encoding, "raw": raw, "tags": tags,
    }  # fmt: skip


def _copy_into(buffer: Any, content: bytes, path: str) -> memoryview:
    view = memoryview(buffer).cast("B")
    if len(content) > len(view):
        raise HoldfastError(f"{len(content)} bytes do not fit into a buffer of {len(view)}", key=path)
    view[: len(content)] = content
    return view[: len(content)]


def parse_json(content: bytes | None, path: str, store: str) -> Any:
    """The parsed content (None if there is none); EncodingError if it is no JSON."""
    if content is None:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        message = f"object {path!r} is no JSON ({error}): get() gives its bytes"
        raise EncodingError(message, key=path, store=store, cause=error) from error


def head_fields(info: ObjectInfo) -> Mapping[str, Any]:
    """The info under the names of the HTTP headers that carry it; None for those that no info has."""
    return {
        "Cache-Control": info.cache_control,
        "Content-Length": info.size,
        "Content-Type": info.content_type,
        "ETag": info.etag,
        "Last-Modified": info.last_modified,
        "Content-Encoding": info.content_encoding,
        "Content-Disposition": info.content_disposition,
        "Content-Language": info.content_language,
        "Storage-Class": info.storage_class,
        "Content-Md5": None,
        "Request-Charged": None,
        "Parts-Count": None,
        "Content-Crc32c": None,
        "Component-Count": None,
        **{f"Metadata-{name}": value for name, value in info.metadata.items()},
    }
