"""Members read by position: any number of threads share one descriptor, and none of them moves it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Self

from isal import isal_zlib

from ...blob import CHUNK, Blob, Buffer, join
from ...errors import HoldfastError, IntegrityError, Unsupported
from ...keys import printable
from ...types import ObjectInfo, ReadOptions
from . import records
from .directory import Directory
from .records import Entry

#: Members of up to this many bytes are read when they are opened, larger ones as they are asked for.
LARGE = 1 << 20
#: Up to this many bytes in the archive come with their header, in one call and with one copy more.
SMALL = 16 << 10
#: A header without its name, and as much again as it may have beyond what the directory says of it.
_HEADER = records.LOCAL.size + 32
#: Deflate makes at most 1,032 bytes out of one.
_MOST_DEFLATED = 1032
_READABLE = (records.STORED, records.DEFLATED)
_BROKEN: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stubs call it an instance


class Handle:
    """An open descriptor of an archive, closed when its last user forgets it."""

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


class Member:
    """One member of an opened archive, of which nothing is believed that was not checked."""

    __slots__ = ("_directory", "_handle", "descriptor", "entry", "key", "store")

    def __init__(self, handle: Handle, directory: Directory, key: str, entry: Entry, store: str) -> None:
        self._handle = handle  # or the descriptor would be closed
        self._directory = directory
        self.descriptor = handle.descriptor
        self.entry = entry
        self.key = key
        self.store = store

    def broken(self, why: str) -> IntegrityError:
        """The error for a member that is not what the directory says."""
        return IntegrityError(f"{printable(self.key)!r}: {why}", key=self.key, store=self.store, retryable=False)

    def whole(self) -> bytes:
        """All its bytes, inflated and checked."""
        entry = self.entry
        start = self._directory.bodies.get(self.key)
        if start is None and entry.stored <= SMALL:
            # With its header, in one call.
            raw = os.pread(self.descriptor, len(entry.name) + entry.extra + _HEADER + entry.stored, entry.offset)
            begin = self._checked(raw) - entry.offset
            data = raw[begin : begin + entry.stored]
        else:
            data = os.pread(self.descriptor, entry.stored, self.start() if start is None else start)
        if len(data) != entry.stored:  # one call reads at most 2 GiB
            data = join(self.stored_chunks(0, entry.stored))
        if entry.method == records.DEFLATED:
            data = self._inflate(data)
        if len(data) != entry.size or isal_zlib.crc32(data) != entry.crc:
            raise self.broken("its bytes are not those of its checksum")
        return data

    def start(self) -> int:
        """Where its stored bytes begin in the file."""
        entry = self.entry
        known = self._directory.bodies.get(self.key)
        if known is not None:
            return known
        return self._checked(os.pread(self.descriptor, records.LOCAL.size + len(entry.name), entry.offset))

    def _checked(self, raw: bytes) -> int:
        """Where the body behind this header begins; an error if it is no such member's, or cannot be read."""
        entry = self.entry
        if self.key in self._directory.ambiguous:
            raise self.broken("several members have this name: which one is meant cannot be known")
        name, flags, method, _, stored, size, offset, _, _ = entry
        if flags & records.ENCRYPTED or method not in _READABLE:
            raise self._unreadable()
        if len(raw) < records.LOCAL.size + len(name) or not raw.startswith(records.LOCAL_SIGNATURE):
            raise self.broken("there is no member where the directory says")
        name_size, extra_size = records.LOCAL_LENGTHS.unpack_from(raw, records.LOCAL_LENGTHS_AT)
        if raw[records.LOCAL.size : records.LOCAL.size + name_size] != name:
            raise self.broken("the member itself has another name")
        start: int = offset + records.LOCAL.size + name_size + extra_size
        if start + stored > self._directory.limit(entry):
            raise self.broken("it overlaps with another member, or is larger than the archive")
        if method == records.STORED and stored != size:
            raise self.broken("it is stored as it is and has two sizes")
        if size > stored * _MOST_DEFLATED + _MOST_DEFLATED:
            raise self.broken("it cannot be as large as it says")
        self._directory.bodies[self.key] = start
        return start

    def _unreadable(self) -> Unsupported:
        key, entry = self.key, self.entry
        why = f"is compressed by method {entry.method}: repack it stored or deflated"
        if entry.flags & records.ENCRYPTED:
            why = "is encrypted: unpack it with its password"
        return Unsupported(f"{printable(key)!r} {why}", key=key, store=self.store)

    def _inflate(self, data: bytes) -> bytes:
        inflater = isal_zlib.decompressobj(-15)
        try:
            # One byte more than there may be tells of too many.
            inflated = inflater.decompress(data, self.entry.size + 1)
        except _BROKEN as error:
            raise self.broken(str(error)) from error
        return inflated

    def stored_chunks(self, start: int, end: int) -> Iterator[bytes]:
        """The stored bytes [start:end), counted from the member's own."""
        begin = self.start()
        for at in range(begin + start, begin + end, CHUNK):
            wanted = min(CHUNK, begin + end - at)
            chunk = os.pread(self.descriptor, wanted, at)
            if len(chunk) != wanted:
                raise self.broken("the archive ends within it")
            yield chunk

    def chunks(self) -> Iterator[bytes]:
        """All its bytes, inflated and checked; the last error comes at the end, as everywhere."""
        entry = self.entry
        crc = size = 0
        stored = self.stored_chunks(0, entry.stored)
        for chunk in stored if entry.method == records.STORED else self._inflated(stored):
            size += len(chunk)
            if size > entry.size:
                raise self.broken("it is larger than it says")
            crc = isal_zlib.crc32(chunk, crc)
            yield chunk
        if size != entry.size or crc != entry.crc:
            raise self.broken("its bytes are not those of its checksum")

    def _inflated(self, stored: Iterator[bytes]) -> Iterator[bytes]:
        inflater = isal_zlib.decompressobj(-15)
        try:
            for chunk in stored:
                rest: bytes = chunk
                while rest and not inflater.eof:
                    if piece := inflater.decompress(rest, CHUNK):
                        yield piece
                    rest = inflater.unconsumed_tail
            while not inflater.eof and (piece := inflater.decompress(b"", CHUNK)):
                yield piece
        except _BROKEN as error:
            raise self.broken(str(error)) from error


