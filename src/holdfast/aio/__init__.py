"""Stores to await: an ``Async...`` name for every store, wrapper and utility, over the same threads.

Nothing is written twice: an await hands one call to a worker thread, so one await for a whole batch
(``AsyncCloudFiles.get``, ``async_copy_store``) costs what the synchronous batch costs.
"""

from .bridge import AsyncObjects, BridgedStore
from .cloudfiles import AsyncCloudFiles
from .facade import AnyStore, AsyncBlob, AsyncBody, AsyncStore
from .stores import (
    AsyncBucketStore,
    AsyncDictStore,
    AsyncFilesystemStore,
    AsyncHashdirStore,
    AsyncRedisStore,
    AsyncSafeFilesystemStore,
    AsyncSqliteStore,
    AsyncZipStore,
)
from .transforming import (
    AsyncBase64Store,
    AsyncCompressingStore,
    AsyncGzipStore,
    AsyncHashPrefixStore,
    AsyncKeyTransformingStore,
    AsyncTransformingStore,
    AsyncUrlEncodingStore,
)
from .utilities import async_clear_store, async_copy_store, async_sync_stores
from .values import AsyncBufferStore, AsyncJsonStore, AsyncTextEncodingStore, AsyncValueStore
from .wrappers import (
    AsyncCachingStore,
    AsyncEncryptingStore,
    AsyncExceptionLoggingStore,
    AsyncFanoutStore,
    AsyncIdentityStore,
    AsyncKeyValidatingStore,
    AsyncLoggingStore,
    AsyncMirroringStore,
    AsyncNotifyingStore,
    AsyncPrefixStore,
    AsyncReadonlyStore,
    AsyncRegexRoutingStore,
    AsyncRegexValidatingStore,
    AsyncRetryingStore,
    AsyncThrottledStore,
    AsyncUrlValidatingStore,
    AsyncWriteonlyStore,
)

__all__ = [
    "AnyStore",
    "AsyncBase64Store",
    "AsyncBlob",
    "AsyncBody",
    "AsyncBucketStore",
    "AsyncBufferStore",
    "AsyncCachingStore",
    "AsyncCloudFiles",
    "AsyncCompressingStore",
    "AsyncDictStore",
    "AsyncEncryptingStore",
    "AsyncExceptionLoggingStore",
    "AsyncFanoutStore",
    "AsyncFilesystemStore",
    "AsyncGzipStore",
    "AsyncHashPrefixStore",
    "AsyncHashdirStore",
    "AsyncIdentityStore",
    "AsyncJsonStore",
    "AsyncKeyTransformingStore",
    "AsyncKeyValidatingStore",
    "AsyncLoggingStore",
    "AsyncMirroringStore",
    "AsyncNotifyingStore",
    "AsyncObjects",
    "AsyncPrefixStore",
    "AsyncReadonlyStore",
    "AsyncRedisStore",
    "AsyncRegexRoutingStore",
    "AsyncRegexValidatingStore",
    "AsyncRetryingStore",
    "AsyncSafeFilesystemStore",
    "AsyncSqliteStore",
    "AsyncStore",
    "AsyncTextEncodingStore",
    "AsyncThrottledStore",
    "AsyncTransformingStore",
    "AsyncUrlEncodingStore",
    "AsyncUrlValidatingStore",
    "AsyncValueStore",
    "AsyncWriteonlyStore",
    "AsyncZipStore",
    "BridgedStore",
    "async_clear_store",
    "async_copy_store",
    "async_sync_stores",
]
