"""Group commit: writers of one store that come at the same time share one commit, and each is told after it."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from .. import locks
from ..errors import HoldfastError

Context = TypeVar("Context")


class Change(ABC, Generic[Context]):
    """One change that waits for its commit; afterwards ``done``, with ``error`` if it was refused.

    ``make`` may be called again after a commit that failed, so it reads from something that can be read twice.
    """

    #: Whether nothing more will happen to it: committed, refused or failed.
    done = False
    #: Whether a leader has it in hand; one that comes back without being done waits again.
    taken = False
    #: Why it was refused; the others of its batch are not concerned.
    error: HoldfastError | None = None
    #: What made its commit fail.
    failure: Exception | None = None
    #: About how many bytes it writes.
    weight = 0
    #: When it was asked for (seconds of the monotonic clock).
    asked = 0.0

    @abstractmethod
    def make(self, context: Context) -> None:
        """Make the change, not yet durable; a HoldfastError refuses it alone and must leave nothing behind."""

    def is_own(self, error: Exception) -> bool:
        """Whether what ``make`` raised has to do with this change, and not with a full disk or the like."""
        return not isinstance(error, OSError)

    def attempt(self, context: Context) -> None:
        """Make the change and keep a refusal for whoever asked for it."""
        self.error = self.failure = None
        try:
            self.make(context)
        except HoldfastError as error:
            self.error = error
        except Exception as error:
            if self.is_own(error):
                self.failure = error
            raise


class _Queue(Generic[Context]):
    """Who waits in one process, and whose turn it is."""

    def __init__(self) -> None:
        self.waiting: deque[Change[Context]] = deque()
        self.turn = locks.lock()


class GroupCommit(Generic[Context]):
    """Hands waiting changes to ``commit``, in turn and in batches; any number of threads may ``perform``.

    Whoever finds nobody committing takes all that wait, its own changes included; the others find theirs done when
    their turn comes. One writer alone never waits for others to join.

    A commit that fails because one change cannot be made is made again without that one. Any other failure (the lock
    is held by somebody else, the disk is full) would only come again: all of its batch have failed with it.
    """

    #: At most so many changes, or about so many bytes, share one commit.
    MOST = 1000
    BYTES = 16 << 20

    def __init__(self, commit: Callable[[Sequence[Change[Context]]], None]) -> None:
        self._commit = commit
        # One for each process: in a forked child the parent's turn may be held by a thread that is not there.
        self._queues: dict[int, _Queue[Context]] = {}

    @property
    def queue(self) -> _Queue[Context]:
        """The queue of this process."""
        pid = os.getpid()
        # In one step, so that all threads of a child that has just been forked off get the same one.
        return self._queues.get(pid) or self._queues.setdefault(pid, _Queue())

    def perform(self, changes: Sequence[Change[Context]]) -> None:
        """Return when all these changes are done: committed, or refused; raises what made a commit fail."""
        queue, now = self.queue, time.monotonic()
        for change in changes:
            change.asked = now
        queue.waiting.extend(changes)
        try:
            with queue.turn:
                while mine := [change for change in changes if not change.done]:
                    # Taken and not done: its leader was interrupted before it could give it back.
                    self._lead(queue, mine[:1] if mine[0].taken else self._take(queue))
        finally:
            # After an error or Ctrl-C nobody else may make these changes later.
            for change in changes:
                if not change.taken:
                    _forget(queue, change)
        for change in changes:
            if change.failure is not None:
                raise change.failure

    def _lead(self, queue: _Queue[Context], batch: list[Change[Context]]) -> None:
        """Commit the batch; what comes back without being done waits again, in its place."""
        try:
            self._commit(batch)
        except Exception as error:  # noqa: BLE001 - each of the batch raises it where it was asked for
            if all(change.failure is not error for change in batch):
                for change in batch:
                    change.failure = error
            for change in batch:
                change.done = change.done or change.failure is not None
        finally:
            for change in reversed(batch):
                if not change.done:
                    change.taken = False
                    queue.waiting.appendleft(change)

    def _take(self, queue: _Queue[Context]) -> list[Change[Context]]:
        """As many of the waiting changes as go together, in the order they came."""
        batch: list[Change[Context]] = []
        weight = 0
        while len(batch) < self.MOST and weight < self.BYTES:
            try:
                change = queue.waiting.popleft()
            except IndexError:
                break
            change.taken = True
            batch.append(change)
            weight += change.weight
        return batch


def _forget(queue: _Queue[Any], change: Change[Any]) -> None:
    try:
        queue.waiting.remove(change)
    except ValueError:
        change.taken = True
