"""The actions of a plan: in memory while they are few, in a temporary file when they are many."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from typing import IO

from .actions import Action

#: So many actions are kept as objects; more are written to a temporary file (bytes: about 700 each in memory).
IN_MEMORY = 50_000
_BLOCK = 1 << 20


class Actions:
    """Actions in the order in which they were appended; a million take a few megabytes of memory.

    ``replace`` changes one later: what stands in the way of a key is sometimes known only when both were seen.
    """

    def __init__(self, limit: int = IN_MEMORY) -> None:
        self._limit = limit
        self._kept: list[Action] = []
        self._file: IO[bytes] | None = None
        self._buffer: list[bytes] = []
        self._replaced: dict[str, Action] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, action: Action) -> None:
        """Add one at the end."""
        self._count += 1
        if self._file is None:
            self._kept.append(action)
            if len(self._kept) > self._limit:
                self._spill()
            return
        self._buffer.append(action.to_json().encode() + b"\n")
        if len(self._buffer) >= 1000:
            self._flush()

    def replace(self, action: Action) -> None:
        """Have this action instead of the one with its key."""
        self._replaced[action.key] = action

    def __iter__(self) -> Iterator[Action]:
        replaced = self._replaced
        for action in self._stored():
            yield replaced.get(action.key, action) if replaced else action

    def _stored(self) -> Iterator[Action]:
        if self._file is None:
            yield from self._kept
            return
        self._flush()
        position, rest = 0, b""
        while True:
            # Each iteration has a position of its own: several may be under way.
            self._file.seek(position)
            block = self._file.read(_BLOCK)
            if not block:
                return
            position += len(block)
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                yield Action.from_json(line)

    def _spill(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="holdfast-plan-")  # noqa: SIM115 - lives as long as the plan
        weakref.finalize(self, self._file.close)
        self._buffer = [action.to_json().encode() + b"\n" for action in self._kept]
        self._kept = []
        self._flush()

    def _flush(self) -> None:
        if self._buffer and self._file is not None:
            self._file.seek(0, 2)
            self._file.write(b"".join(self._buffer))
            self._buffer = []

    def __getstate__(self) -> dict[str, object]:
        return {"limit": self._limit, "actions": list(self)}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__init__(state["limit"])  # type: ignore[misc]
        for action in state["actions"]:  # type: ignore[attr-defined]
            self.append(action)
