"""A bucket of S3 to await: `python -m examples.async_bucket ENDPOINT BUCKET`, with AWS_ACCESS_KEY_ID and its secret."""

from __future__ import annotations

import asyncio
import os
import sys

from holdfast.aio import AsyncBucketStore


async def main(endpoint: str, bucket: str) -> None:
    """Put, get and delete a hundred objects at the same time, in one event loop."""
    keys = {"s3_access_key": os.environ["AWS_ACCESS_KEY_ID"], "s3_secret_key": os.environ["AWS_SECRET_ACCESS_KEY"]}
    async with AsyncBucketStore(bucket_name=bucket, endpoint_url=endpoint, **keys) as store:
        await store.put("my_object_key", b"my object data")
        data = await store.get("my_object_key")
        print(data)

        names = [f"many/{number}" for number in range(100)]
        await asyncio.gather(*(store.put(name, name.encode()) for name in names))
        bodies = await asyncio.gather(*(store.get(name) for name in names))
        assert bodies == [name.encode() for name in names]
        listed = [key async for key in store.keys("many/")]
        await asyncio.gather(*(store.delete(name) for name in listed))
        left = [key async for key in store.keys("my")]
        print(f"{len(listed)} objects written, read, listed and deleted; there are {left}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
