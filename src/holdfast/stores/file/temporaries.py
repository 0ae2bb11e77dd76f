"""Files that are being written, out of sight, and the sweep that removes what dead writers left.

A temporary lies in ``ROOT/.holdfast/tmp`` under a short random name and is locked as long as its writer lives, so
that anybody may remove the unlocked ones. The directory is open to its owner alone, and the file has from the start
the mode that the umask gives: nobody else can read it before it is renamed to where it belongs. (Creating it 0600
and widening it later would need the umask, which a process with threads cannot ask for safely.) A second user of a
shared root gets a directory of their own, ``tmp-UID``.

Where the target's directory is another file system, the file is copied beside the target under a reserved name; a
note in the first directory tells the sweep about it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator

from ...blob import Buffer
from .directories import ATTEMPTS, Directories, Directory
from .locking import flock
from .names import BESIDE, PRIVATE

DIRECTORY = PRIVATE + b"/tmp"
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOTE = b".at"
_LONGEST_NOTE = 1 << 20
_COPIED_AT_ONCE = 1 << 30
_READ_AT_ONCE = 1 << 20
#: After how many seconds a temporary counts as left behind where no lock can tell.
_ABANDONED = 24 * 3600
_CANNOT_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF})


class Temporary:
    """One file that is being written, locked and open; it stays until ``close``, and its name until ``discard``."""

    __slots__ = ("directory", "fd", "name", "note")

    def __init__(self, directory: Directory, name: bytes, fd: int) -> None:
        self.directory = directory
        self.name = name
        self.fd = fd
        self.note: Temporary | None = None

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # Not in discard(): another thread may be in the middle of a write to this very descriptor.
        close(self.fd)

    def append(self, data: Buffer) -> None:
        """Write all of the data at the end."""
        view = memoryview(data).cast("B")
        while view:
            view = view[os.write(self.fd, view) :]

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write all of the data at this offset."""
        view = memoryview(data).cast("B")
        while view:
            count = os.pwrite(self.fd, view, offset)
            view = view[count:]
            offset += count

    def discard(self) -> None:
        """Remove the name, if it is still there."""
        _unlink(self.directory, self.name)
        if self.note is not None:
            self.note.discard()


