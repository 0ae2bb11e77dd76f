"""IOSampler: what all programs of this machine send and receive, sampled in the background."""

from __future__ import annotations

import itertools
import time
from collections import deque
from types import TracebackType
from typing import Any, Self

from ..engine import Lane, native
from ..errors import ConfigError, Unsupported
from . import plots, rates

#: Where Linux counts the bytes of each network device.
COUNTERS = "/proc/net/dev"


class IOSampler:
    """Samples of this machine's network counters, every ``interval`` seconds, of the last ``buffer_sec`` seconds.

    A context manager: it samples in the with block. Loopback counts too, as it does for servers on this machine.
    Linux alone counts where this looks; Unsupported elsewhere.

    >>> with IOSampler(buffer_sec=10, interval=0.01) as sampler:
    ...     pass
    >>> sampler.num_samples() >= 2, sampler.is_sampling()
    (True, False)
    """

    def __init__(self, buffer_sec: float = 600.0, interval: float = 0.25) -> None:
        if interval <= 0 or buffer_sec < interval:
            raise ConfigError(f"an interval of {interval} s in a buffer of {buffer_sec} s cannot be")
        self.buffer_sec = buffer_sec
        self.interval = interval
        self._samples: deque[tuple[float, int, int]] = deque(maxlen=max(2, round(buffer_sec / interval) + 1))
        # Locks that are held while there is sampling to do, and while it is done.
        self._stop: native.Lock | None = None
        self._over: native.Lock | None = None
        self._failed: BaseException | None = None

    # ------------------------------------------------------------------ sampling
    def start_sampling(self, force: bool = False) -> None:
        """Begin, with an empty buffer; harmless if it has begun, unless ``force`` says to begin anew."""
        if self.is_sampling() and not force:
            return
        self.stop_sampling()
        self._samples.clear()
        self._failed = None
        self._sample()
        stop, over = self._stop, self._over = native.lock(), native.lock()
        stop.acquire()
        over.acquire()

        def sample() -> None:
            while not stop.acquire(timeout=self.interval):
                self._sample()

        def told(_: Any, error: BaseException | None) -> None:
            self._failed = error
            over.release()

        Lane(1).call(sample, told)

    def stop_sampling(self) -> None:
        """Take one last sample and end; raises what went wrong meanwhile. Harmless if it has ended."""
        stop, over = self._stop, self._over
        if stop is None or over is None:
            return
        self._stop = self._over = None
        stop.release()
        over.acquire()
        if self._failed is not None:
            raise self._failed
        self._sample()

    def is_sampling(self) -> bool:
        """Whether samples are being taken."""
        return self._stop is not None

    def __enter__(self) -> Self:
        self.start_sampling()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_sampling()

    def _sample(self) -> None:
        received, sent = _counters()
        self._samples.append((time.monotonic(), received, sent))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_stop": None, "_over": None, "_samples": deque(self._samples, self._samples.maxlen)}

    # ------------------------------------------------------------------ what was sampled
    def num_samples(self) -> int:
        """How many samples there are."""
        return len(self._samples)

    def start_time(self) -> float:
        """The time of the first sample (seconds of ``time.monotonic``); 0.0 when there is none."""
        return self._samples[0][0] if self._samples else 0.0

    def end_time(self) -> float:
        """The time of the last sample (seconds of ``time.monotonic``); 0.0 when there is none."""
        return self._samples[-1][0] if self._samples else 0.0

    def samples(self) -> tuple[Any, Any]:
        """Pairs of bytes received and sent since the first sample, and the seconds since then."""
        samples = list(self._samples)
        if not samples:
            return rates.as_array([]), rates.as_array([])
        start, received, sent = samples[0]
        moved = [[one[1] - received, one[2] - sent] for one in samples]
        return rates.as_array(moved), [one[0] - start for one in samples]

    def current_bps(self, look_back_sec: float = 2.0) -> tuple[float, float]:
        """The mean rates (bits per second) received and sent in the last so many seconds of samples."""
        return self._rates(self.end_time() - look_back_sec)

    def peak_bps(self, window: float = 1.0) -> tuple[float, float]:
        """The highest rates (bits per second) received and sent, each over ``window`` seconds."""
        peaks = (max(self._histogram(column, window), default=0) for column in (1, 2))
        received, sent = (rates.bps(peak, window) for peak in peaks)
        return received, sent

    def histogram_rx(self, resolution: float = 1.0) -> Any:
        """The bytes received in each ``resolution`` seconds."""
        return rates.as_array(self._histogram(1, resolution))

    def histogram_tx(self, resolution: float = 1.0) -> Any:
        """The bytes sent in each ``resolution`` seconds."""
        return rates.as_array(self._histogram(2, resolution))

    def plot_histogram(self, resolution: float | None = None, filename: str | None = None) -> None:
        """Draw both rates over time into a file (.png, .pdf, .svg), or on the screen."""
        step = resolution or max(1.0, self.interval)
        shown = {"Received": self._histogram(1, step), "Sent": self._histogram(2, step)}
        plots.rates(shown, step, "Network of this machine", filename)

    def _rates(self, since: float) -> tuple[float, float]:
        samples = [one for one in self._samples if one[0] >= since] or list(self._samples)
        if len(samples) < 2:
            return 0.0, 0.0
        seconds = samples[-1][0] - samples[0][0]
        return (
            rates.bps(samples[-1][1] - samples[0][1], seconds),
            rates.bps(samples[-1][2] - samples[0][2], seconds),
        )

    def _histogram(self, column: int, resolution: float) -> list[int]:
        samples = list(self._samples)
        spans = [
            (before[0], after[0], int(after[column] - before[column])) for before, after in itertools.pairwise(samples)
        ]
        return rates.histogram(spans, resolution)


def _counters() -> tuple[int, int]:
    """The bytes that all network devices have received and sent."""
    try:
        with open(COUNTERS, encoding="ascii") as file:
            devices = [line.partition(":")[2].split() for line in file if ":" in line]
    except FileNotFoundError as error:
        raise Unsupported(f"there is no {COUNTERS}: the network is sampled on Linux alone", cause=error) from error
    return sum(int(fields[0]) for fields in devices), sum(int(fields[8]) for fields in devices)
