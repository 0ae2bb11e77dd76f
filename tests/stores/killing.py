"""Writers that are killed: processes of several threads that put checkable values and say what was acknowledged.

``killed_round`` kills all of them and says what was acknowledged; ``killed_and_restarted`` kills one at a time while
the others go on, and its processes read too: it says when each write and each read began and ended, on one clock.
"""

from __future__ import annotations

import bisect
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

THREADS = 4
PROCESSES = 2
#: A process that was started anew counts on from here, times how often.
GENERATION = 1_000_000

#: Arguments: the store as module:callable, its path, what keys begin with, this process's number, the first number of a
#: value, how many keys each thread has (0: a new one each time), and how many reads follow a write.
WRITER = f"""
import importlib, random, sys, threading, time
from tests.stores.killing import number_of, value
module, name = sys.argv[1].split(":")
store = getattr(importlib.import_module(module), name)(sys.argv[2])
prefix, process = sys.argv[3:5]
first, keys, reads = map(int, sys.argv[5:8])

def tell(kind, key, number, began):
    # One write call per line, so that lines of several threads do not mix, and none is buffered.
    sys.stdout.write(f"{{kind}} {{key}} {{number}} {{began}} {{time.monotonic()}}\\n")
    sys.stdout.flush()

def read(chance):
    key = f"{{prefix}}p{{chance.randrange({PROCESSES})}}t{{chance.randrange({THREADS})}}/{{chance.randrange(keys)}}"
    began = time.monotonic()
    try:
        number = number_of(key, store.get(key))
    except KeyError:
        number = 0
    tell("read", key, number, began)

def write(thread):
    number = first
    chance = random.Random(f"{{process}} {{thread}} {{first}}")
    while True:
        number += 1
        key = f"{{prefix}}p{{process}}t{{thread}}/{{number % keys if keys else number}}"
        began = time.monotonic()
        store.put(key, value(key, number))
        tell("write", key, number, began)
        for _ in range(reads):
            read(chance)

threads = [threading.Thread(target=write, args=(thread,)) for thread in range({THREADS})]
[thread.start() for thread in threads]
"""


class Act(NamedTuple):
    """A write that was acknowledged, or a read and the number of the value that it found (0: no object)."""

    kind: str
    key: str
    number: int
    began: float
    ended: float


