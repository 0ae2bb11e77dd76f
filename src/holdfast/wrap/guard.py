"""Wrappers that let some calls through and refuse others: by what they do, or by their keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from ..blob import Blob, Staged
from ..errors import RefusedKey
from ..store import LIST, READ, REMOVE, WRITE, ObjectStore, Removed, Wrapper, select
from ..types import (
    Body,
    Capabilities,
    ListOptions,
    Location,
    ObjectInfo,
    ReadOptions,
    RemoveOptions,
    WriteOptions,
)
from ._refusing import Validator, refusal
from ._single import SingleStore


class IdentityStore(Wrapper):
    """The same store once more: every verb is forwarded unchanged.

    >>> from holdfast.stores.memory import MemoryStore
    >>> IdentityStore(MemoryStore()).put("a", b"1").key
    'a'
    """


class ReadonlyStore(SingleStore):
    """A store that can be read and listed; every write, delete, copy or upload into it is Unsupported.

    Reads, ranges, versions and listings are the wrapped store's own, and so are copies *from* it. It keeps callers
    of this object from writing, not those who hold the wrapped store.

    >>> from holdfast.stores.memory import MemoryStore
    >>> ReadonlyStore(MemoryStore()).put("a", b"1")
    Traceback (most recent call last):
    ...
    holdfast.errors.Unsupported: memory: cannot do a write: this store is read-only
    """

    @property
    def capabilities(self) -> Capabilities:
        """Those of the store inside that are about reading."""
        return replace(
            self.store.capabilities, write=False, create=False, replace_if=False, delete_if=False, copy=False
        )

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        return self.store._read(key, options)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        raise self._unsupported("a write", cure="this store is read-only")

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        raise self._unsupported("a delete", cure="this store is read-only")

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        return self.store._scan(options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        raise self._unsupported("a copy into it", cure="this store is read-only")

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        raise self._unsupported("a write", cure="this store is read-only")

    def _locate(self, key: str) -> Location | None:
        return self.store._locate(key)


class WriteonlyStore(SingleStore):
    """A store that can be written, and deleted from; to read, look for or list anything is Unsupported.

    Conditional writes pass: what they answer tells whether there was an object, but never what it held.

    >>> from holdfast.stores.memory import MemoryStore
    >>> drop = WriteonlyStore(MemoryStore())
    >>> drop.put("a", b"1").key
    'a'
    >>> drop.exists("a")
    Traceback (most recent call last):
    ...
    holdfast.errors.Unsupported: memory: cannot do a read: this store is write-only
    """

    @property
    def capabilities(self) -> Capabilities:
        """Those of the store inside that are about writing."""
        return replace(self.store.capabilities, listing=False, sorted=False, ranges=False)

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        raise self._unsupported("a read", cure="this store is write-only")

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        return self.store._write(key, body, options)

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        return self.store._remove(keys, options)

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        raise self._unsupported("a listing", cure="this store is write-only")

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        return self.store._copy(source, src, dst, options)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        return self.store._stage(key, size, options)

    def _locate(self, key: str) -> Location | None:
        """None: a native copy out of here would be a read."""
        return None


class KeyValidatingStore(SingleStore):
    """A store in which only the keys exist that a validator lets through.

    ``validator(key)`` returns for a key that may be used and raises KeyError or ValueError for any other (or returns
    False, as a predicate does). For such a key every call, ``exists`` too, raises RefusedKey (a KeyError and an
    InvalidKey), without asking the wrapped store; listings leave out what is stored there under such keys.

    >>> from holdfast.stores.memory import MemoryStore
    >>> store = KeyValidatingStore(MemoryStore(), str.islower)
    >>> store.exists("a"), issubclass(RefusedKey, KeyError)
    (False, True)
    >>> store.exists("A")
    Traceback (most recent call last):
    ...
    holdfast.errors.RefusedKey: memory: key 'A' is refused: the validator does not accept it
    """

    def __init__(self, store: ObjectStore, validator: Validator) -> None:
        super().__init__(store)
        if not callable(validator):
            raise TypeError(f"a validator is called with a key; {type(validator).__name__} cannot be called")
        self.validator = validator

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.store!r}, {self.validator!r})"

    @property
    def capabilities(self) -> Capabilities:
        """Those of the store inside."""
        return self.store.capabilities

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        return self.store._read(self._valid(key), options)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        return self.store._write(self._valid(key), body, options)

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        refused = [self.refusal(key) for key in keys]
        if options.if_match is not None and any(refused):
            return [*refused]
        removed = iter(
            self.store._remove([key for key, error in zip(keys, refused, strict=True) if error is None], options)
        )
        return [next(removed) if error is None else error for error in refused]

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        # Without the delimiter: a prefix that only refused keys have must not be shown either.
        rows = self.store._scan(ListOptions(options.prefix, None, options.start_after))
        return select((row for row in rows if self.refusal(row.key) is None), options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        return self.store._copy(source, src, self._valid(dst), options)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        return self.store._stage(self._valid(key), size, options)

    def _locate(self, key: str) -> Location | None:
        return self.store._locate(self._valid(key))

    def _valid(self, key: str) -> str:
        refused = self.refusal(key)
        if refused is not None:
            raise refused from refused.cause
        return key

    def refusal(self, key: str) -> RefusedKey | None:
        """The error for a key that the validator does not let through, or None."""
        return refusal(self.validator, key, self.name)


class RegexValidator:
    """A validator that lets through the keys which a regular expression matches from end to end.

    >>> RegexValidator("[a-z]+")("abc")
    >>> RegexValidator("[a-z]+")("abc1")
    Traceback (most recent call last):
    ...
    KeyError: "it does not match '[a-z]+'"
    """

    def __init__(self, pattern: str | re.Pattern[str]) -> None:
        self.pattern = re.compile(pattern)

    def __repr__(self) -> str:
        return f"RegexValidator({self.pattern.pattern!r})"

    def __call__(self, key: str) -> None:
        if self.pattern.fullmatch(key) is None:
            raise KeyError(f"it does not match {self.pattern.pattern!r}")


class RegexValidatingStore(KeyValidatingStore):
    """A store in which only the keys exist that match a regular expression from end to end.

    >>> from holdfast.stores.memory import MemoryStore
    >>> store = RegexValidatingStore(MemoryStore(), r"[a-z]+/[0-9]+")
    >>> store.put("run/1", b"x").key
    'run/1'
    """

    def __init__(self, store: ObjectStore, pattern: str | re.Pattern[str]) -> None:
        super().__init__(store, RegexValidator(pattern))


def validate_http_url_key(key: str) -> None:
    """Return for a key that is an http or https URL with a host; KeyError for any other.

    >>> validate_http_url_key("https://example.com/a")
    >>> validate_http_url_key("ftp://example.com/a")
    Traceback (most recent call last):
    ...
    KeyError: 'it is no http or https URL with a host'
    """
    try:
        parts = urlsplit(key)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:  # such as an IPv6 address without its bracket
        sound = False
    if not sound:
        raise KeyError("it is no http or https URL with a host")


class UrlValidatingStore(KeyValidatingStore):
    """A store whose keys are http and https URLs; any other key is RefusedKey.

    >>> from holdfast.stores.memory import MemoryStore
    >>> UrlValidatingStore(MemoryStore()).put("https://example.com/a", b"x").size
    1
    """

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store, validate_http_url_key)
