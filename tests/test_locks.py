"""Locks: the plain ones, and those that real threads and greenlets share under gevent's patches."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from holdfast import locks

PROGRAM = Path(__file__).with_name("locks_program.py")


def test_without_patches_they_are_the_plain_ones():
    assert type(locks.lock()) is type(threading.Lock())
    assert type(locks.rlock()) is type(threading.RLock())
    assert locks.original("time", "sleep") is time.sleep
    assert not locks.patched()


def test_real_threads_and_greenlets_exclude_each_other_under_patches():
    pytest.importorskip("gevent")
    done = subprocess.run([sys.executable, str(PROGRAM)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    plain, reentrant, ticks = map(int, done.stdout.split())
    assert plain == reentrant == 1200
    assert ticks > 20
    assert not done.stderr


def test_a_condition_wakes_all_who_wait():
    condition = locks.Condition()
    changed = []
    woken = []

    def wait():
        with condition:
            while not changed:
                condition.wait()
            woken.append(1)

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    with condition:
        condition.wait(timeout=0.001)  # nobody notifies: the time is over
        changed.append(1)
        condition.notify_all()
    for thread in threads:
        thread.join(30)
    assert len(woken) == 4