def value(key: str, number: int) -> bytes:
    """A value that says whose it is and which, in sizes from nothing to 150 kB, and reveals when it is torn."""
    seed = f"{key} {number} ".encode()
    size = random.Random(seed).choice((0, 10, 1000, 5000, 20_000, 150_000))
    body = (seed * (size // len(seed) + 1))[:size]
    return seed + hashlib.sha256(seed + body).hexdigest().encode() + b" " + body


def number_of(key: str, data: bytes) -> int:
    """Which value this is; AssertionError if it is torn or another key's."""
    name, number, digest, body = data.split(b" ", 3)
    seed = name + b" " + number + b" "
    assert name.decode() == key
    assert hashlib.sha256(seed + body).hexdigest().encode() == digest, f"torn: {key}"
    return int(number)


class Writer(threading.Thread):
    """A process of this Python that finds the tests, and the thread that reads all it says: it waits for no reader."""

    def __init__(self, command: list[str], *, stderr: int | None = None, **variables: str) -> None:
        super().__init__(daemon=True)
        project = Path(__file__).resolve().parents[2]
        path = os.pathsep.join([str(project), str(project / "src")])
        environment = {**os.environ, "PYTHONPATH": path, **variables}
        self.process = subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=stderr, cwd=project, env=environment
        )
        self.begun = threading.Event()
        self._lines: list[bytes] = []
        self.start()

    def run(self) -> None:
        """Read until the process ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)
            self.begun.set()
        self.begun.set()

    def has_begun(self) -> bool:
        """Whether it said something, or else ended by itself."""
        return self.begun.wait(60) and bool(self._lines)

    def kill(self) -> None:
        """End it without a word, if it has not ended yet."""
        self.process.send_signal(signal.SIGKILL)

    def finish(self) -> list[str]:
        """Its lines, once it has ended; one that was cut short is left out."""
        with self.process:
            self.join()
        return [line.decode() for line in self._lines if line.endswith(b"\n")]


def kill_some_time_after_their_first_lines(commands: list[list[str]], chance: random.Random) -> list[str]:
    """The lines of writers that were killed, each when all of them had written one; a line cut short is left out."""
    writers = [Writer(command) for command in commands]
    try:
        assert all(writer.has_begun() for writer in writers), "a writer ended by itself"
        time.sleep(chance.uniform(0, 0.3))
    finally:
        for writer in writers:
            writer.kill()
        lines = [line for writer in writers for line in writer.finish()]
    return lines


def _command(*arguments: object) -> list[str]:
    return ["-c", WRITER, *map(str, arguments)]


def _acts(lines: Iterable[str]) -> Iterator[Act]:
    """What a writer said."""
    for line in lines:
        kind, key, number, began, ended = line.split()
        yield Act(kind, key, int(number), float(began), float(ended))


def killed_round(store: str, path: Path, number: int, chance: random.Random, *, replaces: bool) -> dict[str, int]:
    """The last acknowledged number of every key that two killed processes wrote; a line cut short acknowledges none."""
    keys = 40 if replaces else 0
    commands = [_command(store, path, f"r{number}/", process, 0, keys, 0) for process in range(PROCESSES)]
    acts = _acts(kill_some_time_after_their_first_lines(commands, chance))
    return {act.key: act.number for act in acts}


def _killed(writer: Writer) -> list[Act]:
    """What it said until it was killed now; AssertionError if a thread of it had failed."""
    writer.kill()
    assert writer.process.stderr is not None
    failed = writer.process.stderr.read().decode()
    lines = writer.finish()
    assert not failed, failed
    assert lines
    return list(_acts(lines))


def killed_and_restarted(
    store: str, path: Path, rounds: int, *, keys: int, watch: Callable[[], object] = lambda: None
) -> list[list[Act]]:
    """What each process said, of which one after the other is killed and started anew while the others go on.

    Each thread writes ``keys`` keys of its own and reads everybody's. ``watch`` is called before each kill.
    """
    chance = random.Random(rounds)
    told: list[list[Act]] = []
    with ExitStack() as ending:

        def start(process: int, generation: int) -> Writer:
            command = _command(store, path, "", process, generation * GENERATION, keys, 2)
            writer = Writer(command, stderr=subprocess.PIPE)
            ending.callback(writer.process.kill)
            return writer

        def worked(writer: Writer, seconds: float) -> None:
            assert writer.has_begun(), "a writer ended by itself"
            time.sleep(seconds)

        running = [start(process, 0) for process in range(PROCESSES)]
        for generation in range(1, rounds + 1):
            victim = generation % PROCESSES
            for writer in running:
                worked(writer, chance.uniform(0.1, 0.3))
            watch()
            told.append(_killed(running[victim]))
            running[victim] = start(victim, generation)
        for writer in running:
            worked(writer, 0.1)
        told += [_killed(writer) for writer in running]
    return told


def acknowledged(told: Iterable[Act]) -> dict[str, int]:
    """The highest number of each key that was acknowledged."""
    found: dict[str, int] = {}
    for act in told:
        if act.kind == "write":
            found[act.key] = max(act.number, found.get(act.key, 0))
    return found


def stale(told: Iterable[Act], allowed: float = 0.0) -> list[tuple[Act, int]]:
    """Reads that found less than had been acknowledged ``allowed`` seconds before they began, and what that was."""
    acts = sorted(told, key=lambda act: act.ended)
    writes: dict[str, tuple[list[float], list[int]]] = {}
    for act in acts:
        if act.kind == "write":
            times, numbers = writes.setdefault(act.key, ([], []))
            times.append(act.ended)
            numbers.append(max(act.number, numbers[-1] if numbers else 0))
    found = []
    for act in acts:
        times, numbers = writes.get(act.key, ([], []))
        known = bisect.bisect_left(times, act.began - allowed)
        if act.kind == "read" and known and act.number < numbers[known - 1]:
            found.append((act, numbers[known - 1]))
    return found
