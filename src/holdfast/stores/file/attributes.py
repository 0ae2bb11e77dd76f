"""What an object is beyond its bytes: ETag, time, and the sidecar that holds attributes and versions.

An object has a sidecar only if it has attributes, or replaced a named version (then its ETag has a random version),
or lies on a file system whose clock is too coarse for a stat ETag. The sidecar is called after the file's
inode and names size and mtime_ns: one that does not match is stale (somebody changed the file by other means) and
ignored. Bound that way, it is written *before* the rename that makes its object appear, so the two become visible
in one step, and no crash can show new bytes with old attributes, or encoded bytes without their encoding.

A file without a sidecar has an ETag made of inode, size, mtime_ns and ctime_ns. That is exact among Holdfast's
writers because each write sets an mtime of its own to the microsecond (see ``stamp``); an editor that changes a
file in place within one tick of the system's clock, and keeps its size, can go unseen.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ...types import ATTRIBUTES, NO_METADATA, ObjectInfo, WriteOptions
from .directories import Directories, Directory
from .locking import flock
from .names import PRIVATE

DIRECTORY = PRIVATE + b"/attributes"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 10**9
_MICROSECOND = 1000
#: The nanoseconds beyond the microsecond in the mtime of an object that was written without a sidecar. Those with one
#: have none, so this is an answer that costs nothing: no valid sidecar exists. Other files are looked up.
BARE = 137
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ETAG = re.compile(r"(?:[0-9a-f]+-[0-9a-f]+-[0-9a-f]+|v-[0-9a-f]{32})-([0-9a-f]+)")
_KEPT = frozenset(ATTRIBUTES) - {"storage_class"}


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A valid sidecar: the version that its object's ETag begins with, and the object's attributes."""

    version: str
    attributes: Mapping[str, Any]


def etag(status: os.stat_result, sidecar: Sidecar | None = None) -> str:
    """The ETag of the file with this status: its version and the ctime, or what its status says.

    Without the ctime, somebody's edit that keeps the size and puts the mtime back would pass for the same version.
    """
    if sidecar is not None:
        return f"{sidecar.version}-{status.st_ctime_ns:x}"
    return f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ctime_ns:x}"


def changed_at(tag: str | None) -> float | None:
    """When the file of this ETag last changed: its ctime (seconds since 1970); None for other ETags."""
    found = _ETAG.fullmatch(tag or "")
    return None if found is None else int(found[1], 16) / 10**9


def describe(key: str, status: os.stat_result, sidecar: Sidecar | None = None) -> ObjectInfo:
    """The object's info."""
    modified = last_modified(status)
    if sidecar is None:
        return ObjectInfo(key, size=status.st_size, etag=etag(status), last_modified=modified)
    return ObjectInfo(
        key, size=status.st_size, etag=etag(status, sidecar), last_modified=modified, **sidecar.attributes
    )


