"""What wrappers of several stores have in common that is no verb; and which stores are inside another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any, Self

from ..store import ObjectStore, Store


def stores_in(store: ObjectStore) -> Iterator[ObjectStore]:
    """The store and all those that it wraps (as ``.store`` or ``.stores``), each once."""
    seen: set[int] = set()
    todo: list[Any] = [store]
    while todo:
        one = todo.pop()
        if id(one) in seen or not isinstance(one, ObjectStore):
            continue
        seen.add(id(one))
        yield one
        todo.append(getattr(one, "store", None))
        todo.extend(getattr(one, "stores", ()))


class SeveralStores(Store):
    """A policy over ``.stores``, each of them once; subclasses write capabilities and every verb."""

    def __init__(self, stores: Iterable[ObjectStore]) -> None:
        self.stores = tuple({id(store): store for store in stores}.values())

    @property
    def local(self) -> bool:
        """Whether all of the stores are."""
        return all(store.local for store in self.stores)

    @property
    def remove_batch(self) -> int:
        """As many keys as each of the stores takes."""
        return min(store.remove_batch for store in self.stores)

    def close(self) -> None:
        """Close all of the stores, also when closing one fails; the last error is raised."""
        with ExitStack() as closing:
            for store in self.stores:
                closing.callback(store.close)

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            for store in self.stores:
                store.__enter__()
                opened.callback(store.close)
            opened.pop_all()  # all are open: they stay so
        return self
