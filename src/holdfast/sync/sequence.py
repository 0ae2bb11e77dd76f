"""The actions of a plan: in memory while they are few, in a temporary file when they are many."""

from __future__ import annotations

import os
import pickle
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import IO, Any

from .actions import Action, Identity

#: So many actions are kept as objects (bytes: about 700 each); more are written to a temporary file, in blocks.
IN_MEMORY = 50_000
BLOCK = 1000


class Actions:
    """Actions in the order in which they were appended; a million take a few megabytes of memory.

    ``counts`` and ``nbytes`` are totals by kind. ``replace`` changes an action later: what stands in the way of a key
    is sometimes known only when both were seen.
    """

    def __init__(self, actions: Iterable[Action] = (), limit: int = IN_MEMORY) -> None:
        self.counts: Counter[str] = Counter()
        self.nbytes: Counter[str] = Counter()
        self._limit = limit
        self._kept: list[Action] = []  # all of them, or the last ones, which are not in the file yet
        self._file: IO[bytes] | None = None
        self._blocks: list[tuple[int, int]] = []  # where each lies in the file, and its length (bytes)
        self._replaced: dict[str, Action] = {}
        self._length = 0
        for action in actions:
            self.append(action)

    def __len__(self) -> int:
        return self._length

    def append(self, action: Action) -> None:
        """Add one at the end."""
        self._length += 1
        self.counts[action.kind] += 1
        if nbytes := action.nbytes:
            self.nbytes[action.kind] += nbytes
        self._kept.append(action)
        if len(self._kept) >= (self._limit if self._file is None else BLOCK):
            self._spill()

    def replace(self, old: Action, new: Action) -> None:
        """Have the new action instead of the old one, of the same key."""
        self._replaced[new.key] = new
        for action, sign in ((old, -1), (new, 1)):
            self.counts[action.kind] += sign
            self.nbytes[action.kind] += sign * action.nbytes

    def __iter__(self) -> Iterator[Action]:
        replaced = self._replaced
        for action in self._stored():
            yield replaced.get(action.key, action) if replaced else action

    def _stored(self) -> Iterator[Action]:
        if self._file is not None:
            for position, length in tuple(self._blocks):
                # Not by the file's own position, which forked processes and other threads have in common with us.
                block = os.pread(self._file.fileno(), length, position)
                yield from map(_action, pickle.loads(block))  # noqa: S301 - written below, by this object
        yield from tuple(self._kept)

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="holdfast-plan-")  # noqa: SIM115 - lives as long as the plan
            weakref.finalize(self, self._file.close)
        for start in range(0, len(self._kept), BLOCK):
            block = [_fields(action) for action in self._kept[start : start + BLOCK]]
            data = pickle.dumps(block, pickle.HIGHEST_PROTOCOL)
            position = sum(self._blocks[-1]) if self._blocks else 0
            self._file.write(data)
            self._file.flush()
            self._blocks.append((position, len(data)))
        self._kept = []

    def __reduce__(self) -> tuple[Any, ...]:
        return Actions, (list(self), self._limit)


def _fields(action: Action) -> tuple[Any, ...]:
    """The action as plain values, which are pickled in a third of the time."""
    sides = (
        None if side is None else (side.size, side.etag, side.last_modified) for side in (action.source, action.target)
    )
    return (action.key, action.kind, action.reason, *sides, action.late, action.undecided)


def _action(fields: tuple[Any, ...]) -> Action:
    key, kind, reason, source, target, *marks = fields
    return Action(key, kind, reason, source and Identity(*source), target and Identity(*target), *marks)
