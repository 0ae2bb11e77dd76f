"""``storage.s3``: objects in a bucket of S3, or of whatever speaks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...aio import AsyncStore
from ...aio.bridge import BridgedStore
from ...store import ObjectStore
from ...stores.bucket import BucketStore as NativeBucketStore
from ._adapted import Adapted
from ._clients import AwaitedBucket, is_awaited

__all__ = ["AsyncBucketStore", "BucketStore"]


class BucketStore(Adapted):
    """A bucket: ``BucketStore(s3_url, s3_access_key, s3_secret_key, bucket_name)`` or ``(bucket_name, client)``.

    The first makes its own connections (``botocore_config_kwargs`` are settings for ``botocore.config.Config``), the
    second calls a boto3 client of yours, or finds credentials. ``put`` and ``delete`` return True; a missing key is
    NotFound (a KeyError).

    >>> BucketStore("https://minio.example:9000", "key", "secret", "bucket").bucket_name
    'bucket'
    """

    native: NativeBucketStore

    def __init__(
        self,
        *arguments: Any,
        s3_url: str | None = None,
        s3_access_key: str | None = None,
        s3_secret_key: str | None = None,
        bucket_name: str | None = None,
        botocore_config_kwargs: Mapping[str, Any] | None = None,
        client: Any = None,
    ) -> None:
        native = NativeBucketStore(
            *arguments,
            s3_url=s3_url,
            s3_access_key=s3_access_key,
            s3_secret_key=s3_secret_key,
            bucket_name=bucket_name,
            botocore_config_kwargs=botocore_config_kwargs,
            client=client,
        )
        super().__init__(native)
        self.bucket_name = native.bucket_name

    def set_client(self, client: Any) -> None:
        """Use this boto3 client from now on."""
        self.native.set_client(client)

    def presigned_get(self, key: str, expiry: int = 3600) -> str:
        """A URL that gets the object without credentials, for ``expiry`` seconds; needs the extra ``[s3]``."""
        return self.native.presigned_get(key, expiry)

    def presigned_put(self, key: str, expiry: int = 3600) -> str:
        """A URL that puts the object without credentials, for ``expiry`` seconds; needs the extra ``[s3]``."""
        return self.native.presigned_put(key, expiry)


class AsyncBucketStore(AsyncStore):
    """A bucket to await: ``AsyncBucketStore(bucket_name, endpoint_url, s3_access_key, s3_secret_key)``.

    Or ``AsyncBucketStore(bucket_name, client=None)``, with a client whose methods are awaited (as aiobotocore's) or not
    (boto3's). ``put`` and ``delete`` return True, ``keys`` is an asynchronous iterator.

    >>> store = AsyncBucketStore(
    ...     bucket_name="bucket", endpoint_url="http://127.0.0.1:9000", s3_access_key="X", s3_secret_key="Y"
    ... )
    >>> store.name
    's3://http://127.0.0.1:9000/bucket'
    """

    def __init__(
        self,
        bucket_name: str,
        endpoint_url: Any = None,
        s3_access_key: str | None = None,
        s3_secret_key: str | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        *,
        client: Any = None,
    ) -> None:
        if endpoint_url is not None and not isinstance(endpoint_url, str):
            endpoint_url, client = None, endpoint_url  # the order of arguments of the later versions
        if client is not None:
            super().__init__(_of_client(bucket_name, client))
            return
        store = BucketStore(
            s3_url=endpoint_url,
            s3_access_key=s3_access_key,
            s3_secret_key=s3_secret_key,
            bucket_name=bucket_name,
            botocore_config_kwargs=botocore_config,
        )
        super().__init__(store)

    @property
    def bucket_name(self) -> str:
        """The bucket's name."""
        name: str = _bucket_of(self.store).bucket_name
        return name

    def set_client(self, client: Any) -> None:
        """Use this client from now on."""
        super().__init__(_of_client(self.bucket_name, client))

    async def presigned_get(self, key: str, expiry: int = 3600) -> str:
        """A URL that gets the object without credentials, for ``expiry`` seconds."""
        return await self._presigned("presigned_get", key, expiry)

    async def presigned_put(self, key: str, expiry: int = 3600) -> str:
        """A URL that puts the object without credentials, for ``expiry`` seconds."""
        return await self._presigned("presigned_put", key, expiry)

    async def _presigned(self, operation: str, key: str, expiry: int) -> str:
        signing = getattr(_bucket_of(self.store), operation)
        if isinstance(self.store, BridgedStore):
            awaited: str = await signing(key, expiry)
            return awaited
        url: str = await self._calls.call(signing, key, expiry)
        return url


def _of_client(bucket_name: str, client: Any) -> ObjectStore:
    if is_awaited(client):
        return BridgedStore(AwaitedBucket(bucket_name, client))
    return BucketStore(bucket_name, client)


def _bucket_of(store: Any) -> Any:
    """What holds the bucket's name, and signs: the store, or the asynchronous one that it bridges."""
    return store.child if isinstance(store, BridgedStore) else store
