"""What goes through the engine: outcomes, and large operations split into parts."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from . import native

Item = TypeVar("Item")


class Outcome(Generic[Item]):
    """What became of one item: its ``value``, or the ``error`` that the function raised."""

    __slots__ = ("error", "item", "pending", "reserved", "value")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.value: Any = None
        self.error: BaseException | None = None
        self.pending = True
        self.reserved = 0

    def __repr__(self) -> str:
        return f"Outcome({self.item!r}, {self.error if self.error is not None else self.value!r})"


class Split:
    """A large operation, returned by a function instead of its value: parts that any worker may run.

    ``parts`` take no arguments; when all have returned, the last one's worker calls ``finish(results)``, whose
    value is the operation's. If a part fails, the rest is skipped and ``abort()`` runs once no part is running.
    """

    __slots__ = ("abort", "finish", "parts")

    def __init__(
        self,
        parts: Sequence[Callable[[], Any]],
        finish: Callable[[list[Any]], Any],
        abort: Callable[[], None] | None = None,
    ) -> None:
        self.parts = parts
        self.finish = finish
        self.abort = abort


class InTurn:
    """The rest of an operation, returned by a function instead of its value: ``call()`` gives that, in its turn.

    For what is quick and made of many system calls, such as writing a small local file. Threads that do that side by
    side mostly wake each other for Python's lock: eight of them need four times as long as one. So one worker makes
    such calls for all the others, who go on to their next items. When the calls turn out to be slow (a network file
    system, a disk that syncs), or one hangs, they are made side by side after all.
    """

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call


def release_frames(error: BaseException | None) -> None:
    """Let go of what the frames that an error passed through still hold, such as bodies and open files.

    An error that is kept in its outcome would keep them, too: of ten thousand failures, ten thousand descriptors.
    """
    seen = set()  # a chain may lead back to where it was
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


class Stopped(Exception):
    """The run that an operation belongs to has ended."""


class Part:
    """One part of a Split on its way through the workers."""

    __slots__ = ("index", "state")

    def __init__(self, state: SplitState, index: int) -> None:
        self.state = state
        self.index = index


class SplitState:
    """The count of a Split's parts; whoever brings it to zero ends the operation."""

    __slots__ = ("error", "left", "lock", "results", "slot", "split")

    def __init__(self, slot: Outcome[Any], split: Split) -> None:
        self.slot = slot
        self.split = split
        self.left = len(split.parts)
        self.results: list[Any] = [None] * self.left
        self.error: BaseException | None = None
        self.lock = native.lock()

    def perform(self, index: int) -> bool:
        """Run one part (unless another failed already); True when it was the last."""
        error: BaseException | None = None
        if self.error is None:
            try:
                self.results[index] = self.split.parts[index]()
            except BaseException as raised:  # noqa: BLE001 - it becomes the operation's error
                error = raised
        return self.count_down(error)

    def count_down(self, error: BaseException | None) -> bool:
        """Account for one part that is over; True when it was the last."""
        with self.lock:
            if self.error is None:
                self.error = error
            self.left -= 1
            return self.left == 0

    def end(self) -> None:
        """Finish or abort; the slot has its value or error afterwards."""
        try:
            if self.error is None:
                self.slot.value = self.split.finish(self.results)
            elif self.split.abort is not None:
                self.split.abort()
        except BaseException as raised:  # noqa: BLE001 - it becomes the operation's error
            self.error = self.error or raised
        release_frames(self.error)
        self.slot.error = self.error
