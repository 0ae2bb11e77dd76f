"""Processes that race for the variants of one key, over a file store."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from holdfast.stores.file import FileStore
from holdfast.wrap.suffix import SuffixStore

from .suffixes import put, stored

WRITER = """
import sys
from holdfast.codecs import SUFFIXES
from holdfast.types import WriteOptions
from holdfast.wrap.suffix import SuffixStore
from holdfast.stores.file import FileStore
root, number, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
store = SuffixStore(FileStore(root))
names = [None, *SUFFIXES]
for turn in range(rounds):
    encoding = names[(turn + number) % len(names)]
    for _ in range(BURST):
        store.write("a", b"%d:%d" % (number, turn), WriteOptions(content_encoding=encoding))
    AFTER_EACH
"""
IN_STEP = WRITER.replace("BURST", "5").replace("AFTER_EACH", "print(flush=True); sys.stdin.readline()")
ON_ITS_OWN = WRITER.replace("BURST", "1").replace("AFTER_EACH", "turn or print('started', flush=True)")


@contextmanager
def writers(program, root, count, rounds):
    """Processes that write ``a``; all of them are gone at the end of the block."""
    arguments = [sys.executable, "-c", program, str(root)]
    processes = []
    try:
        for number in range(count):
            command = [*arguments, str(number), str(rounds)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            processes.append(subprocess.Popen(command, text=True, **pipes))
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.slow
def test_processes_that_race_for_a_key_leave_one_variant_every_time(tmp_path, soak):
    rounds = 3000 if soak else 150
    store = SuffixStore(FileStore(tmp_path))
    with writers(IN_STEP, tmp_path, 2, rounds) as processes:
        for turn in range(rounds):
            for process in processes:
                assert process.stdout.readline() == "\n"
            assert len(stored(store)) == 1, turn
            assert store.get("a") in {b"0:%d" % turn, b"1:%d" % turn}
            for process in processes:
                process.stdin.write("\n")
                process.stdin.flush()


@pytest.mark.slow
def test_a_reader_never_misses_what_other_processes_replace(tmp_path, soak):
    rounds = 3000 if soak else 200
    store = SuffixStore(FileStore(tmp_path))
    put(store, "a", b"9:9")
    reads = 0
    with writers(ON_ITS_OWN, tmp_path, 3, rounds) as processes:
        while any(process.poll() is None for process in processes) and reads < 10_000_000:
            assert store.get("a")
            reads += 1
        assert [process.returncode for process in processes] == [0, 0, 0]
    assert reads > 100
    assert len(stored(store)) == 1
    assert store.get("a") in {b"%d:%d" % (number, rounds - 1) for number in range(3)}


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_leaves_the_old_object_or_the_new(tmp_path, soak):
    store = SuffixStore(FileStore(tmp_path))
    last = -1
    for attempt in range(100 if soak else 8):
        with writers(ON_ITS_OWN, tmp_path, 1, 1_000_000) as (process,):
            assert process.stdout.readline() == "started\n"
            time.sleep(0.003 * attempt)
        number, turn = map(int, store.get("a").split(b":"))
        assert number == 0
        assert turn >= 0
        assert [row.key for row in store.list()] == ["a"]
        last = max(last, turn)
        put(store, "a", b"0:0", "xz")  # and the next write leaves one variant again
        assert len(stored(store)) == 1
    assert last > 0


ROUNDS = """
import sys, time
from holdfast.errors import AlreadyExists
from holdfast.stores.file import FileStore
from holdfast.types import WriteOptions
from holdfast.wrap import suffix
root, number, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
store = suffix.SuffixStore(FileStore(root))
for turn in range(rounds):
    sys.stdin.readline()
    JOB
"""

# The first writes plain objects, the second deletes, the third writes compressed ones; each says when.
PUT_AND_DELETE = """
    said = []
    for burst in range(4):
        value, began = f"{number}:{turn}:{burst}", time.monotonic()
        if number == 1:
            store.remove(["a"])
        else:
            body = value.encode() if burst % 2 else iter([value.encode(), b""])
            suffix.GATHERED = -1 if burst < 2 else 100
            store.write("a", body, WriteOptions(content_encoding="gzip" if number else None))
        said.append((began, time.monotonic(), value if number != 1 else None))
    print(said, flush=True)
"""

# The even ones write plain objects, the odd ones compressed ones, half of them as streams.
CREATE = """
    body = b"%d" % number
    suffix.GATHERED = -1 if turn % 2 else 100
    try:
        options = WriteOptions(content_encoding="gzip" if number % 2 else None, if_absent=True)
        store.write(str(turn), iter([body, b""]), options)
        print("created", flush=True)
    except AlreadyExists:
        print("exists", flush=True)
"""


def rounds_of(processes, rounds):
    """What each process says after each round, all let go at once."""
    for _ in range(rounds):
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        yield [process.stdout.readline() for process in processes]


@pytest.mark.slow
def test_no_acknowledged_write_or_delete_is_lost_between_processes(tmp_path, soak):
    rounds = 3000 if soak else 150
    store = SuffixStore(FileStore(tmp_path))
    outcomes = set()
    with writers(ROUNDS.replace("JOB", PUT_AND_DELETE.strip()), tmp_path, 3, rounds) as processes:
        for said in rounds_of(processes, rounds):
            operations = [operation for line in said for operation in ast.literal_eval(line)]
            latest_start = max(began for began, _, _ in operations)
            # What is there now was done by an operation that no other one began after.
            possible = {value for _, ended, value in operations if ended >= latest_start}
            there = store.get("a").decode() if store.exists("a") else None
            assert there in possible
            assert len(stored(store)) == (there is not None)
            outcomes.add(there and there[0])
    assert outcomes >= {"0", "2"}


@pytest.mark.slow
def test_of_racing_processes_one_creates_each_key(tmp_path, soak):
    rounds = 3000 if soak else 200
    store = SuffixStore(FileStore(tmp_path))
    winners = set()
    with writers(ROUNDS.replace("JOB", CREATE.strip()), tmp_path, 4, rounds) as processes:
        for turn, said in enumerate(rounds_of(processes, rounds)):
            assert sorted(said) == ["created\n", "exists\n", "exists\n", "exists\n"]
            winner = said.index("created\n")
            assert store.get(str(turn)) == b"%d" % winner
            assert store.head(str(turn)).content_encoding == ("gzip" if winner % 2 else None)
            winners.add(winner % 2)
    assert len(stored(store)) == rounds
    assert winners == {0, 1}
