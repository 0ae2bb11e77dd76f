"""Members read by position: any number of threads share one descriptor, and none of them moves it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Self

from isal import isal_zlib

from ...blob import CHUNK, Blob, Buffer, join
from ...errors import HoldfastError, IntegrityError, Unsupported
from ...keys import printable
from ...store import READ
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
#: Deflate without a wrapping of its own.
_RAW = -15
_STORED, _DEFLATED, _ENCRYPTED = records.STORED, records.DEFLATED, records.ENCRYPTED
_LOCAL_SIZE, _LOCAL_SIGNATURE = records.LOCAL.size, records.LOCAL_SIGNATURE
_local_lengths = records.LOCAL_LENGTHS.unpack_from
_READABLE = (_STORED, _DEFLATED)
# As names of this module they are found a little sooner, and small reads are made of little else.
_crc32, _inflate, _inflater = isal_zlib.crc32, isal_zlib.decompress, isal_zlib.decompressobj
_BROKEN: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stubs call it an instance


class Handle:
    """An open descriptor of an archive, closed when its last user forgets it."""

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


class Archive:
    """An opened archive: its directory, and the version of the file that this is the directory of.

    Of its members nothing is believed that was not checked.
    """

    __slots__ = ("directory", "handle", "store", "version")

    def __init__(self, handle: Handle, directory: Directory, version: tuple[int, ...], store: str) -> None:
        self.handle = handle
        self.directory = directory
        self.version = version
        self.store = store

    def broken(self, key: str, why: str) -> IntegrityError:
        """The error for a member that is not what the directory says."""
        return IntegrityError(f"{printable(key)!r}: {why}", key=key, store=self.store, retryable=False)

    def whole(self, key: str, entry: Entry) -> bytes:
        """All bytes of a member, inflated and checked."""
        name, _, method, crc, stored, size, offset, _, extra = entry
        start = self.directory.bodies.get(key)
        if start is None and stored <= SMALL:
            # With its header, in one call.
            raw = os.pread(self.handle.descriptor, len(name) + extra + _HEADER + stored, offset)
            begin = self._checked(key, entry, raw) - offset
            data = raw[begin : begin + stored]
        else:
            data = os.pread(self.handle.descriptor, stored, self.start(key, entry) if start is None else start)
        if len(data) != stored:  # one call reads at most 2 GiB
            data = join(self.stored_chunks(key, entry, 0, stored))
        if method == _DEFLATED:
            try:
                # Small ones in one go, which is quicker, and makes at most 16 MiB out of a lie. Of larger ones there
                # is one byte more than there may be, which tells of too many.
                data = (
                    _inflate(data, _RAW, size or 1) if stored <= SMALL else _inflater(_RAW).decompress(data, size + 1)
                )
            except _BROKEN as error:
                raise self.broken(key, str(error)) from error
        if len(data) != size or _crc32(data) != crc:
            raise self.broken(key, "its bytes are not those of its checksum")
        return data

    def start(self, key: str, entry: Entry) -> int:
        """Where a member's stored bytes begin in the file."""
        known = self.directory.bodies.get(key)
        if known is not None:
            return known
        return self._checked(key, entry, os.pread(self.handle.descriptor, _LOCAL_SIZE + len(entry.name), entry.offset))

    def _checked(self, key: str, entry: Entry, raw: bytes) -> int:
        """Where the body behind this header begins; an error if it is no such member's, or cannot be read."""
        directory = self.directory
        if key in directory.ambiguous:
            raise self.broken(key, "several members have this name: which one is meant cannot be known")
        name, flags, method, _, stored, size, offset, _, _ = entry
        if flags & _ENCRYPTED or method not in _READABLE:
            raise self._unreadable(key, entry)
        if len(raw) < _LOCAL_SIZE + len(name):
            raise self.broken(key, "there is no member where the directory says")
        signature, name_size, extra_size = _local_lengths(raw)
        if signature != _LOCAL_SIGNATURE:
            raise self.broken(key, "there is no member where the directory says")
        if raw[_LOCAL_SIZE : _LOCAL_SIZE + name_size] != name:
            raise self.broken(key, "the member itself has another name")
        start: int = offset + _LOCAL_SIZE + name_size + extra_size
        if start + stored > directory.limit(offset):
            raise self.broken(key, "it overlaps with another member, or is larger than the archive")
        if method == _STORED:
            if stored != size:
                raise self.broken(key, "it is stored as it is and has two sizes")
        elif size > stored * _MOST_DEFLATED + _MOST_DEFLATED:
            raise self.broken(key, "it cannot be as large as it says")
        directory.bodies[key] = start
        return start

    def _unreadable(self, key: str, entry: Entry) -> Unsupported:
        why = f"is compressed by method {entry.method}: repack it stored or deflated"
        if entry.flags & _ENCRYPTED:
            why = "is encrypted: unpack it with its password"
        return Unsupported(f"{printable(key)!r} {why}", key=key, store=self.store)

    def stored_chunks(self, key: str, entry: Entry, start: int, end: int) -> Iterator[bytes]:
        """The stored bytes [start:end) of a member, counted from its own first."""
        begin = self.start(key, entry)
        for at in range(begin + start, begin + end, CHUNK):
            wanted = min(CHUNK, begin + end - at)
            chunk = os.pread(self.handle.descriptor, wanted, at)
            if len(chunk) != wanted:
                raise self.broken(key, "the archive ends within it")
            yield chunk

    def chunks(self, key: str, entry: Entry) -> Iterator[bytes]:
        """All bytes of a member, inflated and checked; the last error comes at the end, as everywhere."""
        crc = size = 0
        stored = self.stored_chunks(key, entry, 0, entry.stored)
        for chunk in stored if entry.method == _STORED else self._inflated(key, stored):
            size += len(chunk)
            if size > entry.size:
                raise self.broken(key, "it is larger than it says")
            crc = _crc32(chunk, crc)
            yield chunk
        if size != entry.size or crc != entry.crc:
            raise self.broken(key, "its bytes are not those of its checksum")

    def _inflated(self, key: str, stored: Iterator[bytes]) -> Iterator[bytes]:
        inflater = _inflater(_RAW)
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
            raise self.broken(key, str(error)) from error


