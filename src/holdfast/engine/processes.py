"""Bulk work in several processes, for machines with more cores than Python's lock lets one process use.

``spread`` starts fresh interpreters, which import Holdfast and nothing of the program that runs (so it needs no
``if __name__ == "__main__"``, and whatever threads and locks it has are not copied, as a fork would). Each asks for
batches of items down a pipe, runs an engine of its own over them, and streams the outcomes back.

Nobody can be stuck: the caller writes to a process only when that one waits for it, so it is always there to read.
Memory is bounded: batches and messages in bytes, each process's engine to its share of the budget, and outcomes that
came too early (``ordered``) to what the budget allows, above which only the process that has the next one is read.
That process has it ready before any other of its own, for it sends in order, too.
Processes are in groups of their own, so that Ctrl-C reaches the caller alone; it ends them, with ``kill``. They end
by themselves when the caller is gone, however it went.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, Literal, Protocol

from ..errors import HoldfastError, Unsupported
from . import native, pool
from .outcome import Outcome
from .pool import DEFAULT_BUDGET, Engine
from .run import HEARTBEAT

#: A batch has at most so many items, and is full with so many bytes.
BATCH = 256
BATCH_BYTES = 8 << 20
#: Outcomes go back when there are so many of them, or so many bytes.
MESSAGE = 64
MESSAGE_BYTES = 256 << 10

_CHILD = """
import sys
from multiprocessing.connection import Connection
orders, outcomes = Connection(int(sys.argv[1]), writable=False), Connection(int(sys.argv[2]), readable=False)
try:
    sys.path[:] = orders.recv()
except EOFError:
    sys.exit()
