"""How two things are measured beside each other: alternately, after one warm-up each, pair by pair."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.processes import ROOT, TIMEOUT, BenchmarkFailed

#: One measurement, in seconds or bytes.
Measure = Callable[[], float]


@dataclass(frozen=True)
class Setting:
    """How much of everything: the sizes of the issue, or tiny ones to see that it all still runs."""

    directory: Path
    quick: bool
    rounds: int

    def size(self, full: int, tiny: int) -> int:
        """The full size, or the tiny one in a quick run."""
        return tiny if self.quick else full


def alternate(ours: Measure, theirs: Measure, rounds: int) -> tuple[list[float], list[float]]:
    """The measurements of both in the order A B A B, after one of each that does not count."""
    ours()
    theirs()
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def repeat(measure: Measure, rounds: int, *, warm_up: bool = True) -> list[float]:
    """The measurements of one thing, after one that does not count."""
    if warm_up:
        measure()
    return [measure() for _ in range(rounds)]


@contextlib.contextmanager
def worker(subject: str, arguments: Mapping[str, Any], env: Mapping[str, str], log: Path) -> Iterator[Measure]:
    """A process of its own that measures the subject on command, so that libraries do not disturb each other.

    A measurement is the seconds for each item. ``arguments["items"]`` and ``["nbytes"]`` say what each must have
    moved; anything else fails.
    """
    command = [sys.executable, "-m", "benchmarks.worker", subject]
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=env, cwd=ROOT, text=True
        )
    commands, answers = process.stdin, process.stdout
    assert commands is not None
    assert answers is not None

    def answer() -> dict[str, Any]:
        line = _line(answers)
        if not line:
            raise BenchmarkFailed(f"worker {subject} ended:\n{log.read_text(errors='replace')[-2000:]}")
        return dict(json.loads(line))

    def measure() -> float:
        commands.write("run\n")
        commands.flush()
        sample = answer()
        moved = {name: sample[name] for name in ("items", "nbytes")}
        wanted = {name: arguments[name] for name in moved}
        if moved != wanted:
            raise BenchmarkFailed(f"worker {subject} moved {moved} instead of {wanted}")
        return float(sample["seconds"]) / int(sample["items"])

    try:
        commands.write(json.dumps(dict(arguments)) + "\n")
        commands.flush()
        answer()  # it is set up
        yield measure
    finally:
        commands.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        answers.close()


def _line(stream: IO[str]) -> str:
    """The next line, or nothing when it does not come in time: a worker answers a line at a time."""
    if not select.select([stream], [], [], TIMEOUT)[0]:
        return ""
    return stream.readline()
