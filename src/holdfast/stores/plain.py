"""The local stores of amplify-storage-utils by their own names and return values; the work is the native stores'."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, KeysView, MutableMapping
from typing import Any

from ..store import LIST, Facade, ObjectStore, select
from ..types import Body, Capabilities, ListOptions, ObjectInfo
from .file import FileStore
from .file.renamed import Base32FileStore


class DictStore(ObjectStore):
    """Objects in a dict of your own, or in a new one: ``.objects``, to look at and to change at any time.

    ``get`` returns what is in the dict, whatever it is, None too; everything else wants bytes. For all that a store
    in memory can do (conditions, attributes, versions), take ``mem://``.

    >>> store = DictStore({"a": b"1"})
    >>> store.put("b", b"2")
    >>> store.objects, list(store.keys("b"))
    ({'a': b'1', 'b': b'2'}, ['b'])
    """

    def __init__(self, objects: MutableMapping[str, Any] | None = None) -> None:
        self.objects: MutableMapping[str, Any] = {} if objects is None else objects

    def __repr__(self) -> str:
        return f"DictStore({len(self.objects)} objects)"

    @property
    def capabilities(self) -> Capabilities:
        """Listing, writing, and each value whole."""
        return Capabilities(listing=True, write=True, atomic_write=True)

    @property
    def local(self) -> bool:
        return True

    def get(self, key: str) -> Any:
        """The value under the key; KeyError if there is none."""
        return self.objects[key]

    def put(self, key: str, data: Any) -> None:
        """Keep the value under the key; of a buffer that may change a copy."""
        self.objects[key] = bytes(data) if isinstance(data, bytearray | memoryview) else data

    def delete(self, key: str) -> None:
        """Remove the value; KeyError if there is none."""
        del self.objects[key]

    def exists(self, key: str) -> bool:
        """Whether the key is in the dict, also with the value None."""
        return key in self.objects

    def keys(self, prefix: str = "") -> KeysView[str] | Iterator[str]:
        """The dict's own keys, or those that start with the prefix."""
        return self.objects.keys() if not prefix else (key for key in list(self.objects) if key.startswith(prefix))

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        return select((ObjectInfo(key) for key in list(self.keys())), options)  # also the keys() of a subclass


class FilesystemStore(Facade):
    """The files below ``root_path`` by their relative paths: a FileStore whose ``delete`` returns True.

    Keys that would lead out of the root are InvalidKey.

    >>> import tempfile
    >>> root = tempfile.TemporaryDirectory()
    >>> store = FilesystemStore(root.name)
    >>> info = store.put("a/b", b"1")
    >>> list(store.keys()), store.delete("a/b")
    (['a/b'], True)
    >>> root.cleanup()
    """

    store: FileStore

    def __init__(self, root_path: str | os.PathLike[str], *, durable: bool = False) -> None:
        super().__init__(self._native(root_path, durable=durable))
        self.root_path = root_path

    def __repr__(self) -> str:
        return f"{type(self).__name__}({os.fspath(self.root_path)!r}{', durable=True' if self.store.durable else ''})"

    @staticmethod
    def _native(root: str | os.PathLike[str], *, durable: bool) -> FileStore:
        return FileStore(root, durable=durable)

    def get(self, key: str) -> bytes:
        """The file's bytes; NotFound (a KeyError) if there is none."""
        return self.store.get(key)

    def put(self, key: str, data: Body) -> ObjectInfo:
        """The info of the file that now has these bytes; its directories are made."""
        return self.store.put(key, data)

    def delete(self, key: str) -> bool:
        """True once the file is removed; NotFound (a KeyError) if there is none."""
        self.store.delete(key)
        return True

    def exists(self, key: str) -> bool:
        """Whether there is such a file; a directory is none."""
        return self.store.exists(key)

    def keys(self, prefix: str = "") -> Iterable[str]:
        """The relative paths of all files that start with the string ``prefix``."""
        return self.store.keys(prefix)


class SafeFilesystemStore(FilesystemStore):
    """Any keys as files directly in ``root_path``, called by their base32 with "_" for "=".

    >>> import tempfile
    >>> root = tempfile.TemporaryDirectory()
    >>> store = SafeFilesystemStore(root.name)
    >>> info = store.put("../a?b", b"1")
    >>> list(store.keys()), sorted(set(os.listdir(root.name)) - {".holdfast"})
    (['../a?b'], ['FYXC6YJ7MI______'])
    >>> store.close()
    >>> root.cleanup()
    """

    @staticmethod
    def _native(root: str | os.PathLike[str], *, durable: bool) -> FileStore:
        return Base32FileStore(root, durable=durable)
