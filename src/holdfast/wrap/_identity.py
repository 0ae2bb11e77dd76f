"""What a store shows, in a few words that are the same for every store that certainly shows the same objects.

A cache keeps copies under these words, so that one may serve several stores, and the same store after a restart. Two
stores that show different objects must never be called alike. So each class speaks for itself: a backend says where
its objects lie, a wrapper of Holdfast what it does to them. Of all other classes, such as a user's subclass of either,
nothing is known: an object of them is called by a random name of its own.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import uuid
import weakref
from collections.abc import Callable
from typing import Any

from ..store import ObjectStore
from ._locks import ProcessLock

#: What a wrapper does to what is read, or None if it cannot tell.
Words = tuple[Any, ...]


def identity_of(store: ObjectStore) -> str:
    """A digest that no other store has, unless it shows the same objects.

    >>> from holdfast.stores.memory import MemoryStore
    >>> store = MemoryStore()
    >>> identity_of(store) == identity_of(store) != identity_of(MemoryStore())
    True
    """
    return hashlib.sha256(repr(_words(store)).encode("utf-8", "surrogateescape")).hexdigest()


def known() -> set[str]:
    """The names of the wrappers that say what they show."""
    return {_CACHING, *_TRANSPARENT, *_WRAPPERS}


def _words(store: Any) -> Words:
    kind = type(store)
    name = _name(kind)
    if name in _TRANSPARENT:
        return _words(store.store)
    if name == _CACHING:
        return _words(store.main_store) if store.identity is None else (name, store.identity)
    if name in _WRAPPERS:
        words = _WRAPPERS[name](store)
        return _random(store) if words is None else (name, *words)
    builtin = name.startswith("holdfast.stores.")
    if builtin and isinstance(getattr(store, "store", None), ObjectStore):
        return _words(store.store)  # one of the facades, that only call things by other names
    place = store._locate("x") if builtin or "_locate" in vars(kind) else None
    if place is None:
        return _random(store)
    process = os.getpid() if getattr(store, "process_local", False) else None  # a forked child goes on alone
    return (name, repr(store), place.vendor, place.identity, place.bucket, place.key, process)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


# ---------------------------------------------------------------------- stores of which nothing is known
_lock = ProcessLock()
_names: dict[int, tuple[weakref.ref[ObjectStore], str]] = {}


def _random(store: ObjectStore) -> Words:
    """A name for this object alone, in this process alone."""
    number = id(store)

    def forget(gone: weakref.ref[ObjectStore]) -> None:
        if number in _names and _names[number][0] is gone:
            del _names[number]

    with _lock:
        found = _names.get(number)
        if found is None or found[0]() is not store:
            found = _names[number] = (weakref.ref(store, forget), uuid.uuid4().hex)
    return ("unknown", os.getpid(), found[1])


# ---------------------------------------------------------------------- wrappers
#: These show just what the store inside shows.
_TRANSPARENT = {
    "holdfast.wrap.guard.IdentityStore",
    "holdfast.wrap.guard.ReadonlyStore",
    "holdfast.wrap.observe.ExceptionLoggingStore",
    "holdfast.wrap.observe.LoggingStore",
    "holdfast.wrap.observe.NotifyingStore",
    "holdfast.wrap.retrying.RetryingStore",
    "holdfast.wrap.throttle.ThrottledStore",
    "holdfast.wrap.transform.BufferStore",
    "holdfast.wrap.transform.JsonStore",
    "holdfast.wrap.transform.TextEncodingStore",
    "holdfast.wrap.transform.ValueStore",
}
_CACHING = "holdfast.wrap.cache.CachingStore"
#: Transformers whose repr says all of what they do.
_TRANSFORMERS = {
    "holdfast.wrap.transformers.DataTransformer",
    "holdfast.wrap.transformers.Base64Transformer",
    "holdfast.wrap.transformers.CompressingTransformer",
    "holdfast.wrap.transformers.GzipTransformer",
    "holdfast.wrap.key_transformers.KeyTransformer",
    "holdfast.wrap.key_transformers.HashPrefixKeyTransformer",
    "holdfast.wrap.key_transformers.PrefixKeyTransformer",
    "holdfast.wrap.key_transformers.UrlEncodingKeyTransformer",
}


def _transforming(store: Any) -> Words | None:
    transformer = store.transformer
    name = _name(type(transformer))
    if name == "holdfast.wrap.key_transformers.ValidatingKeyTransformer":
        return _validating(transformer, store.store)
    return (repr(transformer), _words(store.store)) if name in _TRANSFORMERS else None


def _validating(validating: Any, inside: ObjectStore) -> Words | None:
    validator = validating.validator
    if _name(type(validator)) == "holdfast.wrap.guard.RegexValidator":
        return (*_pattern(validator.pattern), _words(inside))
    if getattr(validator, "__module__", None) == "holdfast.wrap.guard":
        return (validator.__qualname__, _words(inside))
    return None


def _pattern(pattern: re.Pattern[str]) -> Words:
    return (pattern.pattern, pattern.flags)


def _encrypting(store: Any) -> Words:
    """Whoever lacks one of the keys, or calls the context otherwise, must not see copies of decrypted bodies."""
    keys = []
    for key_id in store.ring.ids:
        proof = hmac.new(store.ring.key(key_id), b"holdfast cache identity", hashlib.sha256).hexdigest()
        keys.append((key_id, proof))
    return (keys, store.context, _words(store.store))


def _prefixed(store: Any) -> Words:
    return (store.prefix, _words(store.store))


def _plain(store: Any) -> Words:
    return (_words(store.store),)


def _routed(store: Any) -> Words:
    return (*((_pattern(pattern), _words(target)) for pattern, target in store.routes), _words(store.store))


def _mirrored(store: Any) -> Words:
    return (store.policy, *map(_words, store.children))


def _valid(store: Any) -> Words | None:
    return _validating(store, store.store)


_WRAPPERS: dict[str, Callable[[Any], Words | None]] = {
    "holdfast.wrap.encrypt.EncryptingStore": _encrypting,
    "holdfast.wrap.guard.KeyValidatingStore": _valid,
    "holdfast.wrap.guard.RegexValidatingStore": _valid,
    "holdfast.wrap.guard.UrlValidatingStore": _valid,
    "holdfast.wrap.guard.WriteonlyStore": _plain,
    "holdfast.wrap.mirror.MirroringStore": _mirrored,
    "holdfast.wrap.rekey.HashPrefixStore": _transforming,
    "holdfast.wrap.rekey.KeyTransformingStore": _transforming,
    "holdfast.wrap.rekey.PrefixStore": _prefixed,
    "holdfast.wrap.rekey.UrlEncodingStore": _plain,
    "holdfast.wrap.route.RegexRoutingStore": _routed,
    "holdfast.wrap.suffix.SuffixStore": _plain,
    "holdfast.wrap.transform.Base64Store": _transforming,
    "holdfast.wrap.transform.CompressingStore": _transforming,
    "holdfast.wrap.transform.GzipStore": _transforming,
    "holdfast.wrap.transform.TransformingStore": _transforming,
}
