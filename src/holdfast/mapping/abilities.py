"""What a store must be able to do for a mapping that loses no write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import Unsupported
from ..store import ObjectStore
from ..wrap.cache import CachingStore


def require_exact(store: ObjectStore) -> None:
    """Return if conditional writes are exact, as far as can be told without asking; else raise Unsupported."""
    abilities = {"create": store.capabilities.create, "replace_if": store.capabilities.replace_if}
    missing = [name for name, able in abilities.items() if not able]
    if missing:
        raise Unsupported(
            f"cannot make a mapping that loses no write: the store has no atomic {' and no '.join(missing)}, so two "
            "writers may overwrite each other. unsafe=True accepts that, or choose another store",
            store=store.name,
        )
    for below in _stack(store):
        if isinstance(below, CachingStore) and below.revalidate != "etag":
            raise Unsupported(
                f"cannot make a mapping over a cache that serves copies unasked (revalidate={below.revalidate!r}): "
                "what others have changed would be served; use revalidate='etag', or accept it with unsafe=True",
                store=store.name,
            )


def probe(store: ObjectStore) -> None:
    """The same after asking every service that has to be asked what it does with conditions."""
    for below in _stack(store):
        if hasattr(below, "probe"):
            below.probe()
    require_exact(store)


def _stack(store: Any) -> Iterator[Any]:
    """The store and all that it is made of."""
    yield store
    inner = (getattr(store, "store", None), *(getattr(store, "stores", None) or ()))
    for below in inner:
        if isinstance(below, ObjectStore):
            yield from _stack(below)
