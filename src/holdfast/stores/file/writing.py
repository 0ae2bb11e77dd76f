"""Writes and removals: prepared out of sight, then done in one step under the key's lock.

The order inside ``Writer.commit`` is what makes a write whole at every moment, also for readers and after a crash:

1. the temporary holds all bytes (and is synced, when durable);
2. the key's lock is taken; what stands there is looked at, and the condition, if any, decided;
3. the temporary gets its mtime, and its sidecar if it needs one;
4. it is renamed into place: bytes, attributes and ETag change in this one step (a create uses link, which also
   loses to a file that somebody made without Holdfast);
5. the sidecar of the version that went is dropped. Its inode is held open until then, so that no other writer can
   be given it, and with it the name of that sidecar, too early.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from ...blob import Buffer, Staged, body_chunks
from ...errors import HoldfastError, IntegrityError, StoreError
from ...keys import printable
from ...types import Body, ObjectInfo, RemoveOptions, WriteOptions
from .attributes import DIRECTORY as ATTRIBUTES
from .attributes import Sidecar, Sidecars, describe, etag, kept_attributes, stamp
from .directories import ATTEMPTS, Directories, Directory
from .failures import (
    ABSENT,
    FULL,
    MISSING_FEATURE,
    Translating,
    already_exists,
    conflict,
    in_the_way,
    no_locks,
    not_found,
)
from .locking import DIRECTORY as LOCKS
from .locking import Block, KeyLock, Locks
from .names import PRIVATE, KeyPath, check, split
from .reading import FileBlob
from .temporaries import Temporaries, Temporary, copy_range

_NOTHING = nullcontext()
_PIN = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK) | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands under a name: its status, and its sidecar if it is an object that has one."""

    status: os.stat_result
    sidecar: Sidecar | None

    @property
    def is_object(self) -> bool:
        """Whether this is a regular file."""
        return stat.S_ISREG(self.status.st_mode)

    @property
    def etag(self) -> str:
        """The version that stands here."""
        return etag(self.status, self.sidecar)


@dataclass(frozen=True, slots=True)
class Change:
    """One write whose key is locked."""

    path: KeyPath
    options: WriteOptions
    attributes: dict[str, Any]
    lock: KeyLock


