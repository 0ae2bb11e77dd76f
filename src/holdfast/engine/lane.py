"""Lone calls on kept workers, for callers that must not wait themselves, such as an event loop."""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import native, pool
from .outcome import release_frames
from .pace import Pace

if TYPE_CHECKING:
    from .pool import Engine, Worker

Told = Callable[[Any, BaseException | None], None]


class Call:
    """One call on its way; set ``abandoned`` and it is not made any more, unless it has begun."""

    __slots__ = ("abandoned", "function", "told")

    def __init__(self, function: Callable[[], Any], told: Told) -> None:
        self.function = function
        self.told = told
        self.abandoned = False


class Lane:
    """A way to hand calls to workers and be told: at most ``limit`` run at a time, begun in the order they came.

    The workers are those of ``engine``, or of the default one. ``limit=None`` means as many as a bulk run may have
    threads. Bulk work that a call starts has workers of its own, as if it had been started by any other thread. A call
    that waits for another one must not wait for one behind it in the same lane.

    >>> import queue
    >>> answers = queue.SimpleQueue()
    >>> call = Lane().call(lambda: 6 * 7, lambda value, error: answers.put((value, error)))
    >>> answers.get(timeout=10)
    (42, None)
    """

    def __init__(self, limit: int | None = None, engine: Engine | None = None) -> None:
        self._engine = engine
        self.limit = Pace(limit).ceiling
        self._lock = native.lock()
        self._todo: deque[Call] = deque()
        self._pending: set[Call] = set()
        self._waiting: list[tuple[set[Call], Callable[[], None]]] = []
        self._serving = 0
        _lanes.add(self)

    def call(self, function: Callable[[], Any], told: Told) -> Call:
        """The call that is now on its way: ``told(value, error)`` runs in its worker when it is over."""
        call = Call(function, told)
        with self._lock:
            self._pending.add(call)
            self._todo.append(call)
            lease = self._serving < self.limit
            self._serving += lease
        if lease:
            (self._engine or pool.default())._lease(self._serve)
        return call

    def when_done(self, told: Callable[[], None]) -> None:
        """Run ``told()`` once every call that is on its way now is over; it may be at once, in this thread."""
        with self._lock:
            calls = set(self._pending)
            if calls:
                self._waiting.append((calls, told))
        if not calls:
            told()

    def drop(self) -> int:
        """How many calls had not begun, which are forgotten now and never told of."""
        with self._lock:
            dropped = len(self._todo)
            for call in self._todo:
                self._pending.discard(call)
                for calls, _ in self._waiting:
                    calls.discard(call)
            self._todo.clear()
            return dropped

    def _serve(self, worker: Worker) -> bool:
        pool._here.worker = None  # what this call runs in bulk has workers of its own
        try:
            while (call := self._next()) is not None:
                self._make(call)
        finally:
            pool._here.worker = worker
        return True

    def _next(self) -> Call | None:
        with self._lock:
            if self._todo:
                return self._todo.popleft()
            self._serving -= 1
            return None

    def _make(self, call: Call) -> None:
        value, failed = None, None
        if not call.abandoned:
            try:
                value = call.function()
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                release_frames(error)
                failed = error
            call.told(value, failed)
        with self._lock:
            self._pending.discard(call)
            for calls, _ in self._waiting:
                calls.discard(call)
            over = [told for calls, told in self._waiting if not calls]
            self._waiting = [waiting for waiting in self._waiting if waiting[0]]
        for told in over:
            told()

    def _after_fork(self) -> None:
        # The workers that served stayed in the parent, and with them whoever waited for their calls.
        self._lock = native.lock()
        self._todo.clear()
        self._pending.clear()
        self._waiting = []
        self._serving = 0


def _after_fork_in_child() -> None:
    for lane in list(_lanes):
        lane._after_fork()


_lanes: weakref.WeakSet[Lane] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
