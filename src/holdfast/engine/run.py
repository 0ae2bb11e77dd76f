"""One bulk run: the slots' way from the caller's feed through the workers and back."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import Empty
from typing import TYPE_CHECKING, Any

from . import native
from .native import SimpleQueue
from .outcome import InTurn, Outcome, Part, Split, SplitState, Stopped, release_frames
from .pace import Pace
from .turns import Turns

if TYPE_CHECKING:
    from .pool import Engine, Worker

# What the caller's thread is doing, seen from the workers (see Run.take).
AWAKE, SLEEPING, GATHERING = 0, 1, 2
#: While results arrive faster than they are worth waking for, the caller lets them gather this long (seconds).
TICK = 0.005
#: How often (seconds) a waiting caller reports that nothing has come, so that its progress bar can move.
HEARTBEAT = 0.1


class Run:
    """One call of Engine.run: the slots' way from the feed through the workers back to the caller."""

    def __init__(
        self,
        engine: Engine,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        threads: int | None,
        *,
        ordered: bool,
        local: bool,
    ) -> None:
        self.engine = engine
        self.function = function
        self.items = iter(items)
        self.pace = Pace(threads, local=local)
        self.limit = self.pace.limit
        self.window = max(256, 8 * self.pace.ceiling)
        self.refill = self.window * 3 // 4
        self.low = min(max(self.limit, self.window // 4), self.window - 1)
        self.todo: deque[Outcome[Any] | Part] = deque()
        self.done: deque[Outcome[Any]] = deque()
        self.order: deque[Outcome[Any]] | None = deque() if ordered else None
        self.in_flight = 0
        self.exhausted = False
        self.stop = False
        self.abandoned = False
        self.reserved = 0
        # Workers without work wait at the bell; `idle` counts the waiting ones.
        self.bell: SimpleQueue[None] = SimpleQueue()
        self.idle: deque[None] = deque()
        # The caller waits at `wake`; `state` tells the workers whether it does.
        self.wake = native.lock()
        self.wake.acquire()
        self.state = AWAKE
        self.gathered = 0
        self.leased = 0
        self.left: SimpleQueue[None] = SimpleQueue()
        self.lease_lock = native.lock()
        self.turns = Turns()

    # ------------------------------------------------------------------ in the workers
    def serve(self, worker: Worker) -> bool:
        """Take slots until the run ends; whether the worker may be kept for other runs."""
        todo, deliver, function = self.todo, self.done.append, self.function
        pop = todo.popleft
        worker.run = self
        try:
            while True:
                try:
                    slot = pop()
                except IndexError:
                    if self.turns:
                        self.make_turns(worker)
                    elif self.park():
                        break
                    continue
                if slot.__class__ is Part:
                    if slot.state.perform(slot.index):
                        self.end_split(slot.state)
                    continue
                worker.slot = slot  # type: ignore[assignment]
                try:
                    value = function(slot.item)  # type: ignore[union-attr]
                    if value.__class__ is Split:
                        self.spread(slot, value)  # type: ignore[arg-type]
                        continue
                    if value.__class__ is InTurn:
                        if self.turns.add(slot, value.call):  # type: ignore[arg-type]
                            self.make_turns(worker)
                        continue
                    slot.value = value  # type: ignore[union-attr]
                except BaseException as error:  # noqa: BLE001 - it becomes the item's error
                    release_frames(error)
                    slot.error = error  # type: ignore[union-attr]
                slot.pending = False  # type: ignore[union-attr]
                deliver(slot)  # type: ignore[arg-type]
                state = self.state
                if state and (state == SLEEPING or len(todo) <= self.low):
                    self.ring()
                if worker.rank >= self.limit:
                    if self.turns:
                        self.make_turns(worker)  # those who stay may be asleep already
                    break
        finally:
            worker.slot = None
            self.left.put(None)
        return not self.abandoned

    def make_turns(self, worker: Worker) -> None:
        """Make the calls that wait for their turn, and deliver their outcomes."""
        for slot in self.turns.make(worker):
            slot.pending = False
            self.done.append(slot)
            if self.state == SLEEPING:
                self.ring()
            if self.stop:
                break

    def park(self) -> bool:
        """Wait for work; True when there will be none any more."""
        if self.stop:
            return True
        self.idle.append(None)
        if self.todo or self.stop:  # fed between the failed pop and our entry: the feeder may not have seen us
            try:
                self.idle.pop()
            except IndexError:
                self.bell.get()
            return False
        if self.state == GATHERING:
            self.ring()
        self.bell.get()
        return False

    def ring(self) -> None:
        """Wake the caller, once."""
        self.state = AWAKE
        try:
            self.wake.release()
        except RuntimeError:  # another worker rang first
            return

    def spread(self, slot: Outcome[Any], split: Split) -> None:
        """Put the parts of a large operation before everything else."""
        state = SplitState(slot, split)
        if not split.parts:
            self.end_split(state)
            return
        self.todo.extendleft(Part(state, index) for index in reversed(range(len(split.parts))))
        if self.stop:
            self.drop_todo()
        self.staff(len(split.parts))

    def end_split(self, state: SplitState) -> None:
        """Deliver the outcome of a large operation whose last part is over."""
        state.end()
        state.slot.pending = False
        self.done.append(state.slot)
        if self.state:
            self.ring()

    # ------------------------------------------------------------------ in the caller's thread
    def feed(self) -> None:
        """Fill the window from the items, and see to it that there are workers for it."""
        room = self.window - self.in_flight
        fresh = [Outcome(item) for item in itertools.islice(self.items, room)]
        if len(fresh) < room:
            self.exhausted = True
        if fresh:
            self.in_flight += len(fresh)
            if self.order is not None:
                self.order.extend(fresh)
            self.todo.extend(fresh)
            self.staff(self.in_flight)

    def staff(self, wanted: int) -> None:
        """Wake waiting workers and lease more, up to the limit and to what there is to do."""
        for _ in range(min(len(self.idle), len(self.todo))):
            try:
                self.idle.pop()
            except IndexError:
                break
            self.bell.put(None)
        serving = self.leased - self.left.qsize()
        if serving < min(self.limit, wanted):
            with self.lease_lock:
                while not self.stop and self.leased - self.left.qsize() < min(self.limit, wanted):
                    self.engine._lease(self.serve, rank=self.leased - self.left.qsize())
                    self.leased += 1

    def take(self, patience: float) -> int:
        """Sleep until results are there (or something must be fed), or for so many seconds (-1: for ever).

        Returns how many results there are.
        """
        if not self.done:
            self.state = SLEEPING
            if not self.done:
                self.wake.acquire(timeout=patience)
            self.state = AWAKE
        if self.gathered >= 4 and len(self.done) < min(self.in_flight, 32):
            # Results are streaming in: let some gather rather than wake for each.
            self.state = GATHERING
            self.wake.acquire(timeout=TICK)
            self.state = AWAKE
        self.gathered = len(self.done)
        return self.gathered

    def is_next(self, slot: Outcome[Any]) -> bool:
        """Whether everything undelivered waits for this very slot."""
        return self.order is not None and bool(self.order) and self.order[0] is slot

    def outcomes(self, progress: Callable[[int], None] | None) -> Iterator[Outcome[Any]]:
        """The outcomes, as they come or in the items' order."""
        patience = -1.0 if progress is None else HEARTBEAT
        while True:
            if self.hungry():
                self.feed()
            if not self.in_flight:
                if self.exhausted:
                    return
                continue
            count = self.take(patience)
            self.note(count, progress)
            if self.order is None:
                for _ in range(count):
                    slot = self.done.popleft()
                    self.in_flight -= 1
                    yield slot
                    if slot.reserved:
                        self.engine._budget.release(self, slot)
                    if self.hungry():
                        self.feed()
            else:
                for _ in range(count):
                    self.done.popleft()
                while self.order and not self.order[0].pending:
                    slot = self.order.popleft()
                    self.in_flight -= 1
                    yield slot
                    if self.reserved:  # bytes are free again, or another slot has become the next one
                        self.engine._budget.release(self, slot)
                    if self.hungry():
                        self.feed()
                    if late := len(self.done):
                        # What the order has delivered, or is about to, must not be kept alive here as well.
                        for _ in range(late):
                            self.done.popleft()
                        self.note(late, progress)

    def note(self, count: int, progress: Callable[[int], None] | None) -> None:
        """Account for results that have come: in the progress, and in the number of workers."""
        if progress is not None:
            progress(count)
        if count and self.pace.adaptive:
            self.pace.note(count)
            if self.pace.limit != self.limit:
                self.limit = self.pace.limit
                self.staff(self.in_flight)

    def hungry(self) -> bool:
        """Whether it is time to feed."""
        return len(self.todo) <= self.low and not self.exhausted and self.in_flight <= self.refill

    def drop_todo(self) -> None:
        """Forget what no worker has taken yet; a split whose last part this was is aborted."""
        while True:
            try:
                slot = self.todo.popleft()
            except IndexError:
                return
            if isinstance(slot, Part) and slot.state.count_down(Stopped()):
                slot.state.end()

    def end(self, wait: float) -> None:
        """Stop feeding, let workers go, and give operations in flight ``wait`` seconds to end."""
        self.stop = True
        self.drop_todo()
        with self.lease_lock:
            leased = self.leased
        for _ in range(leased + 1):
            self.bell.put(None)
        if self.reserved or not self.exhausted or self.in_flight:
            self.engine._budget.notify()
        if self.in_flight:
            deadline = time.monotonic() + wait
            for _ in range(leased):
                try:
                    self.left.get(timeout=max(0.0, deadline - time.monotonic()))
                except Empty:
                    self.abandoned = True
                    break
        if self.reserved:
            self.engine._budget.release_run(self)
