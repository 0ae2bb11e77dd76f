"""``apply``: a plan, done; each action under the conditions that it was planned under, or told why not."""

from __future__ import annotations

import itertools
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from .. import engine, locks, redact
from ..errors import ConfigError, HoldfastError, Unsupported
from ..keys import printable
from ..progress import Bar, bar
from .executing import Executor, run_elsewhere
from .index import Index, pair_of, watched
from .journal import Journal, JournalQueue
from .performing import Performer, Settings, Task
from .plans import Plan, cure_of_too_many, is_uncompared
from .queue import PHASES, Phase, PlainQueue, Queue
from .summary import Result, Summary

#: So many tasks are claimed at a time.
CLAIMED = 256
#: Results are noted together, at most so many and not later than this (seconds).
GATHERED, LATEST = 100, 0.1
#: How often (seconds) a worker with nothing to do looks whether another one has left something.
LOOK = 0.2
#: So many of the source's objects are looked for before anything is deleted.
LOOKED_FOR = 5


def apply(
    plan: Plan,
    *,
    journal: Journal | str | os.PathLike[str] | None = None,
    index: Index | Literal["auto"] | None = "auto",
    max_delete: int | None = None,
    executor: Executor | None = None,
    threads: int | None = None,
    block_size: int | None = None,
    part_size: int | None = None,
    progress: bool | None = False,
    on_result: Callable[[Result], None] | None = None,
) -> Summary:
    """What became of the plan's actions; each was done under the identities it was planned with, or not at all.

    What has changed on either side since the plan was made is ``stale``: not done, and listed. Transfers come first;
    deletions follow if none of them failed or was stale, no comparison had failed, the source is still there, and there
    are no more than ``max_delete`` (default: the plan's own). One failure does not stop the rest.

    With a ``journal`` (a Journal or its path) an apply that was ended, in whatever way, goes on where it was: call it
    again with the same plan. Several processes may do so at the same time. ``index`` remembers which versions are
    equal now, for later plans. ``executor`` is any ``concurrent.futures.Executor``: it gets the work, in batches of
    plain data, each done with ``threads`` of its own; other processes open the stores anew. ``block_size``
    actions are claimed, done and noted before the next ones are begun (default: they go on as they come); objects of
    more than ``part_size`` bytes are sent in parts of so many (default: what is fast). ``on_result`` is called in this
    thread with each Result when it is noted for good.

    >>> from holdfast.stores.memory import MemoryStore
    >>> from holdfast.sync import plan
    >>> source, target = MemoryStore(), MemoryStore()
    >>> _ = source.put("a", b"hello")
    >>> summary = apply(plan(source, target))
    >>> summary.added, target.get("a")
    (1, b'hello')
    """
    for name, number in (("block_size", block_size), ("part_size", part_size)):
        if number is not None and number < 1:
            raise ConfigError(f"{name}={number} is nothing to go on with: say 1 or more, or leave it out")
    if not plan.target.store.capabilities.write:
        raise Unsupported("cannot be written, so it cannot be the target of a sync", store=plan.target.name)
    with ExitStack() as opened:
        if journal is not None and not isinstance(journal, Journal):
            journal = opened.enter_context(Journal(journal))
        queue = PlainQueue(plan) if journal is None else journal.begin(plan)
        memory = _memory(plan, index, opened)
        awaited = _results(plan)
        total = awaited - plan.counts["conflict"] - plan.counts["refuse"]  # which take no time
        doing = "moving" if plan.terms.move else "syncing"
        shown = opened.enter_context(bar(progress, f"{doing} {printable(plan.source.name)}", total=total))
        notebook = _Notebook(queue, memory, on_result, shown)
        _note_the_rest(plan, notebook.summary, on_result)
        settings = Settings(plan.terms.move, plan.terms.reencode, plan.terms.content_type, part_size)
        # Where batches are done elsewhere, nobody there may write the journal.
        notes = journal if executor is None else None
        copies = queue if executor is None and isinstance(queue, JournalQueue) else None
        performer = Performer(plan.source, plan.target, settings, shown.moved, notes, copies)
        limit = plan.terms.max_delete if max_delete is None else max_delete
        worker = _Worker(plan, queue, performer, notebook, executor, threads, block_size)
        try:
            for phase in PHASES:
                worker.work(phase, _why_not(plan, queue, limit) if phase == "delete" else None)
        finally:
            notebook.flush()
            queue.release()
        if isinstance(queue, JournalQueue):
            for result in queue.by_others():
                notebook.summary.add(result)
        notebook.summary.unaccounted = max(0, awaited - sum(notebook.summary.counts.values()))
        return notebook.summary


