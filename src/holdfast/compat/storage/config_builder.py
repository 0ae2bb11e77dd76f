"""``storage.config_builder``: stores described in a YAML (or TOML) file."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar, TypeVar

from ...config import StoreFactory as NativeStoreFactory
from ...errors import ConfigError
from . import aiodb, aiofs, aioutils, db, fs, http, object, redis, s3, utils, zip  # noqa: A004 - the original's names

__all__ = ["STORES", "ConfigError", "StoreFactory", "StoreRegistry", "register_store"]

Kind = TypeVar("Kind", bound=type[Any])

#: Every class that a configuration may name, by its name.
STORES: dict[str, type[Any]] = {
    name: getattr(module, name)
    for module in (object, fs, db, s3, zip, utils, aioutils, aiodb, aiofs, http, redis)
    for name in dir(module)
    if name.endswith("Store") and name not in {"ObjectStore", "AsyncStore", "AsyncBytesStore", "BridgedStore"}
    and not name.startswith("Native")
}  # fmt: skip


class StoreRegistry:
    """Store classes of your own, by the names that configurations use.

    >>> registry = StoreRegistry()
    >>> class Mine(object.DictStore):
    ...     pass
    >>> registry.register(Mine) is registry.get("Mine")
    True
    """

    def __init__(self) -> None:
        self._stores: dict[str, type[Any]] = {}

    def register(self, cls: Kind) -> Kind:
        """The class, known from now on by its name; TypeError if it is no store, ValueError if the name is taken."""
        if missing := [name for name in ("get", "put", "delete", "exists") if not hasattr(cls, name)]:
            raise TypeError(f"{cls.__name__} must inherit from ObjectStore: it has no {', '.join(missing)}")
        if cls.__name__ in self._stores or cls.__name__ in STORES:
            raise ValueError(f"Store {cls.__name__!r} is already registered: choose another name")
        self._stores[cls.__name__] = cls
        return cls

    def get(self, name: str) -> type[Any] | None:
        """The class by this name, or None."""
        return self._stores.get(name)


_registry = StoreRegistry()


def register_store(cls: Kind) -> Kind:
    """The class, which configurations may use from now on by its name; a decorator."""
    return _registry.register(cls)


class StoreFactory(NativeStoreFactory):
    """The stores that a file describes, of the classes of this package; ``build`` makes the main one, or any other.

    Names that ``STORES`` and ``register_store`` do not know are those of Holdfast itself (``EncryptingStore`` ...).
    """

    STORES: ClassVar[dict[str, type[Any]]] = STORES

    def __init__(self, config_path: Any, *, allow_classes: Collection[str] = ()) -> None:
        super().__init__(config_path, allow_classes=allow_classes)

    def build(self, store_name: str | None = None) -> Any:
        """The store of this name (by default the main one); ConfigError for whatever is wrong with the description."""
        return super().build(store_name)

    def store_class(self, name: str) -> type[Any]:
        """The class that a ``type`` names."""
        return self.STORES.get(name) or _registry.get(name) or super().store_class(name)
