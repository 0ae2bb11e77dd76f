"""The engine itself: kept worker threads, leased to one run or lone call after another."""

from __future__ import annotations

import itertools
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from . import native
from .budget import Budget
from .native import SimpleQueue
from .outcome import InTurn, Outcome, Split, SplitState
from .run import Run

Item = TypeVar("Item")

DEFAULT_BUDGET = 256 << 20
#: Results below this many bytes are bounded by the window's count alone, so they skip the byte budget's lock.
SMALL = 64 << 10
#: How long (seconds) a run that is broken off waits for operations in flight.
GRACE = 1.0

_here = native.local()


class Worker:
    """A kept daemon thread that serves one run (or one lone call) after another."""

    __slots__ = ("bell", "engine", "rank", "run", "slot", "thread")

    def __init__(self, engine: Engine, number: int) -> None:
        self.engine = engine
        self.bell: SimpleQueue[Callable[[Worker], bool] | None] = SimpleQueue()
        self.run: Run | None = None
        self.slot: Outcome[Any] | None = None
        self.rank = 0
        self.thread = native.start(self.live, f"holdfast-{number}")

    def live(self) -> None:
        """Do the jobs that come, until there is no use for this thread any more."""
        _here.worker = self
        while (job := self.bell.get()) is not None:
            reusable = job(self)
            self.run = self.slot = None
            del job
            if not reusable or not self.engine._keep(self):
                return


class Engine:
    """A pool of kept threads with one byte budget; ``default()`` is the one that everybody shares.

    ``budget`` in bytes bounds what operations that call ``reserve`` and their undelivered results hold together
    (default 256 MiB). An engine of one's own is ended by ``close()`` or a with statement.

    >>> with Engine() as engine:
    ...     sorted(outcome.value for outcome in engine.run(len, ["a", "bb", "ccc"]))
    [1, 2, 3]
    """

    def __init__(self, *, budget: int = DEFAULT_BUDGET) -> None:
        self._budget = Budget(budget)
        self._idle: deque[Worker] = deque()
        self._numbers = itertools.count(1)
        self._closed: bool = False
        self._threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        _engines.add(self)

    def run(
        self,
        function: Callable[[Item], Any],
        items: Iterable[Item],
        *,
        threads: int | None = None,
        ordered: bool = False,
        on_error: Literal["raise", "collect"] = "raise",
        progress: Callable[[int], None] | None = None,
        local: bool = False,
    ) -> Iterator[Outcome[Item]]:
        """An iterator of Outcomes, one an item, while at most ``threads`` operations run at a time.

        ``threads=None`` starts with 8 (with 1 if the work is ``local``: see ObjectStore.local) and adapts, up to 64 or
        HOLDFAST_MAX_THREADS; 0 runs everything in the caller's thread; a number is a cap.
        ``ordered`` yields in the items' order, otherwise as they come.
        ``on_error="raise"`` raises the first error and stops, "collect" yields it in its Outcome. ``progress`` is
        called in the caller's thread with the count of newly finished items, which is 0 while it waits for them.
        Items are taken only as fast as outcomes are consumed.
        """
        if on_error not in ("raise", "collect"):
            raise ValueError(f"on_error is 'raise' or 'collect', not {on_error!r}")
        if threads is not None and threads < 0:
            raise ValueError(f"threads is None, 0 or a positive number, not {threads}")
        if threads == 0 or in_worker():
            return _inline(function, items, on_error, progress)
        run = Run(self, function, items, threads, ordered=ordered, local=local)
        return self._outcomes(run, on_error, progress)

    def _outcomes(self, run: Run, on_error: str, progress: Callable[[int], None] | None) -> Iterator[Outcome[Any]]:
        wait = GRACE
        try:
            if on_error == "collect":
                yield from run.outcomes(progress)
            else:
                for outcome in run.outcomes(progress):
                    if outcome.error is not None:
                        raise outcome.error
                    yield outcome
        except KeyboardInterrupt:
            wait = 0.0
            raise
        finally:
            run.end(wait)

    def close(self) -> None:
        """End the engine's idle threads; busy ones end when their run does."""
        self._closed = True
        while True:
            try:
                self._idle.pop().bell.put(None)
            except IndexError:
                return

    def join(self, patience: float) -> None:
        """Wait until every thread of this engine has ended, at most so many seconds; for after ``close()``."""
        until = time.monotonic() + patience
        for thread in list(self._threads):
            thread.join(max(0.0, until - time.monotonic()))

    def __enter__(self) -> Self:
        self._closed = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lease(self, job: Callable[[Worker], bool], rank: int = 0) -> None:
        try:
            worker = self._idle.pop()
        except IndexError:
            worker = Worker(self, next(self._numbers))
            if worker.thread is not None:
                self._threads.add(worker.thread)
        worker.rank = rank
        worker.bell.put(job)

    def _keep(self, worker: Worker) -> bool:
        self._idle.append(worker)
        if self._closed:
            # close() may have emptied the deque just before: then nobody else would ever end this worker.
            self.close()
        return True

    def _after_fork(self) -> None:
        # Threads do not survive a fork, and the budget's lock may have been held by one of them.
        self._idle.clear()
        self._budget = Budget(self._budget.limit)


