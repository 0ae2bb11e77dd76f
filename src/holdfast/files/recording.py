"""Recordings of bulk calls: each operation is timed where it runs, in whichever thread or process that is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from .. import engine
from ..monitoring import IOEnum, TransmissionMonitor
from ..store import ObjectStore
from .work import Job


class Timed(NamedTuple):
    """A value, and when it was worked for (seconds of ``time.monotonic``, which processes of one machine share)."""

    value: Any
    begin: float
    end: float


class Recorder:
    """What makes a job's values timed, and keeps the times in a ``monitor``."""

    def __init__(self, direction: IOEnum) -> None:
        self.monitor = TransmissionMonitor(direction)

    def job(self, job: Job) -> Job:
        """The same job, with timed values."""
        return Job(_timed, (job,))

    def unpacked(self, values: list[Timed]) -> list[Any]:
        """The values alone: their times are recorded now."""
        for timed in values:
            value = timed.value
            failed = isinstance(value, dict) and value["error"] is not None
            content = value["content"] if isinstance(value, dict) else value
            nbytes = content if isinstance(content, int) else len(content or b"")
            self.monitor.add(timed.begin, timed.end, nbytes, failed=failed)
        return [timed.value for timed in values]


def _timed(store: ObjectStore, job: Job) -> Callable[[Any], Any]:
    operation = job.make(store, *job.args)

    def perform(item: Any) -> Any:
        begin = time.monotonic()
        value = operation(item)
        if not isinstance(value, engine.Split):
            return Timed(value, begin, time.monotonic())
        finish = value.finish
        value.finish = lambda parts: Timed(finish(parts), begin, time.monotonic())
        return value

    return perform
