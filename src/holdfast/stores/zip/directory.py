"""The directory of an archive: found, parsed and checked; also where a writer was killed and left the end undone."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import NamedTuple

from ...keys import sort_key
from . import records
from .records import Entry, Malformed

#: How far from the end (bytes) the end record may be in a sound archive: its comment has at most 65,535.
_TAIL = records.MOST_16 + records.END.size + records.LOCATOR_64.size + records.END_64.size
_STEP = 1 << 20
#: What a killed writer's leavings begin with: an old directory, the members it was about to add, or a hole.
_LEFT_BEHIND = {records.CENTRAL_SIGNATURE, records.LOCAL_SIGNATURE, records.END_SIGNATURE, b"\0\0\0\0"}


class End(NamedTuple):
    """Where the directory lies: ``start`` and ``size`` in the file, ``stop`` where its end record ends.

    ``base`` is how much was put in front of the archive: offsets in it count from there.
    """

    start: int
    size: int
    members: int
    stop: int
    base: int
    comment: bytes


class Directory:
    """The members of one archive by key, and its directory's bytes; grows with what is appended."""

    def __init__(self, end: End, central: bytes) -> None:
        self.end = end
        #: Whether it was found further up than where other programs look for it.
        self.hidden = False
        self.central = bytearray(central)
        self.members: dict[str, Entry] = {}
        #: Keys that several members have: which of them is meant nobody can tell.
        self.ambiguous: set[str] = set()
        members = records.parse_central(central, end.base)
        if len(members) != end.members:
            raise Malformed(f"{end.members} members promised, {len(members)} found")
        for key, entry in members:
            if key in self.members:
                self.ambiguous.add(key)
            self.members[key] = entry
        #: Where the bytes of a member begin, once its own header was read and found sound.
        self.bodies: dict[str, int] = {}
        #: Where the next member goes, once somebody looked.
        self.append_at: int | None = None
        #: Where the next member begins behind each, once somebody asked; and where the last one does.
        self._next: dict[int, int] | None = None
        self._last = 0
        # The keys in order, of when there were so many members: some may be added while they are sorted.
        self._order: tuple[int, list[str]] = (0, [])
        self._all = [entry for _, entry in members] if self.ambiguous else None

    def add(self, key: str, entry: Entry) -> None:
        """Take up a member that was appended behind all others."""
        self.members[key] = entry
        if self._next is not None:
            self._next[self._last] = entry.offset
            self._last = entry.offset

    def order(self, prefix: str, start_after: str | None) -> list[str]:
        """The keys that start with the prefix, in the order of their UTF-8; those after ``start_after`` at least."""
        count, order = self._order
        if count != len(self.members):
            count = len(self.members)
            order = sorted(self.members, key=sort_key)
            self._order = count, order
        first = sort_key(prefix)
        start = bisect_left(order, first, key=sort_key)
        if start_after is not None:
            start = max(start, bisect_right(order, sort_key(start_after), key=sort_key) - 1)
        stop = bisect_right(order, first, lo=start, key=lambda key: sort_key(key)[: len(first)])
        return order[start:stop]

    def limit(self, offset: int) -> int:
        """Where the member at this offset must have ended: at the next one, or at the directory."""
        if self._next is None:
            entries = self._all or list(self.members.values())  # others may be appending meanwhile
            starts = sorted([entry.offset for entry in entries])
            self._last = starts[-1]
            following = dict(pairwise(starts))  # of several at one place the last pair stays
            following.pop(self._last, None)
            self._next = following
        return self._next.get(offset, self.end.start)


def append_at(descriptor: int, directory: Directory) -> int:
    """Where the next member may begin: behind the last one, where that is certain, else at the directory.

    Between the two lies what a writer left that was killed.
    """
    last = max(directory.members.values(), key=lambda entry: entry.offset, default=None)
    start = directory.end.start
    if last is None or directory.ambiguous or last.flags & records.DESCRIPTOR:
        return start
    header = os.pread(descriptor, records.LOCAL.size + len(last.name), last.offset)
    if len(header) < records.LOCAL.size + len(last.name) or header[records.LOCAL.size :] != last.name:
        return start
    signature, *_, name_size, extra_size = records.LOCAL.unpack_from(header)
    stop: int = last.offset + records.LOCAL.size + name_size + extra_size + last.stored
    if signature != records.LOCAL_SIGNATURE or stop > start:
        return start
    # What another program put there, a signature for instance, is not ours to overwrite.
    return stop if os.pread(descriptor, 4, stop) in _LEFT_BEHIND else start


