"""CloudMapping: a dict in a store that never overwrites, deletes or serves what somebody else has changed.

The mapping keeps the ETag of every key that it knows, and names it in everything that it does: a value is read,
replaced or deleted as the version that the mapping knows, or not at all. What is known is learned by ``sync``, or by
writing; the questions "which keys" and "is it there" are answered from it, without a request.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Final, Self, TypeVar, overload

from ..blob import Buffer
from ..engine import default as default_engine
from ..errors import AlreadyExists, BucketNotFound, Conflict, HoldfastError, KeySyncError, NotFound
from ..keys import check, join
from ..retry import Policy
from ..store import ObjectStore
from ..types import ListOptions
from ..url import URL
from ..wrap.rekey import PrefixStore
from . import abilities, bulk, serialisers
from .knowledge import Knowledge, is_mark
from .providers import StorageProvider, opened
from .versions import UNKNOWN, Read, Versions
from .views import Items, Keys, Values

T = TypeVar("T")
D = TypeVar("D")

_MISSING: Final[Any] = object()
#: How often ``modify`` tries, and how it waits in between: for a random time, that grows from 5 ms to half a second.
_CONTENTION = Policy(tries=100, first=0.005, longest=0.5)


class CloudMapping(MutableMapping[str, T]):
    """A dict of the objects in ``store``: a store, a location such as ``"s3://bucket/prefix"``, or a provider.

    ``serialisation`` says how values become bytes: None (raw, any bytes-like), "string", "json", "json_zlib", "csv"
    and "parquet" (with pandas), "pickle", a list of these, or what ``holdfast.mapping.serialisers`` makes. Only keys
    below ``key_prefix`` + "/" are seen. With ``sync_initially`` it begins with what is stored, by one listing, if the
    bucket exists; else it knows no key. Further options go to the store of a location.

    Every operation names the version (ETag) that the mapping knows. If that is not what is stored, because somebody
    else has changed, created or deleted it, nothing happens and KeySyncError is raised, until ``sync_with_cloud``: a
    conflict never looks like a missing key, and no default hides one. Keys are learned by syncing and by writing;
    ``in``, ``len``, ``iter`` and ``keys()`` are answered from what is known, without a request. With ``read_blindly``
    the latest value is read, whatever is known, and ``in`` asks; a missing one is ``read_blindly_default``, or KeyError
    with ``read_blindly_error``. Where the answer to a write was lost and its outcome cannot be known, Indeterminate is
    raised. ``modify`` is the way to change a value that others change too.

    A store without atomic creates and replacements is refused with Unsupported, unless ``unsafe=True`` accepts that
    another writer may come between a look and a write. Without atomic deletes only ``del``, ``pop``, ``popitem``,
    ``clear`` and ``delete_many`` are Unsupported. On plain S3 and Google an ETag tells the same bytes from others, no
    more: a value that was changed and changed back is the same version there. Threads may share a mapping, and with it
    what it knows: they are never in conflict with each other.

    >>> mapping = CloudMapping("mem://mapping-example/settings", serialisation="json")
    >>> mapping["a"] = {"size": 1}
    >>> mapping.modify("count", lambda count: count + 1, default=0)
    1
    >>> sorted(CloudMapping("mem://mapping-example/settings", serialisation="json").items())
    [('a', {'size': 1}), ('count', 1)]
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        store: ObjectStore | StorageProvider | str | URL,
        *,
        serialisation: Any = None,
        key_prefix: str | None = None,
        sync_initially: bool = True,
        read_blindly: bool = False,
        read_blindly_error: bool = False,
        read_blindly_default: Any = None,
        unsafe: bool = False,
        **options: Any,
    ) -> None:
        self._serialisation = serialisers.named(serialisation)
        self.read_blindly = read_blindly
        self.read_blindly_error = read_blindly_error
        self.read_blindly_default = read_blindly_default
        self.key_prefix = key_prefix
        self._provider = store if isinstance(store, StorageProvider) else None
        whole = opened(store, options)
        self.store = whole if not key_prefix else PrefixStore(whole, join(_text(key_prefix), ""))
        self._known = Knowledge()
        self._versions = Versions(self.store, unsafe=unsafe)
        self._unsafe = unsafe
        if not unsafe:
            abilities.require_exact(self.store)
        existed = self._provider is None or self._provider.create_if_not_exists()
        if sync_initially and existed:
            self._sync_if_there()

    @classmethod
    def with_buffers(cls, io_buffers: Sequence[Callable[[Any], Any]], *args: Any, **options: Any) -> Self:
        """A mapping whose values go through ``[dumps_1, loads_1, dumps_2, loads_2 ...]``: loads in reverse.

        The other arguments are those of the class. ValueError for an odd number of functions.
        """
        return cls(*args, serialisation=serialisers.buffers(io_buffers), **options)

    @classmethod
    def with_pickle(cls, *args: Any, **options: Any) -> Self:
        """A mapping of pickled values: only where nobody writes whom you would not let run code."""
        return cls(*args, serialisation=serialisers.pickle(), **options)

    @classmethod
    def with_json(cls, *args: Any, **options: Any) -> Self:
        """A mapping of values that are stored as JSON."""
        return cls(*args, serialisation=serialisers.json(), **options)

    @classmethod
    def with_json_zlib(cls, *args: Any, **options: Any) -> Self:
        """A mapping of values that are stored as compressed JSON."""
        return cls(*args, serialisation=serialisers.json_zlib(), **options)

    def _sync_if_there(self) -> None:
        if not self.store.capabilities.listing:
            cure = "it begins with a listing, which this store has not: pass sync_initially=False"
            raise self.store._unsupported("a mapping", "sync_initially=True", cure)
        try:
            self.sync_with_cloud()
        except BucketNotFound:
            return  # nothing is stored, and whoever writes is told
        if not self._unsafe:
            abilities.probe(self.store)

    # ------------------------------------------------------------------ what the mapping is
    @property
    def etags(self) -> dict[str, str]:
        """The version of every key that the mapping knows; it is what the mapping itself works with."""
        return self._known.etags

    @property
    def serialisation(self) -> serialisers.CloudMappingSerialisation[T] | None:
        """How values become bytes; None is raw."""
        return self._serialisation

    @property
    def storage_provider(self) -> StorageProvider | None:
        """The provider that the mapping was made with, if it was one."""
        return self._provider

    def close(self) -> None:
        """Release what the store holds; also at the end of a with statement."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"cloudmapping<{self.store.name if self._provider is None else self._provider.logical_name()}>"

    # ------------------------------------------------------------------ syncing
    def sync_with_cloud(
        self, key_or_prefix: str | None = None, *, key: str | None = None, key_prefix: str | None = None
    ) -> None:
        """Take over what is stored now, and forget what is not: all of it, or that key and everything below key + "/".

        ``sync_with_cloud("run1")`` is about the key ``run1`` and those that start with ``run1/``, never ``run10``. One
        listing tells (on services: one request for a thousand keys), and one request more tells of a single key, which
        is all that is taken over where the store has no listing. ``key`` and ``key_prefix`` are what cloud-mappings
        calls the argument; ``key="a/"`` takes over that very object, too, even if it looks like a mark of a directory.
        What this mapping writes at the same time stays known as it was written.
        """
        given = [name for name in (key_or_prefix, key, key_prefix) if name is not None]
        if len(given) > 1:
            raise TypeError("sync_with_cloud takes one key or prefix")
        scope = _text(given[0]) if given else ""
        one = bool(scope) and (key is not None or not scope.endswith("/"))
        if one:
            # First and by itself: a key can be learned by whoever may not list.
            self._known.take_over(lambda known: known == scope, lambda: self._looked_up(scope))
        if not one or self.store.capabilities.listing:
            below = join(scope, "") if scope else ""
            self._known.take_over(lambda known: known.startswith(below), lambda: self._listed(below))

    def _looked_up(self, key: str) -> list[tuple[str, str]]:
        etag = self._versions.current(check(key, self.store.name))
        return [] if etag is None else [(key, etag)]

    def _listed(self, prefix: str) -> Iterator[tuple[str, str]]:
        known = self._known.etags  # what was written here, or asked for by name, is a value whatever it looks like
        rows = self.store._scan(ListOptions(prefix))
        return ((info.key, info.etag or UNKNOWN) for info in rows if info.key in known or not is_mark(info))

    # ------------------------------------------------------------------ one key
    def __getitem__(self, key: str) -> T:
        found = self._value(key)
        if found is _MISSING:
            found = self._blind_default()
        if found is _MISSING:
            raise KeyError(key)
        return found  # type: ignore[no-any-return]

    @overload
    def get(self, key: str, /) -> T | None: ...
    @overload
    def get(self, key: str, /, default: T | D) -> T | D: ...
    def get(self, key: str, /, default: Any = _MISSING) -> Any:
        """The value, or the default (None) for a key that the mapping does not know; KeySyncError for a conflict.

        With ``read_blindly`` the default is for what is not stored; if none is given, ``read_blindly_default``.
        """
        found = self._value(key)
        if found is _MISSING:
            found = default if default is not _MISSING else self._blind_default()
        return None if found is _MISSING else found

    def __setitem__(self, key: str, value: T) -> None:
        data = self._dump(value)
        with self._known.lock(_text(key)):
            self._write(key, data, self._known.etags.get(key))

    def __delitem__(self, key: str) -> None:
        if _text(key) in self._known.etags:
            self._versions.require_deletes("del")
        if not self._delete_known(key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        if not self.read_blindly:
            return _text(key) in self._known.etags
        return self._versions.current(check(_text(key), self.store.name)) is not None

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value; for a key that is not known the default, which is stored, or KeySyncError if something is."""
        with self._known.lock(_text(key)):
            found = self._value(key)
            if found is not _MISSING:
                return found
            self._write(key, self._dump(default), self._known.etags.get(key))
        return default

    @overload
    def pop(self, key: str, /) -> T: ...
    @overload
    def pop(self, key: str, /, default: T | D) -> T | D: ...
    def pop(self, key: str, /, default: Any = _MISSING) -> Any:
        """The value, which is deleted; the default, or KeyError, for a key that the mapping does not know.

        What is deleted is the very version whose value is returned: if it was replaced in between, KeySyncError.
        """
        with self._known.lock(_text(key)):
            etag = self._known.etags.get(key)
            if etag is not None:
                self._versions.require_deletes("pop")
                value = self._load(key, self._versions.read_if(key, etag))
                self._delete(key, etag)
                return value
        if default is _MISSING:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[str, T]:
        """The key that became known last, with its value, which is deleted; KeyError if no key is known."""
        for key in reversed(self._known.etags.copy()):
            value = self.pop(key, _MISSING)
            if value is not _MISSING:  # else another thread has taken it
                return key, value
        raise KeyError("popitem(): the mapping knows no key")

    def _value(self, key: str) -> Any:
        """The value: as the version that is known, or whatever is stored with ``read_blindly``; else _MISSING."""
        _text(key)
        if self.read_blindly:
            latest = self._versions.latest(check(key, self.store.name))
            return _MISSING if latest is None else self._load(key, latest)
        while (etag := self._known.etags.get(key)) is not None:
            try:
                return self._load(key, self._versions.read_if(key, etag))
            except KeySyncError:
                # What is there may be what another thread is writing through this very mapping, and is about to note.
                with self._known.lock(key):
                    # Identity tells a new note of an ETag from that of an older version with the same one.
                    if self._known.etags.get(key) is etag:
                        raise
        return _MISSING

    def _blind_default(self) -> Any:
        """What a blind read returns for what is not there, or _MISSING."""
        return self.read_blindly_default if self.read_blindly and not self.read_blindly_error else _MISSING

    def _write(self, key: str, data: Buffer, expected: str | None) -> None:
        self._known.note(key, self._versions.write_if(check(key, self.store.name), data, expected))

    def _delete(self, key: str, etag: str) -> None:
        self._versions.delete_if(key, etag)
        self._known.note(key, None)

    # ------------------------------------------------------------------ read, modify, write
    def modify(self, key: str, function: Callable[[T], T], default: Any = _MISSING) -> T:
        """The new value ``function(value)``, written in place of exactly the value that was read.

        It works on what is stored now, known or not; where nothing is, on (a copy of) the default, or else raises
        KeyError. If others write in between it starts over, so the function may be called several times: it should do
        nothing but compute. After 100 tries, with random waits, KeySyncError. Indeterminate means that the change was
        made once or not at all. Two requests, if nobody comes in between.

        >>> mapping = CloudMapping("mem://modify-example", serialisation="json")
        >>> mapping.modify("names", lambda names: [*names, "x"], default=[])
        ['x']
        """
        check(_text(key), self.store.name)
        for turn in range(1, _CONTENTION.tries + 1):
            try:
                read = self._versions.read(key)
                value, etag = self._load(key, read), read.etag
            except NotFound as error:
                if default is _MISSING:
                    raise KeyError(key) from error
                value, etag = copy.deepcopy(default), None
            except Conflict as error:  # replaced while it was being read
                self._wait(turn, key, error)
                continue
            changed = function(value)
            data = self._dump(changed)
            try:
                with self._known.lock(key):  # until it is noted: others through this mapping come after it
                    self._known.note(key, self._versions.write(key, data, etag))
            except (AlreadyExists, Conflict) as error:
                self._wait(turn, key, error)
            else:
                return changed
        raise AssertionError("the last wait raises")

    def _wait(self, turn: int, key: str, error: HoldfastError) -> None:
        if turn == _CONTENTION.tries:
            message = f"{key!r} was changed by others in each of {turn} tries to modify it: try again later"
            raise KeySyncError(message, key, self._known.etags.get(key), store=self.store.name, cause=error) from error
        _CONTENTION.sleep(_CONTENTION.wait(turn, error))

    # ------------------------------------------------------------------ many keys
    def get_many(self, keys: Iterable[str]) -> dict[str, T]:
        """The values of those of the keys that are there, read many at a time; KeySyncError for a conflict."""
        return dict(self._read_many(keys, self._value))

    def set_many(self, items: Mapping[str, T] | Iterable[tuple[str, T]]) -> None:
        """Write all of these, many at a time; if a key comes twice, its last value stays.

        What cannot be written because of a conflict (or Indeterminate) does not keep the rest from being written; then
        the first such error is raised, and its ``others`` are the rest of them. Any other error ends it, and what
        failed before that is told by its ``others`` (those of HoldfastErrors) and in its notes.
        """
        pairs = items.items() if isinstance(items, Mapping) else items
        with bulk.together() as failed:
            for distinct in bulk.rounds(iter(pairs)):
                bulk.collect(lambda pair: self.__setitem__(*pair), distinct, failed, local=self.store.local)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Delete those of the keys that the mapping knows, many at a time; errors are raised as by ``set_many``."""
        self._versions.require_deletes("delete_many")
        with bulk.together() as failed:
            bulk.collect(self._delete_known, dict.fromkeys(map(_text, keys)), failed, local=self.store.local)

    def update(self, other: Any = (), /, **values: T) -> None:
        """What ``set_many`` does, with the arguments of ``dict.update``."""
        self.set_many(bulk.pairs(other, values))

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def clear(self) -> None:
        """Delete every key that the mapping knows, many at a time; errors are raised as by ``set_many``."""
        self._versions.require_deletes("clear")
        self.delete_many(list(self._known.etags))

    def _delete_known(self, key: str) -> bool:
        """Whether the key was known, which is deleted now."""
        with self._known.lock(key):
            etag = self._known.etags.get(key)
            if etag is not None:
                self._delete(key, etag)
        return etag is not None

    def _read_many(self, keys: Iterable[str], read: Callable[[str], Any]) -> Iterator[tuple[str, T]]:
        """The keys with their values, in order, without those that are missing."""
        for outcome in default_engine().run(read, keys, ordered=True, local=self.store.local):
            if outcome.value is not _MISSING:
                yield outcome.item, outcome.value

    def _read_all(self, *, backwards: bool = False) -> Iterator[tuple[str, T]]:
        """Every known key with its value, in order; keys that this mapping deletes meanwhile are left out."""
        keys = list(self._known.etags)
        return self._read_many(reversed(keys) if backwards else keys, self._known_value)

    def _known_value(self, key: str) -> Any:
        found = self._value(key) if key in self._known.etags else _MISSING
        return self._blind_default() if found is _MISSING and key in self._known.etags else found

    # ------------------------------------------------------------------ all keys
    def __iter__(self) -> Iterator[str]:
        return iter(self._known.etags)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._known.etags)

    def __len__(self) -> int:
        return len(self._known.etags)

    def keys(self) -> Keys:
        """The keys that the mapping knows: a view, which costs no request."""
        return Keys(self)

    def values(self) -> Values[T]:
        """The values: a view, which reads them many at a time when it is iterated."""
        return Values(self)

    def items(self) -> Items[T]:
        """The pairs of key and value: a view, which reads the values many at a time when it is iterated."""
        return Items(self)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Mapping):
            return NotImplemented
        if set(self._known.etags) != set(other):
            return False
        theirs = dict(other.items()) if isinstance(other, CloudMapping) else other
        equal = 0
        for key, value in self._read_all():
            if key not in theirs or not (value is theirs[key] or value == theirs[key]):
                return False
            equal += 1
        return equal == len(theirs)

    # ------------------------------------------------------------------ values
    def _dump(self, value: Any) -> Buffer:
        return serialisers.dumped(self._serialisation, value)

    def _load(self, key: str, read: Read) -> Any:
        return serialisers.loaded(self._serialisation, read.data, key, self.store.name)


def _text(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"Key must be of type 'str'. Got key of type: {type(key).__name__}")
    return key
