from __future__ import annotations

import pytest

from holdfast.stores.memory import MemoryStore
from holdfast.wrap.throttle import ThrottledStore


class Clock:
    def __init__(self):
        self.now = 100.0
        self.slept = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.slept += seconds


def test_operations_wait_their_turn():
    clock = Clock()
    store = ThrottledStore(MemoryStore(), operations_per_second=10, clock=clock, sleep=clock.sleep)
    for number in range(10):
        store.put(f"k{number}", b"")
    assert clock.slept == pytest.approx(0, abs=0.01)
    for call in (
        lambda: store.get("k0"),
        lambda: store.head("k0"),
        lambda: store.put("k0", b""),
        lambda: list(store.keys()),
        lambda: store.copy("k0", "k1"),
        lambda: store.delete("k1"),
        lambda: store._stage("k1", 1).abort(),
    ):
        before = clock.slept
        call()
        assert clock.slept - before == pytest.approx(0.1, abs=0.01)
    clock.now += 1000
    before = clock.slept
    for _ in range(20):
        store.head("k0")
    assert clock.slept - before == pytest.approx(1, abs=0.01), "no more than one second is saved up"


def test_bytes_wait_their_turn_in_both_directions():
    clock = Clock()
    store = ThrottledStore(MemoryStore(), bytes_per_second=1000, clock=clock, sleep=clock.sleep)
    for step, call in enumerate(
        (
            lambda: store.put("a", bytes(2000)),
            lambda: store.write("a", iter([bytes(1000), bytes(1000)])),
            lambda: store.get("a"),
            lambda: b"".join(store.read("a").chunks()),
            lambda: store.read("a").readinto(bytearray(2000)),
            lambda: store._stage("a", 2000).write_at(0, bytes(2000)),
        )
    ):
        before = clock.slept
        call()
        assert clock.slept - before == pytest.approx(1 if step == 0 else 2, abs=0.01)
    store.head("a")
    for wrong in (0, -1):
        with pytest.raises(ValueError):
            ThrottledStore(MemoryStore(), bytes_per_second=wrong)