def _inline(
    function: Callable[[Any], Any], items: Iterable[Any], on_error: str, progress: Callable[[int], None] | None
) -> Iterator[Outcome[Any]]:
    for item in items:
        slot = Outcome(item)
        try:
            value = function(item)
            if isinstance(value, InTurn):
                value = value.call()
            if isinstance(value, Split):
                state = SplitState(slot, value)
                for index in range(len(value.parts)):
                    state.perform(index)
                state.end()
            else:
                slot.value = value
        except Exception as error:  # noqa: BLE001 - it becomes the item's error
            slot.error = error
        slot.pending = False
        if progress is not None:
            progress(1)
        if slot.error is not None and (on_error == "raise" or not isinstance(slot.error, Exception)):
            raise slot.error
        yield slot


def in_worker() -> bool:
    """Whether this thread is one of an engine's, so that bulk work started here runs inline."""
    return getattr(_here, "worker", None) is not None


def reserve(count: int) -> None:
    """Wait until the engine's byte budget has room for ``count`` bytes, held until the outcome is delivered.

    To be called by an operation before it takes a body into memory. Outside a worker, and for small counts
    (below 64 KiB, which the window bounds), it returns at once.
    """
    if count < SMALL:
        return
    worker = getattr(_here, "worker", None)
    if worker is not None and worker.slot is not None:
        run, slot = worker.run, worker.slot
        if run.turns:
            # They hold bytes as well, and if everybody waited for room nobody would be left to make them.
            run.make_turns(worker)
            worker.slot = slot
        run.engine._budget.acquire(count, run, slot)


def interruptible(function: Callable[..., Any], *args: Any) -> Any:
    """What ``function(*args)`` returns or raises, while Ctrl-C still works.

    For calls into native code that does not look at signals: from the main thread the call is handed to a kept
    worker (about 50 microseconds); if Ctrl-C comes, it is abandoned there. From any other thread it is just called.
    """
    if native.get_ident() != _main_thread or in_worker():
        return function(*args)
    slot: Outcome[Any] = Outcome(None)
    finished = native.lock()
    finished.acquire()
    waiting = True

    def job(_: Worker) -> bool:
        try:
            slot.value = function(*args)
        except BaseException as error:  # noqa: BLE001 - it is raised in the main thread
            slot.error = error
        finished.release()
        return waiting

    try:
        default()._lease(job)
        finished.acquire()
    except BaseException:
        waiting = False
        raise
    if slot.error is not None:
        try:
            raise slot.error
        finally:
            slot.error = None  # or the error's traceback and this frame would keep each other alive
    return slot.value


def default() -> Engine:
    """The engine that everything shares unless it was given another."""
    global _default  # noqa: PLW0603 - made when it is first needed
    if _default is None:
        _default = Engine()
    return _default


def _after_fork_in_child() -> None:
    global _main_thread  # noqa: PLW0603 - a fork changes it
    _main_thread = native.get_ident()
    _here.__dict__.clear()
    for engine in list(_engines):
        engine._after_fork()


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_default: Engine | None = None
_main_thread = native.main_thread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
