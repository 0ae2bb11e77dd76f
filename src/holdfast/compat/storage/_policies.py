"""Wrappers that let calls through, refuse them, or send them to several stores, with the original's manners."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ...errors import RefusedKey
from ...store import REMOVE, ObjectStore
from ...wrap import cache, guard, mirror, route
from ...wrap._several import SeveralStores
from ...wrap.guard import RegexValidator, validate_http_url_key
from ._adapted import Adapted, Wrapping, as_store


class IdentityStore(Wrapping):
    """The same store once more; a base for wrappers of your own.

    >>> from holdfast.compat.storage.object import DictStore
    >>> class Shouting(IdentityStore):
    ...     def put(self, key, data):
    ...         return super().put(key.upper(), data)
    >>> inner = DictStore()
    >>> Shouting(inner).put("a", b"1")
    >>> inner.objects
    {'A': b'1'}
    """

    def __init__(self, store: Any) -> None:
        super().__init__(store, self._native(as_store(store)))

    @staticmethod
    def _native(store: ObjectStore) -> ObjectStore:
        return guard.IdentityStore(store)

    def keys(self, prefix: str = "") -> Iterable[str]:
        """The keys of the store inside, as it gives them, or those that start with the prefix."""
        if prefix:
            return self._listed(prefix)
        found: Iterable[str] = as_store(self.store).keys()
        return found


class ReadonlyStore(IdentityStore):
    """A store that can be read and listed; ``put`` and ``delete`` are Unsupported (a NotImplementedError)."""

    @staticmethod
    def _native(store: ObjectStore) -> ObjectStore:
        return guard.ReadonlyStore(store)

    def put(self, key: str, data: Any) -> Any:
        """Unsupported (a NotImplementedError)."""
        raise self._unsupported("a put", cure="this store is read-only")

    def delete(self, key: str) -> Any:
        """Unsupported (a NotImplementedError)."""
        raise self._unsupported("a delete", cure="this store is read-only")


class WriteonlyStore(IdentityStore):
    """A store that can be written and deleted from; ``get``, ``exists`` and ``keys`` are Unsupported."""

    @staticmethod
    def _native(store: ObjectStore) -> ObjectStore:
        return guard.WriteonlyStore(store)

    def get(self, key: str) -> Any:
        """Unsupported (a NotImplementedError)."""
        raise self._unsupported("a get", cure="this store is write-only")

    def exists(self, key: str) -> bool:
        """Unsupported (a NotImplementedError)."""
        raise self._unsupported("exists()", cure="this store is write-only")

    def keys(self, prefix: str = "") -> Iterable[str]:
        """Unsupported (a NotImplementedError)."""
        raise self._unsupported("keys()", cure="this store is write-only")


class KeyValidatingStore(Wrapping):
    """A store of the keys that ``validator(key)`` lets through: for others it raises KeyError, also in ``exists``.

    Listings leave out what is stored under such keys.
    """

    native: guard.KeyValidatingStore

    def __init__(self, store: Any, validator: Callable[[str], Any]) -> None:
        super().__init__(store, guard.KeyValidatingStore(as_store(store), validator))
        self.validator = validator

    def inner(self, key: str) -> str:
        """The same key, if the validator lets it through; else RefusedKey (a KeyError)."""
        refused: RefusedKey | None = self.native.refusal(key)
        if refused is not None:
            raise refused from refused.cause
        return key


class RegexValidatingStore(KeyValidatingStore):
    """A store of the keys that a regular expression matches from end to end."""

    def __init__(self, store: Any, pattern: str | re.Pattern[str]) -> None:
        super().__init__(store, RegexValidator(pattern))


class UrlValidatingStore(KeyValidatingStore):
    """A store of keys that are http and https URLs."""

    def __init__(self, store: Any) -> None:
        super().__init__(store, validate_http_url_key)


class _Several(Adapted):
    """A store over ``.stores``."""

    native: SeveralStores

    @property
    def stores(self) -> tuple[ObjectStore, ...]:
        """The stores inside, each of them once."""
        return self.native.stores


class MirroringStore(_Several):
    """Every object in each of the children; ``delete`` of a missing key is silent, ``keys`` is the union as a set.

    Its objects are bytes: a JsonStore or TextEncodingStore goes on top of it, not under it.
    """

    def __init__(self, children: Iterable[Any]) -> None:
        self.children = list(children)
        super().__init__(mirror.MirroringStore([_of_bytes(child, "MirroringStore") for child in self.children]))

    def delete(self, key: str) -> None:
        """Remove the object from every child that has it; PartialFailure if one of them fails."""
        error = self.native._remove([key], REMOVE)[0]
        if error is not None:
            raise error

    def keys(self, prefix: str = "") -> set[str]:
        """The keys of all children that start with the string ``prefix``."""
        return set(self._listed(prefix))


class CachingStore(_Several):
    """The objects of ``main_store``, with copies in ``cache_store`` that are checked before they are served.

    ``revalidate`` is "etag" (each hit asks the origin; one without ETags is read each time), "ttl" (a copy is served
    unasked for ``ttl`` seconds) or "never" (for good, as the original did). Objects are bytes: a JsonStore or
    TextEncodingStore goes on top.
    """

    native: cache.CachingStore

    def __init__(
        self, main_store: Any, cache_store: Any, *, revalidate: cache.Revalidate = "etag", ttl: float = 60.0
    ) -> None:
        main, copies = _of_bytes(main_store, "CachingStore"), _of_bytes(cache_store, "CachingStore")
        super().__init__(cache.CachingStore(main, copies, revalidate=revalidate, ttl=ttl))
        self.main_store = main_store
        self.cache_store = cache_store

    def clear(self, key: str | None = None) -> None:
        """Forget the copy of one object, or all copies; the origin is not touched."""
        self.native.clear(key)


class RegexRoutingStore(_Several):
    """A store whose keys live where the first route whose pattern matches the whole key leads, or else in ``store``."""

    native: route.RegexRoutingStore

    def __init__(
        self,
        store: Any,
        routes: Mapping[route.Pattern, Any] | Iterable[tuple[route.Pattern, Any]],
    ) -> None:
        pairs = routes.items() if isinstance(routes, Mapping) else routes
        native = route.RegexRoutingStore(as_store(store), [(pattern, as_store(target)) for pattern, target in pairs])
        super().__init__(native)
        self.store = store

    def get(self, key: str) -> Any:
        """What the store of this key gives."""
        return self.native.route(key).get(key)

    def put(self, key: str, data: Any) -> Any:
        """What the store of this key answers when it is given the data."""
        return self.native.route(key).put(key, data)

    def delete(self, key: str) -> Any:
        """What the store of this key answers when it is to remove the object."""
        return self.native.route(key).delete(key)

    def exists(self, key: str) -> bool:
        """Whether the store of this key has the object."""
        return self.native.route(key).exists(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys that start with the string ``prefix``, of each store those that are routed to it."""
        return self._listed(prefix)


def _of_bytes(store: Any, user: str) -> ObjectStore:
    """The store, unless what it gives and takes is no bytes."""
    inside = store
    while isinstance(inside, Wrapping):
        if getattr(inside, "values", False):
            raise TypeError(f"{user} holds bytes, {type(inside).__name__} is a store of values: put it on top instead")
        inside = inside.store
    return as_store(store)
