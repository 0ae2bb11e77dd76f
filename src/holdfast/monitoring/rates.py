"""Arithmetic of recordings: how bytes spread over time, and the rates that this makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: What took no measurable time took this long (seconds).
INSTANT = 1e-6


def bps(nbytes: float, seconds: float) -> float:
    """Bits per second.

    >>> bps(1000, 2)
    4000.0
    """
    return 8 * nbytes / max(seconds, INSTANT) if nbytes else 0.0


def share(begin: float, end: float, since: float, until: float) -> float:
    """Which share of the time from ``begin`` to ``end`` lies between ``since`` and ``until``.

    >>> share(0, 4, 1, 2)
    0.25
    """
    end = max(end, begin + INSTANT)
    return max(0.0, min(end, until) - max(begin, since)) / (end - begin)


def histogram(spans: Sequence[tuple[float, float, int]], resolution: float) -> list[int]:
    """The bytes in each ``resolution`` seconds since the first beginning, of (begin, end, bytes); none is lost.

    >>> histogram([(10.0, 12.0, 100), (11.0, 11.5, 6)], 1.0)
    [50, 56]
    """
    if resolution <= 0:
        raise ValueError(f"a resolution is a number of seconds above 0, not {resolution}")
    if not spans:
        return []
    first = min(begin for begin, _, _ in spans)
    last = max(end for _, end, _ in spans)
    bins = [0.0] * max(1, int(-(-(last - first) // resolution)))
    for begin, end, nbytes in spans:
        low = min(int((begin - first) / resolution), len(bins) - 1)
        high = min(int((end - first) / resolution), len(bins) - 1)
        if low == high:
            bins[low] += nbytes
            continue
        for at in range(low, high + 1):
            since = first + at * resolution
            # Whatever rounding leaves over at the last edge belongs to the last bin.
            until = end if at == high else since + resolution
            bins[at] += nbytes * share(begin, end, since, until)
    return _whole(bins)


def _whole(bins: list[float]) -> list[int]:
    """The bins as whole numbers with the same sum."""
    found, before, exact = [], 0, 0.0
    for one in bins:
        exact += one
        found.append(round(exact) - before)
        before = round(exact)
    return found


def as_array(values: Sequence[Any]) -> Any:
    """The values as an array of numpy where that is installed, else as they are."""
    try:
        import numpy as np
    except ImportError:
        return values
    return np.array(values, dtype=np.uint64)
