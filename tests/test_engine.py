"""The engine: nothing lost, nothing doubled, bounded, ordered when asked, never stuck."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from holdfast import engine as engine_module
from holdfast.engine import Engine, InTurn, Outcome, Split, interruptible, pace, pool, reserve
from holdfast.engine.run import Run
from holdfast.errors import ConfigError

SOAK = os.environ.get("HOLDFAST_SOAK") == "1"
SLOW_START = 60  # seconds: the most a subprocess may need on a crowded machine


@pytest.fixture
def engine():
    with Engine() as own:
        yield own


def values(outcomes):
    return [outcome.value for outcome in outcomes]


def test_every_item_has_exactly_one_outcome(engine):
    assert sorted(values(engine.run(lambda x: x * 2, range(5000), threads=8))) == [x * 2 for x in range(5000)]


def test_ordered_outcomes_come_in_the_order_of_the_items(engine):
    def jitter(x):
        if x % 7 == 0:
            time.sleep(0.001)
        return x

    assert values(engine.run(jitter, range(1000), threads=16, ordered=True)) == list(range(1000))


@pytest.mark.parametrize("threads", [None, 0, 1, 2, 40])
def test_any_number_of_threads_gives_the_same_results(engine, threads):
    assert sorted(values(engine.run(str, iter(range(300)), threads=threads))) == sorted(map(str, range(300)))


def test_an_empty_run_ends_at_once(engine):
    assert list(engine.run(str, [])) == []


def test_items_are_taken_only_as_fast_as_outcomes_are_consumed(engine):
    taken = itertools.count()
    outcomes = engine.run(lambda x: x, (next(taken) for _ in itertools.repeat(None)), threads=4)
    for _ in range(10):
        next(outcomes)
    outcomes.close()
    assert next(taken) < 2000


def test_never_more_operations_at_a_time_than_threads(engine):
    active, most, lock = 0, 0, threading.Lock()

    def operation(_):
        nonlocal active, most
        with lock:
            active += 1
            most = max(most, active)
        time.sleep(0.002)
        with lock:
            active -= 1

    list(engine.run(operation, range(200), threads=5))
    assert most == 5


def test_the_first_error_is_raised_and_stops_the_feed(engine):
    fed = []

    def items():
        for x in itertools.count():
            fed.append(x)
            yield x

    def operation(x):
        if x == 10:
            raise ValueError("ten")
        return x

    with pytest.raises(ValueError, match="ten"):
        for _ in engine.run(operation, items(), threads=4):
            pass
    count = len(fed)
    time.sleep(0.05)
    assert len(fed) == count < 5000


def test_collected_errors_belong_to_their_items(engine):
    outcomes = list(engine.run(lambda x: 1 // (x % 3), range(30), on_error="collect"))
    failed = sorted(o.item for o in outcomes if isinstance(o.error, ZeroDivisionError))
    assert failed == list(range(0, 30, 3))
    assert all(o.value == 1 // (o.item % 3) for o in outcomes if o.error is None)


def test_a_kept_error_does_not_keep_what_its_frames_held(engine):
    class Resource:
        alive = 0

        def __init__(self):
            Resource.alive += 1

        def __del__(self):
            Resource.alive -= 1

    def operation(x):
        held = Resource()
        try:
            raise OSError("beneath")
        except OSError as error:
            raise ValueError(f"{x} {held}") from error

    outcomes = list(engine.run(operation, range(50), on_error="collect"))
    assert all(isinstance(outcome.error, ValueError) for outcome in outcomes)
    assert Resource.alive == 0


def test_an_error_in_the_items_iterator_reaches_the_caller(engine):
    def items():
        yield 1
        raise RuntimeError("the feed broke")

    with pytest.raises(RuntimeError, match="the feed broke"):
        list(engine.run(str, items()))


def test_progress_is_told_of_every_item(engine):
    seen = []
    list(engine.run(str, range(100), progress=seen.append))
    assert sum(seen) == 100


def test_a_run_inside_a_worker_runs_inline_and_cannot_deadlock(engine):
    def outer(x):
        return sum(values(engine.run(lambda y: y, range(x), threads=4)))

    assert values(engine.run(outer, [3] * 50, threads=2, ordered=True)) == [3] * 50


def test_wrong_arguments_are_refused(engine):
    with pytest.raises(ValueError, match="on_error"):
        engine.run(str, [1], on_error="ignore")
    with pytest.raises(ValueError, match="threads"):
        engine.run(str, [1], threads=-1)


# ---------------------------------------------------------------------- splits
def test_the_parts_of_a_split_run_on_several_workers_and_finish_runs_last(engine):
    barrier = threading.Barrier(4, timeout=10)

    def part(index):
        barrier.wait()  # passes only when four parts run at the same time
        return index

    def operation(_):
        return Split([lambda i=i: part(i) for i in range(4)], lambda results: results)

    assert values(engine.run(operation, ["large"], threads=4)) == [[0, 1, 2, 3]]


def test_many_splits_on_few_workers_do_not_deadlock(engine):
    def operation(x):
        return Split([lambda i=i: i for i in range(5)], lambda results: (x, sum(results)))

    assert sorted(values(engine.run(operation, range(200), threads=2))) == [(x, 10) for x in range(200)]


def test_a_split_without_parts_just_finishes(engine):
    assert values(engine.run(lambda x: Split([], lambda results: x), [1, 2], ordered=True)) == [1, 2]


def test_a_failing_part_skips_the_rest_and_aborts_once(engine):
    aborted, ran = [], []

    def part(index):
        ran.append(index)
        if index == 0:
            raise OSError("part failed")

    def operation(_):
        return Split([lambda i=i: part(i) for i in range(50)], lambda results: None, lambda: aborted.append(True))

    (outcome,) = engine.run(operation, [1], threads=1, on_error="collect")
    assert isinstance(outcome.error, OSError)
    assert aborted == [True]
    assert ran == [0]


def test_breaking_off_aborts_unfinished_splits(engine):
    aborted = threading.Event()

    def operation(x):
        if x == 0:
            return x
        return Split([lambda: time.sleep(0.01)] * 100, lambda results: x, aborted.set)

    outcomes = engine.run(operation, range(2), threads=2)
    assert next(outcomes).value == 0
    outcomes.close()
    assert aborted.wait(5)


# ---------------------------------------------------------------------- the byte budget
def test_undelivered_bytes_stay_within_the_budget():
    size, lock, held, most = 1 << 20, threading.Lock(), 0, 0

    def operation(_):
        nonlocal held, most
        reserve(size)
        with lock:
            held += size
            most = max(most, held)
        return bytes(size)

    with Engine(budget=8 << 20) as own:
        for outcome in own.run(operation, range(100), threads=16):
            time.sleep(0.001)  # a slow consumer
            assert len(outcome.value) == size
            with lock:
                held -= size
    assert most <= (8 << 20) + size  # the one being consumed is the consumer's


@pytest.mark.parametrize("ordered", [False, True])
def test_a_budget_smaller_than_every_item_still_lets_them_through_one_by_one(ordered):
    def operation(x):
        reserve(10 << 20)
        time.sleep(random.random() / 1000)
        return x

    with Engine(budget=1 << 20) as own:
        assert sorted(values(own.run(operation, range(50), threads=8, ordered=ordered))) == list(range(50))


def test_reserving_outside_a_worker_returns_at_once():
    reserve(1 << 40)


def test_a_broken_off_run_gives_its_bytes_back():
    with Engine(budget=4 << 20) as own:
        for _ in range(5):
            outcomes = own.run(lambda x: reserve(1 << 20), range(50), threads=8)
            next(outcomes)
            outcomes.close()
        assert own._budget.used == 0


# ---------------------------------------------------------------------- threads
def test_threads_are_kept_between_runs_and_ended_by_close():
    before = set(threading.enumerate())
    own = Engine()
    for _ in range(300):
        list(own.run(str, range(50), threads=4))
    # A worker on its way back from one run cannot be leased by the next: a few more than four, not 300 times four.
    assert len(set(threading.enumerate()) - before) <= 40
    own.close()
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - before


@pytest.mark.slow
def test_a_stuck_worker_is_abandoned_after_a_second_and_never_reused(engine):
    release = threading.Event()

    def operation(x):
        if x:
            release.wait(30)
        return x

    outcomes = engine.run(operation, [0, 1, 1], threads=3)
    assert next(outcomes).value == 0
    start = time.monotonic()
    outcomes.close()
    assert time.monotonic() - start < 3
    assert values(engine.run(str, range(20), threads=4, ordered=True)) == [str(x) for x in range(20)]
    release.set()


def test_an_operation_that_outlives_its_run_reserves_nothing():
    late = threading.Event()
    done = threading.Event()

    def operate(item):
        if item == 0:
            raise KeyError(item)
        late.wait(10)
        try:
            reserve(1 << 20)
        finally:
            done.set()

    with Engine(budget=2 << 20) as small:
        with pytest.raises(KeyError):
            list(small.run(operate, [1, 0], threads=2))
        late.set()
        assert done.wait(10)
        assert small._budget.used == 0


def test_control_c_inside_a_part_is_no_outcome():
    def operate(_):
        def part():
            raise KeyboardInterrupt

        return Split([part], sum)

    with Engine() as engine, pytest.raises(KeyboardInterrupt):
        list(engine.run(operate, [1, 2], threads=0, on_error="collect"))


def test_a_worker_that_leaves_makes_the_calls_that_wait():
    with Engine() as engine:
        last = Outcome("last")

        def operate(item):
            if item == "last":
                raise ValueError(item)
            run.limit = 1  # the service asked for fewer threads
            run.todo.append(last)
            return InTurn(lambda: "written")

        run = Run(engine, operate, [], 2, ordered=False, local=False)
        first, parked, leaving = Outcome("first"), pool.Worker(engine, 100), pool.Worker(engine, 101)
        leaving.rank, run.leased = 1, 2
        parked.bell.put(run.serve)
        while not run.idle:
            time.sleep(0.001)
        run.todo.append(first)
        leaving.bell.put(run.serve)
        assert run.left.get(timeout=10) is None
        assert (last.pending, first.pending, first.value) == (False, False, "written")
        run.end(1.0)


def test_progress_is_told_that_nothing_came_while_the_caller_waits(engine):
    told = []
    assert len(list(engine.run(lambda _: time.sleep(0.5), [1], progress=told.append))) == 1
    assert told.count(0) >= 2
    assert sum(told) == 1


def test_an_adaptive_run_grows_while_that_pays_and_halves_when_throttled(monkeypatch):
    own = pace.Pace(None)
    clock = [1.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: clock[0])
    own.note(1)
    limits = [own.limit]
    for _ in range(6):  # throughput in proportion to the threads
        clock[0] += 1
        own.note(100 * own.limit)
        limits.append(own.limit)
    assert limits[0] == 8
    assert limits == sorted(limits)
    assert limits[-1] == 64
    engine_module.note_throttled()
    clock[0] += 1
    own.note(100 * own.limit)
    assert own.limit == 32


def test_an_adaptive_run_goes_back_when_growing_does_not_pay(monkeypatch):
    own = pace.Pace(None)
    clock = [1.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: clock[0])
    own.note(1)
    for _ in range(3):
        clock[0] += 1
        own.note(5000)
    assert own.limit == 8


def test_the_environment_bounds_an_adaptive_run(monkeypatch):
    monkeypatch.setenv("HOLDFAST_MAX_THREADS", "3")
    assert pace.Pace(None).ceiling == 3
    assert pace.Pace(5).ceiling == 5
    monkeypatch.setenv("HOLDFAST_MAX_THREADS", "")
    assert pace.Pace(None).ceiling == pace.MAX_THREADS


@pytest.mark.parametrize("wrong", ["many", "0", "-4", "2.5", "²", " 8"])
def test_a_wrong_number_of_threads_in_the_environment_is_a_configuration_error(engine, monkeypatch, wrong):
    monkeypatch.setenv("HOLDFAST_MAX_THREADS", wrong)
    with pytest.raises(ConfigError, match="HOLDFAST_MAX_THREADS"):
        list(engine.run(abs, [1]))


def test_threads_are_bounded_by_the_descriptor_limit():
    code = """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        from holdfast.engine import Engine
        from holdfast.engine.pace import Pace
        print(Pace(200).limit, len(list(Engine().run(lambda x: open("/dev/null").close(), range(400), threads=200))))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=SLOW_START, check=True
    )
    limit, count = map(int, done.stdout.split())
    assert limit <= 32
    assert count == 400


