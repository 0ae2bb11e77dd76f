"""Objects of a bucket, the bucket and its driver: ours, with the attributes that people use of libcloud's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from .. import registry, url
from ..blob import Buffer
from ..errors import AlreadyExists, ConfigError, InvalidKey
from ..keys import printable
from ..store import ObjectStore
from ..types import ObjectInfo, WriteOptions
from .configuration import LOCAL, Provider, RemoteStorageConfig, open_bucket


@runtime_checkable
class RemoteObjectProtocol(Protocol):
    """What an object of a remote storage can be asked for.

    ``name`` is its whole name in the bucket, ``size`` in bytes, ``hash`` the text by which its service tells versions
    apart (of many objects their MD5), ``provider`` the service.
    """

    name: str
    size: int
    hash: str
    provider: str

    def download(
        self, download_path: str | os.PathLike[str], overwrite_existing: bool = False
    ) -> RemoteObjectProtocol | None:
        """The object, after it was written to the path."""


class RemoteObject:
    """An object of a bucket: a RemoteObjectProtocol, and what people use of libcloud's Object.

    Beside ``name``, ``size``, ``hash`` and ``provider`` there are ``extra`` (times and attributes as far as they are
    known), ``meta_data`` (the user's own), ``container`` and ``driver``.
    """

    def __init__(self, info: ObjectInfo, container: Bucket) -> None:
        self.name = info.key
        self.size = info.size or 0
        self.hash = (info.etag or "").strip('"')
        self.container = container
        self.driver = container.driver
        self.provider = container.driver.provider
        self.meta_data = dict(info.metadata)
        known = {name: getattr(info, name) for name in ("last_modified", "content_type", "content_encoding", "etag")}
        self.extra = {name: value for name, value in known.items() if value is not None}

    def __repr__(self) -> str:
        return f"<RemoteObject {self.name!r}, {self.size} bytes, in {self.container.store.name}>"

    def download(self, download_path: str | os.PathLike[str], overwrite_existing: bool = False) -> RemoteObject:
        """The object itself, after its stored bytes were checked and written to the path, whole or not at all.

        A directory gets a file by the last part of the object's name. Raises AlreadyExists (a FileExistsError) for a
        path where something is, unless ``overwrite_existing``; a symlink there is replaced, never followed.
        """
        path = os.path.abspath(download_path)
        if os.path.isdir(path) and not os.path.islink(path):
            name = self.name.rpartition("/")[2]
            if name in {"", ".", ".."}:
                raise InvalidKey(f"{printable(self.name)!r} cannot name a file: give the path of one", key=self.name)
            path = os.path.join(path, name)
        if not overwrite_existing and os.path.lexists(path):
            raise AlreadyExists(f"{path!r} is there already: pass overwrite_existing=True to replace it", key=self.name)
        folder, name = os.path.split(path)
        with registry.open_store(url.parse(Path(os.path.realpath(folder)))) as files:
            options = WriteOptions(if_absent=not overwrite_existing)
            files._copy(self.container.store, self.name, name, options)
        return self

    def as_stream(self) -> Iterator[Buffer]:
        """The stored bytes, chunk by chunk; IntegrityError after the last one if they are not what was stored."""
        with self.container.store.read(self.name) as blob:
            yield from blob.chunks()

    def delete(self) -> bool:
        """True, after the object was deleted; NotFound if it was not there."""
        self.container.store.delete(self.name)
        return True


class Bucket:
    """A bucket, with what people use of libcloud's Container; ``store`` is the Holdfast store behind it."""

    def __init__(self, store: ObjectStore, driver: Driver, name: str) -> None:
        self.store = store
        self.driver = driver
        self.name = name
        self.extra: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<Bucket {self.store.name}>"

    def get_object(self, object_name: str) -> RemoteObject:
        """The object of this name; NotFound (a KeyError) if there is none."""
        return RemoteObject(self.store.head(object_name), self)

    def iterate_objects(self, prefix: str = "") -> Iterator[RemoteObject]:
        """An iterator over the objects whose names start with the string ``prefix``."""
        return (RemoteObject(row, self) for row in self.store.list(prefix))

    def list_objects(self, prefix: str = "") -> list[RemoteObject]:
        """The objects whose names start with the string ``prefix``."""
        return list(self.iterate_objects(prefix))

    def upload_object(
        self, file_path: str | os.PathLike[str], object_name: str, extra: Mapping[str, Any] | None = None
    ) -> RemoteObject:
        """The new object, made of the file; ``extra`` may have ``content_type`` and ``meta_data``."""
        info = self.store.write(object_name, Path(file_path), WriteOptions(**attributes_of(extra)))
        return RemoteObject(info, self)

    def download_object(
        self, obj: RemoteObject, destination_path: str | os.PathLike[str], overwrite_existing: bool = False
    ) -> bool:
        """True, after the object was written to the path as ``RemoteObject.download`` does it."""
        obj.download(destination_path, overwrite_existing)
        return True

    def delete_object(self, obj: RemoteObject) -> bool:
        """True, after the object was deleted."""
        return obj.delete()


class Driver:
    """How a bucket is reached, with what people use of libcloud's StorageDriver; no secret is told."""

    def __init__(self, conf: RemoteStorageConfig) -> None:
        self._conf = conf
        self.provider = str(getattr(conf.provider, "value", conf.provider))
        self.name = self.provider
        self.key = conf.key
        self.region = conf.region
        self.host = conf.host
        self.port = conf.port
        self.secure = conf.secure

    def __repr__(self) -> str:
        return f"<Driver {self.name}>"

    def get_container(self, container_name: str) -> Bucket:
        """The bucket of this name, which is not looked for before it is used."""
        conf = self._conf.__copy__()
        conf.bucket = container_name
        return Bucket(open_bucket(conf), self, container_name)

    def create_container(self, container_name: str) -> Bucket:
        """A new bucket; AlreadyExists (a FileExistsError) if there is one of this name."""
        bucket = self.get_container(container_name)
        if not self.make(bucket):
            raise AlreadyExists("the bucket is there already", store=bucket.store.name)
        return bucket

    def get_object(self, container_name: str, object_name: str) -> RemoteObject:
        """The object of this name in the bucket of that name; NotFound if there is none."""
        return self.get_container(container_name).get_object(object_name)

    def make(self, bucket: Bucket) -> bool:
        """Whether the bucket was created now; False if it was there."""
        store: Any = bucket.store
        if self.provider == LOCAL:
            if os.path.isdir(store.root):
                return False
            os.makedirs(store.root)
            return True
        created: bool = store.create_container() if self.provider == Provider.AZURE_BLOBS else store.create_bucket()
        return created


def attributes_of(extra: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields of WriteOptions that libcloud's ``extra`` names; ConfigError for what it does not know."""
    named = dict(extra or {})
    fields = {"metadata": named.pop("meta_data", None), "content_type": named.pop("content_type", None)}
    if named:
        raise ConfigError(f"extra has {', '.join(map(repr, named))}: it may have 'content_type' and 'meta_data'")
    return {name: value for name, value in fields.items() if value}
