"""``holdfast watch``: what this machine sends and receives."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click

from ..monitoring import IOSampler
from . import DONE, output
from .options import Command, Group, Settings, shared

EXAMPLES = """
holdfast watch net print
holdfast watch net histogram --filename rates.png
"""
MOST_COLUMNS = 30


@click.group(cls=Group, epilog=EXAMPLES, short_help="Watch the network of this machine.")
def command() -> None:
    """Watch what all programs of this machine send and receive."""


@command.group(cls=Group, epilog=EXAMPLES, short_help="The network, all devices together.")
def net() -> None:
    """Watch all network devices together (loopback as well), as the system counts their bytes; on Linux."""


_duration = click.FloatRange(min=0, min_open=True)


@net.command("print", cls=Command, epilog="""holdfast watch net print
holdfast watch net print --duration 60 --interval 5 --json
""")  # fmt: skip
@click.option("--duration", type=click.FloatRange(min=0), default=0, metavar="SECONDS",
              help="End after so long (default: by Ctrl-C).")  # fmt: skip
@click.option(
    "--interval", type=_duration, default=1, show_default=True, metavar="SECONDS", help="One line every so often."
)
@click.option("--one-line", "one_line", is_flag=True, help="Write over one line instead of printing many.")
@shared("json")
def print_rates(settings: Settings, duration: float, interval: float, one_line: bool) -> int:
    """Print the rates of receiving and sending, again and again."""
    if one_line and settings.json:
        raise click.UsageError("--one-line has no meaning with --json: leave it out")
    for elapsed, received, sent in rates(interval, duration):
        if settings.json:
            output.json_line({"seconds": round(elapsed, 3), "received_bps": received, "sent_bps": sent})
            continue
        show(f"{elapsed:8.1f} s  received {_rate(received)}  sent {_rate(sent)}", one_line=one_line)
    if one_line:
        output.write(b"\n")
    return DONE


def rates(interval: float, duration: float) -> Iterator[tuple[float, float, float]]:
    """Again and again after an interval (seconds) the time since the beginning, and bits a second in and out.

    It ends after ``duration`` seconds, by Ctrl-C if that is 0.
    """
    with IOSampler(buffer_sec=max(2 * interval, 1.0), interval=min(interval / 4, 0.25)) as sampler:
        for elapsed in _ticks(interval, duration):
            yield elapsed, *sampler.current_bps(interval)


def show(text: str, *, one_line: bool) -> None:
    """Print a line at once, or write it over the one before."""
    if one_line:
        output.write(f"\r{text}".encode())
    else:
        output.line(text)
    output.flush()


def watched(duration: float, interval: float) -> IOSampler:
    """What this machine sent and received for so many seconds, looked at after each interval, at least 4 times each."""
    sampler = IOSampler(buffer_sec=duration + 1, interval=min(interval, 0.25))
    with sampler:
        time.sleep(duration)
    return sampler


@net.command(cls=Command, epilog="""holdfast watch net histogram --duration 10
holdfast watch net histogram --filename rates.png
""")  # fmt: skip
@click.option("--duration", type=_duration, default=5, show_default=True, metavar="SECONDS", help="Watch for so long.")
@click.option(
    "--interval", type=_duration, default=1, show_default=True, metavar="SECONDS", help="One bar every so often."
)
@click.option("--filename", type=click.Path(dir_okay=False), metavar="FILE",
              help="Draw it there as well (.png, .pdf, .svg); needs holdfast[plots].")  # fmt: skip
def histogram(duration: float, interval: float, filename: str | None) -> int:
    """Show what was received and sent in each interval, as bars of text, and as a picture."""
    sampler = watched(duration, interval)
    received, sent = sampler.histogram_rx(interval), sampler.histogram_tx(interval)
    peak = max(max(received, default=0), max(sent, default=0), 1)
    for at, (down, up) in enumerate(zip(received, sent, strict=True)):
        for word, nbytes in (("received", down), ("sent", up)):
            bar = "#" * round(int(nbytes) / int(peak) * MOST_COLUMNS)
            output.line(f"{at * interval:6.1f} s  {word:<8}  {_rate(8 * int(nbytes) / interval)}  {bar}")
    if filename is not None:
        sampler.plot_histogram(interval, filename)
        output.line(f"drawn: {filename}")
    return DONE


def _ticks(interval: float, duration: float) -> Iterator[float]:
    """The seconds since now, again and again after an interval, until there were so many."""
    began = time.monotonic()
    elapsed = 0.0
    while not duration or elapsed < duration:
        time.sleep(min(interval, duration - elapsed) if duration else interval)
        elapsed = time.monotonic() - began
        yield elapsed


def _rate(bps: float) -> str:
    return f"{bps / 8e6:9.2f} MB/s ({bps / 1e9:.2f} Gbit/s)"
