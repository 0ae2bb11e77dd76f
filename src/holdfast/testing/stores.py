"""Wrappers for tests: one that breaks, one that is slow, one that counts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from .. import locks
from ..blob import Blob, Buffer, ForwardingBlob, Staged, body_chunks, body_size
from ..errors import HoldfastError
from ..store import LIST, READ, REMOVE, WRITE, ObjectStore, Removed, Wrapper
from ..types import Body, ListOptions, Location, ObjectInfo, ReadOptions, RemoveOptions, WriteOptions

VERBS = ("read", "write", "remove", "scan", "copy", "stage", "locate")


class _Observer(Wrapper):
    """Calls ``seen(verb, key)`` before each verb: key is a scan's prefix, a bulk delete's first key."""

    def seen(self, verb: str, key: str) -> None:
        """Called before each verb; what it raises, the verb raises."""
        raise NotImplementedError

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        self.seen("read", key)
        return self.store._read(key, options)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        self.seen("write", key)
        return self.store._write(key, body, options)

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        self.seen("remove", keys[0] if keys else "")
        return self.store._remove(keys, options)

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        self.seen("scan", options.prefix)
        return self.store._scan(options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        self.seen("copy", dst)
        return self.store._copy(source, src, dst, options)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        self.seen("stage", key)
        return self.store._stage(key, size, options)

    def _locate(self, key: str) -> Location | None:
        self.seen("locate", key)
        return self.store._locate(key)


class FaultStore(_Observer):
    """A store that raises what you say, where you say it.

    ``fail(error, verb, key=None, times=1, after=0)`` arms a fault: the verb ("read", "write", "remove", "scan",
    "copy", "stage", "locate") raises the error for that key (for any key without one), ``times`` times, after it has
    been let through ``after`` times. ``error`` is an exception, or a function that makes one from the key. A fault
    strikes before the store is reached, so nothing has happened then; with ``landed=True`` it strikes a write or a
    delete after it was done, as a lost answer does.

    >>> from holdfast.stores.memory import MemoryStore
    >>> from holdfast.errors import Throttled
    >>> store = FaultStore(MemoryStore())
    >>> store.fail(Throttled("slow down"), "write", times=1)
    >>> store.put("a", b"1")
    Traceback (most recent call last):
    ...
    holdfast.errors.Throttled: slow down
    >>> store.put("a", b"1").size
    1
    """

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self._faults: list[_Fault] = []
        self._lock = locks.lock()

    def fail(
        self,
        error: BaseException | Callable[[str], BaseException],
        verb: str,
        key: str | None = None,
        *,
        times: int = 1,
        after: int = 0,
        landed: bool = False,
    ) -> None:
        """Arm one more fault; faults that were armed first strike first."""
        if verb not in VERBS:
            raise ValueError(f"{verb!r} is no verb: {', '.join(VERBS)}")
        if landed and verb not in {"write", "remove"}:
            raise ValueError("only a write or a remove can be lost after it landed")
        with self._lock:
            self._faults.append(_Fault(error, verb, key, times, after, landed))

    @property
    def pending(self) -> int:
        """How many times armed faults are still to strike."""
        return sum(fault.times for fault in self._faults)

    def seen(self, verb: str, key: str) -> None:
        """Raise what is armed for this call."""
        self._strike(verb, key, landed=False)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        info = super()._write(key, body, options)
        self._strike("write", key, landed=True)
        return info

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        removed = super()._remove(keys, options)
        self._strike("remove", keys[0] if keys else "", landed=True)
        return removed

    def _strike(self, verb: str, key: str, *, landed: bool) -> None:
        with self._lock:
            fault = next((f for f in self._faults if f.strikes(verb, key, landed)), None)
        if fault is not None:
            error = fault.error
            raise error if isinstance(error, BaseException) else error(key)


class _Fault:
    def __init__(
        self,
        error: BaseException | Callable[[str], BaseException],
        verb: str,
        key: str | None,
        times: int,
        after: int,
        landed: bool,
    ) -> None:
        self.error = error
        self.verb = verb
        self.key = key
        self.times = times
        self.after = after
        self.landed = landed

    def strikes(self, verb: str, key: str, landed: bool) -> bool:
        """Whether this fault strikes now; counts the call."""
        if not self.times or verb != self.verb or landed != self.landed or self.key not in {None, key}:
            return False
        if self.after:
            self.after -= 1
            return False
        self.times -= 1
        return True


class LatencyStore(_Observer):
    """A store whose verbs take so many seconds longer, such as ``LatencyStore(store, read=0.05)``.

    >>> from holdfast.stores.memory import MemoryStore
    >>> LatencyStore(MemoryStore(), write=0.001).put("a", b"1").size
    1
    """

    def __init__(self, store: ObjectStore, **seconds: float) -> None:
        super().__init__(store)
        if unknown := seconds.keys() - set(VERBS):
            raise ValueError(f"{', '.join(sorted(unknown))}: the verbs are {', '.join(VERBS)}")
        self.seconds = seconds

    def seen(self, verb: str, key: str) -> None:
        """Sleep for as long as the verb takes."""
        if seconds := self.seconds.get(verb):
            time.sleep(seconds)


class CountingStore(_Observer):
    """A store that counts: ``calls`` by verb, and the bytes of bodies that went through it.

    ``bytes_read`` grows as bodies are taken, ``bytes_written`` as they are handed on; ``errors`` counts verbs that
    raised. A copy or a stage that the store makes itself moves no bytes through here.

    >>> from holdfast.stores.memory import MemoryStore
    >>> store = CountingStore(MemoryStore())
    >>> _ = store.put("a", b"hello"), store.get("a"), store.get_range("a", 1, 3)
    >>> dict(store.calls), store.bytes_written, store.bytes_read
    ({'write': 1, 'read': 2}, 5, 7)
    """

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self._lock = locks.lock()
        self.reset()

    def reset(self) -> None:
        """Count from zero again."""
        self.calls: Counter[str] = Counter()
        self.errors = 0
        self.bytes_read = 0
        self.bytes_written = 0

    def seen(self, verb: str, key: str) -> None:
        """Count one call."""
        with self._lock:
            self.calls[verb] += 1

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        try:
            blob = super()._read(key, options)
        except HoldfastError:
            self._add(errors=1)
            raise
        return _CountedBlob(blob, lambda count: self._add(read=count))

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        # A body of known size passes as it is: as an iterator it could not be sent twice, nor in one piece.
        size = body_size(body)
        try:
            info = super()._write(key, self._counted(body) if size is None else body, options)
        except HoldfastError:
            self._add(errors=1)
            raise
        self._add(written=size or 0)
        return info

    def _counted(self, body: Body) -> Iterator[Buffer]:
        for chunk in body_chunks(body):
            self._add(written=len(chunk))
            yield chunk

    def _add(self, *, read: int = 0, written: int = 0, errors: int = 0) -> None:
        with self._lock:
            self.bytes_read += read
            self.bytes_written += written
            self.errors += errors


class _CountedBlob(ForwardingBlob):
    """A blob that reports how many bytes were taken from it, and is the blob inside in everything else."""

    __slots__ = ("_count",)

    def __init__(self, blob: Blob, count: Callable[[int], None]) -> None:
        super().__init__(blob)
        self._count = count

    def chunks(self) -> Iterator[Buffer]:
        for chunk in self._blob.chunks():
            self._count(len(chunk))
            yield chunk

    def bytes(self) -> bytes:
        data = self._blob.bytes()
        self._count(len(data))
        return data

    def readinto(self, buffer: bytearray | memoryview) -> int:
        count = self._blob.readinto(buffer)
        self._count(count)
        return count
