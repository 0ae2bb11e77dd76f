"""``storage.aioutils``: the wrappers and utilities, to await, around stores of either kind.

An asynchronous store of your own (five coroutine methods) is called in the event loop; everything else in threads.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...aio import AsyncStore
from ...aio import async_clear_store as _async_clear_store
from ...aio import async_copy_store as _async_copy_store
from ...aio import async_sync_stores as _async_sync_stores
from ...aio.facade import sync
from ...aio.wrappers import plain_handler
from ...files.whole import KeyResult
from ...wrap.cache import Revalidate
from ...wrap.observe import ChangeHandler, KeyHandler, Logger
from ...wrap.route import Pattern
from . import utils

__all__ = [
    "AsyncBase64Store",
    "AsyncBufferStore",
    "AsyncCachingStore",
    "AsyncExceptionLoggingStore",
    "AsyncFanoutStore",
    "AsyncGzipStore",
    "AsyncHashPrefixStore",
    "AsyncIdentityStore",
    "AsyncJsonStore",
    "AsyncKeyTransformingStore",
    "AsyncKeyValidatingStore",
    "AsyncLoggingStore",
    "AsyncMirroringStore",
    "AsyncNotifyingStore",
    "AsyncPrefixStore",
    "AsyncReadonlyStore",
    "AsyncRegexRoutingStore",
    "AsyncRegexValidatingStore",
    "AsyncTextEncodingStore",
    "AsyncTransformingStore",
    "AsyncUrlEncodingStore",
    "AsyncUrlValidatingStore",
    "AsyncWriteonlyStore",
    "async_clear_store",
    "async_copy_store",
    "async_sync_stores",
]


class AsyncIdentityStore(AsyncStore):
    """An IdentityStore to await: the same store once more."""

    store: utils.IdentityStore

    def __init__(self, store: Any) -> None:
        super().__init__(utils.IdentityStore(sync(store)))


class AsyncReadonlyStore(AsyncStore):
    """A ReadonlyStore to await: it refuses to write (NotImplementedError)."""

    store: utils.ReadonlyStore

    def __init__(self, store: Any) -> None:
        super().__init__(utils.ReadonlyStore(sync(store)))


class AsyncWriteonlyStore(AsyncStore):
    """A WriteonlyStore to await: it refuses to read (NotImplementedError)."""

    store: utils.WriteonlyStore

    def __init__(self, store: Any) -> None:
        super().__init__(utils.WriteonlyStore(sync(store)))


class AsyncGzipStore(AsyncStore):
    """A GzipStore to await: bodies are stored compressed with gzip."""

    store: utils.GzipStore

    def __init__(self, store: Any) -> None:
        super().__init__(utils.GzipStore(sync(store)))


class AsyncBufferStore(AsyncStore):
    """A BufferStore to await: it takes files and gives BytesIO."""

    store: utils.BufferStore

    def __init__(self, store: Any) -> None:
        super().__init__(utils.BufferStore(sync(store)))


class AsyncBase64Store(AsyncStore):
    """A Base64Store to await: bodies are stored in base64."""

    store: utils.Base64Store

    def __init__(self, store: Any) -> None:
        super().__init__(utils.Base64Store(sync(store)))


class AsyncJsonStore(AsyncStore):
    """A JsonStore to await: it takes and gives what JSON can say."""

    store: utils.JsonStore

    def __init__(self, store: Any) -> None:
        super().__init__(utils.JsonStore(sync(store)))


class AsyncUrlValidatingStore(AsyncStore):
    """A UrlValidatingStore to await: keys are http and https URLs."""

    store: utils.UrlValidatingStore

    def __init__(self, store: Any) -> None:
        super().__init__(utils.UrlValidatingStore(sync(store)))


class AsyncUrlEncodingStore(AsyncStore):
    """A UrlEncodingStore to await: keys are percent-encoded inside."""

    store: utils.UrlEncodingStore

    def __init__(self, store: Any) -> None:
        super().__init__(utils.UrlEncodingStore(sync(store)))


class AsyncTextEncodingStore(AsyncStore):
    """A TextEncodingStore to await: it takes and gives text."""

    store: utils.TextEncodingStore

    def __init__(self, store: Any, encoding: str = "utf-8") -> None:
        super().__init__(utils.TextEncodingStore(sync(store), encoding))


class AsyncKeyTransformingStore(AsyncStore):
    """A KeyTransformingStore to await: keys are changed by a transformer."""

    store: utils.KeyTransformingStore

    def __init__(self, store: Any, transformer: Any = None) -> None:
        super().__init__(utils.KeyTransformingStore(sync(store), transformer))


class AsyncKeyValidatingStore(AsyncStore):
    """A KeyValidatingStore to await: the validator raises KeyError for keys that are not let in."""

    store: utils.KeyValidatingStore

    def __init__(self, store: Any, validator: Callable[[str], Any]) -> None:
        super().__init__(utils.KeyValidatingStore(sync(store), validator))


class AsyncRegexValidatingStore(AsyncStore):
    """A RegexValidatingStore to await: keys match a regular expression from end to end."""

    store: utils.RegexValidatingStore

    def __init__(self, store: Any, pattern: str | re.Pattern[str]) -> None:
        super().__init__(utils.RegexValidatingStore(sync(store), pattern))


class AsyncPrefixStore(AsyncStore):
    """A PrefixStore to await: the objects whose keys start with a prefix, by the rest of their keys."""

    store: utils.PrefixStore

    def __init__(self, store: Any, prefix: str) -> None:
        super().__init__(utils.PrefixStore(sync(store), prefix))


class AsyncHashPrefixStore(AsyncStore):
    """A HashPrefixStore to await: keys have the start of their hash before them."""

    store: utils.HashPrefixStore

    def __init__(self, store: Any, hash_length: int = 8, separator: str = "/") -> None:
        super().__init__(utils.HashPrefixStore(sync(store), hash_length, separator))


class AsyncLoggingStore(AsyncStore):
    """A LoggingStore to await: one record for each operation."""

    store: utils.LoggingStore

    def __init__(self, store: Any, store_name: str = "store", logger: Logger | None = None) -> None:
        super().__init__(utils.LoggingStore(sync(store), store_name, logger))


class AsyncExceptionLoggingStore(AsyncStore):
    """An ExceptionLoggingStore to await: errors are logged, and answers empty."""

    store: utils.ExceptionLoggingStore

    def __init__(self, store: Any, store_name: str = "store", logger: logging.Logger | None = None) -> None:
        super().__init__(utils.ExceptionLoggingStore(sync(store), store_name, logger))


class AsyncTransformingStore(AsyncStore):
    """A TransformingStore to await: what a transformer makes of the data is stored.

    The transformer is called in a worker thread, with either value of the original's ``sync_transform``: so the event
    loop is never held up.
    """

    store: utils.TransformingStore

    def __init__(self, store: Any, transformer: Any = None, sync_transform: bool = True) -> None:
        super().__init__(utils.TransformingStore(sync(store), transformer))


class AsyncNotifyingStore(AsyncStore):
    """A NotifyingStore to await. Handlers are plain functions, called in a worker thread, with the wrapped store."""

    store: utils.NotifyingStore

    def __init__(self, store: Any) -> None:
        super().__init__(utils.NotifyingStore(sync(store)))

    def on_change(self, handler: ChangeHandler) -> None:
        """Call ``handler(store, action, key, error)`` after each put and delete."""
        self.store.on_change(plain_handler(handler))

    def on_put(self, handler: KeyHandler) -> None:
        """Call ``handler(store, key, error)`` after each put."""
        self.store.on_put(plain_handler(handler))

    def on_delete(self, handler: KeyHandler) -> None:
        """Call ``handler(store, key, error)`` after each delete."""
        self.store.on_delete(plain_handler(handler))


class AsyncFanoutStore(AsyncStore):
    """A MirroringStore to await: every object in each of the children, which it opens and closes."""

    store: utils.MirroringStore

    def __init__(self, children: Iterable[Any]) -> None:
        super().__init__(utils.MirroringStore([sync(child) for child in children]))


class AsyncMirroringStore(AsyncFanoutStore):
    """An AsyncFanoutStore by the name of the synchronous one."""


class AsyncCachingStore(AsyncStore):
    """A CachingStore to await: the objects of ``main_store``, with copies in ``cache_store``."""

    store: utils.CachingStore

    def __init__(
        self, main_store: Any, cache_store: Any, *, revalidate: Revalidate = "etag", ttl: float = 60.0
    ) -> None:
        super().__init__(utils.CachingStore(sync(main_store), sync(cache_store), revalidate=revalidate, ttl=ttl))

    async def clear(self, key: str | None = None) -> None:
        """Forget the copy of one object, or all copies; the origin is not touched."""
        await self._calls.call(self.store.clear, key)


class AsyncRegexRoutingStore(AsyncStore):
    """A RegexRoutingStore to await: each key lives where the first pattern that matches it leads."""

    store: utils.RegexRoutingStore

    def __init__(self, store: Any, routes: Mapping[Pattern, Any] | Iterable[tuple[Pattern, Any]]) -> None:
        pairs = routes.items() if isinstance(routes, Mapping) else routes
        super().__init__(utils.RegexRoutingStore(sync(store), [(pattern, sync(target)) for pattern, target in pairs]))


async def async_copy_store(from_store: Any, to_store: Any, overwrite: bool = True) -> list[KeyResult]:
    """One result for each object of the first store, each of them now in the second; see ``utils.copy_store``."""
    return await _async_copy_store(from_store, to_store, overwrite)


async def async_clear_store(store: Any) -> list[KeyResult]:
    """One result for each object that was in the store, which is now empty: unasked, as the original does."""
    return await _async_clear_store(store, confirm=True)


async def async_sync_stores(from_store: Any, to_store: Any, delete: bool = False) -> list[KeyResult]:
    """One result for each key, after which the contents are equal; see ``utils.sync_stores``."""
    return await _async_sync_stores(from_store, to_store, delete, allow_empty=True)