class _Described(Blob):
    """A blob whose info is built only when somebody looks."""

    __slots__ = ("_entry", "_key")

    _entry: Entry
    _key: str

    @property
    def info(self) -> ObjectInfo:  # type: ignore[override]
        return describe(self._key, self._entry)

    @property
    def encoding(self) -> None:
        return None

    def rename(self, key: str) -> Self:
        self._key = key
        return self


class SmallBlob(_Described):
    """A member or a part of one, read already."""

    __slots__ = ("_data",)

    def __init__(self, key: str, entry: Entry, data: Buffer) -> None:
        self._key = key
        self._entry = entry
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

    __slots__ = ("_archive", "_end", "_member", "_start")

    def __init__(self, archive: Archive, key: str, entry: Entry, start: int, end: int) -> None:
        self._key = self._member = key  # the second stays what it is in the archive
        self._entry = entry
        self._archive: Archive | None = archive
        self._start = start
        self._end = end

    @property
    def size(self) -> int:
        return self._end - self._start

    @property
    def emulated(self) -> bool:
        """Whether all in front of this range has to be inflated first."""
        return self._entry.method == _DEFLATED and self.size < self._entry.size

    def chunks(self) -> Iterator[Buffer]:
        archive, entry = self._opened(), self._entry
        try:
            if self.size == entry.size:
                yield from archive.chunks(self._member, entry)
            elif entry.method == _STORED:
                yield from archive.stored_chunks(self._member, entry, self._start, self._end)
            else:
                yield from self._cut(archive)
        except OSError as error:
            raise self._failure(archive, error) from error

    def bytes(self) -> bytes:
        archive = self._opened()
        if self.size != self._entry.size:
            return join(self.chunks())
        try:
            return archive.whole(self._member, self._entry)
        except OSError as error:
            raise self._failure(archive, error) from error

    def _opened(self) -> Archive:
        if self._archive is None:
            raise ValueError("this blob is closed")
        return self._archive

    def _failure(self, archive: Archive, error: OSError) -> HoldfastError:
        return error if isinstance(error, HoldfastError) else archive.broken(self._member, str(error))

    def _cut(self, archive: Archive) -> Iterator[Buffer]:
        at = 0
        for chunk in archive.chunks(self._member, self._entry):
            piece = chunk[max(0, self._start - at) : self._end - at]
            at += len(chunk)
            if piece:
                yield piece
            if at >= self._end:
                return

    def close(self) -> None:
        self._archive = None


def opened(archive: Archive, key: str, entry: Entry, options: ReadOptions) -> Blob:
    """The blob of a member or of a range of it; small ones are read at once."""
    small = entry.stored <= LARGE and entry.size <= LARGE
    if options is READ or not options.ranged:
        if small:
            return SmallBlob(key, entry, archive.whole(key, entry))
        archive.start(key, entry)  # what is wrong with it shows now
        return MemberBlob(archive, key, entry, 0, entry.size)
    begin, stop, _ = slice(options.start, options.end).indices(entry.size)
    if stop <= begin:
        return SmallBlob(key, entry, b"")
    if small and entry.method == _DEFLATED:
        return SmallBlob(key, entry, archive.whole(key, entry)[begin:stop])
    archive.start(key, entry)
    return MemberBlob(archive, key, entry, begin, stop)


def describe(key: str, entry: Entry) -> ObjectInfo:
    """The info of a member; its ETag names these bytes at this place, and members never change."""
    return ObjectInfo(key, size=entry.size, etag=etag(entry), last_modified=records.when(entry))


def etag(entry: Entry) -> str:
    """The member's ETag."""
    return f"{entry.crc:08x}-{entry.size:x}-{entry.offset:x}"
