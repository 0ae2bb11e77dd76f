"""Histories of a counter: what was called and returned when, and whether one order of it all explains everything.

The counter begins at 0 and is only ever counted up by one, so the values that operations return are their places in
that order: the history is linearizable exactly if no two writes have the same place, no operation has a place before
that of one that had returned when it was called, and each place that nobody was acknowledged for is that of a write
whose outcome nobody knows, and which was called early enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

#: acknowledged: done, with this value. refused: a conflict, nothing done. failed: another error than Indeterminate,
#: nothing done either. maybe: Indeterminate, or the process was killed: done once, later, or not at all.
Outcome = Literal["acknowledged", "refused", "failed", "maybe"]


@dataclass(frozen=True)
class Operation:
    """One call. Times are nanoseconds of the clock that the processes of this machine share.

    An "increment" returns the value that it wrote, a "read" the value that it found.
    """

    name: str
    kind: Literal["increment", "read"]
    called: int
    outcome: Outcome
    returned: int = 0
    value: int = 0

    @property
    def place(self) -> float:
        """Where it is among all operations: a read comes after the write of its value, and before the next one."""
        return self.value + 0.5 if self.kind == "read" else self.value


def call_line(name: str, kind: str, called: int) -> str:
    """What a writer says before it does something."""
    return f"call {name} {kind} {called}\n"


def return_line(name: str, outcome: Outcome, returned: int, value: int) -> str:
    """What a writer says when it was done, or was not."""
    return f"return {name} {outcome} {returned} {value}\n"


def operations(lines: Iterable[str]) -> list[Operation]:
    """The operations of the lines; what was called and never returned may have been done."""
    called: dict[str, Operation] = {}
    for line in lines:
        match line.split():
            case ["call", name, ("increment" | "read") as kind, time]:
                assert name not in called, f"two operations are called {name}"
                called[name] = Operation(name, kind, int(time), "maybe")
            case ["return", name, ("acknowledged" | "refused" | "failed" | "maybe") as outcome, time, value]:
                before = called[name]
                called[name] = Operation(name, before.kind, before.called, outcome, int(time), int(value))
            case _:
                raise AssertionError(f"no line of a history: {line!r}")
    return list(called.values())


def increments(history: Sequence[Operation], outcome: Outcome) -> int:
    """How many increments had this outcome."""
    return sum(operation.kind == "increment" and operation.outcome == outcome for operation in history)


def check(history: Sequence[Operation], final: int) -> None:
    """AssertionError unless the history is linearizable, from 0 to the value that is there in the end."""
    done = [operation for operation in history if operation.outcome == "acknowledged"]
    maybe = [operation for operation in history if operation.outcome == "maybe" and operation.kind == "increment"]
    writes = Counter(operation.value for operation in done if operation.kind == "increment")
    low, high = writes.total(), writes.total() + len(maybe)
    assert low <= final <= high, f"{final} in the end, but {low} were acknowledged and {len(maybe)} more are possible"
    twice = sorted(value for value, count in writes.items() if count > 1)
    assert not twice, f"lost updates: these values were acknowledged more than once: {twice[:10]}"
    for operation in done:
        least = 0 if operation.kind == "read" else 1
        assert least <= operation.value <= final, f"{operation} is not between {least} and the last value, {final}"
    after = _places_before(done, [*done, *maybe])
    for operation in done:
        assert operation.place >= after[operation.name], f"{operation} did not see what had returned before its call"
    _check_gaps(sorted(set(range(1, final + 1)) - set(writes)), sorted(after[operation.name] for operation in maybe))


def _places_before(done: Sequence[Operation], asking: Sequence[Operation]) -> dict[str, float]:
    """For each operation by name: the last place that had returned when it was called, or 0."""
    returned = sorted(done, key=lambda operation: operation.returned)
    highest, seen, found = 0.0, 0, {}
    for operation in sorted(asking, key=lambda operation: operation.called):
        while seen < len(returned) and returned[seen].returned < operation.called:
            highest = max(highest, returned[seen].place)
            seen += 1
        found[operation.name] = highest
    return found


def _check_gaps(gaps: Sequence[int], floors: Sequence[float]) -> None:
    """Each gap is to be filled by a write of its own that was called when no place beyond the gap had returned."""
    able = 0
    for filled, gap in enumerate(gaps):
        while able < len(floors) and floors[able] < gap:
            able += 1
        assert able > filled, f"nobody can have written {gap}: an update was done twice, or one that was refused"
