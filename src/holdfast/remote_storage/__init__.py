"""Push and pull of files and directories, with a summary before anything happens.

    RemoteStorageConfig    where the bucket is, and who asks
    RemoteStorage          push, pull, delete and list, below one base path of the bucket
    TransactionSummary     what a push or pull found, would do, and did, made of SyncObjects
    RemoteObjectProtocol   what an object of the bucket can be asked for

What is compared and moved, and under which conditions, is decided by ``holdfast.sync``.
"""

from .configuration import Provider, RemoteStorageConfig
from .remote_objects import Bucket, Driver, RemoteObject, RemoteObjectProtocol
from .storage import RemoteStorage
from .sync_objects import SyncObject
from .transactions import TransactionSummary

__all__ = [
    "Bucket",
    "Driver",
    "Provider",
    "RemoteObject",
    "RemoteObjectProtocol",
    "RemoteStorage",
    "RemoteStorageConfig",
    "SyncObject",
    "TransactionSummary",
]
