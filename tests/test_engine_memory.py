"""What a run holds on to: no outcome that is delivered already."""

from __future__ import annotations

import time
import weakref

import pytest

from holdfast.engine import Engine

COUNT = 3000


class Value:
    """Something that a weak reference can look at."""


@pytest.mark.parametrize("ordered", [False, True])
def test_a_slow_consumer_keeps_no_delivered_outcome_alive(ordered):
    alive, made = weakref.WeakSet(), []

    def make(number: int) -> Value:
        value = Value()
        alive.add(value)
        made.append(number)
        return value

    most = 0
    with Engine() as engine:
        for delivered, _ in enumerate(engine.run(make, iter(range(COUNT)), threads=2, ordered=ordered)):
            while len(made) < min(COUNT, delivered + 50):  # so that the workers are always ahead
                time.sleep(0)
            most = max(most, len(alive))
    assert most <= 400  # the window is 256
