"""Plans of very many keys: in bounded memory, also when the listings come in no order."""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.errors import StoreError
from holdfast.keys import sort_key
from holdfast.sync.actions import Action
from holdfast.sync.ordering import in_order
from holdfast.sync.sequence import Actions
from holdfast.types import ObjectInfo

PROJECT = Path(__file__).resolve().parents[2]
#: Prints the totals of a plan over synthetic listings, and by how many bytes the process grew.
PROGRAM = """
import resource, sys
from holdfast.store import Store
from holdfast.sync import plan
from holdfast.types import Capabilities, ObjectInfo

class Synthetic(Store):
    name = "synthetic"
    def __init__(self, count, left_out, in_order):
        self.count, self.left_out, self.in_order = count, left_out, in_order
    capabilities = property(lambda self: Capabilities(listing=True, sorted=self.in_order))
    def _read(self, *_): raise AssertionError("nothing is read")
    _write = _remove = _read
    def _scan(self, *_):
        for turn in range(self.count):
            number = turn if self.in_order else turn * 7919 % self.count
            if number % self.left_out:
                key = f"directory/{number // 1000:06}/object-{number:09}.bin"
                size = number % 1000 + (number % 10 == 0 and self.left_out == 13)
                yield ObjectInfo(key, size=size, etag=f'"{number:032x}"')

count, in_order = int(sys.argv[1]), sys.argv[2] == "True"
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
planned = plan(Synthetic(count, 11, in_order), Synthetic(count, 13, in_order), delete=True, compare="size")
assert sum(1 for _ in planned) == len(planned)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024)
counts = planned.counts
print(counts["add"], counts["update"], counts["delete"], counts["skip"], grown)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ordered", [True, False])
def test_memory_does_not_grow_with_the_keys(soak, ordered):
    count = 1_000_000 if soak else 100_000
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(count), str(ordered)],
        env={**os.environ, "PYTHONPATH": str(PROJECT / "src")},
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert done.returncode == 0, done.stderr
    added, updated, deleted, skipped, grown = map(int, done.stdout.split())
    numbers = range(count)
    assert added == sum(number % 11 != 0 and number % 13 == 0 for number in numbers)
    assert deleted == sum(number % 11 == 0 and number % 13 != 0 for number in numbers)
    both = [number for number in numbers if number % 11 and number % 13]
    assert updated == sum(number % 10 == 0 for number in both)
    assert skipped == len(both) - updated
    assert grown < 500 << 20 if soak else grown < 100 << 20  # with Python and the stores, 600 MB for a million keys


def test_a_listing_in_no_order_is_sorted_on_disk():
    keys = [f"{number:05}" for number in range(5000)] + ["é", "￮", "\U0001f600", "\udc80"]
    random.Random(1).shuffle(keys)
    rows = [ObjectInfo(key, size=1) for key in keys]
    for run in (10, 4999, 5004, 100_000):
        ordered = [row.key for row in in_order(rows, "store", is_sorted=False, run=run)]
        assert ordered == sorted(keys, key=sort_key)


@pytest.mark.parametrize("is_sorted", [True, False])
def test_a_key_that_comes_twice_is_no_listing(is_sorted):
    rows = [ObjectInfo("a"), ObjectInfo("b"), ObjectInfo("b")]
    with pytest.raises(StoreError, match="'b' comes after 'b'"):
        list(in_order(rows, "store", is_sorted=is_sorted, run=2))


def test_the_order_is_that_of_utf8_and_not_of_code_units():
    rows = [ObjectInfo("a"), ObjectInfo("￮"), ObjectInfo("\U0001f600")]
    assert list(in_order(rows, "store", is_sorted=True)) == rows
    with pytest.raises(StoreError, match="cannot be believed"):
        list(in_order(rows[::-1], "store", is_sorted=True))


def test_forked_processes_read_the_actions_of_one_plan_at_once():
    actions = Actions((Action(f"{number:06}", "add", "") for number in range(4000)), limit=10)
    fork = multiprocessing.get_context("fork")
    started, answers = fork.Barrier(4), fork.Queue()

    def read():
        started.wait(60)
        try:
            for _ in range(10):
                keys = [action.key for action in actions]
                assert keys == [f"{number:06}" for number in range(4000)]
            answers.put("right")
        except BaseException as error:
            answers.put(repr(error)[:200])

    children = [fork.Process(target=read) for _ in range(4)]
    for child in children:
        child.start()
    told = [answers.get(timeout=60) for _ in children]
    for child in children:
        child.join(60)
    assert told == ["right"] * 4
