"""Monitoring as cloud-files calls it, with the attributes that its users look at."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from ...monitoring import IOEnum, IOSampler
from ...monitoring import TransmissionMonitor as Native


class Interval(NamedTuple):
    """From when until when (microseconds) an object was on its way, and [its id, its bytes]."""

    begin: int
    end: int
    data: list[Any]


class Intervals(list[Interval]):
    """All intervals, in the order of their beginnings."""

    def begin(self) -> int:
        """The first beginning, or 0."""
        return min((one.begin for one in self), default=0)

    def end(self) -> int:
        """The last end, or 0."""
        return max((one.end for one in self), default=0)


class TransmissionMonitor(Native):
    """A recording of transfers (see ``holdfast.TransmissionMonitor``)."""

    @property
    def _direction(self) -> IOEnum:
        return self.direction

    @property
    def _total_bytes_landed(self) -> int:
        return self.total_bytes()

    @property
    def _in_flight(self) -> dict[uuid.UUID, float]:
        return {flight: begin for flight, (begin, _) in self._flying.items()}

    @property
    def _in_flight_bytes(self) -> int:
        return sum(nbytes for _, nbytes in self._flying.values())

    @property
    def _intervaltree(self) -> Intervals:
        return Intervals(
            Interval(int(one.begin * 1e6), max(int(one.end * 1e6), int(one.begin * 1e6) + 1), [one.flight, one.nbytes])
            for one in self.transmissions()
        )


__all__ = ["IOEnum", "IOSampler", "Interval", "Intervals", "TransmissionMonitor"]
