"""Objects in a Redis database: see ``holdfast.stores.redis.store``."""

from .store import RedisStore

__all__ = ["RedisStore"]
