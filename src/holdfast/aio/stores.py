"""The stores, to await, with the arguments of the synchronous ones."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

from ..files.whole import clear_store
from ..stores.bucket import BucketStore
from ..stores.file.renamed import HashdirStore
from ..stores.plain import DictStore, FilesystemStore, SafeFilesystemStore
from ..stores.redis import RedisStore
from ..stores.sqlite import SqliteStore
from ..stores.zip import ZipStore
from .facade import AsyncStore


class AsyncDictStore(AsyncStore):
    """A DictStore to await; ``.store.objects`` is its dict."""

    store: DictStore

    def __init__(self, objects: MutableMapping[str, Any] | None = None) -> None:
        super().__init__(DictStore(objects))


class AsyncFilesystemStore(AsyncStore):
    """A FilesystemStore to await: the files below ``root_path`` by their relative paths."""

    store: FilesystemStore

    def __init__(self, root_path: str | os.PathLike[str], *, durable: bool = False) -> None:
        super().__init__(FilesystemStore(root_path, durable=durable))


class AsyncSafeFilesystemStore(AsyncStore):
    """A SafeFilesystemStore to await: any keys as files in ``root_path``."""

    store: SafeFilesystemStore

    def __init__(self, root_path: str | os.PathLike[str], *, durable: bool = False) -> None:
        super().__init__(SafeFilesystemStore(root_path, durable=durable))


class AsyncHashdirStore(AsyncStore):
    """A HashdirStore to await: files in directories named by the hash of their keys."""

    store: HashdirStore

    def __init__(
        self, root_path: str | os.PathLike[str], width: int = 2, depth: int = 3, *, durable: bool = False
    ) -> None:
        super().__init__(HashdirStore(root_path, width, depth, durable=durable))


class AsyncSqliteStore(AsyncStore):
    """A SqliteStore to await: the objects in the database at ``path``."""

    store: SqliteStore

    def __init__(self, path: str | os.PathLike[str], *, durable: bool = False, timeout: float = 60.0) -> None:
        super().__init__(SqliteStore(path, durable=durable, timeout=timeout))

    async def clear(self) -> None:
        """Remove every object."""
        await self._calls.call(lambda: clear_store(self.store, confirm=True))


class AsyncZipStore(AsyncStore):
    """A ZipStore to await: the members of the ZIP file at ``path``."""

    store: ZipStore

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        compression: Literal["stored", "deflated"] = "stored",
        durable: bool = False,
    ) -> None:
        super().__init__(ZipStore(path, compression=compression, durable=durable))


class AsyncRedisStore(AsyncStore):
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

    def set_client(self, client: Any) -> None:
        """Use this boto3 client from now on."""
        self.store.set_client(client)

    async def presigned_get(self, key: str, expiry: int = 3600) -> str:
        """A URL that gets the object without credentials, for ``expiry`` seconds; needs the extra ``[s3]``."""
        return await self._calls.call(self.store.presigned_get, key, expiry)

    async def presigned_put(self, key: str, expiry: int = 3600) -> str:
        """A URL that puts the object without credentials, for ``expiry`` seconds; needs the extra ``[s3]``."""
        return await self._calls.call(self.store.presigned_put, key, expiry)
