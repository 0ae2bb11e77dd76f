"""Operations for processes, which import them from here."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from holdfast import engine

SIZE = 1 << 20


@dataclass
class Waiting:
    """Makes a MiB of each item; the first waits until a file is there."""

    gate: str
    threads: int | None = 4

    def open(self):
        def make(item: int) -> bytes:
            if item == 0:
                while not Path(self.gate).exists():
                    time.sleep(0.01)
            engine.reserve(SIZE)
            return bytes([item % 256]) * SIZE

        return make, False


@dataclass
class Unportable:
    """Returns what no pickle carries, and raises what none does."""

    threads: int | None = 1

    def open(self):
        def make(item: int):
            if item % 2:
                raise Strange(lambda: None)
            return (number for number in range(item))

        return make, False


class Strange(Exception):
    """An error with something in it that does not pickle."""
