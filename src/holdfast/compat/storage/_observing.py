"""Wrappers that only watch, with the original's manners: values of any type pass, as the store inside takes them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from ...wrap import observe
from ...wrap.observe import ChangeHandler, KeyHandler, Logger
from ._adapted import Adapted, Wrapping, as_store


class NotifyingStore(Wrapping):
    """A store that calls handlers after every put and delete, also after one that failed, with its error.

    ``on_change`` handlers get ``(store, action, key, error)``, those of ``on_put`` and ``on_delete`` ``(store, key,
    error)``. ``store`` is the wrapped one. The error is raised to the caller all the same.

    >>> from holdfast.compat.storage.object import DictStore
    >>> store = NotifyingStore(DictStore())
    >>> store.on_change(lambda _, action, key, error: print(action, key, error))
    >>> store.put("a", "text")
    put a None
    """

    PUT = observe.NotifyingStore.PUT
    DELETE = observe.NotifyingStore.DELETE
    native: observe.NotifyingStore

    def __init__(self, store: Any) -> None:
        super().__init__(store, observe.NotifyingStore(as_store(store)))

    @property
    def handlers(self) -> list[ChangeHandler]:
        """Everything that is called, in order."""
        return self.native.handlers

    def on_change(self, handler: ChangeHandler) -> None:
        """Have ``handler(store, action, key, error)`` called after each put and delete."""
        self.native.on_change(handler)

    def on_put(self, handler: KeyHandler) -> None:
        """Have ``handler(store, key, error)`` called after each put."""
        self.native.on_put(handler)

    def on_delete(self, handler: KeyHandler) -> None:
        """Have ``handler(store, key, error)`` called after each delete."""
        self.native.on_delete(handler)

    def put(self, key: str, data: Any) -> Any:
        """What the store inside answers, once the handlers have been told."""
        return self.native.telling(self.PUT, key, lambda: self.store.put(key, data))

    def delete(self, key: str) -> Any:
        """What the store inside answers, once the handlers have been told."""
        return self.native.telling(self.DELETE, key, lambda: self.store.delete(key))


class LoggingStore(Wrapping):
    """A store that logs each operation when it is over: what, which key, how many bytes, how long, how it went."""

    native: observe.LoggingStore

    def __init__(self, store: Any, store_name: str = "store", logger: Logger | None = None) -> None:
        super().__init__(store, observe.LoggingStore(as_store(store), store_name, logger))
        self.store_name = store_name

    @property
    def logger(self) -> Logger:
        """Where records go."""
        return self.native.logger

    def get(self, key: str) -> Any:
        """What the store inside gives for the key."""
        return self._logged("get", key, lambda: self.store.get(key), _size)

    def put(self, key: str, data: Any) -> Any:
        """What the store inside answers when it is given the data."""
        return self._logged("put", key, lambda: self.store.put(key, data), lambda _: _size(data))

    def delete(self, key: str) -> Any:
        """What the store inside answers when it is to remove the object."""
        return self._logged("delete", key, lambda: self.store.delete(key))

    def exists(self, key: str) -> bool:
        """Whether the store inside has the object."""
        return bool(self._logged("head", key, lambda: self.store.exists(key)))

    def _logged(
        self, operation: str, key: str, call: Callable[[], Any], count: Callable[[Any], int] = lambda _: 0
    ) -> Any:
        report = self.native.report(operation, key)
        try:
            value = call()
        except BaseException as error:
            report(error, 0)
            raise
        report(None, count(value))
        return value


class ExceptionLoggingStore(Adapted):
    """A store that logs errors instead of raising them: ``get`` and ``put`` give None then.

    ``exists`` and ``delete`` give False, and ``keys`` an empty list.
    """

    native: observe.ExceptionLoggingStore

    def __init__(self, store: Any, store_name: str = "store", logger: logging.Logger | None = None) -> None:
        super().__init__(observe.ExceptionLoggingStore(as_store(store), store_name, logger))
        self.store = store
        self.store_name = store_name

    def keys(self, prefix: str = "") -> Iterable[str]:
        """The keys that start with the string ``prefix``, as a list; empty after an error."""
        return list(filter(lambda key: key.startswith(prefix), self.native.keys()))


def _size(data: Any) -> int:
    return memoryview(data).nbytes if isinstance(data, bytes | bytearray | memoryview) else 0
