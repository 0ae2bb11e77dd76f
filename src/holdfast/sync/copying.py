"""Bulk copies between any two stores: by the service itself, in parallel ranges, whole, or as a stream."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from .. import codecs, engine
from ..blob import Blob, Buffer, Staged
from ..checksums import stamp_of
from ..errors import IntegrityError, Unsupported
from ..progress import Bar
from ..store import WRITE, ObjectStore
from ..types import ObjectInfo, ReadOptions, WriteOptions

#: Objects up to this size (bytes) are read whole before a write to a store that cannot take parts in any order:
#: such a write can be tried again, and one request is faster than a multipart upload.
WHOLE = 64 << 20
#: A target that takes parts (a file) is written whole up to this size, then as a stream.
WHOLE_STAGED = 1 << 20
#: From this size on the parts of one object are fetched in parallel.
SPLIT = 96 << 20
PART = 32 << 20

GENERIC_TYPES = frozenset(("application/octet-stream", "binary/octet-stream"))

Pair = tuple[str, str]


def _count(_: ObjectInfo | None, size: int, *__: Any) -> Any:
    return size


def _believe() -> None:
    pass


class Stale(Exception):
    """One side is not what was planned on any more."""


class Guard(NamedTuple):
    """What guards the copy of one object.

    ``condition`` is what the write depends on, as fields of WriteOptions. ``check`` is called when the whole body was
    read, before it becomes visible, and raises if it must not. ``done`` makes the operation's value from the info of
    the copy, the number of bytes read, and their stamp if they were all in memory.
    """

    condition: Mapping[str, Any] = {}
    check: Callable[[], None] = _believe
    done: Callable[..., Any] = _count


FREE = Guard()


def copy_objects(
    source: ObjectStore,
    target: ObjectStore,
    pairs: Iterable[Pair],
    *,
    decode: bool = False,
    threads: int | None = None,
    on_error: Literal["raise", "collect"] = "collect",
    bar: Bar | None = None,
) -> Iterator[engine.Outcome[Pair]]:
    """An Outcome for each (source key, target key), as they finish; the value is the number of bytes read.

    The stored bytes and their attributes are copied as they are; ``decode=True`` writes the decoded bytes
    instead. Every object appears at the target whole or not at all, after its length (and whatever the source's
    blob checks) has been checked. Memory is bounded by the engine's byte budget. ``bar`` counts the objects, and
    the bytes as they are read.
    """
    copier = Copier(source, target, decode=decode, moved=None if bar is None else bar.moved)
    progress = None if bar is None else bar.advance
    local = source.local and target.local
    return engine.default().run(copier, pairs, threads=threads, on_error=on_error, progress=progress, local=local)


class Copier:
    """The operation of copying one object, for an engine: call it with (source key, target key).

    Copies get the ``content_type``, or that of their sources.
    """

    def __init__(
        self,
        source: ObjectStore,
        target: ObjectStore,
        *,
        decode: bool = False,
        moved: Callable[[int], None] | None = None,
        content_type: str | None = None,
    ) -> None:
        self.source = source
        self.target = target
        self.decode = decode
        self.moved = moved or _unwatched
        #: What every copy is given, as fields of WriteOptions.
        self.given: dict[str, Any] = {} if content_type is None else {"content_type": content_type}
        self.keeps_attributes = target.capabilities.metadata
        here, there = source._locate("x"), target._locate("x")
        self.to_file = there is not None and there.vendor == "file"
        self.from_file = here is not None and here.vendor == "file"
        self.native = (
            not decode
            and target.capabilities.copy
            and here is not None
            and there is not None
            and (here.vendor, here.identity) == (there.vendor, there.identity)
        )
        #: Whether the source cuts ranges, once that was seen: some servers send the whole object for each.
        self.cuts: bool | None = None

    def __call__(self, pair: Pair) -> Any:
        """The number of bytes copied, or what will copy them."""
        src, dst = pair
        if self.native:
            options = WriteOptions(**self.given) if self.given else WRITE
            size = self.target._copy(self.source, src, dst, options).size or 0
            self.moved(size)
            return size
        blob = self.source._read(src)
        try:
            return self.transfer(blob, src, dst)
        except BaseException:
            blob.close()
            raise

    def transfer(self, blob: Blob, src: str, dst: str, guard: Guard = FREE) -> Any:
        """Write what the opened blob holds: whole, as a stream, or in parts to come; the value is that of ``guard``."""
        size = blob.size
        encoding = blob.encoding
        if self.decode and encoding:
            chunks = codecs.decompress_chunks(self.watched(blob, guard.check), encoding)
            with blob:
                options = self.options(blob.info, dst, guard.condition, decoded=True)
                return guard.done(self.target._write(dst, chunks, options), size or 0)
        options = self.options(blob.info, dst, guard.condition)
        if size is not None and size > WHOLE_STAGED:
            staged = self.target._stage(dst, size, options)
            if staged is not None:
                try:
                    return self.split(blob, src, staged, size, guard)
                except BaseException:
                    staged.abort()
                    raise
        with blob:
            if size is not None and size <= WHOLE:
                engine.reserve(size)
                body = blob.bytes()
                self.moved(size)
                guard.check()
                if self.to_file and size <= WHOLE_STAGED:
                    return engine.InTurn(functools.partial(self.write, dst, body, options, guard))
                return self.write(dst, body, options, guard)
            info = self.target._write(dst, self.watched(blob, guard.check), options)
        return guard.done(info, size or 0)

    def write(self, dst: str, body: bytes, options: WriteOptions, guard: Guard) -> Any:
        """The value of the guard for the body, which is now written."""
        return guard.done(self.target._write(dst, body, options), len(body), stamp_of(body))

    def watched(self, blob: Blob, check: Callable[[], None] = _believe) -> Iterator[Buffer]:
        """The blob's chunks, each reported as it passes; checked before the end, so that nothing wrong is completed."""
        for chunk in blob.chunks():
            self.moved(len(chunk))
            yield chunk
        check()

    def split(self, blob: Blob, src: str, staged: Staged, size: int, guard: Guard = FREE) -> engine.Split:
        """The parts of one large object; the first continues the read that is open already."""
        etag = blob.info.strong_etag
        splits = size >= SPLIT and etag is not None and self.source.capabilities.ranges and self.cuts is not False
        step = PART if splits else size
        starts = range(0, size, step)
        opened = {0: blob}

        def open_part(start: int) -> Blob:
            return self.source._read(src, ReadOptions(start, min(start + step, size), if_match=etag))

        if len(starts) > 1 and self.cuts is None:
            # The last part is opened to see: reading n parts out of n whole objects would take n times as long.
            last = open_part(starts[-1])
            self.cuts = not last.emulated
            if self.cuts:
                opened[starts[-1]] = last
            else:
                last.close()
                step, starts = size, range(1)

        def part(start: int) -> int:
            one = opened.pop(start) if start in opened else open_part(start)
            return pour(one, staged, start, min(start + step, size), self.moved)

        def finish(counts: list[int]) -> Any:
            guard.check()
            return guard.done(staged.commit(), sum(counts))

        def abort() -> None:
            for unread in opened.values():
                unread.close()
            staged.abort()

        return engine.Split([functools.partial(part, start) for start in starts], finish, abort)

    def options(
        self, info: ObjectInfo, dst: str, condition: Mapping[str, Any] = FREE.condition, *, decoded: bool = False
    ) -> WriteOptions:
        """What the source says about the object, as far as it says more than the key's name does; and the condition."""
        if not self.keeps_attributes:
            if info.content_encoding and not decoded:
                raise Unsupported(
                    f"the target cannot keep that {info.key!r} is encoded ({info.content_encoding}), and without that "
                    "its bytes mean something else: copy it decoded (decode=True, --decode)",
                    store=self.target.name,
                    key=info.key,
                )
            return WriteOptions(**condition, **self.given) if condition or self.given else WRITE
        kept: dict[str, Any] = info.attributes()
        kept.pop("storage_class", None)
        if decoded:
            kept.pop("content_encoding", None)
        content_type = kept.get("content_type")
        if self.from_file and content_type is None:
            if guessed := guess_type(dst):
                kept["content_type"] = guessed
        elif content_type in GENERIC_TYPES or (content_type and self.to_file and content_type == guess_type(dst)):
            del kept["content_type"]
        kept.update(self.given)
        return WriteOptions(**kept, **condition) if kept or condition else WRITE


def _unwatched(_: int) -> None:
    pass


def pour(blob: Blob, staged: Staged, start: int, end: int, moved: Callable[[int], None] = _unwatched) -> int:
    """Write the blob's bytes to [start:end) of the target and return the count; IntegrityError if it is short.

    A blob that goes on after ``end`` is left there; one that ends there is read to its end, where it checks itself.
    """
    at = start
    goes_on = blob.size is not None and blob.size > end - start
    with blob:
        for chunk in blob.chunks():
            staged.write_at(at, chunk[: end - at])
            moved(min(len(chunk), end - at))
            at += len(chunk)
            if goes_on and at >= end:
                return end - start
    if at != end:
        raise IntegrityError(f"{end - start} bytes promised, {at - start} received")
    return end - start


def guess_type(key: str) -> str | None:
    """The content type that the key's ending implies, or None."""
    name = key.rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    return _type_of(ending.lower()) if dot and stem else None


@functools.lru_cache(maxsize=1024)
def _type_of(ending: str) -> str | None:
    import mimetypes

    kind, encoding = mimetypes.guess_type("x." + ending)
    # "application/gzip" would be wrong for x.json.gz in one reading and right in another: say nothing.
    return None if encoding else kind
