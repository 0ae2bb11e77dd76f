"""The names of ``accsr.remote_storage``; they are those of ``holdfast.remote_storage``."""

from ...remote_storage import (
    Provider,
    RemoteObjectProtocol,
    RemoteStorage,
    RemoteStorageConfig,
    SyncObject,
    TransactionSummary,
)

__all__ = [
    "Provider",
    "RemoteObjectProtocol",
    "RemoteStorage",
    "RemoteStorageConfig",
    "SyncObject",
    "TransactionSummary",
]
