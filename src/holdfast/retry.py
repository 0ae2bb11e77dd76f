"""Retries: how often, how long between, and how many in all before a bulk run stops beating a dead server.

One owner per call. The backends switch their engine's own retries off for everything but the parts of a multipart
upload and hand each idempotent request to a Policy; an error that a Policy gave up on is no longer ``retryable``,
so that nothing above multiplies the tries.
"""

from __future__ import annotations

import functools
import os
import random
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from . import locks
from .errors import ConfigError, HoldfastError, Throttled

Value = TypeVar("Value")

#: The variable that scales every wait: 0 takes the sleeping out (for tests), 1 is the default.
WAIT_VARIABLE = "HOLDFAST_RETRY_WAIT"


_budgets: weakref.WeakSet[Budget] = weakref.WeakSet()


class Budget:
    """How many retries all calls that share it may have in flight or lost, whatever the number of keys.

    Each retry takes a token; one that succeeds gives it back, so a service that drops some requests is worked
    with for ever, while one that answers none is left alone after ``capacity`` retries. Lost tokens come back at
    ``refill`` a second. Safe to share between threads.

    >>> budget = Budget(capacity=1, refill=0.0)
    >>> budget.take(), budget.take()
    (True, False)
    >>> budget.give_back()
    >>> budget.take()
    True
    """

    __slots__ = ("__weakref__", "_clock", "_lock", "_seen", "_tokens", "capacity", "refill")

    def __init__(
        self, capacity: int = 100, refill: float = 1.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.capacity = capacity
        self.refill = refill
        self._clock = clock
        self._lock = locks.lock()
        self._tokens = float(capacity)
        self._seen = clock()
        _budgets.add(self)

    def take(self) -> bool:
        """Whether there was a token left, which is now taken."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self.capacity, self._tokens + (now - self._seen) * self.refill)
            self._seen = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def give_back(self) -> None:
        """Return the token of a retry that succeeded."""
        with self._lock:
            self._tokens = min(self.capacity, self._tokens + 1)


def _wait_scale() -> float:
    text = os.environ.get(WAIT_VARIABLE)
    if not text:
        return 1.0
    try:
        scale = float(text)
    except ValueError:
        scale = -1.0
    if not 0 <= scale < float("inf"):
        raise ConfigError(f"{WAIT_VARIABLE}={text!r} is not a factor for waits: set 1 for none, 0 for no waiting")
    return scale


def _sleep(seconds: float) -> None:
    scaled = seconds * _wait_scale()
    if scaled:
        locks.sleep(scaled)


def retry_after(header: str | None) -> float | None:
    """The seconds that a Retry-After header asks for, as a number or as the date until when; None for none.

    >>> retry_after("17"), retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), retry_after("soon")
    (17.0, 0.0, None)
    """
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, until.timestamp() - time.time())


@dataclass(frozen=True, slots=True)
class Policy:
    """When to try again: ``tries`` in all, with random exponential waits between ``first`` and ``longest`` seconds.

    Only errors that say ``retryable`` are tried again, and only operations whose repetition is harmless may be
    given to a Policy. A Throttled error's ``retry_after`` lengthens the wait, up to ``longest``. No try begins later
    than ``deadline`` seconds after the first one has failed: a wait that would end after it is not begun. ``sleep``
    is called with each wait in seconds; the default obeys HOLDFAST_RETRY_WAIT, a factor. A policy pickles, with a full
    budget, if its ``sleep`` does.

    >>> attempts = []
    >>> def flaky():
    ...     attempts.append(1)
    ...     if len(attempts) < 3:
    ...         raise Throttled("slow down")
    ...     return "done"
    >>> Policy(sleep=lambda seconds: None).call(flaky), len(attempts)
    ('done', 3)
    """

    tries: int = 7
    first: float = 0.5
    longest: float = 60.0
    deadline: float = 300.0
    budget: Budget = field(default_factory=Budget, compare=False)
    sleep: Callable[[float], None] = field(default=_sleep, compare=False)

    def __post_init__(self) -> None:
        if self.tries < 1 or not 0 <= self.first <= self.longest or not self.deadline > 0:
            raise ConfigError(f"a retry policy needs tries >= 1, 0 <= first <= longest and deadline > 0, not {self}")

    def __reduce__(self) -> Any:
        numbers, budget = (self.tries, self.first, self.longest, self.deadline), self.budget
        return (_unpickled, (type(self), *numbers, budget.capacity, budget.refill, budget._clock, self.sleep))

    def call(self, operation: Callable[[], Value]) -> Value:
        """What the operation returns, tried again as the policy allows; else its last error, not retryable."""
        try:
            return operation()
        except HoldfastError as error:
            if not error.retryable:
                raise
            failed = error
        return self.again(operation, failed)

    def again(self, operation: Callable[[], Value], failed: HoldfastError, *, used: int = 1) -> Value:
        """The same for an operation whose first try (or so many as were ``used``) has ``failed`` already."""
        ends = time.monotonic() + self.deadline
        for retry in range(used, self.tries):
            if not failed.retryable:
                raise failed
            wait = self.wait(retry, failed)
            if time.monotonic() + wait > ends:
                raise _given_up(failed, f"after {retry} of {self.tries} tries, within {self.deadline:g} s")
            if not self.budget.take():
                raise _given_up(failed, f"after {retry} of {self.tries} tries, because too many other retries failed")
            self.sleep(wait)
            try:
                value = operation()
            except HoldfastError as error:
                failed = error
            else:
                self.budget.give_back()
                return value
        if not failed.retryable:
            raise failed
        raise _given_up(failed, f"after {self.tries} tries" if self.tries > 1 else "after one try")

    def wait(self, retry: int, failed: HoldfastError) -> float:
        """How many seconds to wait before the retry of this number (from 1)."""
        ceiling = min(self.longest, self.first * 2.0**retry)
        seconds = random.uniform(min(self.first, ceiling), ceiling)  # noqa: S311 - spreads load, hides nothing
        wish = failed.retry_after if isinstance(failed, Throttled) else None
        return seconds if wish is None else max(seconds, min(wish, self.longest))


@functools.lru_cache(maxsize=32)
def _unpickled(
    kind: type[Policy],
    tries: int,
    first: float,
    longest: float,
    deadline: float,
    capacity: int,
    refill: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Policy:
    """The policy of a pickle: one for all that were equal, so that they share a budget, and their stores a client."""
    return kind(tries, first, longest, deadline, Budget(capacity, refill, clock=clock), sleep)


_shared: dict[str | None, Policy] = {}


def shared(service: str | None) -> Policy:
    """The default policy, with the budget that everything in this process that calls the service shares.

    A service that is down is left alone as a whole, and takes no retries away from the others.
    """
    return _shared.setdefault(service, Policy())


def _after_fork_in_child() -> None:
    # A thread of the parent may have held these locks, and it does not exist here.
    for budget in list(_budgets):
        budget._lock = locks.lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _given_up(error: HoldfastError, when: str) -> HoldfastError:
    error.retryable = False
    error.message = f"{error.message} (gave up {when})"
    error.args = (error.message,)
    return error
