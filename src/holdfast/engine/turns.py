"""Calls that are made one at a time and in batches, as long as they are quick."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import native
from .outcome import Outcome, release_frames

if TYPE_CHECKING:
    from .pool import Worker

#: So many calls (or all there are) are made in one go.
BATCH = 32
#: Calls that take longer than this (seconds) on average wait for something, and gain by being made side by side.
SLOW = 0.002
#: Nobody waits longer than this (seconds) for somebody else's batch: one of its calls may hang.
PATIENCE = 0.1
#: The average forgets at this rate.
REMEMBERED = 32


class Turns:
    """The calls of one run that wait for their turn (see ``InTurn``)."""

    __slots__ = ("_average", "_lock", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[tuple[Outcome[Any], Callable[[], Any]]] = deque()
        self._lock = native.lock()
        self._average = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, slot: Outcome[Any], call: Callable[[], Any]) -> bool:
        """Queue the call that ends this slot's operation; whether it is time to ``make`` those that wait."""
        self._waiting.append((slot, call))
        return len(self._waiting) >= BATCH or self._average >= SLOW

    def make(self, worker: Worker) -> Iterator[Outcome[Any]]:
        """The slots of the calls that waited, which are made now; those who come meanwhile wait until it is done.

        They had better wait here: at Python's lock they would be woken, in vain, by each of the system calls.
        """
        alone = self._average < SLOW and self._lock.acquire(timeout=PATIENCE)
        try:
            for _ in range(len(self._waiting)):  # and not what is added meanwhile, or it might never end
                yield self._make_one(worker)
        except IndexError:
            return  # another worker took the last one
        finally:
            if alone:
                self._lock.release()

    def _make_one(self, worker: Worker) -> Outcome[Any]:
        slot, call = self._waiting.popleft()
        worker.slot = slot
        began = time.perf_counter()
        try:
            slot.value = call()
        except BaseException as error:  # noqa: BLE001 - it becomes the item's error
            release_frames(error)
            slot.error = error
        self._average += (time.perf_counter() - began - self._average) / REMEMBERED
        return slot
