"""Exclusion between every Holdfast writer of a key, in all threads and processes: striped file locks.

Each acquisition opens the stripe's file anew, so that ``flock`` (which belongs to the open file, not to the thread)
excludes threads of one process just as it excludes processes, and nothing is shared with a forked child. It is
released explicitly before the close, because a child forked in between holds the same open file.

A stripe's file doubles as a tiny journal. Whoever is about to make a sidecar obsolete notes it there, and clears the
note when the sidecar is gone; a note that is still there when nobody holds the lock belongs to a writer that died in
between, and tells ``recover`` what to clean up.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from .directories import Directories
from .failures import MISSING_FEATURE
from .names import PRIVATE

STRIPES = 64
DIRECTORY = PRIVATE + b"/locks"
_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST_NOTE = 1 << 20

#: Key, name of its sidecar, version in that sidecar.
Note = tuple[str, str, str]


def flock(fd: int, operation: int) -> OSError | None:
    """None once the operation is done, or the error of a file system that has no locks; others are raised."""
    try:
        fcntl.flock(fd, operation)
    except OSError as error:
        if error.errno not in MISSING_FEATURE:
            raise
        return error
    return None


class KeyLock:
    """One stripe, held by this thread as long as the ``with`` block lasts.

    ``refused`` is None, or the error of a file system that has no locks: then nothing is excluded, but no
    conditional writer can exist either.
    """

    __slots__ = ("_fd", "refused")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.refused: OSError | None = None

    def __enter__(self) -> Self:
        try:
            self.refused = flock(self._fd, fcntl.LOCK_EX)
        except BaseException:
            os.close(self._fd)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            flock(self._fd, fcntl.LOCK_UN)
        finally:
            os.close(self._fd)

    def note(self, key: str, sidecar: str, version: str) -> None:
        """Write down that this sidecar of the key is about to become obsolete."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps([key, sidecar, version]).encode(), 0)

    def noted(self) -> Note | None:
        """The note of a writer that died, if it left one here."""
        return _parse(os.pread(self._fd, _LONGEST_NOTE, 0)) if os.fstat(self._fd).st_size else None

    def clear(self) -> None:
        """Forget the note: the sidecar is gone, or still needed."""
        os.ftruncate(self._fd, 0)


class Locks:
    """The locks of one root."""

    def __init__(self, directories: Directories) -> None:
        self._directories = directories

    def of(self, raw: bytes) -> KeyLock:
        """The lock that covers this key, to be entered; made, with its directory, where it is missing."""
        return KeyLock(self._open(b"%02x" % (zlib.crc32(raw) % STRIPES)))

    def recover(self, clean: Callable[[str, str, str], None]) -> None:
        """Call ``clean(key, sidecar, version)`` for each note that a dead writer left, and clear it."""
        directory = self._directories.open_private(DIRECTORY, create=True)
        fd = directory.open_to_list()
        try:
            with os.scandir(fd) as entries:
                noted = [entry.name for entry in entries if entry.stat(follow_symlinks=False).st_size]
        finally:
            os.close(fd)
        for name in noted:
            self._recover(name.encode(), clean)

    def _recover(self, name: bytes, clean: Callable[[str, str, str], None]) -> None:
        fd = self._open(name)
        try:
            flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if note := _parse(os.pread(fd, _LONGEST_NOTE, 0)):
                clean(*note)
            os.ftruncate(fd, 0)
            flock(fd, fcntl.LOCK_UN)
        except BlockingIOError:
            return  # its writer lives and clears it
        finally:
            os.close(fd)

    def _open(self, name: bytes) -> int:
        # In a variable, because its descriptor closes with the last reference: another thread may evict it meanwhile.
        directory = self._directories.open_private(DIRECTORY, create=True)
        return os.open(name, _OPEN, 0o666, dir_fd=directory.fd)


def _parse(text: bytes) -> Note | None:
    try:
        note: Any = json.loads(text)
    except ValueError:
        return None  # its writer died while writing it, so before anything became obsolete
    if isinstance(note, list) and len(note) == 3 and all(isinstance(part, str) for part in note):
        return (note[0], note[1], note[2])
    return None