@pytest.mark.slow
def test_random_runs_lose_double_and_reorder_nothing(engine):
    rng = random.Random(20261121)
    deadline = time.monotonic() + (60 if SOAK else 4)
    while time.monotonic() < deadline:
        count, threads = rng.choice([0, 1, 2, 5, 300, 2000]), rng.choice([None, 1, 2, 3, 8, 20])
        ordered, delay = rng.random() < 0.5, rng.choice([0, 0, 0.0001])

        def operation(x, delay=delay, count=count):
            if delay and x % 11 == 0:
                time.sleep(delay)
            if x % 97 == 5 and count < 1000:
                return Split([lambda i=i: i for i in range(x % 5)], lambda results: x)
            if x % 53 == 1:
                reserve(64 << 20)
            return x

        got = values(engine.run(operation, iter(range(count)), threads=threads, ordered=ordered))
        assert (got if ordered else sorted(got)) == list(range(count))
    assert engine._budget.used == 0


# ---------------------------------------------------------------------- Ctrl-C and fork
def interrupted(code: str) -> float:
    """Run the code, send SIGINT when it prints "go", and return how many seconds it then took to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "go\n"
        time.sleep(0.3)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SLOW_START)
        assert "KeyboardInterrupt" in errors
        return time.monotonic() - start
    finally:
        process.kill()
        process.wait()


def test_control_c_leaves_a_bulk_run_whose_operations_hang():
    took = interrupted("""
        import threading
        from holdfast.engine import Engine
        print("go", flush=True)
        list(Engine().run(lambda x: threading.Event().wait(60), range(50)))
    """)
    assert took < 2


def test_control_c_leaves_a_lone_native_call_that_ignores_signals():
    took = interrupted("""
        import ctypes
        from holdfast.engine import interruptible
        libc = ctypes.CDLL(None)
        def uninterruptible():
            for _ in range(60):
                libc.usleep(1_000_000)
        print("go", flush=True)
        interruptible(uninterruptible)
    """)
    assert took < 2


def test_interruptible_returns_and_raises_what_the_call_does():
    assert interruptible(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        interruptible(divmod, 7, 0)


def test_interruptible_leaves_the_main_thread_only():
    assert interruptible(threading.get_ident) != threading.get_ident()
    idents = []
    thread = threading.Thread(target=lambda: idents.append((threading.get_ident(), interruptible(threading.get_ident))))
    thread.start()
    thread.join()
    assert idents[0][0] == idents[0][1]


def test_a_forked_child_has_a_working_engine():
    list(engine_module.default().run(str, range(100)))
    interruptible(str, 1)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            total = sum(values(engine_module.default().run(lambda x: x, range(100))))
            os.write(writer, str(total + interruptible(int, "1")).encode())
        finally:
            os._exit(0)
    os.close(writer)
    deadline = time.monotonic() + 10
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            break
        time.sleep(0.01)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b"4951"


def test_an_outcome_shows_its_item_and_what_became_of_it():
    outcome = Outcome("a")
    outcome.value = 3
    assert repr(outcome) == "Outcome('a', 3)"
