"""How one CloudFiles runs its operations: in which threads or processes, with which bar, and for greenlets or not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from .. import aliases, engine, progress
from ..engine import Outcome
from ..errors import ConfigError
from ..store import ObjectStore
from .green import Green, wanted
from .opening import Options, open_location

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What another process makes the same store of: a location with its options, or the store itself.

    It travels with its secrets, through a pipe to a process of our own, and nowhere else.
    """

    cloudpath: str | None
    options: Options
    store: ObjectStore | None = None
    added_aliases: Mapping[str, str] = field(default_factory=aliases.of_this_process)

    def open(self) -> ObjectStore:
        """The store, made anew."""
        if self.store is not None:
            return self.store
        for name, host in self.added_aliases.items():
            aliases.add_alias(name, host)
        return open_location(str(self.cloudpath), self.options).store


class Job(NamedTuple):
    """An operation that other processes can make for themselves: ``make(store, *args)`` returns it."""

    make: Callable[..., Callable[[Any], Any]]
    args: tuple[Any, ...] = ()


class Work:
    """The work of one CloudFiles: ``one`` operation, ``many`` of them, or the ``rows`` of a listing."""

    def __init__(
        self,
        store: ObjectStore,
        recipe: Recipe,
        threads: int | None,
        *,
        progress: bool,
        green: bool | None,
        parallel: int | bool,
        own: engine.Engine | None = None,
    ) -> None:
        self.own = own
        self.store = store
        self.recipe = recipe
        self.threads = threads
        self.progress = progress
        self.green = Green() if wanted(green) else None
        self.parallel = processes_of(parallel)

    def one(self, function: Callable[..., Result], *args: Any) -> Result:
        """What ``function(*args)`` returns: made here, or where it does not keep greenlets waiting."""
        return function(*args) if self.green is None else self.green.call(function, *args)

    def many(
        self,
        job: Job,
        items: Iterable[Any],
        description: str,
        total: int | None = None,
        progress: bool | None = None,
        *,
        ordered: bool = False,
        parallel: int | bool | None = None,
        count: Callable[[Any], int] | None = None,
    ) -> Iterator[Outcome[Any]]:
        """The outcomes of the job's operation on each item; the first error is raised.

        ``count`` tells from a value how many files it was for, where that is not one.
        """
        bar = self.bar(description, total, progress, items)
        run = self._runner(job, items, ordered, self.parallel if parallel is None else processes_of(parallel))
        watch = bar.advance if count is None else lambda _: bar.advance(0)
        with bar:
            for outcome in run(watch) if self.green is None else self.green.pull(run, watch):
                if count is not None:
                    bar.advance(count(outcome.value))
                yield outcome

    def _runner(
        self, job: Job, items: Iterable[Any], ordered: bool, workers: int
    ) -> Callable[[Callable[[int], None]], Iterator[Outcome[Any]]]:
        """The run, which wants to be told whom to report its progress to."""
        if workers > 1 and not is_only_here(self.store):
            remote = _Remote(self.recipe, job, self.threads)
            return lambda watch: engine.spread(remote, items, workers=workers, ordered=ordered, progress=watch)
        operation = job.make(self.store, *job.args)
        return lambda watch: (self.own or engine.default()).run(
            operation, items, threads=self.threads, ordered=ordered, progress=watch, local=self.store.local
        )

    def rows(self, rows: Iterator[Result]) -> Iterator[Result]:
        """The rows of a listing."""
        return rows if self.green is None else self.green.pull(lambda _: rows)

    def bar(self, description: str, total: int | None, wanted: bool | None, items: Any) -> progress.Bar:
        """A bar for this many files."""
        if total is None and hasattr(items, "__len__"):
            total = len(items)
        return progress.bar(self.progress if wanted is None else wanted, description, total)


@dataclass(frozen=True, slots=True)
class _Remote:
    """A job on its way to another process."""

    recipe: Recipe
    job: Job
    threads: int | None

    def open(self) -> tuple[Callable[[Any], Any], bool]:
        store = self.recipe.open()
        return self.job.make(store, *self.job.args), store.local


def processes_of(parallel: int | bool) -> int:
    """How many processes are meant: True, and 0 or less, are one for each processor, False is one.

    >>> processes_of(False), processes_of(3)
    (1, 3)
    """
    if not isinstance(parallel, int):
        raise ConfigError(f"parallel={parallel!r} is a number of processes, or 0 or True for one for each processor")
    if parallel is False:
        return 1
    if parallel is True or parallel <= 0:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return parallel


def is_only_here(store: ObjectStore) -> bool:
    """Whether objects of this store, or of one inside it, are in this process's own memory."""
    if getattr(store, "process_local", False):
        return True
    inside: list[Any] = []
    for value in vars(store).values():
        inside += value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
    return any(is_only_here(one) for one in inside if isinstance(one, ObjectStore))
