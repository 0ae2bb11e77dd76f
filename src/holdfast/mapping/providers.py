"""Storage providers, as cloud-mappings has them: a place for objects, whose every operation names an ETag.

``StorageProvider`` is what somebody's own provider derives from, ``ObjectStorageProvider`` the provider over any store
of Holdfast. A mapping works with stores, so ``store_of`` gives the store of one, whichever kind it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import quote, unquote

from .. import registry
from ..blob import Blob, BytesBlob, body_bytes
from ..errors import AlreadyExists, Conflict, HoldfastError, KeySyncError, NotFound
from ..keys import check
from ..store import LIST, READ, REMOVE, WRITE, ObjectStore, Removed, Store, select, stream_copy
from ..types import Body, Capabilities, ListOptions, ObjectInfo, ReadOptions, RemoveOptions, WriteOptions
from ..url import URL
from ..wrap.rekey import UrlEncodingStore
from .versions import Versions


class StorageProvider(ABC):
    """A place for objects under keys, with conditions that are exact; the contract of cloud-mappings.

    An ETag of None means that no such object must be there; whenever what is there is not what was named, nothing is
    done and KeySyncError is raised. Keys are given encoded, as ``encode_key`` makes them.
    """

    @abstractmethod
    def create_if_not_exists(self) -> bool:
        """Whether the bucket was there already; if not, it is created."""

    @abstractmethod
    def download_data(self, key: str, etag: str | None) -> bytes | None:
        """The bytes of that version; with None the latest, or None if there is no object."""

    @abstractmethod
    def upload_data(self, key: str, etag: str | None, data: bytes) -> str:
        """The ETag of what was written in place of that version, or (None) where no object was."""

    @abstractmethod
    def delete_data(self, key: str, etag: str) -> None:
        """Delete that version."""

    @abstractmethod
    def list_keys_and_etags(self, key_prefix: str | None) -> dict[str, str]:
        """The ETags of all objects whose keys start with the prefix."""

    def logical_name(self) -> str:
        """What errors and reprs call this place."""
        return type(self).__name__

    def safe_name(self) -> str:
        """The same, by its older name."""
        return self.logical_name()

    def encode_key(self, unsafe_key: str) -> str:
        """The name of the object for a key of the mapping: percent-encoded, but for slashes."""
        return quote(unsafe_key)

    def decode_key(self, encoded_key: str) -> str:
        """The key of the mapping for the name of an object."""
        return unquote(encoded_key)

    def raise_key_sync_error(self, key: str, etag: str | None) -> NoReturn:
        """Raise the error for an object that is not what was named."""
        raise KeySyncError(self.logical_name(), key, etag)


class ObjectStorageProvider(StorageProvider):
    """The provider over a store; ``create`` makes its bucket and says whether it did, None for what needs no bucket."""

    def __init__(self, store: ObjectStore, name: str | None = None, create: Callable[[], bool] | None = None) -> None:
        self.store = store
        self._name = name
        self._create = create
        self._versions = Versions(store)

    def logical_name(self) -> str:
        """What errors and reprs call this place."""
        return self._name or self.store.name

    def create_if_not_exists(self) -> bool:
        """Whether the bucket was there already; if not, it is created now."""
        return self._create is None or not self._create()

    def download_data(self, key: str, etag: str | None) -> bytes | None:
        """The bytes of that version, else KeySyncError; with None the latest, or None if there is no object."""
        if etag is not None:
            return self._versions.read_if(key, etag).data
        latest = self._versions.latest(key)
        return None if latest is None else latest.data

    def upload_data(self, key: str, etag: str | None, data: bytes) -> str:
        """The ETag of what was written in place of that version, or (None) where no object was; else KeySyncError."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise ValueError(f"Data must be bytes like, not {type(data).__name__}")  # noqa: TRY004 - as it always was
        return self._versions.write_if(check(key, self.store.name), data, etag)

    def delete_data(self, key: str, etag: str) -> None:
        """Delete that version; KeySyncError if it is not there."""
        self._versions.delete_if(check(key, self.store.name), etag)

    def list_keys_and_etags(self, key_prefix: str | None) -> dict[str, str]:
        """The ETags of all objects whose keys start with the string, by one listing."""
        return {info.key: info.etag or "" for info in self.store._scan(ListOptions(key_prefix or ""))}


