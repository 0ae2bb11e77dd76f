"""Mixed bulk calls against a service that fails, for so many seconds; a JSON line for each round.

    python mixed_program.py s3://http://.../bucket DIRECTORY SECONDS

A round writes, reads, lists, copies and deletes, with threads, greenlets and now and then processes, and checks
what it gets. An error of a single call is one of ``holdfast.errors`` and is counted. Then it says how many threads,
descriptors and bytes of memory this process has.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent

from holdfast import CloudFiles, HoldfastError, PartialFailure, Storage, open_store

#: Seconds: a call may go without progress for so long, so that connections that stall do not take all the time.
READ_TIMEOUT = 1.0
THREADS = 8
#: So many rounds are made, however long they take.
LEAST = 9
COUNT = 60
LARGE = bytes(range(256)) * (40 << 10)  # 10 MiB: goes in parts
PIECE = 1 << 20


class Round:
    """One round below a prefix of its own."""

    def __init__(self, cloudpath: str, directory: str, number: int) -> None:
        self.cloudpath = f"{cloudpath}/{number}"
        self.directory = f"{directory}/{number}"
        self.number = number
        self.calls = self.errors = 0
        self.contents = {f"k{item:03}": b"%d/%d " % (number, item) * (10 + 37 * item) for item in range(COUNT)}

    def run(self) -> None:
        """Every call of the round, one after the other."""
        store = open_store(self.cloudpath, read_timeout=READ_TIMEOUT)
        files = CloudFiles(store, num_threads=THREADS)
        self.attempt(self.write_and_read, files)
        self.attempt(self.large, files)
        self.attempt(self.transfer, files)
        self.attempt(self.background)
        if self.number % 3 == 0:
            self.attempt(self.green, store)
        if self.number % 8 == 0:
            self.attempt(self.processes, files)
        self.attempt(lambda: files.delete(list(files.list())))
        files.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def attempt(self, function: Callable[..., Any], *args: Any) -> None:
        """Call it; what no retry has helped against is counted."""
        self.calls += 1
        try:
            function(*args)
        except (HoldfastError, PartialFailure):
            self.errors += 1

    def same(self, found: dict[str, Any]) -> None:
        """Refuse what differs from what was written."""
        assert found == self.contents, "read something else than was written"

    def write_and_read(self, files: CloudFiles) -> None:
        assert files.puts(self.contents.items(), compress="gzip" if self.number % 2 else None) == COUNT
        self.same(files.get(list(self.contents), return_dict=True))
        for row in files.get(iter(self.contents), raise_errors=False):
            assert row["error"] is not None or row["content"] == self.contents[row["path"]]
        assert files.exists(["k000", "none"]) == {"k000": True, "none": False}
        assert sorted(files.list()) == sorted(self.contents)
        assert files.get("none") is None

    def large(self, files: CloudFiles) -> None:
        pieces = (LARGE[start : start + PIECE] for start in range(0, len(LARGE), PIECE))
        files.put("large", pieces)
        assert files.get("large", part_size=PIECE) == LARGE
        files.delete("large")

    def transfer(self, files: CloudFiles) -> None:
        here = CloudFiles(f"file://{self.directory}")
        files.transfer_to(here, list(self.contents))
        self.same(here.get(list(self.contents), return_dict=True))
        here.delete(list(self.contents))
        here.close()

    def background(self) -> None:
        with Storage(f"{self.cloudpath}/storage", n_threads=4) as stor:
            for path, content in self.contents.items():
                stor.put_file(path, content)
            stor.wait()
            self.same({row["filename"]: row["content"] for row in stor.get_files(list(self.contents))})
            stor.delete_files(list(self.contents)).wait()

    def green(self, store: Any) -> None:
        files = CloudFiles(store, green=True, num_threads=THREADS)
        jobs = [gevent.spawn(files.get, list(self.contents), return_dict=True) for _ in range(3)]
        gevent.joinall(jobs)
        for job in jobs:
            if isinstance(job.exception, HoldfastError):
                raise job.exception
            self.same(job.get())

    def processes(self, files: CloudFiles) -> None:
        self.same(files.get(list(self.contents), return_dict=True, parallel=2))


def usage() -> dict[str, int]:
    """What this process has of the things that may leak."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what is free already is no leak
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "threads": len(os.listdir("/proc/self/task")),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "memory": resident,
    }


def rounds(cloudpath: str, directory: str, seconds: float) -> Iterator[dict[str, int]]:
    """What each round took and left, until the time is over, and for LEAST rounds."""
    ends = time.monotonic() + seconds
    for number in itertools.count():
        if number >= LEAST and time.monotonic() >= ends:
            return
        one = Round(cloudpath, directory, number)
        one.run()
        yield {"calls": one.calls, "errors": one.errors, **usage()}


if __name__ == "__main__":
    # gevent prints the traceback of every greenlet that fails, and here some do.
    gevent.get_hub().exception_stream = None
    for line in rounds(sys.argv[1], sys.argv[2], float(sys.argv[3])):
        print(json.dumps(line), flush=True)
