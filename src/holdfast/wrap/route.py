"""One store of several: keys that match a pattern live in one store, the others in another."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import chain
from operator import and_

from ..blob import Blob, Staged
from ..errors import HoldfastError
from ..keys import sort_key
from ..store import LIST, READ, REMOVE, WRITE, ObjectStore, Removed, select
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
from ._several import SeveralStores

Pattern = str | re.Pattern[str]
Routes = Mapping[Pattern, ObjectStore] | Iterable[tuple[Pattern, ObjectStore]]


class RegexRoutingStore(SeveralStores):
    """A store whose objects live in several: the first route whose pattern matches the whole key says where.

    ``routes`` is a mapping, or pairs, of regular expressions and stores; keys that none matches (from end to end)
    live in ``store``. Keys are the same inside. Listings show each object where its route leads and nowhere else, in
    order where all stores are sorted; the capabilities are those that all stores have.

    >>> from holdfast.stores.memory import MemoryStore
    >>> photos, rest = MemoryStore(), MemoryStore()
    >>> store = RegexRoutingStore(rest, {r".*[.]jpe?g": photos})
    >>> _ = store.put("a.jpg", b"1"), store.put("a.txt", b"2")
    >>> list(photos.keys()), list(rest.keys()), list(store.keys())
    (['a.jpg'], ['a.txt'], ['a.jpg', 'a.txt'])
    """

    def __init__(self, store: ObjectStore, routes: Routes) -> None:
        pairs = routes.items() if isinstance(routes, Mapping) else routes
        self.routes = tuple((re.compile(pattern), target) for pattern, target in pairs)
        self.store = store
        super().__init__((store, *(target for _, target in self.routes)))

    def __repr__(self) -> str:
        routes = ", ".join(f"({pattern.pattern!r}, {target!r})" for pattern, target in self.routes)
        return f"RegexRoutingStore({self.store!r}, [{routes}])"

    @property
    def name(self) -> str:
        """The names of all stores, in the order of their routes, the default last."""
        names = [f"{pattern.pattern}: {target.name}" for pattern, target in self.routes]
        return f"routes({', '.join([*names, self.store.name])})"

    @property
    def capabilities(self) -> Capabilities:
        """What all of the stores can do."""
        return reduce(and_, (store.capabilities for store in self.stores))

    def route(self, key: str) -> ObjectStore:
        """The store in which this key lives."""
        for pattern, target in self.routes:
            if pattern.fullmatch(key) is not None:
                return target
        return self.store

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        return self.route(key)._read(key, options)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        return self.route(key)._write(key, body, options)

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        places: dict[int, list[int]] = {}
        targets = [self.route(key) for key in keys]
        for place, target in enumerate(targets):
            places.setdefault(id(target), []).append(place)
        answers: dict[int, HoldfastError | None] = {}
        for there in places.values():
            removed = targets[there[0]]._remove([keys[place] for place in there], options)
            answers.update(zip(there, removed, strict=True))
        return [answers[place] for place in range(len(keys))]

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        capabilities = self.capabilities
        if not capabilities.listing:
            raise self._unsupported("a listing", cure="one of its stores cannot be listed")
        inner = replace(options, delimiter=None)  # a rolled-up row could not be told to be of this route
        listings = [self._routed(store, store._scan(inner)) for store in self.stores]
        if capabilities.sorted:
            return select(heapq.merge(*listings, key=lambda row: sort_key(row.key)), options)
        return select(chain.from_iterable(listings), options)

    def _routed(self, store: ObjectStore, rows: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
        return (row for row in rows if self.route(row.key) is store)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        return self.route(dst)._copy(source, src, dst, options)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        return self.route(key)._stage(key, size, options)

    def _locate(self, key: str) -> Location | None:
        return self.route(key)._locate(key)