class ProviderStore(Store):
    """The objects of somebody's own provider, as a store: under conditions it does what the provider promises."""

    def __init__(self, provider: StorageProvider) -> None:
        self.provider = provider

    @property
    def name(self) -> str:
        return self.provider.logical_name()

    @property
    def capabilities(self) -> Capabilities:
        """Conditions and listings; no writes without a condition, which a provider does not have."""
        return Capabilities(listing=True, create=True, replace_if=True, delete_if=True, atomic_write=True)

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        if options.ranged:
            raise self._unsupported("a read", "a range")
        name = self.provider.encode_key(key)
        etag = self._etag(name)
        if etag is None:
            raise NotFound(f"no object {key!r}", key=key, store=self.name)
        if options.if_match not in {None, etag}:
            raise Conflict(f"object {key!r} is another version", key=key, store=self.name)
        data = b"" if options.head else self._data(key, name, etag)
        return BytesBlob(ObjectInfo(key, etag=etag), data)

    def _data(self, key: str, name: str, etag: str) -> bytes:
        try:
            data = self.provider.download_data(name, etag)
        except KeySyncError as error:
            raise Conflict(f"object {key!r} was replaced: read it again", key=key, store=self.name) from error
        if data is None:
            raise NotFound(f"no object {key!r}", key=key, store=self.name)
        return data

    def _etag(self, name: str) -> str | None:
        return self.provider.list_keys_and_etags(name).get(name)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        if not options.conditional:
            raise self._unsupported("a write without a condition")
        for attribute in options.attributes():
            raise self._unsupported("a write", attribute)
        data = bytes(body_bytes(body))
        try:
            etag = self.provider.upload_data(self.provider.encode_key(key), options.if_match, data)
        except KeySyncError as error:
            kind = AlreadyExists if options.if_absent else Conflict
            raise kind(f"object {key!r} is another version", key=key, store=self.name, cause=error) from error
        return ObjectInfo(key, size=len(data), etag=etag)

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        return [self._remove_one_if(key, options) for key in keys]

    def _remove_one_if(self, key: str, options: RemoveOptions) -> HoldfastError | None:
        if options.if_match is None:
            return self._unsupported("a delete without a condition")
        try:
            self.provider.delete_data(self.provider.encode_key(key), options.if_match)
        except KeySyncError as error:
            return Conflict(f"object {key!r} is another version", key=key, store=self.name, cause=error)
        return None

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        provider = self.provider
        found = provider.list_keys_and_etags(provider.encode_key(options.prefix))
        rows = (ObjectInfo(provider.decode_key(name), etag=etag) for name, etag in found.items())
        return select(rows, options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        return stream_copy(source, src, self, dst, options)


def store_of(provider: StorageProvider) -> ObjectStore:
    """The store whose keys are those of a mapping over the provider."""
    if isinstance(provider, ObjectStorageProvider):
        return UrlEncodingStore(provider.store)
    return ProviderStore(provider)


def opened(store: ObjectStore | StorageProvider | str | URL, options: Mapping[str, Any]) -> ObjectStore:
    """The store that is meant: itself, at a location (opened with the options), or of a provider."""
    if isinstance(store, str | URL):
        return registry.open_store(store, **options)
    if options:
        raise TypeError(f"{', '.join(options)}: options of a store go with a location, not with an open store")
    if isinstance(store, StorageProvider):
        return store_of(store)
    if not isinstance(store, ObjectStore):
        raise TypeError(f"a mapping is over a store, a location or a provider, not {type(store).__name__}")
    return store