class _Described(Blob):
    """A blob whose info is built only when somebody looks."""

    __slots__ = ("_entry", "_info", "_key")

    def __init__(self, key: str, entry: Entry) -> None:
        self._key = key
        self._entry = entry
        self._info: ObjectInfo | None = None

    @property
    def info(self) -> ObjectInfo:  # type: ignore[override]
        if self._info is None:
            self._info = describe(self._key, self._entry)
        return self._info

    @property
    def encoding(self) -> None:
        return None

    def rename(self, key: str) -> Self:
        self._key = key
        self._info = None
        return self


class SmallBlob(_Described):
    """A member or a part of one, read already."""

    __slots__ = ("_data",)

    def __init__(self, key: str, entry: Entry, data: Buffer) -> None:
        self._key = key
        self._entry = entry
        self._info = None
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    def chunks(self) -> Iterator[Buffer]:
        if self._data:
            yield self._data

    def bytes(self) -> bytes:
        return bytes(self._data)


class MemberBlob(_Described):
    """An opened member or a part of it, read as it is asked for."""

    __slots__ = ("_end", "_member", "_start")

    def __init__(self, member: Member, start: int, end: int) -> None:
        super().__init__(member.key, member.entry)
        self._member: Member | None = member
        self._start = start
        self._end = end

    @property
    def size(self) -> int:
        return self._end - self._start

    @property
    def emulated(self) -> bool:
        """Whether all in front of this range has to be inflated first."""
        return self._entry.method == records.DEFLATED and self.size < self._entry.size

    def chunks(self) -> Iterator[Buffer]:
        member = self._opened()
        try:
            if self.size == member.entry.size:
                yield from member.chunks()
            elif member.entry.method == records.STORED:
                yield from member.stored_chunks(self._start, self._end)
            else:
                yield from self._cut(member)
        except OSError as error:
            raise self._failure(error) from error

    def bytes(self) -> bytes:
        member = self._opened()
        if self.size != member.entry.size:
            return join(self.chunks())
        try:
            return member.whole()
        except OSError as error:
            raise self._failure(error) from error

    def _opened(self) -> Member:
        if self._member is None:
            raise ValueError("this blob is closed")
        return self._member

    def _failure(self, error: OSError) -> HoldfastError:
        return error if isinstance(error, HoldfastError) else self._opened().broken(str(error))

    def _cut(self, member: Member) -> Iterator[Buffer]:
        at = 0
        for chunk in member.chunks():
            piece = chunk[max(0, self._start - at) : self._end - at]
            at += len(chunk)
            if piece:
                yield piece
            if at >= self._end:
                return

    def close(self) -> None:
        self._member = None


def opened(member: Member, options: ReadOptions) -> Blob:
    """The blob of a member or of a range of it; small ones are read at once."""
    entry = member.entry
    small = entry.stored <= LARGE and entry.size <= LARGE
    if not options.ranged:
        if small:
            return SmallBlob(member.key, entry, member.whole())
        member.start()  # what is wrong with it shows now
        return MemberBlob(member, 0, entry.size)
    begin, stop, _ = slice(options.start, options.end).indices(entry.size)
    if stop <= begin:
        return SmallBlob(member.key, entry, b"")
    if small and entry.method == records.DEFLATED:
        return SmallBlob(member.key, entry, member.whole()[begin:stop])
    member.start()
    return MemberBlob(member, begin, stop)


def describe(key: str, entry: Entry) -> ObjectInfo:
    """The info of a member; its ETag names these bytes at this place, and members never change."""
    return ObjectInfo(key, size=entry.size, etag=etag(entry), last_modified=records.when(entry))


def etag(entry: Entry) -> str:
    """The member's ETag."""
    return f"{entry.crc:08x}-{entry.size:x}-{entry.offset:x}"
