"""Stores from stores.yaml: the main one, others by name, variables from the environment, called and awaited."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from holdfast import ObjectStore, StoreFactory, Unsupported, aio

CONFIG = Path(__file__).with_name("stores.yaml")


def main() -> None:
    """Build what the file describes, and show that the parts work together."""
    store_factory = StoreFactory(CONFIG)
    store = store_factory.build()
    try:
        store.put("my_object_key", b"my object data")
    except Unsupported as error:
        print(f"main is readonly_store: {error.message}")

    # A store of text: a value of another kind than bytes goes in and comes out.
    text = store_factory.build("text_encoding_store")
    text.put("greeting", "grüß dich")
    print(f"text_encoding_store: {text.get('greeting')}")

    with tempfile.TemporaryDirectory() as directory:
        # Variables are filled in when a store is built. ${BACKUP_DIR} has no default, so it must be there.
        os.environ["BACKUP_DIR"] = directory
        mirrored = store_factory.build("mirror_store")
        mirrored.put("my_object_key", b"my object data")
        # A base that two stores share is one object: both children of the mirror end in the same dict.
        objects = mirrored.children[1].store.objects
        print(f"mirror_store: {mirrored.get('my_object_key')!r} in {sorted(objects)}")
        print(f"awaited: {asyncio.run(awaited(store_factory.build('mirror_store')))!r}")

    os.environ |= {"S3_ACCESS_KEY": "X", "S3_SECRET_KEY": "Y"}
    print(f"bucket_store: {store_factory.build('bucket_store').name}")


async def awaited(store: ObjectStore) -> bytes:
    """Any store, to await; the wrappers below it are called by the same threads."""
    async with aio.AsyncStore(store) as async_store:
        await async_store.put("my_object_key", b"my object data")
        return await async_store.get("my_object_key")


if __name__ == "__main__":
    main()
