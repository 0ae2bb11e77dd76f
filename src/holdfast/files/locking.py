"""Advisory locks on local files, shared with cloud-files: one lock file for each path, in a directory of their own.

Holdfast writes files whole, so nothing of its own needs this. It is for places where programs that do not (or that
read, change and write) use the same files: they take the same locks, ``LOCK_DIR/NAME.CRC32`` with the CRC-32 of the
whole path, shared to read and alone to write. Threads of one process are excluded by a lock in memory, because locks
of this kind belong to the process.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from .. import locks
from ..blob import Blob, ForwardingBlob, Staged
from ..store import LIST, READ, REMOVE, WRITE, ObjectStore, Removed, Store, stream_copy
from ..types import Body, Capabilities, ListOptions, Location, ObjectInfo, ReadOptions, RemoveOptions, WriteOptions


def default_lock_directory() -> str:
    """CLOUD_FILES_LOCK_DIR, or ``locks`` in CLOUD_FILES_DIR (``~/.cloudfiles``)."""
    home = os.environ.get("CLOUD_FILES_DIR") or os.path.join(os.path.expanduser("~"), ".cloudfiles")
    return os.environ.get("CLOUD_FILES_LOCK_DIR") or os.path.join(home, "locks")


class _Path:
    """Who holds the lock of one path in this process, and the descriptor that holds it for the process."""

    __slots__ = ("changed", "descriptor", "readers", "users", "writing")

    def __init__(self) -> None:
        self.changed = locks.Condition()
        self.descriptor = -1
        self.readers = 0
        self.users = 0
        self.writing = False


_paths: dict[str, _Path] = {}
_lock = locks.lock()


@contextmanager
def held(path: str, *, alone: bool) -> Iterator[None]:
    """The lock file at ``path`` is held in the block: ``alone``, or with other readers."""
    with _lock:
        entry = _paths.setdefault(path, _Path())
        entry.users += 1
    try:
        _enter(entry, path, alone)
        try:
            yield
        finally:
            _leave(entry, alone)
    finally:
        with _lock:
            entry.users -= 1
            if not entry.users:
                _paths.pop(path, None)


def _enter(entry: _Path, path: str, alone: bool) -> None:
    with entry.changed:
        while entry.writing or (alone and entry.readers):
            entry.changed.wait()
        if not entry.readers:
            entry.descriptor = _locked(path, alone=alone)
        entry.writing = alone
        entry.readers += not alone


def _leave(entry: _Path, alone: bool) -> None:
    with entry.changed:
        entry.writing = False
        entry.readers -= not alone
        if not entry.readers:
            os.close(entry.descriptor)  # and with it goes the lock
        entry.changed.notify_all()


def _locked(path: str, *, alone: bool) -> int:
    """A descriptor of the lock file, which has still its name once it is locked."""
    import fcntl  # here, because Windows has none, and no local store that would lock

    os.makedirs(os.path.dirname(path), exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def clear(directory: str) -> None:
    """Remove the lock files that nobody holds."""
    import fcntl

    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        path = os.path.join(directory, name)
        with _lock:
            # To close a descriptor of a file that this process has locked would release that lock.
            if path in _paths or not os.path.isfile(path):
                continue
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path)
            except BlockingIOError:
                continue
            finally:
                os.close(descriptor)


def _after_fork_in_child() -> None:
    # Locks of this kind stay with the parent, and so does whoever held one here.
    global _lock  # noqa: PLW0603 - the parent's may be held for ever
    _lock = locks.lock()
    _paths.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class LockingStore(Store):
    """The same objects: each is locked in ``lock_dir`` while it is read, written or removed.

    ``root`` is the local directory that keys are relative to. A blob holds its lock until it is closed.
    """

    def __init__(self, store: ObjectStore, root: str, lock_dir: str) -> None:
        self.store = store
        self.root = root
        self.lock_dir = lock_dir

    def __repr__(self) -> str:
        return f"LockingStore({self.store!r})"

    @property
    def name(self) -> str:
        return self.store.name

    @property
    def capabilities(self) -> Capabilities:
        return self.store.capabilities

    @property
    def remove_batch(self) -> int:
        return self.store.remove_batch

    @property
    def local(self) -> bool:
        return self.store.local

    def close(self) -> None:
        self.store.close()

    def lock_path(self, key: str) -> str:
        """The lock file of an object, as cloud-files names it."""
        path = os.path.normpath(os.path.join(self.root, key))
        return os.path.join(self.lock_dir, f"{os.path.basename(path)}.{zlib.crc32(os.fsencode(path))}")

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        with ExitStack() as stack:
            stack.enter_context(held(self.lock_path(key), alone=False))
            blob = self.store._read(key, options)
            return _LockedBlob(blob, stack.pop_all())

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        with held(self.lock_path(key), alone=True):
            return self.store._write(key, body, options)

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        # One by one: whoever holds several locks must take them in an order, which others would not know.
        removed: Removed = []
        for key in keys:
            with held(self.lock_path(key), alone=True):
                removed += self.store._remove([key], options)
        return removed

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        return self.store._scan(options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        return stream_copy(source, src, self, dst, options)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        return None  # a stream is written under the lock

    def _locate(self, key: str) -> Location | None:
        return None


class _LockedBlob(ForwardingBlob):
    """A blob that gives its lock back when it is closed."""

    __slots__ = ("_stack",)

    def __init__(self, blob: Blob, stack: ExitStack) -> None:
        super().__init__(blob)
        self._stack = stack

    def close(self) -> None:
        try:
            self._blob.close()
        finally:
            self._stack.close()
