"""Group commit: writers of one store that come at the same time share one commit, and each is told after it."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from ..errors import HoldfastError

Context = TypeVar("Context")


class Change(ABC, Generic[Context]):
    """One change that waits for its commit; afterwards ``done``, and ``error`` if it was refused.

    ``make`` may be called again after a commit that failed, so it reads from something that can be read twice.
    """

    done = False
    #: Whether somebody took it out of the queue.
    taken = False
    error: HoldfastError | None = None
    #: About how many bytes it writes.
    weight = 0

    @abstractmethod
    def make(self, context: Context) -> None:
        """Make the change, not yet durable; a HoldfastError refuses it alone and must leave nothing behind."""

    def attempt(self, context: Context) -> None:
        """Make the change and keep a refusal for whoever asked for it."""
        self.error = None
        try:
            self.make(context)
        except HoldfastError as error:
            self.error = error


class GroupCommit(Generic[Context]):
    """Hands waiting changes to ``commit``, in turn and in batches; any number of threads may ``perform``.

    Whoever finds nobody committing takes all that wait, its own changes included; the others find theirs done when
    their turn comes. One writer alone never waits for others to join.
    """

    #: At most so many changes, or about so many bytes, share one commit.
    MOST = 1000
    BYTES = 16 << 20

    def __init__(self, commit: Callable[[Sequence[Change[Context]]], None]) -> None:
        self._commit = commit
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._waiting: deque[Change[Context]] = deque()
        self._turn = threading.Lock()

    def perform(self, changes: Sequence[Change[Context]]) -> None:
        """Return when all these changes are done: committed, or refused; raises what made a commit fail."""
        if self._pid != os.getpid():
            self._start()  # a thread of the parent may have had the turn when this process was forked off
        self._waiting.extend(changes)
        try:
            with self._turn:
                while mine := [change for change in changes if not change.done]:
                    self._lead(mine)
        finally:
            # After an error or Ctrl-C nobody else may make these changes later.
            for change in changes:
                if not change.taken:
                    self._forget(change)

    def _lead(self, mine: list[Change[Context]]) -> None:
        if mine[0].taken:
            # Somebody took it into a commit that failed, perhaps because of it: so it goes alone.
            self._commit(mine[:1])
            return
        batch = self._take()
        try:
            self._commit(batch)
        except Exception:
            if len(batch) == 1 and batch[0] is mine[0]:
                raise

    def _take(self) -> list[Change[Context]]:
        """As many of the waiting changes as go together, in the order they came."""
        batch: list[Change[Context]] = []
        weight = 0
        while len(batch) < self.MOST and weight < self.BYTES:
            try:
                change = self._waiting.popleft()
            except IndexError:
                break
            change.taken = True
            batch.append(change)
            weight += change.weight
        return batch

    def _forget(self, change: Change[Context]) -> None:
        try:
            self._waiting.remove(change)
        except ValueError:
            change.taken = True
