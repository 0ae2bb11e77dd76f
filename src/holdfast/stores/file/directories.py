"""The walk below the root that follows no symlink, and a bounded cache of the directories it opened.

Every directory is opened relative to its parent with O_NOFOLLOW, so a key can never lead out of the root. Opening
costs three system calls a level, so directories stay open, and each use asks one ``lstat`` a level whether the path
still leads, without a symlink, to the very directory (device and inode) that the descriptor holds. An open
descriptor pins its inode, so the number cannot come back under another directory while it is compared.

Descriptors close when their ``Directory`` is collected: evicting one from the cache while another thread is in the
middle of using it is harmless, and no lock is needed, which also makes the cache safe to inherit across a fork.
"""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Callable

from ...errors import BucketNotFound

#: How often a step is repeated that loses a race (a directory removed just before a file is put in).
ATTEMPTS = 100

MOST_KEPT = 128
_OPEN = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Directory:
    """One open directory below (or at) the root."""

    __slots__ = ("_between", "device", "fd", "inode", "owner", "path")

    def __init__(self, path: bytes, fd: int, between: tuple[bytes, ...] = ()) -> None:
        self.fd = fd
        self.path = path
        self._between = between
        status = os.fstat(fd)
        self.device = status.st_dev
        self.inode = status.st_ino
        self.owner = status.st_uid

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self.fd)

    def is_named(self) -> bool:
        """Whether its path still ends at this very directory."""
        try:
            status = os.lstat(self.path)
        except OSError:
            return False
        return status.st_ino == self.inode and status.st_dev == self.device

    def is_current(self) -> bool:
        """Whether its path still ends here, and passes through directories only, no symlink."""
        try:
            status = os.lstat(self.path)
            if status.st_ino != self.inode or status.st_dev != self.device:
                return False
            for path in self._between:
                if not stat.S_ISDIR(os.lstat(path).st_mode):
                    return False
        except OSError:
            return False
        return True

    def child(self, path: bytes, fd: int) -> Directory:
        """The directory that ``fd`` opened inside this one."""
        # The root may be reached through symlinks; and who has an entry of it has seen that it is still the root.
        between = () if self.path.endswith(b"/") else (*self._between, self.path)
        return Directory(path, fd, between)

    def open_to_list(self) -> int:
        """A fresh descriptor for scandir or fsync (a shared one would share its position); close it."""
        return os.open(b".", _LIST, dir_fd=self.fd)

    def sync(self) -> None:
        """Make the directory's entries durable."""
        fd = self.open_to_list()
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


class Directories:
    """The directories of one root, by their path below it (b"" is the root itself)."""

    def __init__(self, root: bytes, name: str, *, durable: bool, keep: int | None = None) -> None:
        self._root = root
        self._name = name
        self._durable = durable
        self.keep = keep or _affordable()
        self._cache: dict[bytes, Directory] = {}

    def cached(self, path: bytes) -> Directory | None:
        """The directory if it is open and still where it was."""
        directory = self._cache.get(path)
        return directory if directory is not None and directory.is_current() else None

    def open(self, path: bytes, *, create: bool = False, mode: int = 0o777) -> Directory:
        """The directory at this path; with ``create`` made where missing (the last one with ``mode``).

        Raises FileNotFoundError, or NotADirectoryError (ELOOP on some systems) where a file or symlink stands.
        """
        return self.cached(path) or self._walk(path, create, mode)

    def open_private(self, path: bytes, *, create: bool = False, mode: int = 0o777) -> Directory:
        """As ``open``, for one of Holdfast's own directories.

        Its identity alone is asked while it is open: that all writers agree on it is what counts.
        """
        directory = self._cache.get(path)
        return directory if directory is not None and directory.is_named() else self._walk(path, create, mode)

    def forget(self, path: bytes) -> None:
        """Drop the descriptor of a directory that is gone."""
        self._cache.pop(path, None)

    def clear(self) -> None:
        """Close every descriptor that is not in use."""
        self._cache.clear()

    def prune(self, path: bytes) -> None:
        """Remove the directory, and those above it, as far as they are empty; never the root.

        Only rmdir is used, so nothing that holds anything is ever lost; a writer that finds its directory gone
        makes it again.
        """
        while path:
            above, _, name = path.rpartition(b"/")
            try:
                parent = self.open(above)  # held while its descriptor is used
                os.rmdir(name, dir_fd=parent.fd)
            except OSError:
                return
            self.forget(path)
            path = above

    def _walk(self, path: bytes, create: bool, mode: int) -> Directory:
        for _ in range(ATTEMPTS if create else 0):
            try:
                return self._walk_once(path, create, mode)
            except FileNotFoundError:
                continue  # another process pruned the directory that was just made: start over
        return self._walk_once(path, create, mode)

    def _walk_once(self, path: bytes, create: bool, mode: int) -> Directory:
        directory = self._open_root(create)
        start = 0
        while start < len(path):
            end = path.find(b"/", start)
            end = len(path) if end < 0 else end
            wanted = mode if end == len(path) else 0o777
            directory = self._open_child(directory, path[:end], path[start:end], create, wanted)
            start = end + 1
        return directory

    def _open_root(self, create: bool) -> Directory:
        cached = self._cache.get(b"")
        if cached is not None and cached.is_named():
            return cached
        if create:
            try:
                os.makedirs(self._root, exist_ok=True)
            except (FileExistsError, NotADirectoryError) as error:
                raise self._no_directory(error) from error
        # With its slash a root that is itself a symlink is followed: only what lies below it is not. The slash
        # also tells the root from every other directory (see Directory.child).
        try:
            fd = os.open(self._root + b"/", _OPEN)
        except NotADirectoryError as error:
            raise self._no_directory(error) from error
        return self._remember(b"", Directory(self._root + b"/", fd))

    def _no_directory(self, error: OSError) -> BucketNotFound:
        message = "the root is, or leads through, a file or a dangling link; name a directory, or remove what is there"
        return BucketNotFound(message, store=self._name, cause=error)

    def _open_child(self, parent: Directory, path: bytes, name: bytes, create: bool, mode: int) -> Directory:
        cached = self._cache.get(path)
        if cached is not None and cached.is_named():
            return cached
        try:
            fd = os.open(name, _OPEN, dir_fd=parent.fd)
        except FileNotFoundError:
            if not create:
                raise
            self._make(parent, name, mode)
            fd = os.open(name, _OPEN, dir_fd=parent.fd)
        return self._remember(path, parent.child(os.path.join(self._root, path), fd))

    def _make(self, parent: Directory, name: bytes, mode: int) -> None:
        try:
            os.mkdir(name, mode, dir_fd=parent.fd)
        except FileExistsError:
            return
        if self._durable:
            parent.sync()

    def _remember(self, path: bytes, directory: Directory) -> Directory:
        self._cache.pop(path, None)
        self._cache[path] = directory
        while len(self._cache) > self.keep:
            try:
                self._cache.pop(next(iter(self._cache)), None)
            except (RuntimeError, StopIteration):
                continue  # another thread changed the cache between iter and next
        return directory


def _affordable() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_KEPT if soft == resource.RLIM_INFINITY else max(4, min(MOST_KEPT, soft // 16))
