"""``FileStore``: objects as plain files below a root directory, exact and whole, for Linux and macOS.

A key's path is the object's path: ``a/b`` is ROOT/a/b, readable by every other program. What a plain file cannot say
lies in ROOT/.holdfast (temporaries, locks, and sidecars of the objects that have attributes), which is made by the
first write; reading makes nothing.

Symlinks below the root are never followed: a symlink, like a socket or a device, is no object, and a put replaces the
link itself. Keys that a tree cannot keep apart (``a//b``, ``a/``, ``..``, names above 255 bytes) are InvalidKey; a
key whose path is taken by a directory, or leads through a file, is PathConflict. On a file system that folds case or
normalises Unicode (macOS by default), keys that differ only in that are one file.

Writes are old-or-new for readers and after a crash; after a power failure with ``durable=True``. Conditional writes
are exact between all threads and processes that use Holdfast, on every file system with ``flock``; without it they
raise Unsupported.

``close()`` removes from ROOT/.holdfast what only helps to write: lock files that nobody holds, and directories that are
empty, so that of a store without attributes plain files are all that stays. A store that is never closed leaves up to
128 empty lock files, which the next one uses or removes.

All of this rests on openat and O_NOFOLLOW. Where Python lacks them (Windows) constructing a FileStore raises
Unsupported, because a path walk without them could be led out of the root.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from ...blob import Blob, BytesBlob, Staged
from ...errors import ConfigError, Conflict, HoldfastError, InvalidKey, NotFound
from ...keys import check as check_key
from ...redact import url as redacted
from ...store import HEAD, LIST, READ, REMOVE, WRITE, ObjectStore, Removed, Store, select, stream_copy
from ...types import (
    Body,
    Capabilities,
    ListOptions,
    Location,
    ObjectInfo,
    ReadOptions,
    RemoveOptions,
    WriteOptions,
)
from .attributes import DIRECTORY as ATTRIBUTES_DIRECTORY
from .attributes import Sidecar, Sidecars, describe, etag
from .directories import ATTEMPTS, Directories, Directory
from .failures import ABSENT, Translating, conflict, not_found, translate
from .listing import Lister
from .names import FAITHFUL, PRIVATE, KeyPath, check, split
from .reading import FileBlob, HeadBlob
from .writing import Writer

VENDOR = "file"
_RESERVED = PRIVATE.decode()
_KIND, _REGULAR = 0o170000, stat.S_IFREG  # S_ISREG in place, because small reads are counted in nanoseconds
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: So many files of a listing are looked at, at most, before it is asked whether there are sidecars.
LISTED = 64
_CAPABILITIES = Capabilities(
    listing=True,
    sorted=True,
    ranges=True,
    metadata=True,
    create=True,
    replace_if=True,
    delete_if=True,
    copy=True,
    atomic_write=True,
    write=True,
)


class FileStore(Store):
    """Objects as the files below ``root``, which the first write creates.

    With ``durable`` a write returns only when it would survive a power failure (some milliseconds each); without,
    it survives the end of this process. One store may be used by any number of threads, and after a fork; it
    pickles as its root.

    >>> import tempfile
    >>> root = tempfile.TemporaryDirectory()
    >>> store = FileStore(root.name)
    >>> info = store.put("a/b", b"hello")
    >>> store.get("a/b"), [row.key for row in store.list("a")]
    (b'hello', ['a/b'])
    >>> root.cleanup()
    """

    name: str = "file://"
    #: Rows of listings tell every attribute that a head tells.
    lists_attributes = True

    def __init__(self, root: str | os.PathLike[str], *, durable: bool = False) -> None:
        self.root = os.path.abspath(os.fspath(root))
        self.durable = durable
        if "\0" in self.root or not os.fspath(root):
            raise ConfigError(f"{root!r} is not the path of a directory")
        self.name = redacted(f"file://{self.root}")
        raw_root = os.fsencode(self.root)
        self._directories = Directories(raw_root, self.name, durable=durable)
        self._sidecars = Sidecars(raw_root, self._directories, durable=durable)
        self._writer = Writer(self.name, self._directories, self._sidecars, durable=durable)
        self._lister = Lister(self._directories)
        self._folders: dict[str, Directory] = {}

    @classmethod
    def root_of(cls, directory: str) -> tuple[str, str]:
        """The root of the store that this directory belongs to, and its place below that root ("" if it is one).

        Attributes of files (their content encoding above all) are kept at the root of the store that wrote them. So a
        directory below one where attributes are kept belongs to that root, unless a symlink lies between, which a
        store would not follow, or another user's store; any other directory is a root itself.
        """
        directory = os.path.abspath(directory)
        root = directory
        while not keeps_attributes(root):
            above = os.path.dirname(root)
            if above == root or os.path.islink(root):
                return directory, ""
            root = above
        return root, os.path.relpath(directory, root) if root != directory else ""

    def __repr__(self) -> str:
        return f"FileStore({self.root!r}{', durable=True' if self.durable else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.root, self.durable)

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    @property
    def local(self) -> bool:
        return True

    @property
    def remove_batch(self) -> int:
        return 1000

    def close(self) -> None:
        """Close the directories kept open, and remove what writing left in .holdfast; the store stays usable."""
        self._folders.clear()
        self._writer.close()
        self._directories.clear()

    def locked(self, key: str) -> AbstractContextManager[None]:
        """A block that no other thread, process or store of this root enters for the same key at the same time.

        It excludes other ``locked`` blocks, not the verbs: those may be used inside, and by others meanwhile. So it
        makes several verbs one step for everybody who asks for it. The key may be any string. A thread may enter it
        again; whoever enters it for two keys, and others in another order, can wait for ever. Needs to write below the
        root; raises Unsupported on a file system without ``flock``.

        >>> import tempfile
        >>> root = tempfile.TemporaryDirectory()
        >>> store = FileStore(root.name)
        >>> with store.locked("counter"):
        ...     count = int(store.get("counter")) if store.exists("counter") else 0
        ...     info = store.put("counter", b"%d" % (count + 1))
        >>> store.get("counter")
        b'1'
        >>> root.cleanup()
        """
        return self._writer.locked(split(key))

    # ------------------------------------------------------------------ the verbs
    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        # The short way for whole objects, and their heads, whose directory is open. Whatever is out of the ordinary,
        # down to a name that is no name, fails or falls through here, and is sorted out by the long way.
        folder, _, name = key.rpartition("/")
        # Of "/a" the folder is "" too, and it is no key; "a/" has no name.
        directory = self._folders.get(folder) if name and (folder or name == key) else None
        if directory is None or (options is not READ and options is not HEAD) or _RESERVED in name:
            return self._read_any(key, options)
        fd = -1
        try:
            if not directory.is_current():
                return self._read_any(key, options)
            if options is HEAD:
                status = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
            else:
                fd = os.open(name, _OPEN, dir_fd=directory.fd)
                status = os.fstat(fd)
        except FileNotFoundError as error:
            raise not_found(key, self.name, error) from error
        except (OSError, ValueError):
            return self._read_any(key, options)
        if status.st_mode & _KIND != _REGULAR or self._sidecars.may_describe(status):
            if fd >= 0:
                os.close(fd)
            return self._read_any(key, options)
        return HeadBlob(key, status, None) if fd < 0 else FileBlob(key, self.name, fd, status, None, 0, status.st_size)

    def _read_any(self, key: str, options: ReadOptions) -> Blob:
        try:
            directory, name = self._parent(key)
            if options.head:
                return BytesBlob(self._head(key, directory, name, options))
            for _ in range(ATTEMPTS):
                blob = self._open(key, directory, name, options)
                if blob is not None:
                    return blob
        except HoldfastError:
            raise
        except OSError as error:
            if error.errno in ABSENT:
                raise not_found(key, self.name, error) from error
            raise translate(error, key, self.name, "read") from error
        raise Conflict("the object is being replaced faster than it can be opened", key=key, store=self.name)

    def _present(self, keys: Iterable[str]) -> Iterator[str]:
        """Those of these keys, of one directory, under which anything may be; one call of the system for each."""
        directory: Directory | None = None
        for number, key in enumerate(keys):
            folder, _, name = key.rpartition("/")
            if number == 0 and name and (folder or name == key):
                directory = self._folders.get(folder)
                if directory is not None and not directory.is_current():
                    directory = None
            # What is no key passes: whoever looks at it will be told, as of every error but this one.
            if directory is not None and _RESERVED not in name:
                try:
                    os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except (OSError, ValueError):
                    pass
            yield key

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        return self._writer.write(self._path(key, options), body, options)

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        if options.if_match is not None and len(keys) != 1:
            raise ValueError("a delete with if_match takes exactly one key")
        removed: Removed = []
        emptied: set[bytes] = set()
        for key in keys:
            try:
                path = check(split(key), self.name)
            except InvalidKey as error:
                removed.append(error)
                continue
            removed.append(self._writer.remove(path, options))
            emptied.add(path.directory)
        for directory in emptied:
            self._writer.prune(directory)
        return removed

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        if options.start_after:
            check_key(options.start_after, self.name)
        with Translating(None, self.name, "list"):
            if options.delimiter in (None, "", "/"):
                # Where nothing has a sidecar, names are all that there is to tell, but for what a look at each costs.
                infos = self._names if options.names_only and not self._sidecars.exist() else self._infos
                yield from infos(options.prefix, options.start_after, rolled=options.delimiter == "/")
            else:
                yield from select(self._infos(options.prefix, None, rolled=False), options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        location = source._locate(src)
        if location is None or location.vendor != VENDOR:
            return stream_copy(source, src, self, dst, options)
        path = self._path(dst, options)
        version = options.source_if_match

        def check() -> None:
            """Raise Conflict if somebody has written to the file meanwhile: then the copy may be of no version."""
            if version is not None:
                source._read(src, ReadOptions(head=True, if_match=version)).close()

        with source._read(src, ReadOptions(if_match=version)) as blob:
            body = blob if isinstance(blob, FileBlob) else blob.chunks()
            return self._writer.write(path, body, _with_attributes_of(blob.info, options), check)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        return self._writer.stage(self._path(key, options), size, options)

    def _locate(self, key: str) -> Location | None:
        return Location(VENDOR, "", self.root, key)

    def passed_over(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """What no listing tells of because it is no file: each key, and whether it is a symlink; in no order."""
        with Translating(None, self.name, "list"):
            yield from self._lister.others(prefix)

    # ------------------------------------------------------------------ what dead writers left
    def abandoned(self) -> Iterator[tuple[str, int, float]]:
        """Path, size in bytes and time of the last write of each temporary file whose writer is gone.

        They are in nobody's way: whoever writes to this store next removes them. Nothing is changed here.
        """
        for path, status in self._writer.abandoned():
            yield os.path.join(self.root, os.fsdecode(path)), status.st_size, status.st_mtime

    def sweep(self, before: float) -> None:
        """Remove those that were last written before this time (seconds since 1970)."""
        self._writer.sweep(before)

    # ------------------------------------------------------------------ reading
    def _parent(self, key: str) -> tuple[Directory, bytes]:
        """The open directory of the key's file, and the file's name."""
        path = check(split(key), self.name)
        directory = self._directories.open(path.directory)
        if FAITHFUL:
            if len(self._folders) >= self._directories.keep:
                self._folders.clear()
            self._folders[key[: key.rfind("/")] if path.directory else ""] = directory
        return directory, path.name

    def _open(self, key: str, directory: Directory, name: bytes, options: ReadOptions) -> FileBlob | None:
        """The opened file, or None if it was replaced before its sidecar was seen: then open the new one."""
        fd = os.open(name, _OPEN, dir_fd=directory.fd)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise not_found(key, self.name)
            sidecar = None
            if self._sidecars.may_describe(status):
                sidecar = self._sidecars.read(status)
                if sidecar is None and os.fstat(fd).st_nlink == 0:
                    os.close(fd)
                    return None
            self._check_match(key, status, sidecar, options)
            start, end = 0, status.st_size
            if options.ranged:
                start, end, _ = slice(options.start, options.end).indices(end)
            return FileBlob(key, self.name, fd, status, sidecar, start, max(start, end))
        except BaseException:
            os.close(fd)
            raise

    def _head(self, key: str, directory: Directory, name: bytes, options: ReadOptions) -> ObjectInfo:
        for _ in range(ATTEMPTS):
            status = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                raise not_found(key, self.name)
            sidecar = self._sidecars.read(status)
            if sidecar is None and self._sidecars.may_describe(status):
                again = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
                # The inode alone would not tell: nothing holds it here, so a later version may have it again.
                if etag(status) != etag(again):
                    continue  # replaced in between, so a sidecar may have been missed
            self._check_match(key, status, sidecar, options)
            return describe(key, status, sidecar)
        raise Conflict("the object is being replaced faster than it can be looked at", key=key, store=self.name)

    def _check_match(self, key: str, status: os.stat_result, sidecar: Sidecar | None, options: ReadOptions) -> None:
        if options.if_match is not None and options.if_match != etag(status, sidecar):
            raise conflict(key, self.name, options.if_match)

    # ------------------------------------------------------------------ helpers
    def _path(self, key: str, options: WriteOptions) -> KeyPath:
        if options.storage_class:
            raise self._unsupported("a write", "storage_class", "files have none; leave it out")
        return check(split(key), self.name)

    def _infos(self, prefix: str, start_after: str | None, *, rolled: bool) -> Iterator[ObjectInfo]:
        rows = self._lister.rows(prefix, start_after, rolled=rolled)
        count = 1  # who wants one row does not pay for many
        while batch := list(itertools.islice(rows, count)):
            count = min(2 * count, LISTED)
            # Asked once for all of them, after they were looked at: a file that had a sidecar then had it before.
            some = self._sidecars.exist()
            for key, status in batch:
                if status is None:
                    yield ObjectInfo(key, is_prefix=True)
                    continue
                bare = not (some and self._sidecars.may_describe(status))
                sidecar = None if bare else self._sidecars.read(status)
                if bare or sidecar is not None:
                    yield describe(key, status, sidecar)
                elif (info := self._looked_at_again(key, status)) is not None:
                    yield info

    def _names(self, prefix: str, start_after: str | None, *, rolled: bool) -> Iterator[ObjectInfo]:
        rows = self._lister.rows(prefix, start_after, rolled=rolled, names_only=True)
        count = 1
        while batch := list(itertools.islice(rows, count)):
            count = min(2 * count, LISTED)
            # Asked after the names were read: what had a sidecar when it was listed is looked at, as by ``_infos``.
            some = self._sidecars.exist()
            for key, _ in batch:
                if key.endswith("/"):
                    yield ObjectInfo(key, is_prefix=True)
                elif not some:
                    yield ObjectInfo(key)
                elif (info := self._looked_at_again(key, None)) is not None:
                    yield info

    def _looked_at_again(self, key: str, status: os.stat_result | None) -> ObjectInfo | None:
        """The info of a listed file, which may have lost its sidecar to a writer just now; None if it is gone.

        ``status`` is what was seen of it before, if anything: while that still holds, it has none.
        """
        try:
            directory, name = self._parent(key)
            if status is not None and etag(os.stat(name, dir_fd=directory.fd, follow_symlinks=False)) == etag(status):
                return describe(key, status)
            return self._head(key, directory, name, HEAD)
        except NotFound:
            return None
        except OSError as error:
            if error.errno not in ABSENT:
                raise
            return None


def _with_attributes_of(info: ObjectInfo, options: WriteOptions) -> WriteOptions:
    kept = info.attributes()
    return replace(options, **{**kept, **options.attributes()}) if kept else options


def keeps_attributes(directory: str) -> bool:
    """Whether this user's stores keep attributes of files in this directory, which makes it a root."""
    try:
        # Somebody else's, in a directory that all may write to, has nothing to say about our files.
        return os.stat(os.path.join(os.fsencode(directory), ATTRIBUTES_DIRECTORY)).st_uid == os.geteuid()
    except OSError:
        return False


def _rebuild(kind: type[FileStore], root: str, durable: bool) -> FileStore:
    return kind(root, durable=durable)
