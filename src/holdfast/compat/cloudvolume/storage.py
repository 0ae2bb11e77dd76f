"""Storage, as CloudVolume has it: threaded, simple and green."""

from __future__ import annotations

from typing import Any

from ... import codecs
from ...errors import UnknownEncoding
from ...files import storage as native
from ...files.reading import Reader
from ...files.storage import DEFAULT_THREADS, reset_connection_pools
from ...store import ObjectStore
from .exceptions import UnsupportedCompressionType


class Interface:
    """What tests of CloudVolume look at stored objects through."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def get_file(self, file_path: str) -> tuple[bytes | None, str | None]:
        """The stored bytes and their encoding; (None, None) where there is no object."""
        row = Reader(self._store, raw=True).one(file_path)
        return row["content"], row["compress"]


class _Manners:
    """What CloudVolume does otherwise: its errors about compression, and no brotli on Google."""

    store: ObjectStore

    def _encoding(self, compress: str | bool | None) -> str | None:
        try:
            encoding = codecs.canonical(compress)
        except UnknownEncoding as error:
            raise UnsupportedCompressionType(str(error)) from None
        if encoding == "br" and self.store.name.startswith("gs://"):
            raise UnsupportedCompressionType("Brotli unsupported on google cloud storage", store=self.store.name)
        return encoding

    @property
    def _interface(self) -> Interface:
        return Interface(self.store)


class SimpleStorage(_Manners, native.SimpleStorage):
    """Work in the caller's thread (see ``holdfast.SimpleStorage``)."""


class ThreadedStorage(_Manners, native.ThreadedStorage):
    """Work in threads, writes in the background (see ``holdfast.ThreadedStorage``)."""


class GreenStorage(_Manners, native.GreenStorage):
    """Work for gevent (see ``holdfast.GreenStorage``)."""


def Storage(  # noqa: N802 - called like the class that it makes
    layer_path: str, n_threads: int = DEFAULT_THREADS, progress: bool = False, green: bool = False, **kwargs: Any
) -> ThreadedStorage | GreenStorage:
    """A ThreadedStorage, or with ``green=True`` a GreenStorage."""
    return (GreenStorage if green else ThreadedStorage)(layer_path, n_threads, progress, **kwargs)


__all__ = [
    "DEFAULT_THREADS",
    "GreenStorage",
    "Interface",
    "SimpleStorage",
    "Storage",
    "ThreadedStorage",
    "UnsupportedCompressionType",
    "reset_connection_pools",
]
