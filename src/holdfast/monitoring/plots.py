"""Pictures of recordings, drawn by matplotlib, which is imported only here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ConfigError

_UNITS = ((1e9, "Gbps"), (1e6, "Mbps"), (1e3, "Kbps"), (1.0, "bps"))
_SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def rate(histogram: Sequence[float], resolution: float, title: str, filename: str | None) -> None:
    """Draw one histogram of bytes as a rate over time."""
    rates({title: histogram}, resolution, title, filename)


def rates(histograms: Mapping[str, Sequence[float]], resolution: float, title: str, filename: str | None) -> None:
    """Draw histograms of bytes as rates over time, each with its label."""
    bits = {label: [8 * value / resolution for value in values] for label, values in histograms.items()}
    peak = max((max(values, default=0.0) for values in bits.values()), default=0.0)
    factor, unit = next((unit for unit in _UNITS if peak >= unit[0]), _UNITS[-1])
    figure, axes = _figure(filename)
    for label, values in bits.items():
        times = [at * resolution for at in range(len(values))]
        axes.step(times, [value / factor for value in values], where="post", label=label)
        axes.fill_between(times, [value / factor for value in values], step="post", alpha=0.4)
    if len(bits) > 1:
        axes.legend()
    axes.set_title(title)
    axes.set_xlabel("Time (seconds)")
    axes.set_ylabel(unit)
    axes.grid(axis="y", linestyle="--", alpha=0.7)
    _finish(figure, filename)


def gantt(bars: Sequence[tuple[float, float, int, bool]], filename: str | None, title: str, *, labels: bool) -> None:
    """Draw (begin, end, bytes, failed) as bars over time: the larger, the darker; failed ones red."""
    figure, axes = _figure(filename)
    largest = max((nbytes for _, _, nbytes, _ in bars), default=0) or 1
    start = min((begin for begin, _, _, _ in bars), default=0.0)
    for row, (begin, end, nbytes, failed) in enumerate(bars):
        colour = "red" if failed else (0.1, 0.2 + 0.5 * (1 - nbytes / largest), 0.8 - 0.4 * nbytes / largest)
        axes.barh(row, end - begin, left=begin - start, height=0.8, color=colour)
        if labels:
            axes.text(begin - start, row, size_text(nbytes), va="center", ha="left", fontsize=8)
    axes.set_title(title)
    axes.set_xlabel("Time (seconds)")
    axes.set_ylabel("File")
    _finish(figure, filename)


def size_text(nbytes: int) -> str:
    """A number of bytes in powers of a thousand.

    >>> size_text(999), size_text(1_500_000)
    ('999 B', '1.50 MB')
    """
    for factor, unit in _SIZES:
        if nbytes >= factor:
            return f"{nbytes / factor:.2f} {unit}"
    return f"{nbytes} B"


def require() -> None:
    """Raise ConfigError where matplotlib is missing: better before what is to be drawn than after it."""
    try:
        import matplotlib as mpl  # noqa: F401 - whether it is there
    except ImportError as error:
        raise ConfigError("plots need matplotlib: pip install 'holdfast[plots]'") from error


def _figure(filename: str | None) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("plots need matplotlib: pip install 'holdfast[plots]'") from error
    if filename is not None:  # drawn in memory: neither a screen nor pyplot's global state takes part
        figure = Figure(figsize=(10, 6), layout="tight")
        return figure, figure.subplots()
    from matplotlib import pyplot as plt

    shown: tuple[Any, Any] = plt.subplots(figsize=(10, 6), layout="tight")
    return shown


def _finish(figure: Any, filename: str | None) -> None:
    if filename is not None:
        figure.savefig(filename)
        return
    from matplotlib import pyplot as plt

    plt.show()
    plt.close(figure)
