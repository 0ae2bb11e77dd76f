"""Stores over asynchronous clients that the caller brings: each call is one of the client's, in its own event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from inspect import isawaitable, iscoroutinefunction
from typing import Any

from ...errors import NotFound
from ...stores.bucket import Translating


def is_awaited(client: Any) -> bool:
    """Whether the client's methods are to be awaited."""
    # The classes of aiobotocore and redis.asyncio have methods that look plain, but are entered with ``async with``.
    return hasattr(type(client), "__aenter__") or any(
        iscoroutinefunction(getattr(client, name, None)) for name in ("get", "get_object", "put_object")
    )


class AwaitedBucket:
    """The objects of a bucket by an asynchronous client with the methods of boto3's."""

    def __init__(self, bucket_name: str, client: Any) -> None:
        self.bucket_name = bucket_name
        self.client = client

    async def get(self, key: str, /) -> bytes:
        """The object's bytes; NotFound (a KeyError) if there is none."""
        with self._translating(key, "get"):
            answer = await _awaited(self.client.get_object(Bucket=self.bucket_name, Key=key))
            data: bytes = await _awaited(answer["Body"].read())
            return data

    async def put(self, key: str, data: bytes, /) -> bool:
        """True once the bytes are stored."""
        with self._translating(key, "put"):
            await _awaited(self.client.put_object(Bucket=self.bucket_name, Key=key, Body=data))
        return True

    async def delete(self, key: str, /) -> bool:
        """True once the object is removed; NotFound (a KeyError) if there is none, which a HEAD tells before."""
        with self._translating(key, "delete"):
            await _awaited(self.client.head_object(Bucket=self.bucket_name, Key=key))
            await _awaited(self.client.delete_object(Bucket=self.bucket_name, Key=key))
        return True

    async def exists(self, key: str, /) -> bool:
        """Whether there is such an object."""
        try:
            with self._translating(key, "head"):
                await _awaited(self.client.head_object(Bucket=self.bucket_name, Key=key))
        except NotFound:
            return False
        return True

    async def keys(self) -> AsyncIterator[str]:
        """All keys, page by page."""
        with self._translating(None, "list"):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket_name, Prefix="")
            async for page in pages:
                for row in page.get("Contents", ()):
                    yield row["Key"]

    async def presigned_get(self, key: str, expiry: int) -> str:
        """A URL that gets the object."""
        return await self._presigned("get_object", key, expiry)

    async def presigned_put(self, key: str, expiry: int) -> str:
        """A URL that puts the object."""
        return await self._presigned("put_object", key, expiry)

    async def _presigned(self, operation: str, key: str, expiry: int) -> str:
        where = {"Bucket": self.bucket_name, "Key": key}
        url: str = await _awaited(self.client.generate_presigned_url(operation, Params=where, ExpiresIn=expiry))
        return url

    def _translating(self, key: str | None, doing: str) -> Translating:
        return Translating(f"s3://{self.bucket_name}", key, doing)


class AwaitedRedis:
    """The string values of a Redis database by an asynchronous client."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def get(self, key: str, /) -> bytes:
        """The value; KeyError if there is none."""
        data: bytes | None = await _awaited(self.client.get(key))
        if data is None:
            raise KeyError(key)
        return data

    async def put(self, key: str, data: bytes, /) -> bool:
        """True once the value is stored."""
        await _awaited(self.client.set(key, data))
        return True

    async def delete(self, key: str, /) -> bool:
        """True once the value is removed; KeyError if there is none."""
        if not await _awaited(self.client.delete(key)):
            raise KeyError(key)
        return True

    async def exists(self, key: str, /) -> bool:
        """Whether there is such a value."""
        return bool(await _awaited(self.client.exists(key)))

    async def keys(self) -> AsyncIterator[str]:
        """All keys of the database."""
        async for key in self.client.scan_iter():
            yield key.decode("utf-8", "surrogateescape") if isinstance(key, bytes) else key


async def _awaited(value: Any) -> Any:
    return await value if isawaitable(value) else value
