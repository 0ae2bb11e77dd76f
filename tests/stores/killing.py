"""Writers that are killed: processes of several threads that put checkable values and say what was acknowledged."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

THREADS = 4
PROCESSES = 2

#: Arguments: the store as module:class, its path, the round, this process's number, whether values may be replaced.
WRITER = f"""
import importlib, sys, threading
from tests.stores.killing import value
module, name = sys.argv[1].split(":")
store = getattr(importlib.import_module(module), name)(sys.argv[2])
round, process, replaces = sys.argv[3], sys.argv[4], sys.argv[5] == "True"

def write(thread):
    number = 0
    while True:
        number += 1
        key = f"r{{round}}/p{{process}}t{{thread}}/{{number % 40 if replaces else number}}"
        store.put(key, value(key, number))
        # One write call per line, so that lines of several threads do not mix, and none is buffered.
        sys.stdout.write(f"{{key}} {{number}}\\n")
        sys.stdout.flush()

threads = [threading.Thread(target=write, args=(thread,)) for thread in range({THREADS})]
[thread.start() for thread in threads]
"""


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

    def __init__(self, command: list[str], **variables: str) -> None:
        super().__init__(daemon=True)
        project = Path(__file__).resolve().parents[2]
        path = os.pathsep.join([str(project), str(project / "src")])
        environment = {**os.environ, "PYTHONPATH": path, **variables}
        self.process = subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, cwd=project, env=environment
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


def killed_round(store: str, path: Path, number: int, chance: random.Random, *, replaces: bool) -> dict[str, int]:
    """The last acknowledged number of every key that two killed processes wrote; a line cut short acknowledges none."""
    command = ["-c", WRITER, store, str(path), str(number)]
    commands = [[*command, str(process), str(replaces)] for process in range(PROCESSES)]
    acknowledged: dict[str, int] = {}
    for line in kill_some_time_after_their_first_lines(commands, chance):
        key, count = line.split()
        acknowledged[key] = int(count)
    return acknowledged
