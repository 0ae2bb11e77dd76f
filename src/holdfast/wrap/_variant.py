"""What stored objects are: whose variant each one is, and the blob that shows it under that key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from ..blob import Blob, ForwardingBlob
from ..errors import HoldfastError, InvalidKey, NotFound
from ..store import HEAD, ObjectStore
from ..types import ObjectInfo, ReadOptions
from ._families import coding_of, split_suffix, variants

#: The mark of a name that ends like a suffix and has no encoding.
NATURAL = "identity"


class Variant(ForwardingBlob):
    """A stored object under its key, with the encoding that its name tells."""

    __slots__ = ("_encoding", "_key")

    def __init__(self, blob: Blob, key: str, encoding: str | None) -> None:
        super().__init__(blob)
        self._key = key
        self._encoding = encoding

    @property
    def info(self) -> ObjectInfo:  # type: ignore[override]
        return told_as(self._blob.info, self._key, self._encoding)

    @property
    def encoding(self) -> str | None:
        return self._encoding

    def rename(self, key: str) -> Variant:
        self._key = key
        return self


def told_as(info: ObjectInfo, key: str, encoding: str | None) -> ObjectInfo:
    """The info of a stored object, as the key's."""
    if info.key == key and info.content_encoding == encoding:
        return info
    return replace(info, key=key, content_encoding=encoding)


class StoredObjects:
    """The objects of the wrapped store by their stored names, looked at one by one."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self._suffixed = False

    def first(self, key: str, paths: Iterable[str], options: ReadOptions) -> tuple[str, Blob] | None:
        """The first of these stored names that is a variant of the key, opened."""
        for path in self._likely(paths):
            blob = self.open(path, key, options)
            if blob is None:
                continue
            mark = blob.encoding
            if path == key:
                self._suffixed = False
                if mark is not None and mark != NATURAL:
                    return path, blob
                if mark is not None or split_suffix(key) is None:
                    return path, blob if mark is None else Variant(blob, key, None)
            elif mark is None:
                self._suffixed = True
                return path, Variant(blob, key, coding_of(path))
            blob.close()  # another key's
        return None

    def _likely(self, paths: Iterable[str]) -> Iterator[str]:
        """These names, without those that a cheap look excludes.

        The first one is not looked at but opened, unless the last object that was found lay under another.
        """
        rest = iter(paths)
        if not self._suffixed:
            yield from islice(rest, 1)
        yield from self.present(rest)

    def encoded_object_at(self, path: str, options: ReadOptions) -> tuple[str, Blob] | None:
        """The stored form of another key, asked for by its full name."""
        blob = self.open(path, path, options)
        if blob is None:
            return None
        return path, blob if blob.encoding != NATURAL else Variant(blob, path, None)

    def open(self, path: str, key: str, options: ReadOptions) -> Blob | None:
        """The stored object of this name, or None; ``key`` is the key that a caller named."""
        try:
            return self.store._read(path, options)
        except NotFound:
            return None
        except InvalidKey:
            if path == key:
                raise
            return None  # with the suffix the name is too long: nothing can be there
        except HoldfastError as error:
            if error.key == path and key:
                error.key = key
            raise

    def head(self, path: str, key: str) -> ObjectInfo | None:
        """The info of the stored object of this name, or None."""
        blob = self.open(path, key, HEAD)
        if blob is None:
            return None
        with blob:
            return blob.info

    def owned(self, key: str, but: str = "") -> list[str]:
        """The variants of the key, the best first."""
        paths = self.present(path for path in variants(key) if path != but)
        return [path for path in paths if self.owns(key, path)]

    def present(self, paths: Iterable[str]) -> Iterable[str]:
        """Those of these names, which differ by suffixes, that may be there: all, where only a read would tell.

        Each is looked at when it is asked for, so that nobody waits for more than they want.
        """
        look = getattr(self.store, "_present", None)
        return paths if look is None else look(paths)

    def owns(self, key: str, path: str) -> bool:
        """Whether what is stored under this name is a variant of the key."""
        blob = self.open(path, key, HEAD)
        if blob is None:
            return False
        with blob:
            mark = blob.encoding
        return (mark is not None or split_suffix(key) is None) if path == key else mark is None
