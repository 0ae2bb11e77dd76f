"""The tasks of one apply, handed out to workers: from the plan itself, or from a journal that outlives the process."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Literal

from .actions import Action
from .performing import Task
from .plans import Plan
from .summary import Result

#: Deletions are done when all transfers are, but for those that what is deleted is in the way of.
Phase = Literal["transfer", "delete", "late"]
PHASES: tuple[Phase, ...] = ("transfer", "delete", "late")


def phase_of(action: Action) -> Phase:
    """When the action's turn is."""
    if action.kind == "delete":
        return "delete"
    return "late" if action.late else "transfer"


def tasks_of(plan: Plan, phase: Phase) -> Iterator[Task]:
    """The plan's actions that are done in this phase, as tasks; with a move, what is equal has its source deleted."""
    kinds = ("add", "update", "delete", "skip") if plan.terms.move else ("add", "update", "delete")
    for number, action in enumerate(plan):
        if action.kind in kinds and phase_of(action) == phase and not (action.kind == "skip" and action.source is None):
            yield Task(number, action)


class Queue(ABC):
    """Hands out each task to one worker at a time, and remembers what became of it."""

    @abstractmethod
    def claim(self, phase: Phase, limit: int) -> list[Task]:
        """The next tasks to do, at most so many; empty when there is none that nobody else is at."""

    @abstractmethod
    def finish(self, results: Sequence[tuple[Task, Result]]) -> list[Result]:
        """Note what became of tasks; when this returns, it is kept. The results that count: others may have theirs."""

    @abstractmethod
    def is_waiting(self, phase: Phase) -> bool:
        """Whether tasks of this phase are still to be done, by other workers or because one gave them back."""

    @abstractmethod
    def release(self) -> None:
        """Give back what was claimed and is not finished, for others to do."""

    @abstractmethod
    def failures(self) -> int:
        """How many transfers have failed, or are not done, in this run of all workers."""

    @abstractmethod
    def stale(self) -> int:
        """How many transfers were not done because a side had changed, in this run of all workers."""


class PlainQueue(Queue):
    """The tasks of one process, in the order of the plan; nothing is kept."""

    def __init__(self, plan: Plan) -> None:
        self._tasks = {phase: tasks_of(plan, phase) for phase in PHASES}
        self._failures = 0
        self._stale = 0

    def claim(self, phase: Phase, limit: int) -> list[Task]:
        return list(itertools.islice(self._tasks[phase], limit))

    def finish(self, results: Sequence[tuple[Task, Result]]) -> list[Result]:
        self._failures += sum(result.is_failure for _, result in results)
        self._stale += sum(result.outcome == "stale" for task, result in results if phase_of(task.action) == "transfer")
        return [result for _, result in results]

    def is_waiting(self, phase: Phase) -> bool:
        return False

    def release(self) -> None:
        """Nothing is kept, so nothing is given back."""

    def failures(self) -> int:
        return self._failures

    def stale(self) -> int:
        return self._stale
