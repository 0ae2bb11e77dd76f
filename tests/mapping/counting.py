"""Threads that count in a mapping and log every call and return: a program for processes that may be killed."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from holdfast import CloudMapping, Engine, HoldfastError, Indeterminate, KeySyncError
from tests.mapping.histories import Outcome, call_line, return_line

KEY = "counter"

Mapping = CloudMapping[int]


class Log:
    """The calls and returns of one process, as lines that are written one at a time."""

    def __init__(self, process: str, write: Callable[[str], object]) -> None:
        self._process = process
        self._write = write
        self._lock = threading.Lock()
        self._calls = 0

    def record(self, kind: str, call: Callable[[], int]) -> tuple[Outcome, int]:
        """What becomes of the call, and the value that it returns; written before and after."""
        with self._lock:
            self._calls += 1
            name = f"{self._process}.{self._calls}"
        outcome: Outcome
        self._write(call_line(name, kind, time.monotonic_ns()))
        try:
            outcome, value = "acknowledged", call()
        except KeySyncError:
            outcome, value = "refused", 0
        except Indeterminate:
            outcome, value = "maybe", 0
        except HoldfastError as error:
            print(f"{name} {kind}: {error}", file=sys.stderr)
            outcome, value = "failed", 0
        self._write(return_line(name, outcome, time.monotonic_ns(), value))
        return outcome, value


def modify(log: Log, mapping: Mapping) -> Outcome:
    """Count up by ``modify``."""
    return log.record("increment", lambda: mapping.modify(KEY, lambda count: count + 1, default=0))[0]


def replace(log: Log, mapping: Mapping) -> Outcome:
    """Count up by hand: sync, read what was synced, and write one more in its place."""

    def read() -> int:
        mapping.sync_with_cloud(KEY)
        return mapping.get(KEY, 0)

    def write() -> int:
        mapping[KEY] = value + 1
        return value + 1

    outcome, value = log.record("read", read)
    if outcome != "acknowledged":
        return "refused"  # whatever it was, nothing was counted
    return log.record("increment", write)[0]


def count(opened: Callable[[], Mapping], log: Log, threads: int, turns: int) -> None:
    """Count up ``turns`` times in each of the threads, by turns with ``modify`` and by hand.

    Threads that modify share a mapping; who counts by hand needs one that nobody else syncs.
    """
    shared = opened()

    def work(thread: int) -> None:
        step, mapping = (replace, opened()) if thread % 4 == 3 else (modify, shared)
        done = 0
        while done < turns:
            done += step(log, mapping) in {"acknowledged", "maybe"}

    with Engine() as engine:
        for outcome in engine.run(work, range(threads), threads=threads):
            assert outcome.error is None


def task(location: str, options: dict[str, Any], process: str, threads: int, turns: int) -> list[str]:
    """The command that counts at this location, for a process whose name nobody else has."""
    arguments = {"location": location, "options": options, "process": process, "threads": threads, "turns": turns}
    return ["-m", "tests.mapping.counting", json.dumps(arguments)]


def main() -> None:
    """Do what the argument says, with each line in one system call, so that lines are whole however this ends."""
    arguments = json.loads(sys.argv[1])

    def opened() -> Mapping:
        # Nobody needs to know what is there: to modify, or to sync before each step.
        options = {"serialisation": "json", "sync_initially": False, **arguments["options"]}
        return CloudMapping(arguments["location"], **options)

    log = Log(arguments["process"], lambda line: os.write(1, line.encode()))
    count(opened, log, arguments["threads"], arguments["turns"])


if __name__ == "__main__":
    main()
