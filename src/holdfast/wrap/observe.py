"""Wrappers that only watch: every verb passes unchanged, and somebody is told of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from ..blob import Blob, Buffer, ForwardingBlob, ForwardingStaged, Staged, body_chunks, body_size
from ..errors import NotFound
from ..keys import printable
from ..redact import text as redacted
from ..store import LIST, READ, REMOVE, WRITE, Facade, ObjectStore, Removed, Wrapper
from ..types import Body, ListOptions, ObjectInfo, ReadOptions, RemoveOptions, WriteOptions

Logger = logging.Logger | logging.LoggerAdapter[Any]
Error = BaseException | None
ChangeHandler = Callable[[ObjectStore, str, str, Error], Any]
KeyHandler = Callable[[ObjectStore, str, Error], Any]
Report = Callable[[Error, int], None]
Value = TypeVar("Value")

_log = logging.getLogger(__name__)


class NotifyingStore(Wrapper):
    """A store that calls handlers after every change, exactly once for each key.

    ``on_change`` handlers get ``(store, action, key, error)`` with the action "put" or "delete"; ``on_put`` and
    ``on_delete`` handlers get ``(store, key, error)``. ``store`` is the wrapped one, ``error`` None, or what the
    change raised: that error is raised to the caller all the same. A write that failed without anybody knowing
    whether it landed is reported with its error too. A copy is a put of its target; an upload in parts is a put once it
    is committed. Handlers run in the thread that made the change, in the order in which they were added. One that
    raises is logged: it keeps neither the others from being called nor the change from being reported as it was.

    >>> from holdfast.stores.memory import MemoryStore
    >>> store = NotifyingStore(MemoryStore())
    >>> store.on_change(lambda _, action, key, error: print(action, key, error))
    >>> _ = store.put("a", b"1")
    put a None
    >>> store.delete("a")
    delete a None
    """

    PUT = "put"
    DELETE = "delete"

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self.handlers: list[ChangeHandler] = []

    def on_change(self, handler: ChangeHandler) -> None:
        """Have ``handler(store, action, key, error)`` called after each put and delete."""
        self.handlers.append(handler)

    def on_put(self, handler: KeyHandler) -> None:
        """Have ``handler(store, key, error)`` called after each put."""
        self.handlers.append(_Only(self.PUT, handler))

    def on_delete(self, handler: KeyHandler) -> None:
        """Have ``handler(store, key, error)`` called after each delete."""
        self.handlers.append(_Only(self.DELETE, handler))

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        return self.telling(self.PUT, key, lambda: self.store._write(key, body, options))

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        return self.telling(self.PUT, dst, lambda: self.store._copy(source, src, dst, options))

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        try:
            removed = self.store._remove(keys, options)
        except BaseException as error:
            for key in keys:
                self._notify(self.DELETE, key, error)
            raise
        for key, failed in zip(keys, removed, strict=True):
            self._notify(self.DELETE, key, failed)
        return removed

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        try:
            staged = self.store._stage(key, size, options)
        except BaseException as error:
            self._notify(self.PUT, key, error)
            raise
        return None if staged is None else _WatchedStaged(staged, lambda error, _: self._notify(self.PUT, key, error))

    def telling(self, action: str, key: str, change: Callable[[], Value]) -> Value:
        """What ``change()`` returns or raises, once the handlers have been told of it."""
        try:
            value = change()
        except BaseException as error:
            self._notify(action, key, error)
            raise
        self._notify(action, key, None)
        return value

    def _notify(self, action: str, key: str, error: Error) -> None:
        for handler in tuple(self.handlers):
            try:
                handler(self.store, action, key, error)
            except Exception:  # noqa: BLE001 - whatever it is, the change has happened
                _log.exception("a handler of %s failed after %s %s", self.name, action, _shown(key))


class _Only:
    """A handler of one action."""

    def __init__(self, action: str, handler: KeyHandler) -> None:
        self.action = action
        self.handler = handler

    def __call__(self, store: ObjectStore, action: str, key: str, error: Error) -> None:
        if action == self.action:
            self.handler(store, key, error)


class LoggingStore(Wrapper):
    """A store that writes one log record for each operation, when it is over.

    The record carries ``store_name``, ``operation`` (get, head, put, delete, keys, copy), ``key`` (of a listing the
    prefix), ``bytes`` (of bodies as they pass; of a listing the number of rows is in ``rows``), ``duration`` in
    seconds and ``outcome`` ("ok" or the name of the error's class) as attributes, for whoever formats logs as data.
    What went well and what was not there is logged at ``level``, other errors at WARNING with their message. Bodies
    and attributes are never logged; keys and messages lose passwords, tokens and control characters first. A read is
    over when its blob is closed, an upload in parts when it is committed or aborted. A native copy moves no bytes here.

    >>> from holdfast.stores.memory import MemoryStore
    >>> store = LoggingStore(MemoryStore(), "demo", logging.getLogger("demo"))
    >>> store.put("a", b"1").size
    1
    """

    def __init__(
        self,
        store: ObjectStore,
        store_name: str = "store",
        logger: Logger | None = None,
        *,
        level: int = logging.INFO,
    ) -> None:
        super().__init__(store)
        self.store_name = store_name
        self.logger = logging.getLogger() if logger is None else logger
        self.level = level

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        report = self.report("head" if options.head else "get", key)
        try:
            blob = self.store._read(key, options)
        except BaseException as error:
            report(error, 0)
            raise
        return _WatchedBlob(blob, report)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        report = self.report("put", key)
        # A body of known size passes as it is: as an iterator it could not be sent twice, nor in one piece.
        count = _Count()
        try:
            count.bytes = body_size(body) or 0
            known = count.bytes or isinstance(body, bytes | bytearray | memoryview)
            info = self.store._write(key, body if known else count.passing(body_chunks(body)), options)
        except BaseException as error:
            report(error, count.bytes)
            raise
        report(None, count.bytes)
        return info

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        reports = [self.report("delete", key) for key in keys]
        try:
            removed = self.store._remove(keys, options)
        except BaseException as error:
            for report in reports:
                report(error, 0)
            raise
        for report, failed in zip(reports, removed, strict=True):
            report(failed, 0)
        return removed

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        report = self.report("keys", options.prefix)
        try:
            rows = self.store._scan(options)
        except BaseException as error:
            report(error, 0)
            raise
        return self._listed(rows, report)

    def _listed(self, rows: Iterator[ObjectInfo], report: Report) -> Iterator[ObjectInfo]:
        count = 0
        failed: Error = None
        try:
            for row in rows:
                count += 1
                yield row
        except GeneratorExit:  # the caller has seen enough
            raise
        except BaseException as error:
            failed = error
            raise
        finally:
            report(failed, count)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        report = self.report("copy", dst)
        try:
            info = self.store._copy(source, src, dst, options)
        except BaseException as error:
            report(error, 0)
            raise
        report(None, 0)
        return info

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        report = self.report("put", key)
        try:
            staged = self.store._stage(key, size, options)
        except BaseException as error:
            report(error, 0)
            raise
        return None if staged is None else _WatchedStaged(staged, report, told_of_aborts=True)

    def report(self, operation: str, key: str) -> Report:
        """What is to be called with the error and the number of bytes (or rows) when the operation is over."""
        began = time.perf_counter()

        def report(error: Error, count: int) -> None:
            level = self.level if error is None or isinstance(error, NotFound) else logging.WARNING
            if not self.logger.isEnabledFor(level):
                return
            duration = time.perf_counter() - began
            outcome = "ok" if error is None else type(error).__name__
            shown = _shown(key)
            unit = "rows" if operation == "keys" else "bytes"
            fields = {
                "store_name": self.store_name,
                "operation": operation,
                "key": shown,
                "bytes": 0 if unit == "rows" else count,
                "duration": duration,
                "outcome": outcome,
            }
            if unit == "rows":
                fields["rows"] = count
            text = "%s %s %s: %d %s in %.6f s: %s"
            values: tuple[Any, ...] = (self.store_name, operation, shown, count, unit, duration, outcome)
            if error is not None and level >= logging.WARNING:
                text += ": %s"
                values = (*values, _message(error))
            self.logger.log(level, text, *values, extra=fields)

        return report


class ExceptionLoggingStore(Facade):
    """A store whose five methods log errors instead of raising them.

    Then ``get`` and ``put`` return None, ``exists`` and ``delete`` False, ``keys`` []: for programs that would rather
    go on without an object than stop. The verbs beneath (bulk work, ranges, conditions, wrappers put around this one)
    raise as always, because there an error that looked like an answer would be taken for one.

    >>> from holdfast.stores.memory import MemoryStore
    >>> store = ExceptionLoggingStore(MemoryStore(), logger=logging.getLogger("demo"))
    >>> store.get("missing"), store.delete("missing"), store.exists("missing")
    (None, False, False)
    """

    def __init__(self, store: ObjectStore, store_name: str = "store", logger: Logger | None = None) -> None:
        super().__init__(store)
        self.store_name = store_name
        self.logger = logging.getLogger() if logger is None else logger

    def get(self, key: str) -> Any:
        """What the wrapped store's ``get`` returns, or None after an error."""
        return self._attempt("get", key, lambda: self.store.get(key), None)

    def put(self, key: str, data: Any) -> Any:
        """What the wrapped store's ``put`` returns, or None after an error."""
        return self._attempt("put", key, lambda: self.store.put(key, data), None)

    def delete(self, key: str) -> Any:
        """Whether the object was deleted; False after an error."""
        return self._attempt("delete", key, lambda: self.store.delete(key) is not False, False)

    def exists(self, key: str) -> bool:
        """Whether there is such an object; False after an error."""
        return bool(self._attempt("exists", key, lambda: self.store.exists(key), False))

    def keys(self, **options: Any) -> Iterable[str]:
        """All keys as a list; empty after an error, also one in the middle of the listing."""
        found: Iterable[str] = self._attempt("keys", "", lambda: list(self.store.keys(**options)), [])
        return found

    def _attempt(self, operation: str, key: str, call: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - to log instead of raising is what it is for
            self._tell(operation, key, error)
            return otherwise

    def _tell(self, operation: str, key: str, error: BaseException) -> None:
        self.logger.error(
            "%s failed to %s %s: %s: %s",
            self.store_name,
            operation,
            _shown(key),
            type(error).__name__,
            _message(error),
            extra={
                "store_name": self.store_name,
                "operation": operation,
                "key": _shown(key),
                "outcome": type(error).__name__,
            },
        )


class _Count:
    """How many bytes have passed."""

    def __init__(self) -> None:
        self.bytes = 0

    def passing(self, chunks: Iterator[Buffer]) -> Iterator[Buffer]:
        for chunk in chunks:
            self.bytes += chunk.nbytes if isinstance(chunk, memoryview) else len(chunk)
            yield chunk


class _WatchedBlob(ForwardingBlob):
    """A blob that reports once, when it is closed, how many bytes were taken and what went wrong meanwhile."""

    __slots__ = ("_count", "_error", "_report")

    def __init__(self, blob: Blob, report: Report) -> None:
        super().__init__(blob)
        self._report: Report | None = report
        self._count = _Count()
        self._error: Error = None

    def chunks(self) -> Iterator[Buffer]:
        try:
            yield from self._count.passing(self._blob.chunks())
        except GeneratorExit:  # left half read
            raise
        except BaseException as error:
            self._error = error
            raise

    def bytes(self) -> bytes:
        try:
            data = self._blob.bytes()
        except BaseException as error:
            self._error = error
            raise
        self._count.bytes += len(data)
        return data

    def readinto(self, buffer: bytearray | memoryview) -> int:
        try:
            count = self._blob.readinto(buffer)
        except BaseException as error:
            self._error = error
            raise
        self._count.bytes += count
        return count

    def close(self) -> None:
        report, self._report = self._report, None
        try:
            self._blob.close()
        finally:
            if report is not None:
                report(self._error, self._count.bytes)


class _WatchedStaged(ForwardingStaged):
    """A staged object that reports its commit, and its abort where that is wanted."""

    def __init__(self, staged: Staged, report: Report, *, told_of_aborts: bool = False) -> None:
        super().__init__(staged)
        self._report: Report | None = report
        self._told_of_aborts = told_of_aborts
        self._written = 0

    def write_at(self, offset: int, data: Buffer) -> None:
        self._staged.write_at(offset, data)
        self._written = max(self._written, offset + memoryview(data).nbytes)

    def commit(self) -> ObjectInfo:
        try:
            info = self._staged.commit()
        except BaseException as error:
            self._once(error)
            raise
        self._once(None)
        return info

    def abort(self) -> None:
        self._staged.abort()
        if self._told_of_aborts:
            self._once(_Aborted())

    def _once(self, error: Error) -> None:
        report, self._report = self._report, None
        if report is not None:
            report(error, self._written)


class _Aborted(Exception):
    """The upload was given up by its caller."""


def _shown(key: str) -> str:
    return redacted(printable(key))


def _message(error: Error) -> str:
    return redacted(printable(str(error)))
