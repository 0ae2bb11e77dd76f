"""Stores of files under other names than their keys: hashed, or encoded so that any key is a file name."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from ...blob import Blob, ForwardingStaged, Staged
from ...errors import ConfigError, HoldfastError
from ...redact import url as redacted
from ...store import LIST, READ, REMOVE, WRITE, ObjectStore, Removed, select, stream_copy
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
from .store import FileStore

_DIGITS = hashlib.sha256().digest_size * 2


class RenamedFileStore(FileStore):
    """A FileStore whose files are called otherwise than their keys; everything it promises holds here too."""

    #: What locations and errors call this kind of store.
    scheme = "file"

    def __init__(self, root: str | os.PathLike[str], *, durable: bool = False) -> None:
        super().__init__(root, durable=durable)
        self.name = redacted(f"{self.scheme}://{self.root}")

    @abstractmethod
    def path_of(self, key: str) -> str:
        """The path of the object's file below the root."""

    @property
    def capabilities(self) -> Capabilities:
        """Those of a FileStore, but that copies pass through this process."""
        return replace(super().capabilities, copy=False)

    def locked(self, key: str) -> AbstractContextManager[None]:
        return super().locked(self.path_of(key))

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        path = self.path_of(key)
        try:
            return super()._read(path, options).rename(key)
        except HoldfastError as error:
            _rename(error, path, key)
            raise

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        path = self.path_of(key)
        try:
            return super()._write(path, body, options).renamed(key)
        except HoldfastError as error:
            _rename(error, path, key)
            raise

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        paths = [self.path_of(key) for key in keys]
        removed = super()._remove(paths, options)
        for error, path, key in zip(removed, paths, keys, strict=True):
            if error is not None:
                _rename(error, path, key)
        return removed

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        return stream_copy(source, src, self, dst, options)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        path = self.path_of(key)
        try:
            staged = super()._stage(path, size, options)
        except HoldfastError as error:
            _rename(error, path, key)
            raise
        return None if staged is None else _RenamedStaged(staged, path, key)

    def _locate(self, key: str) -> Location | None:
        return Location(self.scheme, "", self.root, key)


class HashdirStore(RenamedFileStore):
    """Objects as files below ``root_path`` that are called after the SHA-256 of their keys; they cannot be listed.

    The digest's hex digits are cut into ``depth`` directories of ``width`` digits each and a file of the rest, as
    amplify-storage-utils does: by default ``key`` is the file ``2c/70/e1/2b7a06...``. Any key can be stored.

    >>> import tempfile
    >>> root = tempfile.TemporaryDirectory()
    >>> store = HashdirStore(root.name)
    >>> info = store.put("key", b"hello")
    >>> store.get("key"), store.path_of("key")[:12]
    (b'hello', '2c/70/e1/2b7')
    >>> root.cleanup()
    """

    scheme = "hashdir"

    def __init__(
        self, root_path: str | os.PathLike[str], width: int = 2, depth: int = 3, *, durable: bool = False
    ) -> None:
        if width < 1 or depth < 0 or width * depth >= _DIGITS:
            raise ConfigError(f"width={width}, depth={depth}: the directories take less than {_DIGITS} digits together")
        super().__init__(root_path, durable=durable)
        self.width = width
        self.depth = depth

    def __repr__(self) -> str:
        options = "" if (self.width, self.depth) == (2, 3) else f", width={self.width}, depth={self.depth}"
        return f"HashdirStore({self.root!r}{options}{', durable=True' if self.durable else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _hashdir, (type(self), self.root, self.width, self.depth, self.durable)

    @property
    def capabilities(self) -> Capabilities:
        """Those of other renamed files but listing: a digest does not tell its key."""
        return replace(super().capabilities, listing=False, sorted=False)

    def path_of(self, key: str) -> str:
        digits = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        cuts = [digits[at : at + self.width] for at in range(0, self.width * self.depth, self.width)]
        return "/".join([*cuts, digits[self.width * self.depth :]])

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        raise self._unsupported("a listing", cure="its files tell no keys; keep a list of them elsewhere")


class Base32FileStore(RenamedFileStore):
    """Objects as files directly in ``root`` whose names are their keys in base32, with "_" for "=".

    So any key of up to about 155 bytes is a file name on every system. Files with other names are no objects.
    """

    scheme = "safefile"

    @property
    def capabilities(self) -> Capabilities:
        """Those of other renamed files but the order: base32 has another."""
        return replace(super().capabilities, sorted=False)

    def path_of(self, key: str) -> str:
        return base64.b32encode(key.encode("utf-8", "surrogateescape")).decode().replace("=", "_")

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        return select(self._decoded(), options)

    def _decoded(self) -> Iterator[ObjectInfo]:
        for row in super()._scan(LIST):
            key = _decoded(row.key)
            if key:
                yield row.renamed(key)


class _RenamedStaged(ForwardingStaged):
    """A staged object whose info carries its key."""

    def __init__(self, staged: Staged, path: str, key: str) -> None:
        super().__init__(staged)
        self._path = path
        self._key = key

    def commit(self) -> ObjectInfo:
        try:
            return self._staged.commit().renamed(self._key)
        except HoldfastError as error:
            _rename(error, self._path, self._key)
            raise


def _rename(error: HoldfastError, path: str, key: str) -> None:
    """Make the error one about the key; its text tells the path, where the trouble is."""
    if error.key == path:
        error.key = key


def _decoded(name: str) -> str | None:
    """The key that this file name stands for, or None if it is of another form."""
    try:
        key = base64.b32decode(name.replace("_", "=")).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return None
    # Other spellings of the same key would be a second object of that name.
    return key if base64.b32encode(key.encode("utf-8", "surrogateescape")).decode().replace("=", "_") == name else None


def _hashdir(kind: type[HashdirStore], root: str, width: int, depth: int, durable: bool) -> HashdirStore:
    return kind(root, width, depth, durable=durable)