def _memory(plan: Plan, index: Index | Literal["auto"] | None, opened: ExitStack) -> Memory | None:
    """Where to remember what is equal; None where that is not wanted, or the places cannot be recognised."""
    pair = pair_of(plan.source, plan.target, plan.terms.reencode)
    if index is None or pair is None:
        return None
    if index == "auto":
        index = Index.default()
        if index is None:
            return None
        opened.callback(index.close)
    return Memory(index, pair, watched(plan.source, datetime.fromisoformat(plan.terms.created).timestamp()))


def _note_the_rest(plan: Plan, summary: Summary, on_result: Callable[[Result], None] | None) -> None:
    """Count in what is not to be done, and list what must not be."""
    summary.skipped = plan.counts["skip"]
    summary.warnings = plan.terms.warnings
    if not (plan.counts["conflict"] or plan.counts["refuse"]):
        return
    for action in plan.of_kind("conflict", "refuse"):
        outcome: Literal["conflict", "refuse"] = "conflict" if action.kind == "conflict" else "refuse"
        result = Result(action.key, action.kind, outcome, action.reason, source=action.source, target=action.target)
        summary.add(result)
        if on_result is not None:
            on_result(result)


def _results(plan: Plan) -> int:
    """How many results there must be: one of each action that is done or reported."""
    count = sum(plan.counts[kind] for kind in ("add", "update", "delete", "conflict", "refuse"))
    return count + (sum(1 for action in plan.of_kind("skip") if action.source is not None) if plan.terms.move else 0)


def _why_not(plan: Plan, queue: Queue, limit: int) -> tuple[Literal["kept", "stale"], str] | None:
    """What becomes of deletions that must not be done, and why; None if they may."""
    if not plan.counts["delete"]:
        return None
    if failures := queue.failures():
        return "kept", f"not deleted, because {failures} transfers failed"
    if uncompared := sum(map(is_uncompared, plan.of_kind("conflict"))):
        return "kept", f"not deleted, because {uncompared} objects could not be compared: plan it again"
    if stale := queue.stale():
        return "stale", f"not deleted, because {stale} objects changed since the plan was made: plan it again"
    try:
        if _is_source_gone(plan):
            reason = "the source has not even the objects that it had: look whether it is there"
            return "stale", f"not deleted, because {reason}"
    except HoldfastError as error:
        return "kept", f"not deleted, because nobody knows whether the source is there: {redact.text(str(error))}"
    if plan.counts["delete"] > limit:
        return "kept", (
            f"not deleted, because {plan.counts['delete']} deletions are more than max_delete={limit}: "
            f"{cure_of_too_many(plan.counts['delete'])}"
        )
    return None


def _is_source_gone(plan: Plan) -> bool:
    """Whether a few of the source's objects are all gone, as they are of a directory that is not mounted any more."""
    if plan.terms.move:
        return False  # then they are gone because they were moved
    had = [action.key for action in itertools.islice((one for one in plan if one.source is not None), LOOKED_FOR)]
    return bool(had) and not any(plan.source.head(key) is not None for key in had)


