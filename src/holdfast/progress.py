"""The one progress bar: on stderr, drawn by rich, which is imported only when something is drawn."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import IO, Any, Self

from . import locks

#: Nothing is drawn for work that ends within this many seconds.
PATIENCE = 1.0
INTERVAL = 0.1
#: Terminals with fewer columns get tables without lines, and counts without a bar.
NARROW = 60


class Bar:
    """A bar that counts items and bytes; a context manager, cheap to advance, silent when short or disabled.

    ``total`` may be set later. ``advance`` counts items and draws: it is meant for one thread, the one that consumes
    the results, and to be called now and then with 0 while there are none. ``moved`` counts bytes, in any thread.
    """

    __slots__ = (
        "_began",
        "_description",
        "_drawn",
        "_due",
        "_enabled",
        "_lock",
        "_task",
        "_unit",
        "count",
        "nbytes",
        "total",
    )

    def __init__(self, enabled: bool, description: str, total: int | None = None, unit: str = "files") -> None:
        self._enabled = enabled
        self._description = description
        self._unit = unit
        self.total = total
        self.count = 0
        self.nbytes = 0
        self._lock = locks.lock()
        self._began = time.monotonic()
        self._due = self._began + PATIENCE
        self._drawn: Any = None
        self._task: Any = None

    def advance(self, count: int = 1, nbytes: int = 0) -> None:
        """Count ``count`` more items of ``nbytes`` bytes in all, and draw if it is time to."""
        self.count += count
        if nbytes:
            self.moved(nbytes)
        if self._enabled and time.monotonic() >= self._due:
            self._draw()

    def moved(self, nbytes: int) -> None:
        """Count ``nbytes`` more bytes, of items that may not be done yet."""
        with self._lock:
            self.nbytes += nbytes

    def _draw(self) -> None:
        if self._drawn is None:
            self._start()
        self._drawn.update(
            self._task, completed=self.count, total=self.total, amount=size_text(self.nbytes) if self.nbytes else ""
        )
        self._drawn.refresh()
        self._due = time.monotonic() + INTERVAL

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        console = Console(stderr=True)
        counts = MofNCompleteColumn(), TextColumn(f"{self._unit} {{task.fields[amount]}}")
        columns = (
            TextColumn("{task.description}", markup=False),  # it may have a name in it
            *(counts if console.width < NARROW else (BarColumn(), *counts, TimeElapsedColumn())),
            TimeRemainingColumn(),
        )
        drawn = Progress(*columns, console=console, get_time=time.monotonic, auto_refresh=False, transient=False)
        shown = _shortened(self._description, console.width)
        self._task = drawn.add_task(shown, total=self.total, amount="")
        drawn.tasks[0].start_time = self._began  # not only now, when it is shown
        self._drawn = drawn  # before it draws: Ctrl-C may come then, and what is drawn must be ended
        drawn.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn is not None:
            self._draw()
            self._drawn.stop()


def bar(enabled: bool | None, description: str, total: int | None = None, unit: str = "files") -> Bar:
    """A bar to be used in a with statement; ``enabled=None`` means "when stderr is a terminal".

    >>> with bar(False, "reading", total=2) as progress:
    ...     progress.advance(2, nbytes=10)
    >>> progress.count
    2
    """
    return Bar(sys.stderr.isatty() if enabled is None else enabled, description, total, unit)


def _shortened(description: str, width: int) -> str:
    """The description in a third of a terminal of this width, so that the counts have room; in a narrow one a word."""
    if width < NARROW:
        return description.partition(" ")[0]
    return description if len(description) <= width // 3 else f"{description[: width // 3 - 2]}.."


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


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    footer: Iterable[str] = (),
    styles: Mapping[str, str] = MappingProxyType({}),
    file: IO[str] | None = None,
) -> None:
    """Draw a table on standard output (or into the file), and lines below it.

    ``styles`` colours rows by their first cell where the output is a terminal. Cells are text, never markup; what the
    output's encoding cannot hold is escaped. Narrow terminals get no lines between the columns.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=file, highlight=False)

    def text(cell: str) -> Text:
        # Here and not by the stream, so that columns are as wide as what is shown.
        return Text(cell.encode(console.encoding, "backslashreplace").decode(console.encoding))

    table = Table()
    if console.width < NARROW:
        table.box, table.pad_edge = None, False
    for column in columns:
        table.add_column(column, justify="right" if column == "size" else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(text, row), style=styles.get(row[0]))
    console.print(text(title), soft_wrap=True)
    if table.row_count:
        console.print(table)
    for line in footer:
        console.print(text(line))
