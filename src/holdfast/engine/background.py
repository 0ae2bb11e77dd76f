"""Operations in the background: begun at once, waited for together, in threads that end when their owner says so."""

from __future__ import annotations

import atexit
import os
import sys
import warnings
import weakref
from collections.abc import Callable, Collection
from typing import Any, Self

from . import native
from .lane import Lane
from .pool import DEFAULT_BUDGET, Engine
from .run import HEARTBEAT

#: How many operations may be on their way: whoever begins one more waits.
MOST = 10_000


class Background:
    """Operations on their way in at most ``threads`` threads, and the first error among them, for ``wait`` to raise.

    Memory is bounded: ``begin`` waits while what is on its way holds more than ``budget`` bytes, or is MOST
    operations. Those of one key run in the order in which they began.

    >>> done = []
    >>> with Background(2) as background:
    ...     for number in range(3):
    ...         background.begin([number], lambda number=number: done.append(number))
    ...     background.wait()
    >>> sorted(done)
    [0, 1, 2]
    """

    def __init__(self, threads: int, budget: int = DEFAULT_BUDGET) -> None:
        self.engine = Engine(budget=budget)
        self.threads = threads
        self._lane = Lane(threads, self.engine)
        self._budget = budget
        self._changed = native.Condition()
        self._keys: set[Any] = set()
        self._bytes = 0
        self._count = 0
        self._error: BaseException | None = None
        _all.add(self)

    @property
    def pending(self) -> int:
        """How many operations are on their way."""
        return self._count

    def has_room(self, keys: Collection[Any], nbytes: int) -> bool:
        """Whether ``begin`` would not wait now."""
        full = self._count and (self._bytes + nbytes > self._budget or self._count >= MOST)
        return not full and self._keys.isdisjoint(keys)

    def begin(self, keys: Collection[Any], operation: Callable[[], Any], nbytes: int = 0) -> None:
        """Begin an operation that holds so many bytes, once there is room, and none on one of its keys on its way."""
        with self._changed:
            while not self.has_room(keys, nbytes):
                self._changed.wait()
            self._keys.update(keys)
            self._bytes += nbytes
            self._count += 1

        def told(_: Any, error: BaseException | None) -> None:
            with self._changed:
                self._keys.difference_update(keys)
                self._bytes -= nbytes
                self._count -= 1
                self._error = self._error or error
                self._changed.notify_all()

        self._lane.call(operation, told)

    def wait(self, progress: Callable[[int], None] | None = None) -> None:
        """Wait until nothing is on its way, and raise the first error since the last ``wait``.

        ``progress`` is called now and then with the number of operations that ended meanwhile.
        """
        with self._changed:
            left = self._count
            while self._count:
                self._changed.wait(-1 if progress is None else HEARTBEAT)
                if progress is not None:
                    progress(left - self._count)
                    left = self._count
            error, self._error = self._error, None
        if error is not None:
            raise error

    def abandon(self) -> None:
        """Forget what has not begun yet, and every error; nobody waits for what has begun."""
        _all.discard(self)
        dropped = self._lane.drop()
        with self._changed:
            self._count -= dropped
            self._error = None

    def end(self, patience: float = 5.0) -> None:
        """End the threads once they are idle, and wait so many seconds for that; harmless when repeated."""
        self.engine.close()
        self.engine.join(patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def _after_fork(self) -> None:
        # The threads, and what was on its way in them, stayed in the parent.
        self._changed = native.Condition()
        self._keys.clear()
        self._bytes = self._count = 0
        self._error = None


def _after_fork_in_child() -> None:
    for background in list(_all):
        background._after_fork()


_all: weakref.WeakSet[Background] = weakref.WeakSet()


@atexit.register
def _finish() -> None:
    """Let what was begun and never waited for end before the interpreter does, and tell of failures."""
    left = sum(background.pending for background in _all)
    if left and getattr(sys, "last_type", None) is KeyboardInterrupt:  # this program was to end at once
        warnings.warn(f"{left} operations in the background were given up", stacklevel=1)
        return
    for background in list(_all):
        try:
            background.wait()
        except Exception as error:  # noqa: BLE001 - there is nobody left to raise it to
            warnings.warn(f"an operation in the background failed, and nobody waited for it: {error}", stacklevel=1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
