"""The wrappers, to await, with the arguments of the synchronous ones, around stores of either kind.

Those that transform bodies or keys are in ``aio.transforming``.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from inspect import iscoroutinefunction
from typing import Any

from ..retry import Policy as RetryPolicy
from ..wrap._refusing import Validator
from ..wrap.cache import CachingStore, Revalidate
from ..wrap.encrypt import EncryptingStore, KeyRing, Rotated
from ..wrap.guard import (
    IdentityStore,
    KeyValidatingStore,
    ReadonlyStore,
    RegexValidatingStore,
    UrlValidatingStore,
    WriteonlyStore,
)
from ..wrap.mirror import MirroringStore, Policy, Repaired
from ..wrap.observe import ChangeHandler, ExceptionLoggingStore, KeyHandler, Logger, LoggingStore, NotifyingStore
from ..wrap.rekey import PrefixStore
from ..wrap.retrying import RetryingStore
from ..wrap.route import Pattern, RegexRoutingStore
from ..wrap.suffix import SuffixStore
from ..wrap.throttle import ThrottledStore
from .bridge import BridgedStore
from .facade import AnyStore, AsyncBytesStore, AsyncStore, sync


class AsyncIdentityStore(AsyncBytesStore):
    """An IdentityStore to await: the store as it is."""

    store: IdentityStore

    def __init__(self, store: AnyStore) -> None:
        super().__init__(IdentityStore(sync(store)))


class AsyncReadonlyStore(AsyncBytesStore):
    """A ReadonlyStore to await: it refuses to write."""

    store: ReadonlyStore

    def __init__(self, store: AnyStore) -> None:
        super().__init__(ReadonlyStore(sync(store)))


class AsyncWriteonlyStore(AsyncBytesStore):
    """A WriteonlyStore to await: it refuses to read."""

    store: WriteonlyStore

    def __init__(self, store: AnyStore) -> None:
        super().__init__(WriteonlyStore(sync(store)))


class AsyncKeyValidatingStore(AsyncBytesStore):
    """A KeyValidatingStore to await; the validator is called in a worker thread."""

    store: KeyValidatingStore

    def __init__(self, store: AnyStore, validator: Validator) -> None:
        super().__init__(KeyValidatingStore(sync(store), validator))


class AsyncRegexValidatingStore(AsyncBytesStore):
    """A RegexValidatingStore to await: keys that match from end to end."""

    store: RegexValidatingStore

    def __init__(self, store: AnyStore, pattern: str | re.Pattern[str]) -> None:
        super().__init__(RegexValidatingStore(sync(store), pattern))


class AsyncUrlValidatingStore(AsyncBytesStore):
    """A UrlValidatingStore to await: keys that are HTTP URLs."""

    store: UrlValidatingStore

    def __init__(self, store: AnyStore) -> None:
        super().__init__(UrlValidatingStore(sync(store)))


class AsyncPrefixStore(AsyncBytesStore):
    """A PrefixStore to await: the objects whose keys start with a prefix."""

    store: PrefixStore

    def __init__(self, store: AnyStore, prefix: str) -> None:
        super().__init__(PrefixStore(sync(store), prefix))


class AsyncEncryptingStore(AsyncBytesStore):
    """An EncryptingStore to await."""

    store: EncryptingStore

    def __init__(
        self,
        store: AnyStore,
        keys: KeyRing | Mapping[str, bytes | str] | bytes | str,
        active: str | None = None,
        *,
        context: str = "",
    ) -> None:
        super().__init__(EncryptingStore(sync(store), keys, active, context=context))

    async def rotate(
        self,
        prefix: str = "",
        *,
        threads: int | None = None,
        progress: Callable[[int], None] | None = None,
        sole_writer: bool = False,
    ) -> list[Rotated]:
        """What was done for each key so that all objects are encrypted with the active key; one await for all."""
        rotate = partial(self.store.rotate, prefix, threads=threads, progress=progress, sole_writer=sole_writer)
        return await self._calls.call(rotate)


class AsyncThrottledStore(AsyncBytesStore):
    """A ThrottledStore to await: so many operations and bytes a second."""

    store: ThrottledStore

    def __init__(
        self, store: AnyStore, *, operations_per_second: float | None = None, bytes_per_second: float | None = None
    ) -> None:
        super().__init__(
            ThrottledStore(sync(store), operations_per_second=operations_per_second, bytes_per_second=bytes_per_second)
        )


class AsyncLoggingStore(AsyncBytesStore):
    """A LoggingStore to await: one record for each operation."""

    store: LoggingStore

    def __init__(
        self, store: AnyStore, store_name: str = "store", logger: Logger | None = None, *, level: int = logging.INFO
    ) -> None:
        super().__init__(LoggingStore(sync(store), store_name, logger, level=level))


class AsyncExceptionLoggingStore(AsyncStore):
    """An ExceptionLoggingStore to await: errors are logged, and answers empty."""

    store: ExceptionLoggingStore

    def __init__(self, store: AnyStore, store_name: str = "store", logger: Logger | None = None) -> None:
        super().__init__(ExceptionLoggingStore(sync(store), store_name, logger))


class AsyncRetryingStore(AsyncBytesStore):
    """A RetryingStore to await: operations are tried again where that is harmless."""

    store: RetryingStore

    def __init__(
        self,
        store: AnyStore,
        policy: RetryPolicy | None = None,
        *,
        retry_on: tuple[type[Exception], ...] = (ConnectionError, TimeoutError),
    ) -> None:
        super().__init__(RetryingStore(sync(store), policy, retry_on=retry_on))


class AsyncNotifyingStore(AsyncBytesStore):
    """A NotifyingStore to await. Handlers are plain functions, called in a worker thread, with the wrapped store."""

    store: NotifyingStore

    def __init__(self, store: AnyStore) -> None:
        super().__init__(NotifyingStore(sync(store)))

    def on_change(self, handler: ChangeHandler) -> None:
        """Call ``handler(store, action, key, error)`` after each change."""
        self.store.on_change(plain_handler(handler))

    def on_put(self, handler: KeyHandler) -> None:
        """Call ``handler(store, key, error)`` after each put."""
        self.store.on_put(plain_handler(handler))

    def on_delete(self, handler: KeyHandler) -> None:
        """Call ``handler(store, key, error)`` after each delete."""
        self.store.on_delete(plain_handler(handler))


class AsyncMirroringStore(AsyncBytesStore):
    """A MirroringStore to await: every object in each of the children."""

    store: MirroringStore

    def __init__(self, children: Iterable[AnyStore], policy: Policy = "all") -> None:
        super().__init__(MirroringStore([sync(child) for child in children], policy))

    async def repair(
        self,
        source: AnyStore | int = 0,
        *,
        threads: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[Repaired]:
        """What was done to make the other children equal to ``source`` (one of them, or its number): one await."""
        trusted = source if isinstance(source, int) else self._number(source)
        return await self._calls.call(partial(self.store.repair, trusted, threads=threads, progress=progress))

    def _number(self, source: AnyStore) -> int:
        for number, child in enumerate(self.store.children):
            given = child.child if isinstance(child, BridgedStore) else child
            if given is source or (isinstance(source, AsyncStore) and given is source.store):
                return number
        raise ValueError("the source of a repair is one of the mirror's children")


class AsyncFanoutStore(AsyncMirroringStore):
    """An AsyncMirroringStore by its older name.

    >>> import asyncio
    >>> from holdfast.aio import AsyncDictStore
    >>> async def main():
    ...     one, two = AsyncDictStore(), AsyncDictStore()
    ...     await AsyncFanoutStore([one, two]).put("a", b"1")
    ...     return await one.get("a"), await two.get("a")
    >>> asyncio.run(main())
    (b'1', b'1')
    """


class AsyncCachingStore(AsyncBytesStore):
    """A CachingStore to await: the objects of ``main_store``, with copies in ``cache_store``."""

    store: CachingStore

    def __init__(
        self,
        main_store: AnyStore,
        cache_store: AnyStore,
        *,
        revalidate: Revalidate = "etag",
        ttl: float = 60.0,
        max_bytes: int | None = 1 << 30,
        identity: str | None = None,
    ) -> None:
        store = CachingStore(
            sync(main_store),
            sync(cache_store),
            revalidate=revalidate,
            ttl=ttl,
            max_bytes=max_bytes,
            identity=identity,
        )
        super().__init__(store)

    async def clear(self, key: str | None = None) -> None:
        """Forget the copy of one object, or all copies of everything in the cache; the origin is not touched."""
        await self._calls.call(self.store.clear, key)


class AsyncSuffixStore(AsyncBytesStore):
    """A SuffixStore to await: content encodings as endings of file names."""

    store: SuffixStore

    def __init__(self, store: AnyStore) -> None:
        super().__init__(SuffixStore(sync(store)))


class AsyncRegexRoutingStore(AsyncBytesStore):
    """A RegexRoutingStore to await: each key lives where the first pattern that matches it leads."""

    store: RegexRoutingStore

    def __init__(
        self, store: AnyStore, routes: Mapping[Pattern, AnyStore] | Iterable[tuple[Pattern, AnyStore]]
    ) -> None:
        pairs = routes.items() if isinstance(routes, Mapping) else routes
        super().__init__(RegexRoutingStore(sync(store), [(pattern, sync(target)) for pattern, target in pairs]))


def plain_handler(handler: Any) -> Any:
    """The handler, if it is a plain function; TypeError for one to await."""
    if iscoroutinefunction(handler):
        raise TypeError("a handler is a plain function: it runs in a worker thread, where nobody would await it")
    return handler
