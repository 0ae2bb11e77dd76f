"""A wrapper for stores that do not try again by themselves.

Holdfast's own remote stores retry by themselves, and mark an error that they gave up on as no longer ``retryable``,
so a RetryingStore around them adds nothing. It is meant for third parties' stores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from .. import redact
from ..blob import Blob, Buffer, ForwardingBlob, Staged, body_chunks, rewindable
from ..errors import HoldfastError, IntegrityError, StoreError
from ..retry import Policy
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
from ._bodies import gathered
from ._single import SingleStore

Value = TypeVar("Value")
Data = bytes  # where a method called bytes() hides the type


class RetryingStore(SingleStore):
    """A store whose operations are tried again where that is harmless, as a ``retry.Policy`` says.

    Errors that say ``retryable`` are tried again, and those of the classes ``retry_on``, which third parties' stores
    raise (when tries run out they come as StoreError with the original as its cause). A read that breaks off goes on
    where it was, under the same ETag, where the store can do that; a listing goes on after its last row where it is
    sorted; unconditional writes of bytes, paths and streams of up to 8 MiB, deletes and copies are repeated. **Never**
    tried again are conditional writes and deletes (a lost answer would come back as a false conflict), longer
    streams, and uploads in parts. A repeated delete counts an object that is gone as deleted.

    >>> from holdfast.stores.memory import MemoryStore
    >>> from holdfast.testing import FaultStore
    >>> shaky = FaultStore(MemoryStore())
    >>> shaky.fail(ConnectionError("reset"), "write", times=2)
    >>> RetryingStore(shaky, Policy(sleep=lambda seconds: None)).put("a", b"1").size
    1
    """

    def __init__(
        self,
        store: ObjectStore,
        policy: Policy | None = None,
        *,
        retry_on: tuple[type[Exception], ...] = (ConnectionError, TimeoutError),
    ) -> None:
        super().__init__(store)
        self.policy = Policy() if policy is None else policy
        self.retry_on = retry_on

    @property
    def capabilities(self) -> Capabilities:
        """Those of the store inside."""
        return self.store.capabilities

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        blob = self._attempt(key, lambda: self.store._read(key, options))
        return blob if options.head else _RetriedBlob(self, key, options, blob)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        if not rewindable(body):
            body = gathered(body_chunks(body))
        if options.conditional or not rewindable(body):
            return self._once(key, lambda: self.store._write(key, body, options))
        return self._attempt(key, lambda: self.store._write(key, body, options))

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        first = keys[0] if keys else ""
        if options.if_match is not None:
            return self._once(first, lambda: self.store._remove(keys, options))
        waiting = list(range(len(keys)))
        answers: Removed = [None] * len(keys)
        chosen = options

        def remove() -> None:
            """Ask for those that are left; raise the first error after which asking again may help."""
            nonlocal waiting, chosen
            asked, now = waiting, chosen
            chosen = replace(chosen, must_exist=False)  # from now on one that is gone may be our own doing
            removed = self.store._remove([keys[place] for place in asked], now)
            for place, error in zip(asked, removed, strict=True):
                answers[place] = error
            waiting = [place for place in asked if (error := answers[place]) is not None and error.retryable]
            if waiting:
                failed = answers[waiting[0]]
                assert failed is not None
                raise failed

        try:
            self._attempt(first, remove)
        except HoldfastError as error:
            if not any(answer is error for answer in answers):
                raise
        return answers

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        rows = self._attempt(options.prefix, lambda: self.store._scan(options))
        while True:
            last: ObjectInfo | None = None
            try:
                for row in rows:
                    last = row
                    yield row
                return
            except Exception as error:
                failed = self._known(options.prefix, error)
                if failed is None or not failed.retryable:
                    raise
                if last is not None and not self.store.capabilities.sorted:
                    raise  # which rows have not come yet cannot be said
                if last is not None:
                    options = replace(options, start_after=last.key)
                rows = self._again(options, failed)

    def _again(self, options: ListOptions, failed: HoldfastError) -> Iterator[ObjectInfo]:
        """The listing from here on, with its first row at hand: that is what may fail."""

        def first() -> tuple[Iterator[ObjectInfo], list[ObjectInfo]]:
            rows = iter(self.store._scan(options))
            return rows, [row for row in (next(rows, None),) if row is not None]

        rows, head = self.policy.again(lambda: self._once(options.prefix, first), failed)
        yield from head
        yield from rows

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        def copy() -> ObjectInfo:
            return self.store._copy(source, src, dst, options)

        return self._once(dst, copy) if options.conditional else self._attempt(dst, copy)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        return self._once(key, lambda: self.store._stage(key, size, options))

    def _locate(self, key: str) -> Location | None:
        return self.store._locate(key)

    def _attempt(self, key: str, operation: Callable[[], Value]) -> Value:
        return self.policy.call(lambda: self._once(key, operation))

    def _once(self, key: str, operation: Callable[[], Value]) -> Value:
        """What the operation returns; a foreign error that may be retried comes as one of ours."""
        try:
            return operation()
        except Exception as error:
            known = self._known(key, error)
            if known is None or known is error:
                raise
            raise known from error

    def _known(self, key: str, error: Exception) -> HoldfastError | None:
        if isinstance(error, HoldfastError):
            return error
        if not isinstance(error, self.retry_on):
            return None
        return StoreError(redact.error(error), key=key, store=self.name, cause=error, retryable=True)


class _RetriedBlob(ForwardingBlob):
    """A blob that is opened again where it breaks off, and goes on there."""

    __slots__ = ("_key", "_options", "_store")

    def __init__(self, store: RetryingStore, key: str, options: ReadOptions, blob: Blob) -> None:
        self._store = store
        self._key = key
        self._options = options
        super().__init__(blob)

    def chunks(self) -> Iterator[Buffer]:
        return self._pieces(None)

    def bytes(self) -> Data:
        taken: list[Data] = []
        for chunk in self._pieces(taken.clear):
            taken.append(Data(chunk))  # noqa: PERF401 - the list is cleared on the way
        return b"".join(taken)

    def _pieces(self, start_over: Callable[[], None] | None) -> Iterator[Buffer]:
        """The body, gone on with where it breaks off; where that cannot be, from its start, if the caller can forget.

        Bytes that came give all tries back: only what breaks off at one place, or is begun anew, runs out of them.
        """
        position = 0
        begun = 0
        used = 1
        while True:
            before = position
            try:
                for chunk in self._blob.chunks():
                    position += len(chunk)
                    yield chunk
                return
            except Exception as error:
                failed = self._store._known(self._key, error)
                if failed is None or not failed.retryable:
                    raise
                if not self._resumable(position, failed):
                    if start_over is None:
                        raise
                    start_over()
                    position = 0
                    begun += 1
                elif position > before:
                    used = 1
                used = max(used, begun)
                used += self._reopen(position, failed, used)

    def readinto(self, buffer: bytearray | memoryview) -> int:
        return Blob.readinto(self, buffer)  # by chunks, which are opened again where they break off

    def _resumable(self, position: int, failed: HoldfastError) -> bool:
        """Whether what is left can be read of just this version; bytes that were given out cannot be taken back."""
        if isinstance(failed, IntegrityError):
            return position == 0
        start, size = self._options.start, self.info.size
        if position and start is not None and start < 0 and size is None:
            return False
        return position == 0 or (self._store.capabilities.ranges and self.info.strong_etag is not None)

    def _reopen(self, position: int, failed: HoldfastError, used: int) -> int:
        """Open what is left; how many tries that took."""
        options, info, name = self._options, self.info, self._blob.info.key
        if self._store.capabilities.ranges and info.strong_etag is not None:
            options = replace(options, if_match=info.etag)
        if position:
            start = options.start or 0
            if start < 0:
                start = max(0, (info.size or 0) + start)
            options = replace(options, start=start + position)
        self._blob.close()
        tries = 0

        def reopen() -> Blob:
            nonlocal tries
            tries += 1
            return self._store._once(self._key, lambda: self._store.store._read(self._key, options))

        self._blob = self._store.policy.again(reopen, failed, used=used).rename(name)
        return tries
