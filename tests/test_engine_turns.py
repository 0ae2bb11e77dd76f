"""Calls in turn: made one batch at a time while they are quick, and never holding anybody up."""

from __future__ import annotations

import threading
import time

import pytest

from holdfast.engine import Engine, InTurn, reserve, turns


@pytest.fixture
def engine():
    with Engine() as own:
        yield own


def in_turn(call):
    return lambda item: InTurn(lambda: call(item))


@pytest.mark.parametrize("threads", [0, 1, 8])
def test_calls_in_turn_end_their_operations(engine, threads):
    def fail_at_seven(item):
        if item == 7:
            raise ValueError(item)
        return item * 2

    outcomes = list(engine.run(in_turn(fail_at_seven), range(1000), threads=threads, ordered=True, on_error="collect"))
    assert [outcome.item for outcome in outcomes] == list(range(1000))
    assert [outcome.value for outcome in outcomes if outcome.item != 7] == [i * 2 for i in range(1000) if i != 7]
    assert isinstance(outcomes[7].error, ValueError)


def test_quick_calls_in_turn_are_made_one_at_a_time(engine, monkeypatch):
    monkeypatch.setattr(turns, "SLOW", 60)  # on a busy machine any call can take a while
    monkeypatch.setattr(turns, "PATIENCE", 60)
    inside, most = [], []

    def call(item):
        inside.append(item)
        most.append(len(inside))
        time.sleep(0.00005)
        inside.remove(item)

    assert len(list(engine.run(in_turn(call), range(3000), threads=8))) == 3000
    assert max(most) == 1


@pytest.mark.slow
def test_slow_calls_in_turn_are_made_side_by_side(engine):
    started = time.monotonic()
    assert len(list(engine.run(in_turn(lambda _: time.sleep(0.02)), range(400), threads=16))) == 400
    assert time.monotonic() - started < 4, "one by one it takes eight seconds"


@pytest.mark.slow
def test_a_call_in_turn_that_hangs_holds_up_no_other(engine):
    release = threading.Event()
    run = engine.run(in_turn(lambda item: release.wait(20) if item == 0 else None), range(1000), threads=4)
    try:
        assert len([next(run) for _ in range(999)]) == 999
    finally:
        release.set()
    assert next(run).item == 0


def test_the_last_calls_in_turn_are_made_when_other_operations_fail(engine):
    def operate(item):
        if item % 2:
            raise ValueError(item)
        return InTurn(lambda: item)

    for count in range(1, 70):
        outcomes = list(engine.run(operate, range(count), threads=4, on_error="collect"))
        assert len(outcomes) == count


def test_calls_in_turn_may_reserve_bytes():
    with Engine(budget=10 << 20) as small:

        def call(_):
            reserve(1 << 20)
            return bytes(1)

        assert len(list(small.run(in_turn(call), range(200), threads=8))) == 200


@pytest.mark.slow
def test_workers_that_wait_for_room_first_make_the_calls_that_hold_it(monkeypatch):
    with Engine(budget=4 << 20) as small:

        def operate(item):
            reserve(1 << 20)
            return InTurn(lambda: item)

        outer = small.run(lambda item: reserve(1 << 20) or item, range(100), threads=4)
        next(outer)  # holds bytes that nobody takes while the inner run goes on
        assert len(list(small.run(operate, range(100), threads=4))) == 100
        assert len(list(outer)) == 99
