"""How many threads a bulk run uses: a cap, or what is found to pay."""

from __future__ import annotations

import os
import time

from ..errors import ConfigError

#: Enough for a server nearby, where more threads only get in each other's way; doubled while that pays.
FIRST_THREADS = 8
MAX_THREADS = 64
#: How often (seconds) an adaptive run looks at its throughput.
PERIOD = 0.2
#: How long (seconds) it keeps a limit that it has found.
SETTLE = 5.0

_throttled = 0


class Pace:
    """How many workers a run should have: a cap, or one found by climbing while throughput grows."""

    def __init__(self, threads: int | None, *, local: bool = False) -> None:
        self.adaptive = threads is None
        ceiling = _most_threads() if threads is None else threads
        self.ceiling = max(1, min(ceiling, descriptor_bound()))
        first = 1 if local else FIRST_THREADS
        self.limit = min(first, self.ceiling) if threads is None else self.ceiling
        self.since = 0.0  # the first results: making connections says nothing about throughput
        self.count = 0
        self.best = 0.0
        self.before = 0  # the limit before the last step up, while that step is on trial
        self.settled_until = 0.0
        self.throttled = _throttled

    def note(self, count: int) -> None:
        """Account for ``count`` more results, and every PERIOD reconsider the limit."""
        now = time.monotonic()
        if not self.since:
            self.since = now
            return
        self.count += count
        if now - self.since < PERIOD or self.count < 2 * self.limit:
            return
        rate, self.since, self.count = self.count / (now - self.since), now, 0
        throttled, self.throttled = self.throttled, _throttled
        if throttled != self.throttled:
            self.limit, self.before, self.settled_until = max(1, self.limit // 2), 0, now + SETTLE
        elif self.before and rate <= 1.1 * self.best:
            # The last step up did not pay: step back down and stay a while.
            self.limit, self.before, self.settled_until = self.before, 0, now + SETTLE
        elif now >= self.settled_until:
            self.best, self.before = rate, self.limit
            self.limit = min(self.ceiling, 2 * self.limit)
            if self.limit == self.before:
                self.before, self.settled_until = 0, now + SETTLE


def _most_threads() -> int:
    """What HOLDFAST_MAX_THREADS says, or MAX_THREADS; ConfigError if it says no number of threads."""
    text = os.environ.get("HOLDFAST_MAX_THREADS", "")
    if not text:
        return MAX_THREADS
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ConfigError(f"HOLDFAST_MAX_THREADS={text!r} is not a number of threads: set it to 1 or more, or unset it")
    return int(text)


def note_throttled() -> None:
    """Tell the running bulk calls that a service asked for fewer requests: adaptive ones halve their threads."""
    global _throttled  # noqa: PLW0603 - one process, one count
    _throttled += 1


def descriptor_bound() -> int:
    """How many threads RLIMIT_NOFILE allows: a copy holds up to four descriptors, and some are the process's own."""
    try:
        import resource
    except ImportError:  # not a Unix
        return 512
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else max(1, (soft - 32) // 4)
