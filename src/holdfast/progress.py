"""The one progress bar: on stderr, drawn by rich, which is imported only when something is drawn."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Any, Self

#: Nothing is drawn for work that ends within this many seconds.
PATIENCE = 1.0
INTERVAL = 0.1


class Bar:
    """A bar that counts items and bytes; a context manager, cheap to advance, silent when short or disabled.

    It is drawn by a thread of its own, so it moves, and its clock runs, also while nothing is delivered.
    ``total`` may be set later. ``advance`` counts items and is meant for one thread, the one that consumes the
    results; ``moved`` counts bytes, from any thread.
    """

    __slots__ = ("_description", "_drawer", "_ended", "_lock", "_unit", "count", "nbytes", "total")

    def __init__(self, enabled: bool, description: str, total: int | None = None, unit: str = "files") -> None:
        self._description = description
        self._unit = unit
        self.total = total
        self.count = 0
        self.nbytes = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._drawer = threading.Thread(target=self._draw, name="holdfast-bar", daemon=True) if enabled else None

    def advance(self, count: int = 1, nbytes: int = 0) -> None:
        """Count ``count`` more items of ``nbytes`` bytes in all."""
        self.count += count
        if nbytes:
            self.moved(nbytes)

    def moved(self, nbytes: int) -> None:
        """Count ``nbytes`` more bytes, of items that are not done yet."""
        with self._lock:
            self.nbytes += nbytes

    def _draw(self) -> None:
        """Draw until the end, the last state included; nothing if the end comes soon."""
        if self._ended.wait(PATIENCE):
            return
        drawn = _progress(self._unit)
        with drawn:
            task = drawn.add_task(self._description, total=self.total, amount="")
            ended = False
            while not ended:
                ended = self._ended.wait(INTERVAL)
                amount = size_text(self.nbytes) if self.nbytes else ""
                drawn.update(task, completed=self.count, total=self.total, amount=amount)
                drawn.refresh()

    def __enter__(self) -> Self:
        if self._drawer is not None:
            self._drawer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._drawer is not None:
            self._drawer.join()


def _progress(unit: str) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit} {{task.fields[amount]}}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        auto_refresh=False,
        transient=False,
    )


def bar(enabled: bool | None, description: str, total: int | None = None, unit: str = "files") -> Bar:
    """A bar to be used in a with statement; ``enabled=None`` means "when stderr is a terminal".

    >>> with bar(False, "reading", total=2) as progress:
    ...     progress.advance(2, nbytes=10)
    >>> progress.count
    2
    """
    return Bar(sys.stderr.isatty() if enabled is None else enabled, description, total, unit)


def size_text(count: float) -> str:
    """A number of bytes for people: three digits and a binary unit.

    >>> size_text(999), size_text(1536), size_text(3 << 30)
    ('999 B', '1.50 KiB', '3.00 GiB')
    """
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        count /= 1024
        if count < 1000 or unit == "PiB":
            break
    return f"{count:.{2 if count < 10 else 1 if count < 100 else 0}f} {unit}"
