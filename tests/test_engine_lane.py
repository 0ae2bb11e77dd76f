"""Lone calls handed to workers: bounded, in order, abandoned ones forgotten, bulk work beside them."""

from __future__ import annotations

import os
import threading
from queue import SimpleQueue

import pytest

from holdfast import engine
from holdfast.engine import Lane

LONG = 30


def test_calls_begin_in_order_and_never_more_than_the_limit():
    lane, order, told = Lane(1), [], SimpleQueue()
    for number in range(100):
        lane.call(lambda number=number: order.append(number), lambda value, error: told.put(error))
    assert [told.get(timeout=LONG) for _ in range(100)] == [None] * 100
    assert order == list(range(100))


def test_an_error_is_told():
    told = SimpleQueue()
    Lane().call(lambda: 1 / 0, lambda value, error: told.put(error))
    assert isinstance(told.get(timeout=LONG), ZeroDivisionError)


def test_an_error_that_leads_back_to_itself_is_told():
    first, second, told = KeyError("a"), KeyError("b"), SimpleQueue()
    first.__cause__, second.__cause__ = second, first

    def fail():
        raise first

    Lane().call(fail, lambda value, error: told.put(error))
    assert told.get(timeout=LONG) is first


def test_what_was_abandoned_before_it_began_is_not_made_and_not_waited_for():
    lane, gate, told, over = Lane(1), threading.Event(), SimpleQueue(), threading.Event()
    lane.call(lambda: gate.wait(LONG), lambda value, error: told.put("first"))
    lane.call(lambda: told.put("made"), lambda value, error: told.put("second")).abandoned = True
    lane.when_done(over.set)
    assert not over.is_set()
    gate.set()
    assert over.wait(LONG)
    assert told.get() == "first"
    assert told.empty()


def test_nothing_to_wait_for_is_told_at_once():
    over = []
    Lane().when_done(lambda: over.append(True))
    assert over


def test_bulk_work_in_a_call_has_workers_of_its_own():
    barrier = threading.Barrier(2, timeout=LONG)
    told = SimpleQueue()

    def bulk():
        inside = engine.in_worker()
        return inside, len(list(engine.default().run(lambda _: barrier.wait(), range(2), threads=2)))

    Lane().call(bulk, lambda value, error: told.put((value, error)))
    assert told.get(timeout=LONG) == ((False, 2), None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_lane_serves_again_after_a_fork():
    lane, gate, begun = Lane(1), threading.Event(), threading.Event()
    lane.call(lambda: (begun.set(), gate.wait(LONG)), lambda value, error: None)
    assert begun.wait(LONG)
    child = os.fork()
    if not child:
        told = SimpleQueue()
        lane.call(lambda: 7, lambda value, error: told.put(value))
        try:
            os._exit(0 if told.get(timeout=5) == 7 else 1)
        except BaseException:
            os._exit(2)
    gate.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
