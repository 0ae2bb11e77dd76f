"""Objects by version: the reads, writes and deletes of a mapping, each of which names the version that it is about.

A version is an ETag. Under ``unsafe=True`` a store may have no ETags, which is UNKNOWN, "some version", or no
conditions, and then what is there is looked at first: two requests, between which another writer may come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import codecs
from ..engine import reserve
from ..errors import AlreadyExists, Conflict, HoldfastError, KeySyncError, NotFound, Unsupported
from ..store import HEAD, READ, REMOVE_EXISTING, ObjectStore
from ..types import ObjectInfo, RemoveOptions, WriteOptions

#: The version of an object in a store that has no ETags.
UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Read:
    """The bytes of an object, decoded if they are stored with an encoding, and their version."""

    data: bytes
    etag: str


class Versions:
    """The objects of a store, each under the condition that it is the version that is named."""

    def __init__(self, store: ObjectStore, *, unsafe: bool = False) -> None:
        self.store = store
        self._unsafe = unsafe

    @property
    def name(self) -> str:
        """What errors call the store."""
        return self.store.name

    def current(self, key: str) -> str | None:
        """The version that is there now, or None."""
        try:
            with self.store._read(key, HEAD) as blob:
                return blob.info.etag or UNKNOWN
        except NotFound:
            return None

    def read(self, key: str) -> Read:
        """What is there now, or NotFound; Conflict if it is replaced while it is being read."""
        return self._read(key, None)

    def latest(self, key: str) -> Read | None:
        """What is there now, or None; Conflict if it is replaced while it is being read again and again."""
        for last in (False, False, True):
            try:
                return self.read(key)
            except NotFound:
                break
            except Conflict:
                if last:
                    raise
        return None

    def read_if(self, key: str, expected: str) -> Read:
        """What is there, if it is the version ``expected``; else KeySyncError."""
        try:
            return self._read(key, expected)
        except KeySyncError:
            raise
        except NotFound as error:
            raise KeySyncError(self.name, key, expected, absent=True, cause=error) from error
        except Conflict as error:  # replaced while it was being read
            raise self.out_of_sync(key, expected, error) from error

    def _read(self, key: str, expected: str | None) -> Read:
        with self.store._read(key, READ) as blob:
            self._require(key, expected, blob.info)  # before it is fetched
            reserve(blob.size or 0)
            data, encoding = blob.bytes(), blob.encoding
            # And only now: a body that broke and had to be fetched again may be that of another version.
            self._require(key, expected, info := blob.info)
        return Read(data if encoding is None else codecs.decompress(data, encoding), info.etag or UNKNOWN)

    def _require(self, key: str, expected: str | None, info: ObjectInfo) -> None:
        found = info.etag or UNKNOWN
        if expected is not None and found != expected:
            raise KeySyncError(self.name, key, expected, found=found)

    def write_if(self, key: str, data: Any, expected: str | None) -> str:
        """The version that was written over ``expected`` (None: where nothing is), or KeySyncError.

        Raises Indeterminate where the answer was lost, and what is there does not tell.
        """
        try:
            return self.write(key, data, expected)
        except (AlreadyExists, Conflict) as error:
            raise self.out_of_sync(key, expected, error) from error

    def write(self, key: str, data: Any, expected: str | None) -> str:
        """The same, but Conflict or AlreadyExists without a look at what is there."""
        options = WriteOptions(if_absent=True) if expected is None else WriteOptions(if_match=expected)
        try:
            if expected == UNKNOWN:
                raise self.store._unsupported("a write", "if_match", "it has no ETags")
            return self.store._write(key, data, options).etag or UNKNOWN
        except NotFound as error:
            raise Conflict(f"there is no object {key!r} any more", key=key, store=self.name, cause=error) from error
        except Unsupported:
            if not self._unsafe:
                raise
        self._look(key, expected)
        return self.store._write(key, data).etag or UNKNOWN

    def require_deletes(self, operation: str) -> None:
        """Return if the operation can delete a version; else raise Unsupported."""
        if not (self._unsafe or self.store.capabilities.delete_if):
            raise self.store._unsupported(operation, cure="the store has no atomic delete of a version")

    def delete_if(self, key: str, expected: str) -> None:
        """Delete the version ``expected``; KeySyncError if it is not there, Indeterminate if the answer was lost."""
        removed: HoldfastError | None
        try:
            if expected == UNKNOWN:
                raise self.store._unsupported("a delete", "if_match", "it has no ETags")
            (removed,) = self.store._remove([key], RemoveOptions(if_match=expected, must_exist=True))
        except HoldfastError as error:
            removed = error
        if isinstance(removed, Unsupported) and self._unsafe:
            try:
                self._look(key, expected)
            except Conflict as error:
                raise self.out_of_sync(key, expected, error) from error
            (removed,) = self.store._remove([key], REMOVE_EXISTING)
        if isinstance(removed, NotFound | Conflict):
            raise self.out_of_sync(key, expected, removed) from removed
        if removed is not None:
            raise removed

    def _look(self, key: str, expected: str | None) -> None:
        found = self.current(key)
        if found != expected:
            kind = AlreadyExists if expected is None else Conflict
            raise kind(f"object {key!r} is not the version {expected!r}", key=key, store=self.name)

    def out_of_sync(self, key: str, expected: str | None, cause: HoldfastError) -> KeySyncError:
        """The error for a key that is not what was expected, with the version that is there, if that can be learned."""
        try:
            found = self.current(key)
        except HoldfastError:
            return KeySyncError(self.name, key, expected, cause=cause)
        return KeySyncError(self.name, key, expected, found=found, absent=found is None, cause=cause)
