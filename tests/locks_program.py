"""Locks under gevent's patches, where real threads and greenlets contend; prints what a test compares."""

if __name__ == "__main__":  # before anything else is imported
    from gevent import monkey

    monkey.patch_all()

import threading

import gevent

from holdfast import engine, locks
from holdfast.engine import native

ROUNDS = 300
real_sleep = locks.original("time", "sleep")
ticks = []


def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.001)


def in_real_thread(function, *args):
    """A function to wait, among greenlets, until the other one is over in a thread of the operating system."""
    over = native.lock()
    over.acquire()

    def run():
        function(*args)
        over.release()

    assert native.start(run, "real") is None, "threads are not patched"
    return over.acquire


def contend(make):
    """How often four parties were alone in the block that two greenlets and two real threads enter."""
    lock = make()
    seen = {"count": 0, "inside": 0, "together": 0}

    def take_turns(pause):
        for number in range(ROUNDS):
            with lock:
                seen["inside"] += 1
                seen["together"] += seen["inside"] > 1
                count = seen["count"]
                pause(0.0001 if number % 3 == 0 else 0)  # the others are let go on while this one holds the lock
                seen["count"] = count + 1
                seen["inside"] -= 1

    threads = [in_real_thread(take_turns, real_sleep) for _ in range(2)]
    greenlets = [gevent.spawn(take_turns, gevent.sleep) for _ in range(2)]
    gevent.joinall(greenlets, raise_error=True)
    for wait in threads:
        wait()
    assert seen == {"count": 4 * ROUNDS, "inside": 0, "together": 0}, seen
    return seen["count"]


def crowd():
    """Sixteen real threads at a time that want the same lock: gevent's own locks hang here."""

    def take_turns(lock):
        for number in range(50):
            with lock:
                real_sleep(0 if number % 5 else 0.0001)

    for _ in range(20):
        lock = locks.lock()
        for wait in [in_real_thread(take_turns, lock) for _ in range(16)]:
            wait()


def belongs_to_a_greenlet():
    lock = locks.rlock()
    with lock, lock:
        assert gevent.spawn(lock.acquire, blocking=False).get() is False
        assert isinstance(gevent.spawn(stolen, lock).get(), RuntimeError)
    assert gevent.spawn(lock.acquire, blocking=False).get() is True


def stolen(lock):
    try:
        lock.release()
    except RuntimeError as error:
        return error


def waits_with_an_end():
    lock = locks.lock()
    held, let_go = native.lock(), native.lock()
    held.acquire()
    let_go.acquire()

    def hold():
        with lock:
            held.release()
            let_go.acquire()

    wait = in_real_thread(hold)
    held.acquire()
    before = len(ticks)
    assert lock.locked()
    assert not lock.acquire(blocking=False)
    assert not lock.acquire(timeout=0.05)
    assert len(ticks) > before, "nobody went on"
    let_go.release()
    assert lock.acquire(timeout=30)
    wait()


def conditions():
    """A greenlet and a real thread wake each other."""
    condition, turns = locks.Condition(), []

    def play(mine):
        for _ in range(20):
            with condition:
                while len(turns) % 2 != mine:
                    condition.wait()
                turns.append(mine)
                condition.notify_all()

    wait = in_real_thread(play, 1)
    gevent.spawn(play, 0).get()
    wait()
    assert turns == [0, 1] * 20


def workers_may_need_what_a_greenlet_holds():
    """The main thread waits for a worker, and the worker for a lock of another greenlet."""
    lock = locks.lock()
    lock.acquire()
    gevent.spawn_later(0.01, lock.release)
    assert threading.current_thread() is threading.main_thread()
    assert engine.interruptible(lock.acquire) is True


ticker = gevent.spawn(tick)
print(contend(locks.lock), contend(locks.rlock), len(ticks))
crowd()
belongs_to_a_greenlet()
waits_with_an_end()
conditions()
workers_may_need_what_a_greenlet_holds()
ticker.kill()