class Temporaries:
    """The temporaries of one root."""

    def __init__(self, directories: Directories) -> None:
        self._directories = directories
        self.path = DIRECTORY
        self._directory: Directory | None = None

    def close(self) -> None:
        """Close the directory; the next file opens it again."""
        self._directory = None

    def create(self, suffix: bytes = b"") -> Temporary:
        """A new empty file, locked by this process."""
        for _ in range(ATTEMPTS):
            # Not asked whether it is still in its place: a rename from wherever it went does as well.
            directory = self._directory or self._open()
            name = os.urandom(8).hex().encode() + suffix
            try:
                fd = os.open(name, _CREATE, 0o666, dir_fd=directory.fd)
            except FileNotFoundError:
                self._directory = None  # it was removed since it was opened
                continue
            temporary = Temporary(directory, name, fd)
            if _lock_new(fd):
                return temporary
        raise OSError(errno.EBUSY, "the directory for temporary files keeps being removed")

    def create_beside(self, original: Temporary, parent: Directory, path: bytes) -> Temporary:
        """A copy of the original in the target's own directory, whose path below the root is given."""
        name = BESIDE + os.urandom(8).hex().encode()
        note = self.create(_NOTE)
        try:
            note.append(path + b"/" + name if path else name)
            # This directory may be open to others: so 0600 first, and the original's mode when it is whole.
            beside = Temporary(parent, name, os.open(name, _CREATE, 0o600, dir_fd=parent.fd))
            beside.note = note
        except BaseException:
            note.discard()
            raise
        try:
            copy_range(original.fd, beside.fd, 0, os.fstat(original.fd).st_size)
            os.fchmod(beside.fd, stat.S_IMODE(os.fstat(original.fd).st_mode))
        except BaseException:
            beside.discard()
            raise
        return beside

    def sweep(self, before: float | None = None) -> None:
        """Remove every temporary whose writer is gone; with ``before`` only those last written before that time."""
        directory = self._open()
        for name in _names_in(directory):
            self._sweep_one(directory, name, before)

    def abandoned(self) -> Iterator[tuple[bytes, os.stat_result]]:
        """The path below the root, and what the system tells, of every temporary whose writer is gone.

        Nothing is changed, and nothing is created where there are none. Copies beside their targets, which notes here
        tell of, are not named: the sweep finds them by those.
        """
        for path in (DIRECTORY, DIRECTORY + b"-%d" % os.geteuid()):
            try:
                directory = self._directories.open(path)
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue
            for name in _names_in(directory):
                fd = _open_abandoned(directory, name)
                if fd is not None:
                    try:
                        yield path + b"/" + name, os.fstat(fd)
                    finally:
                        os.close(fd)

    def _sweep_one(self, directory: Directory, name: bytes, before: float | None) -> None:
        fd = _open_abandoned(directory, name)
        if fd is None:
            return
        try:
            if before is not None and os.fstat(fd).st_mtime >= before:
                return
            if name.endswith(_NOTE):
                self._sweep_beside(os.pread(fd, _LONGEST_NOTE, 0))
            _unlink(directory, name)
        finally:
            os.close(fd)

    def _sweep_beside(self, path: bytes) -> None:
        parent, _, name = path.rpartition(b"/")
        if not name.startswith(BESIDE):
            return  # its writer died while writing the note, so before it made the file
        try:
            _unlink(self._directories.open(parent), name)
        except (FileNotFoundError, NotADirectoryError):
            return

    def _open(self) -> Directory:
        directory = self._directories.open(self.path, create=True, mode=0o700)
        if self.path == DIRECTORY and directory.owner != os.geteuid():
            self.path = DIRECTORY + b"-%d" % os.geteuid()
            directory = self._directories.open(self.path, create=True, mode=0o700)
        self._directory = directory
        return directory


def _names_in(directory: Directory) -> list[bytes]:
    try:
        fd = directory.open_to_list()
    except FileNotFoundError:
        return []  # just removed, because it was empty
    try:
        with os.scandir(fd) as entries:
            return [os.fsencode(entry.name) for entry in entries]
    finally:
        os.close(fd)


def _open_abandoned(directory: Directory, name: bytes) -> int | None:
    """A descriptor of the temporary, locked by us, if its writer is gone; None if it lives."""
    try:
        fd = os.open(name, _LOOK, dir_fd=directory.fd)
    except OSError:
        return None  # just renamed into place, or nothing of ours
    try:
        refused = flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if refused is None or time.time() - os.fstat(fd).st_mtime >= _ABANDONED:
            return fd
    except BlockingIOError:
        pass  # its writer lives
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def copy_range(source: int, target: int, offset: int, size: int) -> int:
    """How many bytes of the source, from this offset, were appended to the target: fewer only at the source's end.

    The kernel copies, and shares blocks where the file system can; where it cannot copy, this process does.
    """
    copied = 0
    by_kernel = hasattr(os, "copy_file_range")
    while copied < size:
        if by_kernel:
            try:
                count = os.copy_file_range(
                    source, target, min(size - copied, _COPIED_AT_ONCE), offset_src=offset + copied
                )
            except OSError as error:
                if error.errno not in _CANNOT_COPY:
                    raise
                by_kernel = False
                continue
        else:
            piece = os.pread(source, min(size - copied, _READ_AT_ONCE), offset + copied)
            count = len(piece)
            view = memoryview(piece)
            while view:
                view = view[os.write(target, view) :]
        if not count:
            break
        copied += count
    return copied


def _lock_new(fd: int) -> bool:
    try:
        flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False  # a sweep was faster: it takes the file for a dead writer's, so leave it
    return os.fstat(fd).st_nlink > 0


def _unlink(directory: Directory, name: bytes) -> None:
    try:
        os.unlink(name, dir_fd=directory.fd)
    except FileNotFoundError:
        return
