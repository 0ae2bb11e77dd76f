"""Exclusion between every Holdfast writer of a key, in all threads and processes: striped file locks.

Each acquisition opens the stripe's file anew, so that ``flock`` (which belongs to the open file, not to the thread)
excludes threads of one process just as it excludes processes, and nothing is shared with a forked child. It is
released explicitly before the close, because a child forked in between holds the same open file.

A stripe's file doubles as a tiny journal. Whoever is about to make a sidecar obsolete notes it there, and clears the
note when the sidecar is gone; a note that is still there when nobody holds the lock belongs to a writer that died in
between, and tells ``recover`` what to clean up.

A file that nobody holds and that has no note may be removed (``remove_unused``), by whoever holds its lock. Nobody is
fooled by that: everyone who got a lock looks whether its file still has a name, and takes the next one if not. Lock
files are never renamed or linked, so the count of links tells, and that is one call on what is open already.

``held-`` files are stripes of their own, for blocks of the caller's (``FileStore.locked``) inside of which the verbs
take theirs. They are never written to.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import threading
import zlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from .directories import ATTEMPTS, Directories
from .failures import MISSING_FEATURE, Translating, no_locks
from .names import PRIVATE

STRIPES = 64
DIRECTORY = PRIVATE + b"/locks"
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME = re.compile(r"(held-)?[0-9a-f]{2}")
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

    __slots__ = ("_fd", "_open", "refused")

    def __init__(self, open_file: Callable[[], int]) -> None:
        self._open = open_file
        self._fd = -1
        self.refused: OSError | None = None

    def __enter__(self) -> Self:
        for _ in range(ATTEMPTS):
            self._fd = self._open()
            try:
                self.refused = flock(self._fd, fcntl.LOCK_EX)
                if self.refused is not None or _has_name(self._fd):
                    return self
            except BaseException:
                os.close(self._fd)
                raise
            os.close(self._fd)
        raise OSError(errno.EBUSY, "the lock files keep being removed")

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

    def identity(self) -> tuple[int, int, int]:
        """What tells this lock, while it is held, from all others of this process."""
        return _identity(self._fd)

    def clear(self) -> None:
        """Forget the note: the sidecar is gone, or still needed."""
        os.ftruncate(self._fd, 0)


class HeldLock:
    """One ``held-`` stripe, for a block of the caller's; a thread that has it already passes.

    A child forked inside of the block does not have it, and leaves it to its parent when the block ends there.
    """

    __slots__ = ("_identity", "_lock", "_process", "_stripe")

    def __init__(self, stripe: Callable[[], int]) -> None:
        self._stripe = stripe
        self._lock: KeyLock | None = None
        self._process = os.getpid()
        self._identity = (0, 0, 0)

    def __enter__(self) -> OSError | None:
        """None, or the error of a file system that has no locks: then nothing is held."""
        if _mine.stripes and self._is_mine():
            return None
        lock = KeyLock(self._stripe).__enter__()
        try:
            if lock.refused is None:
                self._identity = lock.identity()
                _mine.stripes.add(self._identity)
            self._lock = lock
        except BaseException:
            _mine.stripes.discard(self._identity)
            lock.__exit__(None, None, None)
            raise
        return lock.refused

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lock, self._lock = self._lock, None
        if lock is not None and os.getpid() == self._process:
            _mine.stripes.discard(self._identity)
            lock.__exit__(kind, error, trace)

    def _is_mine(self) -> bool:
        fd = self._stripe()
        try:
            return _identity(fd) in _mine.stripes
        finally:
            os.close(fd)


class Block:
    """What ``FileStore.locked`` returns; ``before`` is called when it is entered."""

    __slots__ = ("_before", "_held", "_key", "_store")

    def __init__(self, held: HeldLock, key: str, store: str, before: Callable[[], None]) -> None:
        self._held = held
        self._key = key
        self._store = store
        self._before = before

    def __enter__(self) -> None:
        with Translating(self._key, self._store, "lock"):
            self._before()
            refused = self._held.__enter__()
        if refused is not None:
            self._held.__exit__(None, None, None)
            cure = "keep the store on a file system with flock, or let one process at a time write"
            raise no_locks(self._store, "a locked block", refused, cure)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.__exit__(kind, error, trace)


class _Mine(threading.local):
    """The ``held-`` stripes that this thread has: by process, because a forked child has none of them."""

    def __init__(self) -> None:
        self.stripes: set[tuple[int, int, int]] = set()


_mine = _Mine()


class Locks:
    """The locks of one root."""

    def __init__(self, directories: Directories) -> None:
        self._directories = directories

    def of(self, raw: bytes) -> KeyLock:
        """The lock that covers this key, to be entered; made, with its directory, where it is missing."""
        name = b"%02x" % (zlib.crc32(raw) % STRIPES)
        return KeyLock(lambda: self._open(name))

    def held(self, raw: bytes) -> HeldLock:
        """Another lock that covers this key, to be entered around verbs."""
        name = b"held-%02x" % (zlib.crc32(raw) % STRIPES)
        return HeldLock(lambda: self._open(name))

    def recover(self, clean: Callable[[str, str, str], None]) -> None:
        """Call ``clean(key, sidecar, version)`` for each note that a dead writer left, and clear it."""
        for name in self._names():
            fd = self._open_existing(name)
            if fd is None:
                continue
            try:
                if os.fstat(fd).st_size:
                    self._recover(fd, clean)
            finally:
                os.close(fd)

    def remove_unused(self) -> None:
        """Remove every lock file that nobody holds and that has no note."""
        for name in self._names():
            fd = self._open_existing(name)
            if fd is None:
                continue
            try:
                self._remove_unused(fd, name)
            finally:
                os.close(fd)

    def _recover(self, fd: int, clean: Callable[[str, str, str], None]) -> None:
        try:
            flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # its writer lives and clears it
        if note := _parse(os.pread(fd, _LONGEST_NOTE, 0)):
            clean(*note)
        os.ftruncate(fd, 0)
        flock(fd, fcntl.LOCK_UN)

    def _remove_unused(self, fd: int, name: str) -> None:
        try:
            if flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB) is not None:
                return  # where nobody can lock it, nobody can tell whether it is in use
        except BlockingIOError:
            return
        # A name that this file has lost may be another's by now; one that it has only we can take away.
        if _has_name(fd) and not os.fstat(fd).st_size:
            directory = self._directories.open_private(DIRECTORY)
            os.unlink(name, dir_fd=directory.fd)
        flock(fd, fcntl.LOCK_UN)

    def _names(self) -> list[str]:
        try:
            fd = self._directories.open_private(DIRECTORY).open_to_list()
        except FileNotFoundError:
            return []
        try:
            return [name for name in os.listdir(fd) if _NAME.fullmatch(name)]
        finally:
            os.close(fd)

    def _open_existing(self, name: str) -> int | None:
        try:
            directory = self._directories.open_private(DIRECTORY)
            return os.open(name, _OPEN, dir_fd=directory.fd)
        except FileNotFoundError:
            return None

    def _open(self, name: bytes) -> int:
        for _ in range(ATTEMPTS):
            # In a variable, because its descriptor closes with the last reference: another thread may evict it.
            directory = self._directories.open_private(DIRECTORY, create=True)
            try:
                return os.open(name, _OPEN | os.O_CREAT, 0o666, dir_fd=directory.fd)
            except FileNotFoundError:
                continue  # somebody who closed their store has just removed the directory, which was empty
        raise OSError(errno.EBUSY, "the directory for lock files keeps being removed")


def _has_name(fd: int) -> bool:
    """Whether this open file is still in its directory."""
    try:
        return os.fstat(fd).st_nlink > 0
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
        return False  # as network file systems say it


def _identity(fd: int) -> tuple[int, int, int]:
    status = os.fstat(fd)
    return os.getpid(), status.st_dev, status.st_ino


def _parse(text: bytes) -> Note | None:
    try:
        note: Any = json.loads(text)
    except ValueError:
        return None  # its writer died while writing it, so before anything became obsolete
    if isinstance(note, list) and len(note) == 3 and all(isinstance(part, str) for part in note):
        return (note[0], note[1], note[2])
    return None
