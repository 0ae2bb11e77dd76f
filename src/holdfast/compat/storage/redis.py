"""``storage.redis``: objects as the values of a Redis database."""

from __future__ import annotations

from typing import Any

from ...aio import AsyncStore
from ...aio.bridge import BridgedStore
from ...stores.redis import RedisStore as NativeRedisStore
from ._adapted import Adapted
from ._clients import AwaitedRedis, is_awaited

__all__ = ["AsyncRedisStore", "RedisStore"]


class RedisStore(Adapted):
    """The objects in the database of ``client``, a ``redis.Redis``; ``put`` and ``delete`` return True."""

    def __init__(self, client: Any) -> None:
        super().__init__(NativeRedisStore(client))
        self.client = client

    def put(self, key: str, data: Any) -> bool:
        """True once the bytes are stored."""
        self.native.put(key, data)
        return True

    def delete(self, key: str) -> bool:
        """True once the object is removed; NotFound (a KeyError) if there is none."""
        self.native.delete(key)
        return True


class AsyncRedisStore(AsyncStore):
    """The objects in the database of ``client``, of ``redis.asyncio`` or a plain one; put and delete return True.

    With an asynchronous client each call is one of its own; a plain one gives all that ``RedisStore`` can do.
    """

    def __init__(self, client: Any) -> None:
        super().__init__(BridgedStore(AwaitedRedis(client)) if is_awaited(client) else RedisStore(client))
