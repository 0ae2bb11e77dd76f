"""The byte budget: what operations in flight and undelivered results may hold together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import native
from .outcome import Outcome, Stopped

if TYPE_CHECKING:
    from .run import Run


class Budget:
    """Bytes that operations in flight and undelivered results may hold together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.condition = native.Condition()

    def acquire(self, count: int, run: Run, slot: Outcome[Any]) -> None:
        """Give ``count`` bytes to the slot, once there is room; Stopped when its run ends first."""
        with self.condition:
            if run.stop:
                raise Stopped  # nobody would take back what it reserves now
            # The second reservation of one operation never waits, or two half-done operations could block
            # each other; nor does the one that everything else is queued behind, or a run that holds nothing.
            while (
                self.used + count > self.limit
                and not slot.reserved
                and run.reserved
                and not run.is_next(slot)
            ):  # fmt: skip
                if run.stop:
                    raise Stopped
                self.condition.wait()
            self.used += count
            run.reserved += count
            slot.reserved += count

    def release(self, run: Run, slot: Outcome[Any]) -> None:
        """Take back what a delivered slot held, and let those who wait look again."""
        with self.condition:
            self.used -= slot.reserved
            run.reserved -= slot.reserved
            slot.reserved = 0
            self.condition.notify_all()

    def release_run(self, run: Run) -> None:
        """Take back all that a run which is over still held."""
        with self.condition:
            self.used -= run.reserved
            run.reserved = 0
            self.condition.notify_all()

    def notify(self) -> None:
        """Let those who wait look again."""
        with self.condition:
            self.condition.notify_all()
