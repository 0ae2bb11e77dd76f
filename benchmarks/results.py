"""Rows of the table: a comparison (ours beside theirs), a bound (ours alone) or a count, and how they are printed."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

#: From a number of seconds (or bytes) to what the unit counts.
SCALES = {"s": 1.0, "ms": 1e3, "us": 1e6, "MB": 1e-6, "MiB": 1 / (1 << 20)}

HEADER = ("what", "server", "ours", "theirs", "ratio (of pairs)", "target", "reached")


class Row(Protocol):
    """One line of the table."""

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None where there is no target."""

    def cells(self) -> tuple[str, ...]:
        """What to print, a cell for each column of HEADER."""


@dataclass(frozen=True)
class Comparison:
    """Ours and theirs, measured alternately: seconds for each item, pair by pair."""

    what: str
    server: str
    rival: str
    ours: Sequence[float]
    theirs: Sequence[float]
    unit: str
    at_least: float | None

    @property
    def ratios(self) -> list[float]:
        """How many times faster ours was, in each pair."""
        return [theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    @property
    def reached(self) -> bool | None:
        return None if self.at_least is None else statistics.median(self.ratios) >= self.at_least

    def cells(self) -> tuple[str, ...]:
        ratios = self.ratios
        spread = f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
        target = "" if self.at_least is None else f"at least {self.at_least:g}x"
        theirs = f"{self.rival}: {_median(self.theirs, self.unit)}"
        return (self.what, self.server, _median(self.ours, self.unit), theirs, spread, target, _verdict(self.reached))


@dataclass(frozen=True)
class Bound:
    """Ours alone, in seconds or bytes, against a limit in the same, or without one."""

    what: str
    server: str
    ours: Sequence[float]
    unit: str
    at_most: float | None

    @property
    def reached(self) -> bool | None:
        return None if self.at_most is None else statistics.median(self.ours) <= self.at_most

    def cells(self) -> tuple[str, ...]:
        low, high = (_digits(value * SCALES[self.unit]) for value in (min(self.ours), max(self.ours)))
        ours = f"{_median(self.ours, self.unit)} ({low} to {high})"
        target = "" if self.at_most is None else f"at most {self.at_most * SCALES[self.unit]:g} {self.unit}"
        return (self.what, self.server, ours, "", "", target, _verdict(self.reached))


@dataclass(frozen=True)
class Count:
    """How many times something was done, against how many times are enough; ``rival`` says what others needed."""

    what: str
    server: str
    unit: str
    ours: int
    at_most: int
    rival: str = ""

    @property
    def reached(self) -> bool | None:
        return self.ours <= self.at_most

    def cells(self) -> tuple[str, ...]:
        target = f"at most {self.at_most:,} {self.unit}"
        return (self.what, self.server, f"{self.ours:,} {self.unit}", self.rival, "", target, _verdict(self.reached))


@dataclass(frozen=True)
class Tally:
    """What one run of ours asked for or took, beside the others', without a target."""

    what: str
    server: str
    unit: str
    ours: float
    theirs: Mapping[str, float]

    @property
    def reached(self) -> bool | None:
        return None

    def cells(self) -> tuple[str, ...]:
        theirs = ", ".join(f"{name}: {self._text(value)}" for name, value in self.theirs.items())
        return (self.what, self.server, self._text(self.ours), theirs, "", "", _verdict(None))

    def _text(self, value: float) -> str:
        return f"{_digits(value * SCALES.get(self.unit, 1))} {self.unit}"


def table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [HEADER, tuple("---" for _ in HEADER), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _median(values: Sequence[float], unit: str) -> str:
    return f"{_digits(statistics.median(values) * SCALES[unit])} {unit}"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _verdict(reached: bool | None) -> str:
    return {None: "for information", True: "yes", False: "**NO**"}[reached]
