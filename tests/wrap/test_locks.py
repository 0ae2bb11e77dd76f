from __future__ import annotations

import os
import pickle
import signal

import pytest

from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.testing.suite import together
from holdfast.wrap._locks import KeyLocks, ProcessLock
from holdfast.wrap.cache import CachingStore
from holdfast.wrap.encrypt import EncryptingStore
from holdfast.wrap.mirror import MirroringStore
from holdfast.wrap.retrying import RetryingStore
from holdfast.wrap.throttle import ThrottledStore


def test_a_key_is_one_threads_at_a_time_and_costs_nothing_when_it_is_free():
    locks = KeyLocks()
    inside = []

    def work(number):
        for _ in range(200):
            with locks.of("a"), locks.of("a"):
                inside.append(number)
                assert inside == [number]
                inside.remove(number)

    together(4, work)
    assert not locks._locks
    assert pickle.loads(pickle.dumps(locks))._locks == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_threads_of_its_parent():
    store = ThrottledStore(MirroringStore([CachingStore(MemoryStore(), MemoryStore())]), operations_per_second=1e6)
    store.put("a", b"1")
    cache = store.store.children[0]
    lock = ProcessLock()
    with (
        store._operations._lock,
        store.store._locks.of("a"),
        cache._locks.of("a"),
        cache._ledger._lock,
        lock,
        store.store._locks._guard,
    ):
        child = os.fork()
        if not child:
            signal.alarm(20)
            try:
                store.put("a", b"2")
                with lock:
                    os._exit(0 if store.get("a") == b"2" else 1)
            finally:
                os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_bodies_that_are_left_half_read_leave_nothing_open(tmp_path, no_leaks):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    store = RetryingStore(
        CachingStore(EncryptingStore(FileStore(tmp_path / "a"), bytes(32)), FileStore(tmp_path / "b"))
    )
    big = os.urandom(9 << 20)
    store.put("a", big)
    assert store.get("a") == big
    no_leaks.baseline()
    for _ in range(5):
        blob = store.read("a")
        next(iter(blob.chunks()))
        blob.close()
        store.read("a").close()
        assert store.get_range("a", 5, 10) == big[5:10]
    no_leaks.verify()