def last_modified(status: os.stat_result) -> datetime | None:
    """The time of the last write, in UTC; None for a file dated outside the years 1 to 9999."""
    try:
        return _EPOCH + timedelta(microseconds=status.st_mtime_ns // _MICROSECOND)
    except OverflowError:
        return None


def stamp(fd: int, replaced: os.stat_result | None, *, bare: bool) -> tuple[os.stat_result, bool]:
    """The file's status under an mtime that no version before it had, and whether the file system kept it.

    Microseconds tell versions apart; the nanoseconds say whether the object is ``bare`` of a sidecar.

    The kernel's own stamps advance in ticks of some milliseconds, and file systems hand a freed inode out again at
    once, so a file replaced twice within a tick could otherwise come back to its first ETag. A clock that
    stands still or was set back a little is overruled by the mtime of the version being replaced.
    """
    moment = time.time_ns() // _MICROSECOND * _MICROSECOND
    before = 0 if replaced is None else replaced.st_mtime_ns // _MICROSECOND * _MICROSECOND
    if moment <= before < moment + _SECOND:
        moment = before + _MICROSECOND
    marked = moment + BARE if bare else moment
    os.utime(fd, ns=(marked, marked))
    status = os.fstat(fd)
    return status, status.st_mtime_ns // _MICROSECOND == moment // _MICROSECOND


def kept_attributes(options: WriteOptions) -> dict[str, Any]:
    """The options' attributes as a sidecar holds them; TypeError for metadata that is not text."""
    attributes: dict[str, Any] = dict(options.attributes())
    if metadata := attributes.get("metadata"):
        for name, value in metadata.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise TypeError(f"metadata maps str to str, not {type(name).__name__} to {type(value).__name__}")
        attributes["metadata"] = dict(metadata)
    return attributes


class Sidecars:
    """The sidecars of one root."""

    def __init__(self, root: bytes, directories: Directories, *, durable: bool) -> None:
        self._path = os.path.join(root, DIRECTORY)
        self._directories = directories
        self._durable = durable
        self.seen = False

    def exist(self) -> bool:
        """Whether any object of this root may have a sidecar: one cheap call, and none once the answer is yes."""
        if not self.seen:
            self.seen = os.access(self._path, os.F_OK)
        return self.seen

    def may_describe(self, status: os.stat_result) -> bool:
        """Whether the file with this status may have a sidecar; cheap, and exact where the answer is no."""
        return status.st_mtime_ns % _MICROSECOND != BARE and (self.seen or self.exist())

    def read(self, status: os.stat_result) -> Sidecar | None:
        """The sidecar of the file with this status, or None: it has none, or a stale one.

        After a miss the caller makes sure that the file is still linked: a writer that replaces a file drops its
        sidecar right after.
        """
        directory = self._open() if self.may_describe(status) else None
        content = None if directory is None else _content(directory, _name(status, directory))
        if content is None or content.get("size") != status.st_size or content.get("mtime_ns") != status.st_mtime_ns:
            return None
        attributes = {name: value for name, value in content.items() if name in _KEPT}
        attributes.setdefault("metadata", NO_METADATA)
        return Sidecar(content["version"], attributes)

    def write(self, status: os.stat_result, attributes: Mapping[str, Any]) -> Sidecar:
        """The sidecar, now written, for a file that is not visible yet."""
        version = f"v-{os.urandom(16).hex()}"
        content = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "version": version, **attributes}
        directory = self._directories.open_private(DIRECTORY, create=True)
        self.seen = True
        guard = directory.open_to_list()
        try:
            # Shared with other writers, not with ``drop_dead``: see there.
            flock(guard, fcntl.LOCK_SH)
            self._create(status, json.dumps(content).encode(), directory)
            flock(guard, fcntl.LOCK_UN)
            if self._durable:
                os.fsync(guard)
        finally:
            os.close(guard)
        return Sidecar(version, {"metadata": NO_METADATA, **attributes})

    def drop(self, status: os.stat_result) -> None:
        """Remove the sidecar of this file, if there is one; its inode must still be open, so that it is its own."""
        if (directory := self._open()) is not None:
            _unlink(directory, _name(status, directory))

    def noted_name(self, status: os.stat_result) -> str:
        """What the sidecar of this file is called, for a later ``drop_dead``."""
        return _name(status, self._directories.open_private(DIRECTORY))

    def drop_dead(self, name: str, version: str) -> None:
        """Remove the sidecar of this name if it still is this version: its object is gone, with its inode.

        That inode may belong to a new file by now, whose writer may be about to write its own sidecar under the
        same name. So this waits until no sidecar is being written, and looks before it removes.
        """
        try:
            directory = self._open()
            guard = -1 if directory is None else directory.open_to_list()
        except FileNotFoundError:
            return  # removed with everything that was in it
        if directory is None:
            return
        try:
            flock(guard, fcntl.LOCK_EX)
            content = _content(directory, name)
            if content is not None and content["version"] == version:
                _unlink(directory, name)
            flock(guard, fcntl.LOCK_UN)
        finally:
            os.close(guard)

    def _open(self) -> Directory | None:
        if not self.exist():
            return None
        try:
            return self._directories.open_private(DIRECTORY)
        except FileNotFoundError:
            return None

    def _create(self, status: os.stat_result, text: bytes, directory: Directory) -> None:
        name = _name(status, directory)
        _unlink(directory, name)  # of an earlier file with this inode, removed by other means
        fd = os.open(name, _CREATE, 0o600, dir_fd=directory.fd)
        try:
            with open(fd, "wb", buffering=0, closefd=False) as file:
                file.write(text)
            os.fchmod(fd, stat.S_IMODE(status.st_mode))
            if self._durable:
                os.fsync(fd)
        except BaseException:
            _unlink(directory, name)
            raise
        finally:
            os.close(fd)


def _name(status: os.stat_result, directory: Directory) -> str:
    if status.st_dev == directory.device:
        return f"{status.st_ino:x}"
    return f"{status.st_ino:x}-{status.st_dev:x}"  # below the root another file system is mounted


def _content(directory: Directory, name: str) -> dict[str, Any] | None:
    try:
        fd = os.open(name, _READ, dir_fd=directory.fd)
    except FileNotFoundError:
        return None
    with open(fd, "rb", buffering=0) as file:
        text = file.read()
    try:
        content = json.loads(text)
    except ValueError:
        return None  # lost in a power failure, before its object could be durable
    return content if isinstance(content, dict) and isinstance(content.get("version"), str) else None


def _unlink(directory: Directory, name: str) -> None:
    try:
        os.unlink(name, dir_fd=directory.fd)
    except FileNotFoundError:
        return
