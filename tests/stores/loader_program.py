"""Run by test_forks.py: a loader of training data, which reads a store in the parent and in four worker processes.

It is written after the loaders of machine learning libraries: each worker has a queue of its own with batches of keys,
and all answer through one. Meanwhile threads of the parent go on reading, also at the moments of the forks. Arguments:
a start method, an address, how many rounds. The last line of its output counts the objects that came back right.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from holdfast import CloudFiles

WORKERS = 4
READERS = 3
#: Seconds after which a worker that says nothing is taken to hang.
PATIENCE = 60.0
SIZES = (0, 10, 1_000, 60_000, 70_000, 300_000)
BATCH = 8
KEYS = [f"{number}-of-{size}" for number in range(4) for size in SIZES]


def content(key: str) -> bytes:
    """What the object of this key holds."""
    size = int(key.rpartition("-")[2])
    return (hashlib.sha256(key.encode()).digest() * (size // 32 + 1))[:size]


def work(files: CloudFiles, batches: Any, answers: Any) -> None:
    """Read batch after batch: the first object alone, the others in bulk."""
    while (batch := batches.get()) is not None:
        try:
            first, *others = batch
            found = {first: files.get(first, raw=True)}
            found |= {answer["path"]: answer["content"] for answer in files.get(others, raw=True)}
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        answers.put(found)


def one_round(context: Any, files: CloudFiles) -> int:
    """How many objects four new workers have read right."""
    answers = context.Queue()
    queues = [context.Queue() for _ in range(WORKERS)]
    workers = [context.Process(target=work, args=(files, queue, answers)) for queue in queues]
    for number, (worker, queue) in enumerate(zip(workers, queues, strict=True)):
        worker.start()
        for start in range(number, number + len(KEYS), BATCH):
            queue.put((KEYS + KEYS)[start : start + BATCH])
        queue.put(None)
    right = 0
    for _ in range(WORKERS * len(KEYS) // BATCH):
        found = answers.get(timeout=PATIENCE)
        assert not isinstance(found, str), found
        for key, data in found.items():
            assert data == content(key), key
            right += 1
    for worker in workers:
        worker.join(PATIENCE)
        assert worker.exitcode == 0, worker.exitcode
    return right


@contextmanager
def reading(files: CloudFiles) -> Iterator[None]:
    """Threads that read all the time, and must not fail either."""
    stop, failures = threading.Event(), []

    def read() -> None:
        while not stop.wait(0.01):
            try:
                failures.extend(key for key in KEYS if files.get(key, raw=True) != content(key))
            except Exception as error:
                failures.append(repr(error))

    threads = [threading.Thread(target=read) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert not failures, failures[:5]
    assert not any(thread.is_alive() for thread in threads)


def main(method: str, address: str, rounds: str) -> None:
    """Read in the parent, then round after round in workers; print what came back right."""
    files = CloudFiles(address, no_sign_request=address.startswith("gs:"))
    context = multiprocessing.get_context(method)
    assert all(files.get(key, raw=True) == content(key) for key in KEYS)
    with reading(files):
        right = sum(one_round(context, files) for _ in range(int(rounds)))
    print(right)


if __name__ == "__main__":
    main(*sys.argv[1:])