from holdfast.engine.processes import serve
serve(orders, outcomes)
"""


if os.name != "nt":
    # Not subprocess, which works in one thread alone where gevent has patched it.
    _spawn, _waitpid = native.original("os", "posix_spawn"), native.original("os", "waitpid")


class Remote(Protocol):
    """What a process is sent first, pickled: how to make the operation over there."""

    @property
    def threads(self) -> int | None:
        """How many threads each process may use (see Engine.run)."""

    def open(self) -> tuple[Callable[[Any], Any], bool]:
        """The operation, and whether it is local (see Engine.run)."""


def spread(
    remote: Remote,
    items: Iterable[Any],
    *,
    workers: int,
    ordered: bool = False,
    progress: Callable[[int], None] | None = None,
    budget: int = DEFAULT_BUDGET,
    on_error: Literal["raise", "collect"] = "raise",
) -> Iterator[Outcome[Any]]:
    """An iterator of Outcomes, one an item, of operations in so many processes.

    The first error is raised, or with ``on_error="collect"`` each is in its Outcome. ``progress`` is called with the
    count of outcomes that came, and with 0 while it waits for them. What cannot be pickled, as an open file, is done by
    this process.
    """
    if os.name == "nt":
        raise Unsupported("work in several processes is for POSIX systems: use parallel=1 (threads do the same work)")
    delivered = _raised if on_error == "raise" else _as_it_is
    crew = _Crew(remote, items, workers, budget, ordered=ordered)
    ahead: dict[int, Outcome[Any]] = {}
    place = 0
    try:
        while True:
            owner = crew.owners.get(place) if ordered and crew.early > budget else None
            arrived = crew.receive(owner)
            if progress is not None:
                progress(len(arrived))
            if not ordered:
                yield from map(delivered, arrived.values())
                crew.early = 0
            else:
                ahead |= arrived
                while (outcome := ahead.pop(place, None)) is not None:
                    crew.forget(place)
                    place += 1
                    yield delivered(outcome)
            if crew.over():
                return
    finally:
        crew.end()


def _raised(outcome: Outcome[Any]) -> Outcome[Any]:
    if outcome.error is not None:
        raise outcome.error
    return outcome


def _as_it_is(outcome: Outcome[Any]) -> Outcome[Any]:
    return outcome


class _Process:
    """One child, as its parent sees it."""

    def __init__(self, order: tuple[bytes, int, bool]) -> None:
        from multiprocessing.connection import Connection

        # Two pipes rather than a pair of sockets, which gevent would patch.
        (theirs, ours), (heard, told) = os.pipe(), os.pipe()
        self.orders, self.outcomes = Connection(ours, readable=False), Connection(heard, writable=False)
        try:
            self.pid = _start(theirs, told)
        except BaseException:
            self.orders.close()
            self.outcomes.close()
            raise
        finally:
            os.close(theirs)
            os.close(told)
        self.held: dict[int, Any] = {}
        self.code: int | None = None
        self.done = False
        # A child that is dead already is found out by whoever hears from it first.
        with contextlib.suppress(BrokenPipeError):
            self.orders.send(sys.path)
            self.orders.send(order)

    def fileno(self) -> int:
        return self.outcomes.fileno()

    def end(self) -> None:
        self.orders.close()
        self.outcomes.close()
        if not self.done:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int | None:
        """The code that the process ended with, negative for a signal; None if somebody else has been told already."""
        if self.code is None:
            with contextlib.suppress(ChildProcessError):
                _, status = _waitpid(self.pid, 0)
                self.code = os.waitstatus_to_exitcode(status)
        return self.code


def _start(orders: int, outcomes: int) -> int:
    """The pid of a fresh interpreter that has these two descriptors, in a process group of its own."""
    spare = [number for number in range(3, 7) if number not in {orders, outcomes}][:2]
    pid: int = _spawn(
        sys.executable,
        [sys.executable, "-c", _CHILD, *map(str, spare)],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, orders, spare[0]),
            (os.POSIX_SPAWN_DUP2, outcomes, spare[1]),
        ],
        setpgroup=0,
    )
    return pid


class _Crew:
    """All children of one bulk run, and which items each of them has."""

    def __init__(self, remote: Remote, items: Iterable[Any], workers: int, budget: int, *, ordered: bool) -> None:
        self.remote = remote
        self.items = enumerate(items)
        total = len(items) if isinstance(items, Sized) else None
        workers = workers if total is None else max(1, min(workers, total))
        self.batch = BATCH if total is None else max(1, min(BATCH, total // (2 * workers)))
        self.owners: dict[int, _Process] = {}
        self.sizes: dict[int, int] = {}
        self.early = 0
        self.here: Callable[[Any], Any] | None = None
        self.mine: dict[int, Outcome[Any]] = {}
        self.children: list[_Process] = []
        self.asking: list[_Process] = []
        recipe = pickle.dumps(remote)
        try:
            for _ in range(workers):
                self.children.append(_Process((recipe, budget // workers, ordered)))
            self.starting = set(self.children)
        except BaseException:
            self.end()
            raise

    def over(self) -> bool:
        """Whether every child has done all it was given, and there is nothing left to give."""
        return all(child.done for child in self.children)

    def receive(self, owner: _Process | None) -> dict[int, Outcome[Any]]:
        """What arrived, by its place, within a moment; from one child alone if it is named."""
        from multiprocessing.connection import wait

        waiting = [child for child in self.children if not child.done]
        if owner is not None and not owner.done:
            waiting = [owner]
        arrived: dict[int, Outcome[Any]] = {}
        for child in wait(waiting, timeout=HEARTBEAT):  # type: ignore[arg-type]
            arrived |= self.hear(child)  # type: ignore[arg-type]
        arrived |= self.mine
        self.mine = {}
        return arrived

    def hear(self, child: _Process) -> dict[int, Outcome[Any]]:
        """One message: a request for more items, that all is done, or outcomes."""
        try:
            message = child.outcomes.recv_bytes()
        except (EOFError, OSError):
            code = child.wait()
            raise HoldfastError(
                f"a process of this bulk call ended with code {code}: was it killed, for want of memory?"
            ) from None
        if not message:
            self.asking.append(child)
            self.starting.discard(child)
            if not self.starting:  # else the first one there would take all there is
                while self.asking:
                    self.give(self.asking.pop())
            return {}
        rows = pickle.loads(message)  # noqa: S301 - from a process of our own
        if rows is None:
            child.done = True
            return {}
        self.early += len(message)
        found = {}
        for place, value, error in rows:
            outcome: Outcome[Any] = Outcome(child.held.pop(place))
            outcome.value, outcome.error, outcome.pending = value, error, False
            found[place] = outcome
            self.sizes[place] = len(message) // len(rows)
            self.owners.pop(place, None)
        return found

    def forget(self, place: int) -> None:
        """Account for an outcome that is delivered."""
        self.early -= self.sizes.pop(place, 0)

    def give(self, child: _Process) -> None:
        """Send the next batch, or that there is none."""
        batch: list[tuple[int, bytes]] = []
        size = 0
        for place, item in self.items:
            try:
                packed = pickle.dumps(item)
            except (TypeError, AttributeError, pickle.PicklingError):
                self.mine[place] = self.perform(item)
                continue
            batch.append((place, packed))
            child.held[place] = item
            self.owners[place] = child
            size += len(packed)
            if len(batch) >= self.batch or size >= BATCH_BYTES:
                break
        try:
            child.orders.send(batch)
        except OSError:
            return  # it has died, which the next receive finds out

    def perform(self, item: Any) -> Outcome[Any]:
        """The outcome of an item that cannot leave this process."""
        if self.here is None:
            self.here = self.remote.open()[0]
        (outcome,) = pool._inline(self.here, [item], "collect", None)
        return outcome

    def end(self) -> None:
        """End the children, at once if they are not done."""
        for child in self.children:
            child.end()


# ---------------------------------------------------------------------- in the child
def serve(orders: Any, outcomes: Any) -> None:
    """Be a child: take items from one connection, and send what became of them to the other, until they end."""
    try:
        recipe, share, ordered = orders.recv()
        pool._default = Engine(budget=share)
        try:
            remote = pickle.loads(recipe)  # noqa: S301 - from our parent
            operation, local = remote.open()
        except Exception as error:  # noqa: BLE001 - it is the outcome of every item
            operation, local, remote = _always(error), False, None
        _Sender(orders, outcomes).work(
            operation, None if remote is None else remote.threads, local=local, ordered=ordered
        )
    except (EOFError, BrokenPipeError):
        os._exit(1)  # the parent is gone, and threads of ours may be busy
    os._exit(0)


class _Sender:
    """A child's side of the pipes."""

    def __init__(self, orders: Any, outcomes: Any) -> None:
        self.orders = orders
        self.outcomes = outcomes
        self.rows: list[tuple[int, Any, BaseException | None]] = []
        self.size = 0

    def work(self, operation: Callable[[Any], Any], threads: int | None, *, local: bool, ordered: bool) -> None:
        def perform(pair: tuple[int, bytes]) -> Any:
            return operation(pickle.loads(pair[1]))  # noqa: S301 - from our parent

        run = pool.default().run(
            perform, self.items(), threads=threads, ordered=ordered, on_error="collect", local=local
        )
        for outcome in run:
            self.rows.append((outcome.item[0], outcome.value, outcome.error))
            self.size += _weight(outcome.value)
            if len(self.rows) >= MESSAGE or self.size >= MESSAGE_BYTES:
                self.flush()
        self.flush()
        self.outcomes.send(None)

    def items(self) -> Iterator[tuple[int, bytes]]:
        while True:
            self.flush()
            self.outcomes.send_bytes(b"")
            batch = self.orders.recv()
            if not batch:
                return
            yield from batch

    def flush(self) -> None:
        rows, self.rows, self.size = self.rows, [], 0
        if not rows:
            return
        try:
            message = pickle.dumps(rows, pickle.HIGHEST_PROTOCOL)
        except Exception:  # noqa: BLE001 - whatever cannot be pickled, and says so in its own way
            message = pickle.dumps([_portable(row) for row in rows], pickle.HIGHEST_PROTOCOL)
        self.outcomes.send_bytes(message)


def _weight(value: Any) -> int:
    """About how many bytes a value takes in a message."""
    held = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
    return sum(len(one) for one in held if isinstance(one, bytes | bytearray))


def _portable(row: tuple[int, Any, BaseException | None]) -> tuple[int, Any, BaseException | None]:
    place, _, error = row
    try:
        pickle.dumps(row)
    except Exception as unportable:  # noqa: BLE001 - whatever it is
        told = error or unportable
        return place, None, HoldfastError(f"{type(told).__name__}: {told}")
    return row


def _always(error: Exception) -> Callable[[Any], Any]:
    def fail(_: Any) -> Any:
        raise error

    return fail
