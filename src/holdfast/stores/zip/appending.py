"""How members are appended, so that a kill or a full disk at any moment leaves every acknowledged member readable.

An archive ends with its directory, where readers look for it. So it is never overwritten while it is the only one:

    members | directory                                          before
    members | directory          hole          | its copy        1. a copy where the end will be, or beyond
    members | new members | new directory      | its copy        2. what was the directory is free to be overwritten
    members | new members | new directory                        3. the copy is cut off: one system call, the commit

Whoever is killed leaves an archive with a sound directory of everything acknowledged: the old one in its place or its
copy. It is what the file ends with, except while the copy itself is written: then half a copy lies behind the old one,
and if that is more than 64 KiB further up, other programs do not find it. How long that takes goes with the size of the
directory (milliseconds for some MB; longer on a slow disk), and a kill there leaves it so until Holdfast opens the
archive and cuts the tail off. To make a new file and rename it would have no such moment, but would copy the whole
archive for each commit. When the disk is full the old directory goes back to its
place.
No dead bytes stay in the archive, and each commit writes the directory twice: many members at once share that.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from ...blob import Buffer
from ...errors import Indeterminate
from . import records
from .directory import Directory, End
from .records import Entry, Packed


class Pending(NamedTuple):
    """A member that is ready to be appended: its records and what is stored of its body."""

    key: str
    packed: Packed
    body: Iterable[Buffer]


class Append:
    """Members gathered for one commit to one archive, which the caller has locked."""

    def __init__(self, descriptor: int, directory: Directory, start: int, store: str, *, durable: bool) -> None:
        self.descriptor = descriptor
        self.directory = directory
        self.store = store
        self.durable = durable
        self.pending: list[tuple[Pending, int]] = []
        self.start = start
        #: Whether the archive has the members now, whatever happens next.
        self.landed = False
        self._at = start
        self._keys: set[str] = set()

    def holds(self, key: str) -> bool:
        """Whether there is such a member, or will be."""
        return key in self.directory.members or key in self._keys

    def add(self, member: Pending) -> Entry:
        """Take a member up; its entry tells where it will be."""
        entry = member.packed.entry._replace(offset=self._at)
        self.pending.append((member, self._at))
        self._keys.add(member.key)
        self._at += len(member.packed.local) + entry.stored
        return entry

    def commit(self) -> None:
        """Write what was added; an error leaves the archive and its directory as they were.

        Only Indeterminate does not, and Ctrl-C may not: ``landed`` tells.
        """
        if not self.pending:
            self.landed = True
            return
        end, descriptor = self.directory.end, self.descriptor
        added = b"".join(member.packed.central(offset, end.base) for member, offset in self.pending)
        old = bytes(self.directory.central)
        count, size = end.members + len(self.pending), len(old) + len(added)
        last = records.pack_end(count, size, self._at, end.base, end.comment)
        new_stop = self._at + size + len(last)
        moved = max(new_stop, end.stop)
        copied = False
        try:
            os.ftruncate(descriptor, end.stop)  # what somebody who was killed left behind the end
            # The directory's end must lie behind what is written, or the file would end without one meanwhile.
            _write(descriptor, moved, old + records.pack_end(end.members, len(old), moved, end.base, end.comment))
            self._sync()
            copied = True
            for member, offset in self.pending:
                at = _write(descriptor, offset, member.packed.local)
                for chunk in member.body:
                    at = _write(descriptor, at, chunk)
            at = _write(descriptor, self._at, old)
            at = _write(descriptor, at, added)
            _write(descriptor, at, last)
            self._sync()
            os.ftruncate(descriptor, new_stop)
            self.landed = True
        except BaseException:
            # The copy reaches beyond that. Ctrl-C can arrive when it has just been cut off.
            if copied and os.fstat(descriptor).st_size == new_stop:
                self.landed = True
                raise
            if copied:
                # Into blocks that the file has already, so there is room for it.
                _write(
                    descriptor,
                    end.start,
                    old + records.pack_end(end.members, len(old), end.start, end.base, end.comment),
                )
                self._sync()
            os.ftruncate(descriptor, end.stop)
            raise
        try:
            self._sync()
        except OSError as error:
            why = f"it was written, and whether it would survive a power failure is not known: {error}"
            raise Indeterminate(f"append: {why}; read it", store=self.store, cause=error) from error
        self.directory.central += added
        self.directory.end = End(self._at, size, count, new_stop, end.base, end.comment)
        self.directory.append_at = self._at
        for member, offset in self.pending:
            self.directory.add(member.key, member.packed.entry._replace(offset=offset))

    def _sync(self) -> None:
        if self.durable:
            os.fsync(self.descriptor)


def _write(descriptor: int, at: int, data: Buffer) -> int:
    """Write it all and return where it ends."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, at)
        at += written
        view = view[written:]
    return at
