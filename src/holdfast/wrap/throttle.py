"""A wrapper that holds back: so many operations, and so many bytes, in a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..blob import Blob, Buffer, ForwardingBlob, ForwardingStaged, Staged, body_chunks, body_size, rewindable
from ..store import LIST, READ, REMOVE, WRITE, ObjectStore, Removed
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
from ._locks import ProcessLock
from ._single import SingleStore

Data = bytes  # where a method called bytes() hides the type


class ThrottledStore(SingleStore):
    """A store that is asked only so often, and moves only so many bytes, in a second; callers wait their turn.

    Every verb counts as one operation (a bulk delete as one, a listing as one), bodies count as they pass, in both
    directions. After a pause up to one second's worth is let through at once. All threads share the rates, those of
    other processes are not counted. Copies and uploads in parts that the store makes natively count as operations;
    the parts' bytes are counted.

    >>> from holdfast.stores.memory import MemoryStore
    >>> ThrottledStore(MemoryStore(), operations_per_second=1000).put("a", b"1").size
    1
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        operations_per_second: float | None = None,
        bytes_per_second: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        super().__init__(store)
        for rate in (operations_per_second, bytes_per_second):
            if rate is not None and not rate > 0:
                raise ValueError(f"a rate is a positive number or None, not {rate}")
        self.operations_per_second = operations_per_second
        self.bytes_per_second = bytes_per_second
        self._operations = _Rate(operations_per_second, clock, sleep)
        self._bytes = _Rate(bytes_per_second, clock, sleep)

    @property
    def capabilities(self) -> Capabilities:
        """Those of the store inside."""
        return self.store.capabilities

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        self._operations.take(1)
        return _PacedBlob(self.store._read(key, options), self._bytes)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        self._operations.take(1)
        if rewindable(body):  # it stays in one piece, so that the store can send it again
            self._bytes.take(body_size(body) or 0)
            return self.store._write(key, body, options)
        return self.store._write(key, self._bytes.paced(body_chunks(body)), options)

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        self._operations.take(1)
        return self.store._remove(keys, options)

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        self._operations.take(1)
        return self.store._scan(options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        self._operations.take(1)
        return self.store._copy(source, src, dst, options)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        self._operations.take(1)
        staged = self.store._stage(key, size, options)
        return None if staged is None else _PacedStaged(staged, self._bytes)

    def _locate(self, key: str) -> Location | None:
        return self.store._locate(key)


class _Rate:
    """So many units a second, shared by threads: whoever takes more than there is waits until it is paid off."""

    def __init__(self, rate: float | None, clock: Callable[[], float], sleep: Callable[[float], Any]) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._lock = ProcessLock()
        self._free = clock() - 1.0

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Rate, (self._rate, self._clock, self._sleep))

    def take(self, count: int) -> None:
        """Return when so many units are there."""
        if self._rate is None or not count:
            return
        with self._lock:
            now = self._clock()
            # ``_free`` is when all that was taken is paid off; an idle store saves up one second.
            self._free = max(self._free, now - 1.0) + count / self._rate
            wait = self._free - now
        if wait > 0:
            self._sleep(wait)

    def paced(self, chunks: Iterator[Buffer]) -> Iterator[Buffer]:
        """The chunks, each after its bytes were taken."""
        for chunk in chunks:
            self.take(chunk.nbytes if isinstance(chunk, memoryview) else len(chunk))
            yield chunk


class _PacedBlob(ForwardingBlob):
    """A blob whose bytes are given out at a rate."""

    __slots__ = ("_rate",)

    def __init__(self, blob: Blob, rate: _Rate) -> None:
        super().__init__(blob)
        self._rate = rate

    def chunks(self) -> Iterator[Buffer]:
        return self._rate.paced(self._blob.chunks())

    def bytes(self) -> Data:
        data = self._blob.bytes()
        self._rate.take(len(data))
        return data

    def readinto(self, buffer: bytearray | memoryview) -> int:
        return Blob.readinto(self, buffer)  # by chunks, which are paced


class _PacedStaged(ForwardingStaged):
    """A staged object whose parts are written at a rate."""

    def __init__(self, staged: Staged, rate: _Rate) -> None:
        super().__init__(staged)
        self._rate = rate

    def write_at(self, offset: int, data: Buffer) -> None:
        self._rate.take(memoryview(data).nbytes)
        self._staged.write_at(offset, data)
