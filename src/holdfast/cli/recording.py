"""What ``cp --flight-time --io-rate --machine-io-rate`` record, and tell at the end: as text, and as pictures."""

from __future__ import annotations

import functools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from .. import engine
from ..errors import ConfigError

if TYPE_CHECKING:
    from ..monitoring import IOSampler, TransmissionMonitor

#: How often the network of the machine is looked at (seconds).
SAMPLING = 0.25
#: The options that say what is recorded.
RECORDINGS = ("flight_time", "io_rate", "machine_io_rate")


class Timed(NamedTuple):
    """What an operation gave, and when it was worked for (seconds of ``time.monotonic``)."""

    value: Any
    begin: float
    end: float


def timed(operation: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same operation, for an engine, whose values are Timed."""

    def perform(item: Any) -> Any:
        begin = time.monotonic()
        value = operation(item)
        if isinstance(value, engine.Split):
            finish = value.finish
            value.finish = lambda parts: Timed(finish(parts), begin, time.monotonic())
            return value
        if isinstance(value, engine.InTurn):
            call = value.call
            return engine.InTurn(lambda: Timed(call(), begin, time.monotonic()))
        return Timed(value, begin, time.monotonic())

    return perform


@dataclass
class Recording:
    """What is to be recorded of one command, and what was."""

    flight_time: bool = False
    io_rate: bool = False
    machine_io_rate: bool = False
    buffer_seconds: float = 600.0
    monitor: TransmissionMonitor | None = None
    sampler: IOSampler | None = None

    @property
    def timed(self) -> bool:
        """Whether each operation is to be timed."""
        return self.flight_time or self.io_rate

    @contextmanager
    def running(self, command: str) -> Iterator[None]:
        """A block that is recorded, and told of at its end, on standard error and in pictures in this directory."""
        with self.watching():
            yield
        if self.timed or self.machine_io_rate:
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
            for what, lines, draw in self.reports():
                for text in lines:
                    sys.stderr.write(f"{what}: {text}\n")
                _draw(draw, f"holdfast-{command}-{what.replace(' ', '-')}-{stamp}.png")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """A block that is recorded."""
        # What is rarely wanted is imported when it is.
        if self.timed:
            from ..monitoring import IOEnum, TransmissionMonitor

            self.monitor = TransmissionMonitor(IOEnum.TX)
        if self.machine_io_rate:
            from ..monitoring import IOSampler

            self.sampler = IOSampler(self.buffer_seconds, SAMPLING)
            with self.sampler:
                yield
        else:
            yield

    def reports(self) -> Iterator[tuple[str, list[str], Callable[..., None]]]:
        """What was recorded: its name, lines that tell of it, and what draws it, given a ``filename``."""
        if self.flight_time and self.monitor is not None:
            yield "flight time", _flights(self.monitor), self.monitor.plot_gantt
        if self.io_rate and self.monitor is not None:
            mean, peak = self.monitor.total_bps(), self.monitor.peak_bps()
            draw = functools.partial(self.monitor.plot_histogram, 1.0)
            yield "io rate", [f"mean {_rate(mean)}, peak {_rate(peak)}"], draw
        if self.sampler is not None:
            seconds = self.sampler.end_time() - self.sampler.start_time()
            means, peaks = self.sampler.current_bps(seconds), self.sampler.peak_bps()
            words = [
                f"{word}: mean {_rate(mean)}, peak {_rate(peak)}"
                for word, mean, peak in zip(("received", "sent"), means, peaks, strict=True)
            ]
            yield "machine io rate", words, functools.partial(self.sampler.plot_histogram, 1.0)


def recorded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that adds the options to record with; the command gets a Recording as ``recording``."""

    @functools.wraps(function)
    def gathered(
        flight_time: bool, io_rate: bool, machine_io_rate: bool, machine_io_rate_buffer_sec: float, **values: Any
    ) -> Any:
        recording = Recording(flight_time, io_rate, machine_io_rate, machine_io_rate_buffer_sec)
        return function(recording=recording, **values)

    decorated: Callable[..., Any] = gathered
    for decorate in (
        click.option("--machine-io-rate-buffer-sec", type=click.FloatRange(min=1), default=600.0, show_default=True,
                     metavar="SECONDS", help="With --machine-io-rate: the last so many seconds are kept."),
        click.option("--machine-io-rate", is_flag=True, help="Tell and draw what all of this machine sent and received "
                     "meanwhile, 4 times a second (Linux)."),
        click.option("--io-rate", is_flag=True, help="Tell and draw the rate of the copies over time."),
        click.option("--flight-time", is_flag=True, help="Tell and draw when each object was on its way. Pictures "
                     "(PNG) go to this directory, and need holdfast[plots]."),
    ):  # fmt: skip
        decorated = decorate(decorated)
    return decorated


def _flights(monitor: TransmissionMonitor) -> list[str]:
    flights = monitor.transmissions()
    if not flights:
        return ["nothing was on its way"]
    times = [one.end - one.begin for one in flights]
    whole = max(monitor.end_unix_time() - monitor.start_unix_time(), 1e-9)
    return [
        f"{len(flights)} objects in {whole:.3f} s, {sum(times) / whole:.1f} at a time",
        f"fastest {min(times):.3f} s, median {statistics.median(times):.3f} s, slowest {max(times):.3f} s",
    ]


def _draw(draw: Callable[..., None], path: str) -> None:
    try:
        draw(filename=path)
    except ConfigError as error:  # without the library that draws, the text has to do
        sys.stderr.write(f"not drawn: {error}\n")
    else:
        sys.stderr.write(f"drawn: {path}\n")


def _rate(bps: float) -> str:
    return f"{bps / 8e6:.2f} MB/s ({bps / 1e9:.3f} Gbit/s)"
