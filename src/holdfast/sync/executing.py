"""Tasks done elsewhere: in batches of plain data, by any ``concurrent.futures.Executor``.

A batch names its stores by their recipes, without secrets: a process of its own finds credentials as every process
does. It may be run twice, because each action rests on the versions that were planned: what was done is found to be so,
but for moves, whose sources are gone and whose results are stale then. Only the coordinator, which called ``apply``,
notes what was done.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from queue import Empty
from typing import Any, NamedTuple, Protocol

from .. import engine, redact
from ..engine.native import SimpleQueue
from ..errors import ConfigError
from ..store import ObjectStore
from .performing import Performer, Settings, Task
from .places import Place
from .summary import Result, reported

#: So many tasks make a batch, and so many batches are under way at a time.
BATCH, UNDER_WAY = 64, 32
#: How often (seconds) the coordinator gives a sign of life while it waits.
PULSE = 1.0


class Future(Protocol):
    """What an executor gives for a batch."""

    def result(self) -> Any:
        """The batch's results, or what it raised."""

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None:
        """Have the callback called when the batch is over."""

    def cancel(self) -> bool:
        """Have the batch not begun, if it is not under way."""


class Executor(Protocol):
    """What batches are given to: ``concurrent.futures.Executor``, and whatever else has its ``submit``."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """A Future of the call."""


class Batch(NamedTuple):
    """Tasks and where to do them, as plain data; ``process`` is the coordinator's."""

    source: ObjectStore
    target: ObjectStore
    settings: Settings
    tasks: tuple[Task, ...]
    threads: int | None
    process: int


def perform_batch(batch: Batch) -> list[tuple[int, Result]]:
    """The results of a batch, by the numbers of its tasks."""
    source = Place(batch.source, batch.source.name)
    target = Place(batch.target, batch.target.name)
    if os.getpid() != batch.process and "mem" in {source.vendor, target.vendor}:
        raise ConfigError("memory belongs to one process: sync it without an executor, or with one of threads")
    performer = Performer(source, target, batch.settings)
    local = source.store.local and target.store.local
    outcomes = engine.default().run(performer, batch.tasks, threads=batch.threads, on_error="collect", local=local)
    return [
        (
            outcome.item.number,
            outcome.value if outcome.error is None else performer.failure(outcome.item, outcome.error),
        )
        for outcome in outcomes
    ]


def run_elsewhere(
    executor: Executor, performer: Performer, tasks: Iterator[Task], threads: int | None, beat: Callable[[int], None]
) -> Iterator[tuple[Task, Result]]:
    """Each task with its result, as batches come back; a batch that is lost fails its tasks, and no others."""
    make = Batch(performer.source.store, performer.target.store, performer.settings, (), threads, os.getpid())
    over: SimpleQueue[tuple[tuple[Task, ...], Future]] = SimpleQueue()
    pending: set[Future] = set()
    try:
        while True:
            while len(pending) < UNDER_WAY and (batch := tuple(itertools.islice(tasks, BATCH))):
                try:
                    future = executor.submit(perform_batch, make._replace(tasks=batch))
                except Exception as error:  # noqa: BLE001 - a pool that is broken takes no more
                    yield from _lost(batch, error)
                    continue
                pending.add(future)
                future.add_done_callback(lambda done, batch=batch: over.put((batch, done)))
            if not pending:
                return
            try:
                batch, future = over.get(timeout=PULSE)
            except Empty:
                beat(0)
                continue
            pending.discard(future)
            yield from _results(batch, future)
    finally:
        for future in pending:
            future.cancel()


def _lost(batch: tuple[Task, ...], error: Exception) -> Iterator[tuple[Task, Result]]:
    for task in batch:
        key, kind = task.action.key, task.action.kind
        yield task, Result(key, kind, "failed", redact.text(str(error)), error=reported(error, key))


def _results(batch: tuple[Task, ...], future: Future) -> Iterator[tuple[Task, Result]]:
    try:
        results = dict(future.result())
    except Exception as error:  # noqa: BLE001 - whatever the executor raises for a batch that it lost
        yield from _lost(batch, error)
    else:
        for task in batch:
            yield task, results[task.number]
