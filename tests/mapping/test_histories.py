"""Recorded histories of threads and processes that count in mappings: nothing acknowledged is lost or done twice."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import Unsupported
from tests.mapping import counting, places
from tests.mapping.histories import Operation, check, increments, operations
from tests.servers.fault_proxy import Break, FaultProxy
from tests.stores import killing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

THREADS, PROCESSES = 4, 2
SERVED = [pytest.param(kind, marks=pytest.mark.server) for kind in ("redis", "s3", "az", "ceph")]
#: Kinds that other processes can open, and those of them that are reached over a network.
SHARED = ["file", "sqlite", "gs", *SERVED]
REMOTE = ["gs", *SERVED]


@pytest.fixture
def shared(request, tmp_path) -> places.Place:
    """A fresh place that other processes can open; where a service cannot be counted in, it is refused, and said so."""
    place = places.make(request.param, request, tmp_path)
    try:
        place.mapping()
    except Unsupported as refusal:
        assert request.param == "ceph"
        pytest.skip(f"this release is refused, as it should be: {refusal}")
    return place


@pytest.fixture
def turns(soak) -> int:
    """How often each thread counts."""
    return 250 if soak else 20


def commands(place: places.Place, name: str, turns: int) -> list[list[str]]:
    """A writer for each process."""
    return [
        counting.task(place.location, place.options, f"{name}p{number}", THREADS, turns) for number in range(PROCESSES)
    ]


def finished(commands: list[list[str]], **variables: str) -> list[str]:
    """The lines of writers that came to their ends, all at the same time."""
    writers = [killing.Writer(command, **variables) for command in commands]
    try:
        lines = [line for writer in writers for line in writer.finish()]
        assert [writer.process.returncode for writer in writers] == [0] * len(writers)
    finally:
        for writer in writers:
            writer.kill()
            writer.finish()
    return lines


def final(place: places.Place) -> int:
    """What the counter says in the end."""
    return place.mapping(serialisation="json")[counting.KEY]


# ------------------------------------------------------------------ nothing goes wrong
@pytest.mark.parametrize("shared", SHARED, indirect=True)
def test_no_increment_is_lost_or_done_twice(shared, turns):
    history = operations(finished(commands(shared, "", turns)))
    check(history, final(shared))
    assert final(shared) == increments(history, "acknowledged") == PROCESSES * THREADS * turns
    assert increments(history, "maybe") == increments(history, "failed") == 0


def test_no_increment_is_lost_or_done_twice_in_memory(memory, turns):
    lines: list[str] = []
    counting.count(lambda: memory.mapping(serialisation="json"), counting.Log("p", lines.append), 8, turns)
    history = operations(lines)
    check(history, final(memory))
    assert final(memory) == increments(history, "acknowledged") == 8 * turns


# ------------------------------------------------------------------ answers are lost
class Lossy(FaultProxy):
    """Loses one in five answers about the counter, and one in twenty requests, which the server never sees."""

    #: What a request begins with, to web servers and to Redis; the rest of a long one does not.
    BEGINNING = re.compile(rb"(GET|HEAD|PUT|POST|DELETE) /|\*\d+\r\n")

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._dice = random.Random(5)
        self.lost = 0

    def take(self, sent: bytes) -> Break | None:
        if not self.BEGINNING.match(sent) or counting.KEY.encode() not in sent:
            return None
        with self._lock:
            number = self._dice.randrange(100)
            self.lost += number < 20
        if number < 20:
            return Break("reset" if number % 2 else "close", "down")
        return Break("close", "up") if number < 25 else None


@pytest.mark.parametrize("shared", REMOTE, indirect=True)
def test_lost_answers_lose_no_increment_and_repeat_none(shared, turns):
    (port,) = re.findall(r"127\.0\.0\.1:(\d+)", shared.location)
    with Lossy(int(port)) as proxy:
        through = proxy.endpoint.removeprefix("http://")
        far = places.Place(shared.location.replace(f"127.0.0.1:{port}", through), **shared.options)
        history = operations(finished(commands(far, "", turns), HOLDFAST_RETRY_WAIT="0.02"))
        assert proxy.lost > turns
    check(history, final(shared))
    acknowledged, maybe = increments(history, "acknowledged"), increments(history, "maybe")
    assert acknowledged + maybe == PROCESSES * THREADS * turns
    assert maybe < acknowledged


# ------------------------------------------------------------------ writers are killed
@pytest.mark.parametrize("shared", SHARED, indirect=True)
def test_killed_writers_lose_no_increment_and_repeat_none(shared, turns, soak):
    chance = random.Random(5)
    lines: list[str] = []
    for number in range(20 if soak else 2):
        endless = commands(shared, f"r{number}", 10**9)
        lines += killing.kill_some_time_after_their_first_lines(endless, chance)
    lines += finished(commands(shared, "last", turns // 4))
    history = operations(lines)
    check(history, final(shared))
    assert increments(history, "maybe") > 0


# ------------------------------------------------------------------ the check itself
def explained(history: Sequence[Operation], final: int) -> bool:
    """Whether some order of what was done, and of some that may have been, explains it all: by trying every one."""
    sure = [operation for operation in history if operation.outcome == "acknowledged"]
    maybe = [operation for operation in history if operation.outcome == "maybe" and operation.kind == "increment"]
    chosen = (c for size in range(len(maybe) + 1) for c in itertools.combinations(maybe, size))
    return any(_runs(order, final) for some in chosen for order in itertools.permutations([*sure, *some]))


def _runs(order: Sequence[Operation], final: int) -> bool:
    count = 0
    for position, operation in enumerate(order):
        late = (other for other in order[position + 1 :] if other.outcome == "acknowledged")
        if any(other.returned < operation.called for other in late):
            return False
        count += operation.kind == "increment"
        if operation.outcome == "acknowledged" and operation.value != count:
            return False
    return count == final


@st.composite
def histories(draw):
    made = []
    for number in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["increment", "increment", "read"]))
        outcome = draw(st.sampled_from(["acknowledged", "acknowledged", "acknowledged", "maybe", "refused"]))
        called, length = draw(st.integers(0, 9)), draw(st.integers(0, 6))
        made.append(Operation(str(number), kind, called, outcome, called + length, draw(st.integers(0, 4))))
    return made


def passes(history: Sequence[Operation], final: int) -> bool:
    try:
        check(history, final)
    except AssertionError:
        return False
    return True


@settings(max_examples=600)
@given(histories(), st.integers(0, 4))
def test_the_check_says_what_trying_every_order_says(history, final):
    assert passes(history, final) == explained(history, final)


def counted(*rows: tuple[int, int, str, int]) -> list[Operation]:
    """Increments as (called, returned, outcome, value)."""
    return [
        Operation(str(number), "increment", called, outcome, returned, value)
        for number, (called, returned, outcome, value) in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("rows", "final", "reason"),
    [
        ([(0, 1, "acknowledged", 1), (0, 1, "acknowledged", 1)], 2, "lost updates"),
        ([(0, 1, "acknowledged", 1), (2, 3, "acknowledged", 2)], 1, "1 in the end"),
        ([(0, 1, "acknowledged", 1), (2, 3, "acknowledged", 3)], 3, "3 in the end"),
        ([(0, 1, "acknowledged", 2), (2, 3, "acknowledged", 1)], 2, "did not see"),
        ([(0, 1, "acknowledged", 2), (2, 3, "maybe", 0)], 2, "nobody can have written 1"),
        ([(0, 1, "acknowledged", 2), (0, 3, "refused", 0)], 2, "2 in the end"),
    ],
)
def test_the_check_names_what_is_wrong(rows, final, reason):
    with pytest.raises(AssertionError, match=reason):
        check(counted(*rows), final)


def test_what_is_cut_off_may_have_been_done():
    lines = ["call a increment 5", "call b read 6", "return b acknowledged 9 1"]
    history = operations(lines)
    check(history, 1)
    assert (increments(history, "maybe"), increments(history, "acknowledged")) == (1, 0)
    with pytest.raises(AssertionError):
        check(operations(lines[1:]), 1)
    with pytest.raises(AssertionError, match="no line"):
        operations(["return a"])
