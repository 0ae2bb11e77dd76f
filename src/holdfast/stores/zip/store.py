"""``ZipStore``: objects as the members of one zip archive, which other programs can read while nobody writes to it.

To Holdfast the archive is whole at every moment. Programs that do not take its lock can meet a commit: then they find
no end record, or a directory that changes as they read it, and should try again (for a directory of 500 kB and one
process that writes without a pause that were three of four tries). A kill in the middle can leave it so, if the
directory has more than some 64 KiB or the new members have: until Holdfast reads or writes the archive the next time,
which needs write permission.

Members are added and never replaced or deleted: a put under an existing key is AlreadyExists (a KeyError), a delete
Unsupported. Each acknowledged put is in an archive that is whole on disk; whoever is killed, or fills the disk, leaves
every acknowledged member (see ``appending``; ``durable=True`` holds over a power failure too). One process writes at a
time, the others wait; puts that come together, from any threads, share one new directory. It is written with every
commit, so a hundred thousand puts one by one cost more than ``put_many`` of them.

Reading goes by a directory that is parsed once and again when the archive has changed, and by position in the file, so
threads do not wait for each other. Stored and deflated members are read, of any size (zip64), each checked against its
length and checksum. What an archive says of itself is not believed: members that overlap, names that several have,
sizes that cannot be are IntegrityErrors. Any name is a key here, also "../x"; a store of files refuses to hold that.
Bytes under a key that ends in "/" are kept, but ``unzip`` makes an empty directory of it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from ...blob import Blob, Buffer, BytesBlob, body_chunks
from ...errors import (
    AlreadyExists,
    ConfigError,
    Conflict,
    HoldfastError,
    IntegrityError,
    InvalidKey,
    NotFound,
    Timeout,
    Unsupported,
)
from ...keys import check as check_key
from ...keys import printable
from ...redact import url as redacted
from ...store import LIST, READ, REMOVE, WRITE, ObjectStore, Removed, Store, select, stream_copy
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
from .._gather import gather
from .._group import Change, GroupCommit
from ..file.failures import MISSING_FEATURE, translate
from . import directory, records
from .appending import Append, Pending
from .directory import Directory
from .locking import exclusive, shared
from .reading import Archive, Handle, describe, etag, opened
from .records import Malformed

VENDOR = "zip"
_CAPABILITIES = Capabilities(listing=True, sorted=True, ranges=True, create=True, atomic_write=True, write=True)
_EMPTY = records.pack_end(0, 0, 0, 0, b"")
_LEVEL = 6


class ZipStore(Store):
    """The members of the zip archive at ``path``, which the first put creates.

    New members are ``compression="stored"`` as they are or ``"deflated"``. Any number of threads and processes may
    use it. ``timeout`` is for how many seconds an operation waits for other processes before it raises Timeout.
    ``close()``, or the end of a ``with`` block, closes the archive, and the next use opens it again. It pickles
    as its path.

    >>> import tempfile
    >>> temporary = tempfile.TemporaryDirectory()
    >>> with ZipStore(temporary.name + "/objects.zip") as store:
    ...     info = store.put("a/b", b"hello")
    ...     print(store.get("a/b"), list(store.keys("a")))
    b'hello' ['a/b']
    >>> temporary.cleanup()
    """

    name: str = "zip://"
    #: Rows of listings tell every attribute that a head tells.
    lists_attributes = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        compression: Literal["stored", "deflated"] = "stored",
        durable: bool = False,
        timeout: float = 60.0,
    ) -> None:
        given = os.fspath(path)
        if not given or "\0" in given:
            raise ConfigError(f"{given!r} is not the path of an archive")
        if compression not in {"stored", "deflated"}:
            raise ConfigError(f"compression={compression!r}: it is 'stored' or 'deflated'")
        if isinstance(timeout, bool) or not isinstance(timeout, int | float):
            raise ConfigError(f"timeout={timeout!r}: it is a number of seconds")
        self.path = os.path.abspath(given)
        self._path = os.fsencode(self.path)  # spares every read the encoding
        self.compression = compression
        self.durable = durable
        self.timeout = timeout
        self.name = redacted(f"zip://{self.path}")
        self._opened: Archive | None = None
        self._appending = False
        self._writers = GroupCommit(self._commit)

    def __repr__(self) -> str:
        options = f", compression={self.compression!r}" if self.compression != "stored" else ""
        return f"ZipStore({self.path!r}{options}{', durable=True' if self.durable else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.path, self.compression, self.durable, self.timeout)

    @property
    def capabilities(self) -> Capabilities:
        """Listing in order, ranges, whole writes and creates; no attributes, no replacing."""
        return _CAPABILITIES

    def close(self) -> None:
        """Close the archive, once no read uses it any more; the store stays usable."""
        self._opened = None

    def put_many(self, items: Iterable[tuple[str, Body]]) -> Iterator[ObjectInfo]:
        """The info of each (key, body) once it is in the archive, up to 1,000 of them or 16 MiB at a time.

        AlreadyExists is raised after all of its batch that are new have been stored.
        """
        batch: list[_Put] = []
        weight = 0
        try:
            for key, body in items:
                batch.append(self._prepared(check_key(key, self.name), body))
                weight += batch[-1].weight
                if len(batch) == GroupCommit.MOST or weight >= GroupCommit.BYTES:
                    yield from self._put_all(batch)
                    batch, weight = [], 0
            yield from self._put_all(batch)
            batch = []
        finally:
            for put in batch:
                put.close()

    # ------------------------------------------------------------------ the verbs
    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        archive = self._archive(key)
        entry = None if archive is None else archive.directory.members.get(key)
        if archive is None or entry is None:
            raise NotFound(f"no object {printable(key)!r}", key=key, store=self.name)
        if options is not READ:
            if options.if_match not in {None, etag(entry)}:
                message = f"object {printable(key)!r} is not the version {options.if_match!r}: it is {etag(entry)!r}"
                raise Conflict(message, key=key, store=self.name)
            if options.head:
                return BytesBlob(describe(key, entry))
        try:
            return opened(archive, key, entry, options)
        except OSError as error:
            raise translate(error, key, self.name, "read") from error

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        if options.if_match is not None:
            raise self._unsupported("a write", "if_match", "members of an archive are never replaced")
        for attribute in options.attributes():
            raise self._unsupported("a write", attribute, "members of an archive have no attributes")
        (info,) = self._put_all([self._prepared(key, body)])
        return info

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        refused = self._unsupported("a delete", cure="members of an archive stay; write a new one without them")
        return [Unsupported(refused.message, key=key, store=self.name) for key in keys]

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        archive = self._archive(None)
        if archive is None:
            return iter(())
        members = archive.directory.members
        rows = (describe(key, members[key]) for key in archive.directory.order(options.prefix, options.start_after))
        return select(rows, options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        return stream_copy(source, src, self, dst, options)

    def _locate(self, key: str) -> Location:
        return Location(VENDOR, "", os.path.realpath(self.path), key)

    # ------------------------------------------------------------------ the archive
    def _archive(self, key: str | None) -> Archive | None:
        """The archive as it is now, or None if there is none."""
        try:
            status = os.stat(self._path)
            archive = self._opened
            # As _version has it, but not in a call: this is in the way of every read.
            version = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            if archive is None or archive.version != version:
                if archive is not None and self._appending and key in archive.directory.members:
                    return archive  # changed by ourselves just now, and members stay where they are
                archive = self._opened = self._open()
            return archive
        except FileNotFoundError:
            return None
        except HoldfastError:  # some of ours are OSErrors too
            raise
        except OSError as error:
            raise translate(error, key, self.name, "open the archive") from error

    def _open(self) -> Archive:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        handle = Handle(descriptor)
        with shared(descriptor, self.name, self.timeout):
            version = _version(os.fstat(descriptor))
            parsed = self._parsed(descriptor)
        if parsed.hidden:
            self._uncover(version, parsed)
        return Archive(handle, parsed, version, self.name)

    def _uncover(self, version: tuple[int, ...], parsed: Directory) -> None:
        """Cut off what a killed writer left behind the directory, if that may be done and nobody is at it."""
        with contextlib.suppress(OSError, Timeout), exclusive(self.path, self.name, 0) as descriptor:
            if _version(os.fstat(descriptor)) == version:
                os.ftruncate(descriptor, parsed.end.stop)

    def _parsed(self, descriptor: int) -> Directory:
        try:
            return directory.read(descriptor)
        except (Malformed, UnicodeDecodeError) as error:
            message = f"this is no sound zip archive: {error}"
            raise IntegrityError(message, store=self.name, cause=error, retryable=False) from error

    # ------------------------------------------------------------------ appending
    def _prepared(self, key: str, body: Body) -> _Put:
        """What will be appended, made ready before anybody has to wait for it."""
        try:
            name = key.encode()
        except UnicodeEncodeError as error:
            message = f"key {printable(key)!r} is no valid Unicode, and an archive's names are nothing else"
            raise InvalidKey(message, key=key, store=self.name) from error
        if len(name) > records.LONGEST_NAME or b"\0" in name:
            message = f"key {printable(key)[:80]!r} has a NUL or more than {records.LONGEST_NAME} bytes"
            raise InvalidKey(f"{message}: other programs would cut it off there", key=key, store=self.name)
        return _Put(key, name, body, self.name, deflated=self.compression == "deflated")

    def _put_all(self, puts: list[_Put]) -> list[ObjectInfo]:
        try:
            self._writers.perform(puts)
        except OSError as error:
            if isinstance(error, HoldfastError):
                raise
            key = puts[0].key if len(puts) == 1 else None
            raise translate(error, key, self.name, "append") from error
        finally:
            for put in puts:
                put.close()
        for put in puts:
            if put.error is not None:
                raise put.error
        return [put.info for put in puts]

    def _commit(self, batch: Sequence[Change[Append]]) -> None:
        """Append the members together; they are done when the archive's new directory is the only one."""
        self._be_there()
        try:
            with exclusive(self.path, self.name, self.timeout) as descriptor:
                status = os.fstat(descriptor)
                if not os.path.samestat(status, os.stat(self.path)):
                    raise Conflict("another program replaced the archive just now; try again", store=self.name)
                archive = self._opened
                if archive is None or archive.version != _version(status):
                    handle = Handle(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC))
                    archive = Archive(handle, self._parsed(descriptor), _version(status), self.name)
                parsed = archive.directory
                if parsed.append_at is None:
                    parsed.append_at = directory.append_at(descriptor, parsed)
                append = Append(descriptor, parsed, parsed.append_at, self.name, durable=self.durable)
                for change in batch:
                    change.attempt(append)
                self._appending = True
                try:
                    append.commit()
                finally:
                    for change in batch:
                        change.done = append.landed
                self._opened = Archive(archive.handle, parsed, _version(os.fstat(descriptor)), self.name)
        finally:
            self._appending = False

    def _be_there(self) -> None:
        """Make an empty archive at the path if there is none: whole from the first moment on."""
        if os.path.exists(self._path):
            return
        path = os.path.realpath(self.path)  # a link may lead to where there is nothing yet
        parent = os.path.dirname(path)
        make_directories(parent, durable=self.durable)
        temporary = os.path.join(parent, f".{os.path.basename(path)[:100]}.{secrets.token_hex(8)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            os.write(descriptor, _EMPTY)
            if self.durable:
                os.fsync(descriptor)
            with contextlib.suppress(FileExistsError):  # somebody else was faster
                _link(temporary, path)
        finally:
            os.close(descriptor)
            os.unlink(temporary)
        if self.durable:
            sync_directory(parent)


def _link(temporary: str, path: str) -> None:
    """Give the file its name, if nobody else has it."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in MISSING_FEATURE:
            raise
        # No hard links there; and a file without any bytes is an empty archive for us too.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))


def make_directories(path: str, *, durable: bool) -> None:
    """Make the directory and those above it; ``durable`` so that a power failure takes none of them."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    make_directories(parent, durable=durable)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
    if durable:
        sync_directory(parent)


def sync_directory(path: str) -> None:
    """Return when what the directory has would survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Put(Change[Append]):
    """One member to append."""

    info: ObjectInfo

    def __init__(self, key: str, name: bytes, body: Body, store: str, *, deflated: bool) -> None:
        self.key = key
        self.store = store
        self._crc = self._size = 0
        whole = isinstance(body, bytes | bytearray | memoryview)
        self._body = gather(body if whole and not deflated else self._seen(body, deflated=deflated), store)
        if whole and not deflated:
            self._crc, self._size = zlib.crc32(self._body.data or b""), self._body.size
        self.weight = self._body.size
        method = records.DEFLATED if deflated else records.STORED
        self._packed = records.pack(name, method, self._crc, self._body.size, self._size)

    def _seen(self, body: Body, *, deflated: bool) -> Iterator[Buffer]:
        """The body as it is stored, while its length and checksum are taken."""
        deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS) if deflated else None
        for chunk in body_chunks(body):
            self._crc = zlib.crc32(chunk, self._crc)
            self._size += memoryview(chunk).nbytes
            yield chunk if deflater is None else deflater.compress(chunk)
        if deflater is not None:
            yield deflater.flush()

    def make(self, append: Append) -> None:
        if append.holds(self.key):
            message = f"there is an object {printable(self.key)!r} already, and members are never replaced"
            raise AlreadyExists(message, key=self.key, store=self.store)
        self.info = describe(self.key, append.add(Pending(self.key, self._packed, self._body.chunks())))

    def close(self) -> None:
        """Forget the gathered body."""
        self._body.close()


def _version(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _rebuild(kind: type[ZipStore], path: str, compression: Any, durable: bool, timeout: float) -> ZipStore:
    return kind(path, compression=compression, durable=durable, timeout=timeout)