class _Worker:
    """Takes tasks from the queue, phase by phase, and has them done on the engine's threads."""

    def __init__(
        self,
        plan: Plan,
        queue: Queue,
        performer: Performer,
        notebook: _Notebook,
        executor: Executor | None,
        threads: int | None,
        block_size: int | None,
    ) -> None:
        self._block_size = block_size
        self._queue = queue
        self._performer = performer
        self._notebook = notebook
        self._executor = executor
        self._threads = threads
        self._local = plan.source.store.local and plan.target.store.local

    def work(self, phase: Phase, why_not: tuple[Literal["kept", "stale"], str] | None) -> None:
        """Do what is to be done in this phase, until nobody has anything left; or only say why it is not done."""
        while True:
            if why_not is not None:
                for task in self._claimed(phase):
                    action = task.action
                    self._notebook.add(task, Result(action.key, action.kind, *why_not, target=action.target))
            elif self._block_size is None:
                self._perform(self._claimed(phase))
            else:
                while tasks := self._queue.claim(phase, self._block_size):
                    self._perform(iter(tasks))
                    self._notebook.flush()
            self._notebook.flush()
            if not self._queue.is_waiting(phase):
                return
            locks.sleep(LOOK)

    def _perform(self, tasks: Iterator[Task]) -> None:
        if self._executor is not None:
            for task, result in run_elsewhere(
                self._executor, self._performer, tasks, self._threads, self._notebook.beat
            ):
                self._notebook.add(task, result)
            return
        outcomes = engine.default().run(
            self._performer,
            tasks,
            threads=self._threads,
            on_error="collect",
            local=self._local,
            progress=self._notebook.beat,
        )
        for outcome in outcomes:
            result = outcome.value
            if outcome.error is not None:
                result = self._performer.failure(outcome.item, outcome.error)
            self._notebook.add(outcome.item, result)

    def _claimed(self, phase: Phase) -> Iterator[Task]:
        while tasks := self._queue.claim(phase, CLAIMED):
            yield from tasks


@dataclass(frozen=True, slots=True)
class Memory:
    """An index, the pair of places in it, and the time before which nothing was read (see ``watched``)."""

    index: Index
    pair: str
    read: float | None


class _Notebook:
    """Notes results, some together: in the queue, then in the index, and only then they are told and counted."""

    def __init__(
        self,
        queue: Queue,
        memory: Memory | None,
        tell: Callable[[Result], None] | None,
        shown: Bar,
    ) -> None:
        self.summary = Summary()
        self._queue = queue
        self._memory = memory
        self._tell = tell
        self._bar = shown
        self._waiting: list[tuple[Task, Result]] = []
        self._since = 0.0

    def add(self, task: Task, result: Result) -> None:
        """Take in one result."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append((task, result))
        if len(self._waiting) >= GATHERED:
            self.flush()
        else:
            self.beat(0)

    def beat(self, _: int) -> None:
        """Called now and then: what has waited long enough is noted."""
        if self._waiting and time.monotonic() - self._since >= LATEST:
            self.flush()
        if isinstance(self._queue, JournalQueue):
            self._queue.renew()

    def flush(self) -> None:
        """Note what waits, for good."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        noted = self._queue.finish(waiting)
        self._remember(noted)
        for result in noted:
            self.summary.add(result)
            if self._tell is not None:
                self._tell(result)
        self._bar.advance(len(waiting))

    def _remember(self, results: list[Result]) -> None:
        if self._memory is None:
            return
        index, pair = self._memory.index, self._memory.pair
        done = [result for result in results if result.outcome in ("done", "already")]
        equal = [
            (result.key, result.source, result.target)
            for result in done
            if result.source is not None and result.target is not None
        ]
        gone = [result.key for result in done if result.kind == "delete"]
        try:
            if equal:
                stamps = {result.key: result.stamp for result in done}
                index.record(pair, equal, self._memory.read, stamps)
            if gone:
                index.forget(pair, gone)
        except sqlite3.Error:
            self._memory = None  # a full disk, say: the next plan will have to find out by itself
