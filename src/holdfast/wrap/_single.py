"""What wrappers of one store have in common that is no verb: so each still says what it does with every verb."""

from __future__ import annotations

from typing import Self

from ..store import ObjectStore, Store


def overrides(store: object, base: type, *names: str) -> bool:
    """Whether the store's class has other methods of these names than the base: they must be called then.

    >>> overrides(True, int, "__add__"), overrides(True, int, "__repr__")
    (False, True)
    """
    return any(getattr(type(store), name) is not getattr(base, name) for name in names)


class SingleStore(Store):
    """A policy or transformation over ``.store``; subclasses write capabilities and every verb."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.store!r})"

    @property
    def name(self) -> str:
        """The name of the store inside."""
        return self.store.name

    @property
    def local(self) -> bool:
        """Whether the store inside is."""
        return self.store.local

    @property
    def remove_batch(self) -> int:
        """As many keys as the store inside takes."""
        return self.store.remove_batch

    def close(self) -> None:
        """Close the store inside."""
        self.store.close()

    def __enter__(self) -> Self:
        self.store.__enter__()
        return self
