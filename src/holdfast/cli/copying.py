"""How ``cp`` copies: in threads or processes, all at once or in blocks, timed or not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from .. import aliases, engine, registry
from ..progress import Bar
from ..store import ObjectStore
from ..sync.copying import Copier, Pair
from ..url import URL
from .locations import Opener
from .recording import Recording, Timed, timed

__all__ = ["Manner", "Pair", "processes_of"]

Recipe = tuple[URL, dict[str, Any]]


@dataclass(frozen=True)
class Manner:
    """How objects are copied.

    ``part_size`` (bytes) is the size of parts of large objects, ``block_size`` how many objects are done before the
    next are begun (None: as they come), ``processes`` in how many processes.
    """

    decode: bool = False
    threads: int | None = None
    part_size: int | None = None
    block_size: int | None = None
    processes: int = 1
    recording: Recording = field(default_factory=Recording)

    def copies(
        self, opener: Opener, source: ObjectStore, target: ObjectStore, pairs: Iterable[Pair], bar: Bar
    ) -> Iterator[engine.Outcome[Pair]]:
        """An Outcome for each (source key, target key), as they finish; the value is the number of bytes read."""
        run = self._runner(opener, source, target, bar)
        for outcome in run(pairs) if self.block_size is None else _in_blocks(run, pairs, self.block_size):
            if isinstance(outcome.value, Timed) and self.recording.monitor is not None:
                size, begin, end = outcome.value
                self.recording.monitor.add(begin, end, size)
                outcome.value = size
            yield outcome

    def _runner(
        self, opener: Opener, source: ObjectStore, target: ObjectStore, bar: Bar
    ) -> Callable[[Iterable[Pair]], Iterator[engine.Outcome[Pair]]]:
        if self.processes > 1 and not _is_only_here(source, target):
            remote = _Remote(opener.recipe(source), opener.recipe(target), replace(self, recording=Recording()),
                             self.recording.timed)  # fmt: skip
            return lambda pairs: _counted(
                engine.spread(remote, pairs, workers=self.processes, progress=bar.advance, on_error="collect"),
                bar,
            )
        operation = self.operation(source, target, bar.moved, timed_=self.recording.timed)
        local = source.local and target.local
        return lambda pairs: engine.default().run(
            operation, pairs, threads=self.threads, on_error="collect", progress=bar.advance, local=local
        )

    def operation(
        self, source: ObjectStore, target: ObjectStore, moved: Callable[[int], None] | None, *, timed_: bool
    ) -> Callable[[Pair], Any]:
        """The operation of copying one object, for an engine."""
        copier = Copier(source, target, decode=self.decode, moved=moved, part_size=self.part_size)
        return timed(copier) if timed_ else copier


@dataclass(frozen=True)
class _Remote:
    """What another process makes the same operation of; it travels through a pipe of ours, and nowhere else."""

    source: Recipe
    target: Recipe
    manner: Manner
    timed: bool
    added_aliases: dict[str, str] = field(default_factory=aliases.of_this_process)

    @property
    def threads(self) -> int | None:
        """How many threads each process may use."""
        return self.manner.threads

    def open(self) -> tuple[Callable[[Pair], Any], bool]:
        """The operation, and whether it is local."""
        for name, host in self.added_aliases.items():
            aliases.add_alias(name, host)
        source, target = (registry.open_store(url, **options) for url, options in (self.source, self.target))
        return self.manner.operation(source, target, None, timed_=self.timed), source.local and target.local


def _in_blocks(
    run: Callable[[Iterable[Pair]], Iterator[engine.Outcome[Pair]]], pairs: Iterable[Pair], size: int
) -> Iterator[engine.Outcome[Pair]]:
    left = iter(pairs)
    while block := list(itertools.islice(left, size)):
        yield from run(block)


def _counted(outcomes: Iterator[engine.Outcome[Pair]], bar: Bar) -> Iterator[engine.Outcome[Pair]]:
    """The outcomes of other processes, whose bytes count when they come."""
    for outcome in outcomes:
        value = outcome.value
        bar.moved((value.value if isinstance(value, Timed) else value) or 0)
        yield outcome


def processes_of(parallel: int) -> int:
    """How many processes are meant: 0 or less is one for each processor."""
    if parallel == 1:
        return 1
    from ..files import work

    return work.processes_of(parallel)


def _is_only_here(*stores: ObjectStore) -> bool:
    """Whether objects of one of the stores are in this process's own memory, which no other sees."""
    from ..files.work import is_only_here

    return any(map(is_only_here, stores))
