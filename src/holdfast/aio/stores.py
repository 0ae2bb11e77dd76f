"""The stores, to await, with the arguments of the synchronous ones."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Mapping, MutableMapping
from typing import Any, Literal

from ..files.whole import clear_store
from ..stores.bucket import BucketStore
from ..stores.file import FileStore
from ..stores.file.renamed import HashdirStore
from ..stores.memory import MemoryStore
from ..stores.plain import DictStore, FilesystemStore, SafeFilesystemStore
from ..stores.redis import RedisStore
from ..stores.sqlite import SqliteStore
from ..stores.zip import ZipStore
from ..types import Body, ObjectInfo
from .facade import AsyncBody, AsyncBytesStore, AsyncStore


class AsyncMemoryStore(AsyncBytesStore):
    """A MemoryStore to await: objects in this process's memory."""

    store: MemoryStore

    def __init__(self, name: str | None = None) -> None:
        super().__init__(MemoryStore(name))

    async def clear(self) -> None:
        """Remove every object."""
        await self._calls.call(self.store.clear)


class AsyncFileStore(AsyncBytesStore):
    """A FileStore to await: the files below ``root``."""

    store: FileStore

    def __init__(self, root: str | os.PathLike[str], *, durable: bool = False) -> None:
        super().__init__(FileStore(root, durable=durable))


class AsyncDictStore(AsyncStore):
    """A DictStore to await; ``.store.objects`` is its dict."""

    store: DictStore

    def __init__(self, objects: MutableMapping[str, Any] | None = None) -> None:
        super().__init__(DictStore(objects))

    async def put(self, key: str, data: Any) -> None:
        """Keep the value under the key."""
        await super().put(key, data)

    async def delete(self, key: str) -> None:
        """Remove the value; KeyError if there is none."""
        await self._calls.call(self.store.delete, key)


class _AsyncFiles(AsyncStore):
    """Files of a FilesystemStore, whose ``delete`` returns True."""

    store: FilesystemStore

    async def get(self, key: str) -> bytes:
        """The file's bytes; NotFound (a KeyError) if there is none."""
        return await self._calls.call(self.store.get, key)

    async def put(self, key: str, data: AsyncBody) -> ObjectInfo:
        """The info of the file that now has these bytes; its directories are made."""
        info: ObjectInfo = await super().put(key, data)
        return info

    async def delete(self, key: str) -> bool:
        """True once the file is removed; NotFound (a KeyError) if there is none."""
        return await self._calls.call(self.store.delete, key)


class AsyncFilesystemStore(_AsyncFiles):
    """A FilesystemStore to await: the files below ``root_path`` by their relative paths."""

    def __init__(self, root_path: str | os.PathLike[str], *, durable: bool = False) -> None:
        super().__init__(FilesystemStore(root_path, durable=durable))


class AsyncSafeFilesystemStore(_AsyncFiles):
    """A SafeFilesystemStore to await: any keys as files in ``root_path``."""

    store: SafeFilesystemStore

    def __init__(self, root_path: str | os.PathLike[str], *, durable: bool = False) -> None:
        super().__init__(SafeFilesystemStore(root_path, durable=durable))


class AsyncHashdirStore(AsyncBytesStore):
    """A HashdirStore to await: files in directories named by the hash of their keys."""

    store: HashdirStore

    def __init__(
        self, root_path: str | os.PathLike[str], width: int = 2, depth: int = 3, *, durable: bool = False
    ) -> None:
        super().__init__(HashdirStore(root_path, width, depth, durable=durable))


class AsyncSqliteStore(AsyncBytesStore):
    """A SqliteStore to await: the objects in the database at ``path``."""

    store: SqliteStore

    def __init__(self, path: str | os.PathLike[str], *, durable: bool = False, timeout: float = 60.0) -> None:
        super().__init__(SqliteStore(path, durable=durable, timeout=timeout))

    def put_many(self, items: Iterable[tuple[str, Body]]) -> AsyncIterator[ObjectInfo]:
        """The info of each (key, body) once it is committed, many in one transaction, as they are asked for."""
        return self._calls.rows(lambda: self.store.put_many(items))

    async def clear(self) -> None:
        """Remove every object."""
        await self._calls.call(lambda: clear_store(self.store, confirm=True))


class AsyncZipStore(AsyncBytesStore):
    """A ZipStore to await: the members of the ZIP file at ``path``."""

    store: ZipStore

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        compression: Literal["stored", "deflated"] = "stored",
        durable: bool = False,
        timeout: float = 60.0,
    ) -> None:
        super().__init__(ZipStore(path, compression=compression, durable=durable, timeout=timeout))

    def put_many(self, items: Iterable[tuple[str, Body]]) -> AsyncIterator[ObjectInfo]:
        """The info of each (key, body) once it is in the archive, many under one directory, as they are asked for."""
        return self._calls.rows(lambda: self.store.put_many(items))


class AsyncRedisStore(AsyncBytesStore):
    """A RedisStore to await; the client is a synchronous one, as for RedisStore."""

    store: RedisStore

    def __init__(self, client: Any) -> None:
        super().__init__(RedisStore(client))


class AsyncBucketStore(AsyncStore):
    """A bucket of S3 to await: ``AsyncBucketStore(bucket_name, endpoint_url, s3_access_key, s3_secret_key)``.

    Or ``AsyncBucketStore(bucket_name, client=None)``: with a (synchronous) boto3 client, or with the credentials that
    are found. ``botocore_config`` holds settings for ``botocore.config.Config``, and makes boto3 do the work.

    >>> AsyncBucketStore("bucket", "https://minio.example:9000", "key", "secret").name
    's3://https://minio.example:9000/bucket'
    """

    store: BucketStore

    def __init__(
        self,
        bucket_name: str,
        endpoint_url: str | None = None,
        s3_access_key: str | None = None,
        s3_secret_key: str | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        *,
        client: Any = None,
    ) -> None:
        store = BucketStore(
            s3_url=endpoint_url,
            s3_access_key=s3_access_key,
            s3_secret_key=s3_secret_key,
            bucket_name=bucket_name,
            botocore_config_kwargs=botocore_config,
            client=client,
        )
        super().__init__(store)

    async def get(self, key: str) -> bytes:
        """The object's bytes; NotFound (a KeyError) if there is none."""
        return await self._calls.call(self.store.get, key)

    async def put(self, key: str, data: AsyncBody) -> bool:
        """True once the bytes are stored."""
        return bool(await super().put(key, data))

    async def delete(self, key: str) -> bool:
        """True once the object is removed; NotFound (a KeyError) if there is none, which a HEAD tells before."""
        return await self._calls.call(self.store.delete, key)

    def set_client(self, client: Any) -> None:
        """Use this boto3 client from now on."""
        self.store.set_client(client)

    async def presigned_get(self, key: str, expiry: int = 3600) -> str:
        """A URL that gets the object without credentials, for ``expiry`` seconds; needs the extra ``[s3]``."""
        return await self._calls.call(self.store.presigned_get, key, expiry)

    async def presigned_put(self, key: str, expiry: int = 3600) -> str:
        """A URL that puts the object without credentials, for ``expiry`` seconds; needs the extra ``[s3]``."""
        return await self._calls.call(self.store.presigned_put, key, expiry)