def read(descriptor: int) -> Directory:
    """The directory of the archive; Malformed if the file is none. An empty file is an empty archive."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        return Directory(End(0, 0, 0, 0, 0, b""), b"")
    tail_start = max(0, size - _TAIL)
    tail = os.pread(descriptor, size - tail_start, tail_start)
    if (found := _last_in(descriptor, tail, tail_start, size, exact=False)) is not None:
        return found
    # A writer that was killed while it moved the directory left more than a comment's length behind it.
    overlap = _TAIL
    while tail_start > 0:
        stop = tail_start
        tail_start = max(0, tail_start - _STEP)
        tail = os.pread(descriptor, min(size, stop + overlap) - tail_start, tail_start)
        if (found := _last_in(descriptor, tail, tail_start, size, exact=True)) is not None:
            return found
    raise Malformed("no end record")


def _last_in(descriptor: int, tail: bytes, offset: int, size: int, *, exact: bool) -> Directory | None:
    """The last directory whose end record lies in these bytes and is sound.

    ``exact`` refuses one with something in front: an archive within the archive would look like that.
    """
    at = len(tail)
    error: Malformed | None = None
    while (at := tail.rfind(records.END_SIGNATURE, 0, at)) >= 0:
        try:
            end = _end(descriptor, tail, at, offset)
            if exact and end.base:
                raise Malformed("an archive within the archive")
            central = os.pread(descriptor, end.size, end.start)
            if len(central) != end.size:
                raise Malformed("the directory is cut short")
            found = Directory(end, central)
            if exact and not _has_members(descriptor, found):
                raise Malformed("a directory of something else")
            found.hidden = exact
            return found
        except (Malformed, UnicodeDecodeError) as why:
            error = error or Malformed(str(why))
    if error is not None and not exact and size <= _TAIL:
        raise error
    return None


def _has_members(descriptor: int, directory: Directory) -> bool:
    """Whether the first and the last member are where the directory says."""
    offsets = sorted(entry.offset for entry in directory.members.values())
    return bool(offsets) and all(
        os.pread(descriptor, len(records.LOCAL_SIGNATURE), offset) == records.LOCAL_SIGNATURE
        for offset in (offsets[0], offsets[-1])
    )


def _end(descriptor: int, tail: bytes, at: int, offset: int) -> End:
    if len(tail) - at < records.END.size:
        raise Malformed("the end record is cut short")
    _, disk, start_disk, here, count, size, start, comment_size = records.END.unpack_from(tail, at)
    position = offset + at
    comment = tail[at + records.END.size : at + records.END.size + comment_size]
    after = position
    full = records.MOST_16 in (here, count) or records.MOST_32 in (size, start)
    if full and (wide := _wide(descriptor, position)) is not None:
        disk, start_disk, here, count, size, start, after = wide
    if disk or start_disk or here != count:
        raise Malformed("an archive in several volumes")
    if size > after or count * records.CENTRAL.size > size:
        raise Malformed("the directory's size cannot be")
    base = after - size - start
    if base < 0:
        raise Malformed("the directory lies beyond its own end")
    return End(after - size, size, count, position + records.END.size + len(comment), base, comment)


def _wide(descriptor: int, position: int) -> tuple[int, int, int, int, int, int, int] | None:
    """What the zip64 end record in front of this end record says, and where it begins; None if there is none."""
    length = records.LOCATOR_64.size + records.END_64.size
    if position < length:
        return None
    both = os.pread(descriptor, length, position - length)
    if both[records.END_64.size :][:4] != records.LOCATOR_64_SIGNATURE or both[:4] != records.END_64_SIGNATURE:
        return None
    _, _, _, _, disk, start_disk, here, count, size, start = records.END_64.unpack_from(both)
    return disk, start_disk, here, count, size, start, position - length
