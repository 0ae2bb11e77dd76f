"""``holdfast du``."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import click

from .. import engine, progress
from ..progress import Bar, size_text
from ..types import ObjectInfo
from . import output
from .locations import Found, Opener, locate, look
from .options import Command, Settings, shared

EXAMPLES = """
holdfast du -h s3://bucket/run1
holdfast du -c results s3://bucket/run1
holdfast du --all --no-count-files results
holdfast du -h --group-by-ext s3://bucket/run1
"""
NO_EXTENSION = "(no extension)"


@click.command(cls=Command, epilog=EXAMPLES, short_help="Measure objects and directories.")
@click.argument("locations", nargs=-1)
@click.option("-a/-s", "--all/--summarize", "every", default=False,
              help="A line for each object as well, or one for each location alone (the default).")  # fmt: skip
@click.option("-c", "--grand-total", "grand_total", is_flag=True, help="Close with a line for all locations together.")
@click.option("-e", "--group-by-ext", "by_extension", is_flag=True,
              help="Close with a line for each extension of names, in small letters, the largest first.")  # fmt: skip
@click.option("-h", "--human-readable", "human", is_flag=True, help="Sizes with units.")
@click.option("-N", "--count-files/--no-count-files", "counts", default=True,
              help="The number of objects as well (the default), or not.")  # fmt: skip
@shared("threads", "json", "progress", "endpoint", "anonymous")
def command(
    settings: Settings, locations: tuple[str, ...], every: bool, grand_total: bool, by_extension: bool, human: bool,
    counts: bool,
) -> int:  # fmt: skip
    """Measure each LOCATION (default: this directory): stored bytes, number of objects, location.

    A location is an object or everything under location/. With --json each location is one line, and so is each object
    (its "key"), each "extension" and the "total".
    """
    places = [locate(text) for text in locations or (".",)]
    tally = output.Tally()
    show = _Lines(settings.json, human=human, counts=counts)
    total, extensions = _Sum(), _Extensions()
    with Opener(settings, places) as opener:
        for place in places:
            found = look(opener, place)
            if found.nothing:
                tally.nothing_there(place.text)
                continue
            here = _Sum()
            with progress.bar(settings.progress, "measuring") as bar:
                for name, nbytes in _sizes(found, settings, tally, bar):
                    here.add(nbytes)
                    if every and name:
                        show.one_object(place.text, place.child(name), name, nbytes)
                    if by_extension:
                        extensions.add(name or place.name, nbytes)
            total.add(here.nbytes, here.count)
            tally.done()
            show.line("location", place.text, here)
    if grand_total:
        show.line("total", "total", total)
    if by_extension:
        for extension, sum_ in extensions.largest_first():
            show.line("extension", extension, sum_)
    return tally.finish()


@dataclass
class _Sum:
    """Bytes and objects, added up."""

    nbytes: int = 0
    count: int = 0

    def add(self, nbytes: int, count: int = 1) -> None:
        """Add so many bytes, of so many objects."""
        self.nbytes += nbytes
        self.count += count


@dataclass
class _Extensions:
    """Bytes and objects by the extensions of their names."""

    nbytes: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, nbytes: int) -> None:
        """Count one object."""
        extension = posixpath.splitext(name)[1].lower() or NO_EXTENSION
        self.nbytes[extension] += nbytes
        self.counts[extension] += 1

    def largest_first(self) -> Iterator[tuple[str, _Sum]]:
        """The extensions with their sums."""
        for extension in sorted(self.nbytes, key=lambda one: (-self.nbytes[one], one)):
            yield extension, _Sum(self.nbytes[extension], self.counts[extension])


class _Lines:
    """Prints sums in the way that was asked for."""

    def __init__(self, as_json: bool, *, human: bool, counts: bool) -> None:
        self._json = as_json
        self._human = human
        self._counts = counts

    def line(self, kind: str, name: str, amount: _Sum) -> None:
        """Print the sum of this name."""
        if self._json:
            output.json_line({kind: name, "bytes": amount.nbytes, "count": amount.count})
            return
        size = size_text(amount.nbytes) if self._human else str(amount.nbytes)
        count = f"  {amount.count:>9}" if self._counts else ""
        output.line(f"{size:>14}{count}  {name}")

    def one_object(self, location: str, whole: str, name: str, nbytes: int) -> None:
        """Print one object below a location."""
        if self._json:
            output.json_line({"location": location, "key": name, "bytes": nbytes})
        else:
            self.line("location", whole, _Sum(nbytes, 1))


def _sizes(found: Found, settings: Settings, tally: output.Tally, bar: Bar) -> Iterator[tuple[str, int]]:
    """The names of objects below the location, "" for the one at it, and their sizes."""
    if found.info is not None:
        bar.advance(1, found.info.size or 0)
        yield "", found.info.size or 0
    if found.directory is None:
        return
    spot = found.directory.spot

    def size(row: ObjectInfo) -> int:
        # Some stores' listings do not tell sizes.
        return row.size if row.size is not None else spot.store.head(row.key).size or 0

    rows = found.directory.files()
    run = engine.default().run(size, rows, threads=settings.threads, on_error="collect", ordered=True)
    for outcome in run:
        bar.advance(1, outcome.value or 0)
        if outcome.error is not None:
            tally.fail(outcome.error, outcome.item.key)
        else:
            yield outcome.item.key[len(spot.key) :], outcome.value
