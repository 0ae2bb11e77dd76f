"""TransmissionMonitor: when each object was on its way, and how many bytes it had."""

from __future__ import annotations

import enum
import time
import uuid
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

from .. import locks
from . import plots, rates


class IOEnum(enum.Enum):
    """Which way bytes go: received (a download) or transmitted (an upload)."""

    RX = 1
    TX = 2


class Transmission(NamedTuple):
    """One object that has landed: from when until when (seconds), its id, and its bytes."""

    begin: float
    end: float
    flight: uuid.UUID
    nbytes: int


class TransmissionMonitor:
    """A recording of transfers in one direction; any thread may add to it, and it pickles.

    A transfer begins with ``start_io`` and ends with ``end_io``, or with ``end_error``, which marks it.
    ``get(..., return_recording=True)`` and ``puts(..., return_recording=True)`` return one.

    >>> monitor = TransmissionMonitor(IOEnum.RX)
    >>> monitor.end_io(monitor.start_io(0), 1000)
    >>> monitor.total_bytes(), len(monitor.transmissions())
    (1000, 1)
    """

    def __init__(self, direction: IOEnum) -> None:
        self.direction = direction
        self._lock = locks.lock()
        self._landed: list[Transmission] = []
        self._flying: dict[uuid.UUID, tuple[float, int]] = {}
        self._errors: set[uuid.UUID] = set()

    @classmethod
    def merge(cls, monitors: Iterable[TransmissionMonitor]) -> Self:
        """One recording of all that the others recorded; of an upload if there are none.

        Raises ValueError for recordings of different directions.
        """
        monitors = list(monitors)
        directions = {monitor.direction for monitor in monitors}
        if len(directions) > 1:
            raise ValueError("recordings of downloads and of uploads do not make one: merge each kind by itself")
        merged = cls(directions.pop() if directions else IOEnum.TX)
        for monitor in monitors:
            with monitor._lock:
                merged._landed += monitor._landed
                merged._errors |= monitor._errors
        return merged

    def start_io(self, num_bytes: int, start_time: float | None = None) -> uuid.UUID:
        """The id of a transfer that begins now, or began then; ``num_bytes`` is what is known of its size."""
        flight = uuid.uuid4()
        begin = time.monotonic() if start_time is None else start_time
        with self._lock:
            self._flying[flight] = begin, num_bytes
        return flight

    def end_io(self, flight_id: uuid.UUID, num_bytes: int) -> None:
        """Note that the transfer is over and moved so many bytes; KeyError if there is none of that id."""
        end = time.monotonic()
        with self._lock:
            begin, _ = self._flying.pop(flight_id)
            self._landed.append(Transmission(begin, end, flight_id, num_bytes))

    def end_error(self, flight_id: uuid.UUID) -> None:
        """Note that the transfer failed; if ``end_io`` follows, what it moved counts."""
        with self._lock:
            self._errors.add(flight_id)

    def add(self, begin: float, end: float, nbytes: int, *, failed: bool = False) -> None:
        """Note a transfer that is over."""
        flight = uuid.uuid4()
        with self._lock:
            self._landed.append(Transmission(begin, end, flight, nbytes))
            if failed:
                self._errors.add(flight)

    # ------------------------------------------------------------------ what was recorded
    def transmissions(self) -> list[Transmission]:
        """What has landed, in the order of beginnings."""
        with self._lock:
            return sorted(self._landed)

    def failed(self, flight_id: uuid.UUID) -> bool:
        """Whether this transfer was marked as one that failed."""
        return flight_id in self._errors

    def start_unix_time(self) -> float:
        """When the first transfer began (seconds of ``time.monotonic``); 0.0 when there was none."""
        return min((one.begin for one in self.transmissions()), default=0.0)

    def end_unix_time(self) -> float:
        """When the last transfer ended (seconds of ``time.monotonic``); 0.0 when there was none."""
        return max((one.end for one in self.transmissions()), default=0.0)

    def total_bytes(self) -> int:
        """The bytes of all that has landed."""
        return sum(one.nbytes for one in self.transmissions())

    def total_bps(self) -> float:
        """The mean rate (bits per second) from the first beginning to the last end."""
        return rates.bps(self.total_bytes(), self.end_unix_time() - self.start_unix_time())

    def current_bps(self, look_back_sec: float = 2.0) -> float:
        """The mean rate (bits per second) of the last so many seconds, or since the beginning if that is less."""
        now = time.monotonic()
        since = now - look_back_sec
        landed = [one for one in self.transmissions() if one.end > since]
        moved = sum(one.nbytes * rates.share(one.begin, one.end, since, now) for one in landed)
        return rates.bps(moved, now - max(since, self.start_unix_time()))

    def peak_bps(self) -> float:
        """The highest rate (bits per second) of any second."""
        return 8.0 * max(self.histogram(1.0), default=0)

    def histogram(self, resolution: float = 1.0) -> Any:
        """The bytes that moved in each ``resolution`` seconds since the first beginning, as an array.

        Bytes are spread evenly over the time that their transfer took. An array of numpy where that is installed,
        else a list.
        """
        return rates.as_array(rates.histogram([(o.begin, o.end, o.nbytes) for o in self.transmissions()], resolution))

    def total_Mbps(self) -> float:  # noqa: N802 - as the unit is written
        """The mean rate in millions of bits per second."""
        return self.total_bps() / 1e6

    def total_Gbps(self) -> float:  # noqa: N802 - as the unit is written
        """The mean rate in thousands of millions of bits per second."""
        return self.total_bps() / 1e9

    def total_MBps(self) -> float:  # noqa: N802 - as the unit is written
        """The mean rate in millions of bytes per second."""
        return self.total_bps() / 8e6

    def total_GBps(self) -> float:  # noqa: N802 - as the unit is written
        """The mean rate in thousands of millions of bytes per second."""
        return self.total_bps() / 8e9

    def current_Mbps(self, look_back_sec: float = 2.0) -> float:  # noqa: N802 - as the unit is written
        """The present rate in millions of bits per second."""
        return self.current_bps(look_back_sec) / 1e6

    def current_Gbps(self, look_back_sec: float = 2.0) -> float:  # noqa: N802 - as the unit is written
        """The present rate in thousands of millions of bits per second."""
        return self.current_bps(look_back_sec) / 1e9

    def current_MBps(self, look_back_sec: float = 2.0) -> float:  # noqa: N802 - as the unit is written
        """The present rate in millions of bytes per second."""
        return self.current_bps(look_back_sec) / 8e6

    def current_GBps(self, look_back_sec: float = 2.0) -> float:  # noqa: N802 - as the unit is written
        """The present rate in thousands of millions of bytes per second."""
        return self.current_bps(look_back_sec) / 8e9

    # ------------------------------------------------------------------ pictures
    def plot_histogram(self, resolution: float = 1.0, filename: str | None = None) -> None:
        """Draw the rate over time into a file (.png, .pdf, .svg), or on the screen."""
        title = "download" if self.direction is IOEnum.RX else "upload"
        plots.rate(list(self.histogram(resolution)), resolution, f"Estimated {title} rate", filename)

    def plot_gantt(
        self, filename: str | None = None, title: str | None = None, show_size_labels: bool | None = None
    ) -> None:
        """Draw each transfer as a bar from its beginning to its end, failed ones in red.

        Sizes are written on the bars if there are fewer than 40, or as ``show_size_labels`` says.
        """
        landed = self.transmissions()
        labels = len(landed) < 40 if show_size_labels is None else show_size_labels
        bars = [(one.begin, one.end, one.nbytes, self.failed(one.flight)) for one in landed]
        plots.gantt(bars, filename, title or "File transmissions", labels=labels)

    # ------------------------------------------------------------------ pickling, and the names of before
    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            state = {name: value for name, value in self.__dict__.items() if name != "_lock"}
            return {**state, "_landed": list(self._landed), "_errors": set(self._errors)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = locks.lock()