class Writer:
    """Everything that changes one root."""

    def __init__(self, name: str, directories: Directories, sidecars: Sidecars, *, durable: bool) -> None:
        self._name = name
        self._directories = directories
        self._sidecars = sidecars
        self._durable = durable
        self._temporaries = Temporaries(directories)
        self._locks = Locks(directories)
        self._swept = False

    # ------------------------------------------------------------------ the verbs
    def write(
        self,
        path: KeyPath,
        body: Body | FileBlob,
        options: WriteOptions,
        check: Callable[[], None] | None = None,
    ) -> ObjectInfo:
        """The info of the object that now holds the body; ``check`` may still refuse when all of it was taken."""
        attributes = kept_attributes(options)
        temporary = self._begin(path, options)
        try:
            self._fill(temporary, path, body)
            if check is not None:
                check()
            return self.commit(temporary, path, options, attributes)
        except BaseException:
            temporary.discard()
            raise

    def stage(self, path: KeyPath, size: int, options: WriteOptions) -> StagedFile:
        """A target of this size, its space reserved, to be written in any order."""
        attributes = kept_attributes(options)
        temporary = self._begin(path, options)
        try:
            with self._typed(path, "stage"):
                _reserve(temporary.fd, size)
        except BaseException:
            temporary.discard()
            raise
        return StagedFile(self, temporary, path, size, options, attributes)

    def commit(
        self, temporary: Temporary, path: KeyPath, options: WriteOptions, attributes: dict[str, Any]
    ) -> ObjectInfo:
        """The info of the object that the temporary has become."""
        with self._typed(path, "write"):
            if self._durable:
                os.fsync(temporary.fd)
            try:
                with self._locks.of(path.raw) as lock:
                    if options.conditional and lock.refused is not None:
                        raise no_locks(self._name, "a conditional write", lock.refused)
                    return self._commit(temporary, Change(path, options, attributes, lock))
            except BaseException:
                self.prune(path.directory)
                raise

    def remove(self, path: KeyPath, options: RemoveOptions) -> HoldfastError | None:
        """None once no such object is there, or why not. Its directory stays: see ``prune``."""
        try:
            with self._typed(path, "delete"):
                return self._remove(path, options)
        except HoldfastError as error:
            return error

    def locked(self, path: KeyPath) -> Block:
        """A block that excludes every other such block of the key; any string will do for one."""
        return Block(self._locks.held(path.raw), path.key, self._name, self._sweep_once)

    def abandoned(self) -> Iterator[tuple[bytes, os.stat_result]]:
        """The path below the root, and what the system tells, of every temporary whose writer is gone."""
        return self._temporaries.abandoned()

    def sweep(self, before: float) -> None:
        """Remove the temporaries whose writers are gone and that were last written before this time."""
        self._temporaries.sweep(before)

    def close(self) -> None:
        """Close what is kept open, and remove what only helped to write."""
        if self._swept:
            self._swept = False
            with suppress(OSError):  # what cannot be removed is used by whoever writes next
                self._locks.remove_unused()
            for directory in (self._temporaries.path, ATTRIBUTES, LOCKS, PRIVATE):
                self._directories.prune(directory)
        self._temporaries.close()

    def prune(self, directory: bytes) -> None:
        """Remove this directory and those above it, as far as they are empty."""
        self._directories.prune(directory)

    # ------------------------------------------------------------------ before the lock
    def _begin(self, path: KeyPath, options: WriteOptions) -> Temporary:
        with self._typed(path, "write"):
            if options.conditional:
                # Only to spare the body the trip: what counts is decided under the lock.
                self._check_condition(path, options, self._standing_at(path))
            self._sweep_once()
            return self._temporaries.create()

    def _sweep_once(self) -> None:
        if not self._swept:
            self._swept = True
            self._temporaries.sweep()
            self._locks.recover(self._clean_up_after)

    def _clean_up_after(self, key: str, sidecar: str, version: str) -> None:
        standing = self._standing_at(check(split(key), self._name))
        if standing is None or standing.sidecar is None or standing.sidecar.version != version:
            self._sidecars.drop_dead(sidecar, version)

    def _fill(self, temporary: Temporary, path: KeyPath, body: Body | FileBlob) -> None:
        if isinstance(body, FileBlob):
            start, end = body.extent
            with self._typed(path, "copy to"):
                copied = copy_range(body.fd, temporary.fd, start, end - start)
            if copied < end - start:
                message = f"the source was cut short while it was copied: {copied} of {end - start} bytes"
                raise IntegrityError(message, key=path.key, store=self._name)
        elif isinstance(body, os.PathLike) and (size := _regular_size(body)):
            with open(body, "rb", buffering=0) as file, self._typed(path, "write"):
                copied = copy_range(file.fileno(), temporary.fd, 0, size)
                file.seek(copied)
                for chunk in body_chunks(file):
                    temporary.append(chunk)  # the source grew since it was measured
        else:
            for chunk in body_chunks(body):
                # Only our own writes are typed: an error of the caller's iterator passes as it is.
                with self._typed(path, "write"):
                    temporary.append(chunk)

    # ------------------------------------------------------------------ under the lock
    def _commit(self, temporary: Temporary, change: Change) -> ObjectInfo:
        placed = temporary
        path = change.path
        try:
            for _ in range(ATTEMPTS):
                parent = self._directories.open(path.directory, create=True)
                try:
                    return self._place(placed, parent, change)
                except HoldfastError:
                    raise
                except FileNotFoundError:
                    continue  # somebody's delete removed the directory, which was empty until now
                except OSError as error:
                    if error.errno != errno.EXDEV or placed is not temporary:
                        raise
                    placed = self._temporaries.create_beside(temporary, parent, path.directory)
        finally:
            if placed is not temporary:
                placed.discard()
                temporary.discard()
        message = f"cannot write {printable(path.key)!r}: its directory keeps being removed; try again"
        raise StoreError(message, key=path.key, store=self._name, retryable=True)

    def _place(self, temporary: Temporary, parent: Directory, change: Change) -> ObjectInfo:
        path, options = change.path, change.options
        standing = self._standing(parent, path)
        if standing is not None and stat.S_ISDIR(standing.status.st_mode):
            raise in_the_way(path.key, self._name)
        self._check_condition(path, options, standing)
        if options.if_absent and standing is not None:
            raise already_exists(path.key, self._name)  # no object, but a symlink, say, which a rename would destroy
        # A create needs no version beyond its mtime, which no object of this name had before: and with one, each file
        # of a tree that is synced would have a sidecar.
        bare = not change.attributes and options.if_match is None
        status, exact = stamp(temporary.fd, None if standing is None else standing.status, bare=bare)
        sidecar = None
        if not (bare and exact):
            sidecar = self._sidecars.write(status, change.attributes)
        else:
            self._sidecars.drop(status)  # of an earlier file with this inode, removed by other means
        try:
            if self._durable:
                os.fsync(temporary.fd)
            with self._dropping_sidecar(parent, path, standing, change.lock) if standing is not None else _NOTHING:
                self._rename(temporary, parent, path, create=options.if_absent)
        except BaseException:
            # An interrupt may come when the rename is done already: then the sidecar is needed.
            if not _is_at(status, parent, path):
                self._sidecars.drop(status)
            raise
        if self._durable:
            parent.sync()
        return describe(path.key, os.fstat(temporary.fd), sidecar)

    def _rename(self, temporary: Temporary, parent: Directory, path: KeyPath, *, create: bool) -> None:
        source = temporary.directory.fd
        if create:
            try:
                os.link(temporary.name, path.name, src_dir_fd=source, dst_dir_fd=parent.fd, follow_symlinks=False)
                temporary.discard()
                return
            except FileExistsError as error:
                raise already_exists(path.key, self._name, error) from error
            except OSError as error:
                if error.errno not in MISSING_FEATURE:
                    raise  # without hard links the lock still excludes every other Holdfast writer
        os.rename(temporary.name, path.name, src_dir_fd=source, dst_dir_fd=parent.fd)

    @contextmanager
    def _dropping_sidecar(self, parent: Directory, path: KeyPath, standing: Standing, lock: KeyLock) -> Iterator[None]:
        """A block that makes what stands here disappear; then its sidecar goes too."""
        if not standing.is_object or not self._sidecars.may_describe(standing.status):
            yield
            return
        pin = os.open(path.name, _PIN, dir_fd=parent.fd)
        try:
            status = os.fstat(pin)
            if standing.sidecar is not None:
                if note := lock.noted():
                    self._clean_up_after(*note)
                self._note(lock, path.key, status, standing.sidecar.version)
            yield
            if status.st_nlink == 1:
                self._sidecars.drop(status)
            if standing.sidecar is not None:
                lock.clear()
        finally:
            os.close(pin)

    def _note(self, lock: KeyLock, key: str, status: os.stat_result, version: str) -> None:
        try:
            lock.note(key, self._sidecars.noted_name(status), version)
        except OSError as error:
            # A full disk must not keep anybody from deleting: at worst, after a crash, a dead sidecar stays.
            if error.errno not in FULL:
                raise

    def _remove(self, path: KeyPath, options: RemoveOptions) -> HoldfastError | None:
        if self._standing_at(path) is None:
            return not_found(path.key, self._name) if options.must_exist else None
        self._sweep_once()
        with self._locks.of(path.raw) as lock:
            standing = self._standing_at(path)
            if standing is None:
                return not_found(path.key, self._name) if options.must_exist else None
            if options.if_match is not None and lock.refused is not None:
                raise no_locks(self._name, "a conditional delete", lock.refused)
            if options.if_match is not None and options.if_match != standing.etag:
                raise conflict(path.key, self._name, options.if_match)
            parent = self._directories.open(path.directory)
            with self._dropping_sidecar(parent, path, standing, lock):
                os.unlink(path.name, dir_fd=parent.fd)
        if self._durable:
            parent.sync()
        return None

    # ------------------------------------------------------------------ looking
    def _standing_at(self, path: KeyPath) -> Standing | None:
        """The object under this key, or None: nothing is there, or something that is no object."""
        try:
            standing = self._standing(self._directories.open(path.directory), path)
        except OSError as error:
            if error.errno not in ABSENT:
                raise
            return None
        return standing if standing is not None and standing.is_object else None

    def _standing(self, parent: Directory, path: KeyPath) -> Standing | None:
        try:
            status = os.stat(path.name, dir_fd=parent.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        regular = stat.S_ISREG(status.st_mode)
        return Standing(status, self._sidecars.read(status) if regular else None)

    def _check_condition(self, path: KeyPath, options: WriteOptions, standing: Standing | None) -> None:
        found = standing if standing is not None and standing.is_object else None
        if options.if_absent and found is not None:
            raise already_exists(path.key, self._name)
        if options.if_match is not None and (found is None or found.etag != options.if_match):
            raise conflict(path.key, self._name, options.if_match)

    def _typed(self, path: KeyPath, doing: str) -> Translating:
        return Translating(path.key, self._name, doing)


class StagedFile(Staged):
    """A temporary of known size whose parts arrive in any order, from any threads."""

    def __init__(
        self,
        writer: Writer,
        temporary: Temporary,
        path: KeyPath,
        size: int,
        options: WriteOptions,
        attributes: dict[str, Any],
    ) -> None:
        self._writer = writer
        self._temporary: Temporary | None = temporary
        self._path = path
        self._size = size
        self._options = options
        self._attributes = attributes
        self._written: list[tuple[int, int]] = []

    def write_at(self, offset: int, data: Buffer) -> None:
        """Store the bytes at this offset; ValueError outside the size, or after commit or abort."""
        temporary = self._open()
        end = offset + memoryview(data).nbytes
        if offset < 0 or end > self._size:
            raise ValueError(f"bytes {offset} to {end} lie outside the staged size of {self._size}")
        with self._writer._typed(self._path, "write"):
            temporary.write_at(offset, data)
        self._written.append((offset, end))

    def commit(self) -> ObjectInfo:
        """The info of the object, now there; IntegrityError if some bytes were never written."""
        temporary = self._open()
        reached = 0
        for start, end in sorted(self._written):
            if start > reached:
                break
            reached = max(reached, end)
        if reached < self._size:
            self.abort()
            message = f"only the first {reached} of {self._size} bytes were all written: nothing is stored"
            raise IntegrityError(message, key=self._path.key)
        try:
            return self._writer.commit(temporary, self._path, self._options, self._attributes)
        finally:
            self.abort()

    def abort(self) -> None:
        """Forget everything that was written."""
        temporary, self._temporary = self._temporary, None
        if temporary is not None:
            temporary.discard()

    def _open(self) -> Temporary:
        if self._temporary is None:
            raise ValueError(f"the staged object {printable(self._path.key)!r} is committed or aborted already")
        return self._temporary


def _is_at(status: os.stat_result, parent: Directory, path: KeyPath) -> bool:
    try:
        found = os.stat(path.name, dir_fd=parent.fd, follow_symlinks=False)
    except OSError:
        return False
    return found.st_ino == status.st_ino and found.st_dev == status.st_dev


def _reserve(fd: int, size: int) -> None:
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(fd, 0, size)
            return
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
    os.ftruncate(fd, size)


def _regular_size(path: os.PathLike[str]) -> int:
    status = os.stat(path)
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
