"""Writers that are killed: processes of several threads that put checkable values and say what was acknowledged."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
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


def killed_round(store: str, path: Path, number: int, chance: random.Random, *, replaces: bool) -> dict[str, int]:
    """The last acknowledged number of every key that two killed processes wrote; a line cut short acknowledges none."""
    command = [sys.executable, "-c", WRITER, store, str(path), str(number)]
    project = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(project), str(project / "src")])}
    writers = [
        subprocess.Popen([*command, str(n), str(replaces)], stdout=subprocess.PIPE, cwd=project, env=environment)
        for n in range(PROCESSES)
    ]
    acknowledged: dict[str, int] = {}
    try:
        for writer in writers:
            assert writer.stdout is not None
            first = writer.stdout.readline()  # so that every round has some
            assert first, "the writer ended by itself"
            acknowledged[first.split()[0].decode()] = int(first.split()[1])
        time.sleep(chance.uniform(0, 0.3))
    finally:
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
    for writer in writers:
        with writer:
            assert writer.stdout is not None
            for line in writer.stdout.read().split(b"\n")[:-1]:
                key, count = line.decode().split()
                acknowledged[key] = int(count)
    return acknowledged
