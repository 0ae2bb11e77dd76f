"""``holdfast ls``."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any

import click

from .. import engine, progress, redact
from ..progress import Bar, size_text
from ..types import ListOptions, ObjectInfo, is_marker
from . import output
from .expressions import expand
from .globs import Pattern, matches, pattern_of
from .locations import Found, Location, Opener, Row, Spot, locate, look
from .options import Command, Settings, given, shared

if TYPE_CHECKING:
    from .inventory import Inventory

EXAMPLES = """
holdfast ls
holdfast ls -l s3://bucket/run1
holdfast ls -r --json s3://bucket/run1
holdfast ls -l 's3://bucket/run*/info.json'
holdfast ls --anonymous s3://open-data/
holdfast ls -r --fullpath s3://bucket/run1 | grep tmp | holdfast rm -
holdfast ls -r -e 's3://bucket/run1/mesh/[0-9a-f]{2}'
holdfast ls -r --sqlite inventory.db s3://bucket
"""
#: So many rows of a prefix are fetched ahead, while others are listed as well.
AHEAD = 2_000


HELP = """
List what lies at each LOCATION (default: this directory), one level deep; directories end in "/".

Names are relative to the location. A location is an object or everything under location/, so "ls s3://b/run1" never
shows run10. With --json each line has location, key (the name), type ("object" or "directory"), size ...

With -e a location stands for many beginnings of names, which are listed at the same time: [0-9a-f] is one of these
characters, [ab]{3} three of them, so 's3://b/x/[ab]' lists all in x/ that begins with a or b. Quote it for the shell.
Without -e, * and ? stand for the objects and directories that are there, with -r for all below these, too; ** stands
for any directories, and matches objects.

With --sqlite the listing goes to the table objects of FILE. What ends it, ends it there: the same command goes on
where it was. A listing that is complete is not made again; for a new one take a new FILE.
"""


@click.command(cls=Command, help=HELP, epilog=EXAMPLES, short_help="List what lies at a location.")
@click.argument("locations", nargs=-1)
@click.option(
    "-l", "--long", "long", is_flag=True, help="Also show the size in bytes and the time of the last write (UTC)."
)
@click.option("-h", "--human-readable", "human", is_flag=True, help="With -l: sizes with units.")
@click.option("-r", "--recursive/--flat", "recursive", default=False,
              help="Everything under the location, or one level (the default).")  # fmt: skip
@click.option("--fullpath/--shortpath", "full", default=False,
              help="Whole locations, as other commands take them, or names below (the default).")  # fmt: skip
@click.option("-e", "--expr", "expression", is_flag=True, help="Classes of characters in locations stand for many.")
@click.option("--sqlite", "inventory", type=click.Path(dir_okay=False), metavar="FILE",
              help="Write the listing to this database instead, or go on with it.")  # fmt: skip
@shared("threads", "json", "progress", "endpoint", "anonymous", "literal")
def command(
    settings: Settings, locations: tuple[str, ...], long: bool, human: bool, recursive: bool, full: bool,
    expression: bool, inventory: str | None,
) -> int:  # fmt: skip
    """List, on standard output or into a database."""
    _refuse_useless(settings, expression=expression, inventory=inventory)
    texts = locations or (".",)
    wanted = [expand(text) for text in texts] if expression else []
    places = [one.location for one in wanted] or [locate(text) for text in texts]
    tally = output.Tally()
    with Opener(settings, places) as opener:
        lister = _Lister(opener, settings, tally, "/" if not recursive else None)
        tails = [one.tails for one in wanted] or [("",)] * len(places)
        if inventory is not None:
            from .inventory import Inventory  # with SQLite

            with Inventory(inventory) as database, progress.bar(settings.progress, "listing", unit="names") as bar:
                for place, prefixes in zip(places, tails, strict=True):
                    lister.take_stock(database, place, prefixes, bar)
            return tally.finish()
        show = _Format(settings.json, long, human, full)
        with progress.bar(settings.progress is True, "listing", unit="names") as bar:
            for place, prefixes in zip(places, tails, strict=True):
                pattern = None if expression else pattern_of(opener, place, settings)
                header = f"{place.text}:" if len(places) > 1 and not settings.json and not full else None
                if pattern is not None:
                    rows = lister.matched(pattern)
                else:
                    rows = lister.expressed(place, prefixes) if expression else lister.plain(place)
                if rows is None:
                    tally.nothing_there(place.text)
                    continue
                if header is not None:
                    output.line(header)
                for row in rows:
                    show(place if pattern is None else pattern.base, row)
                    bar.advance()
                tally.done()
    return tally.finish()


def _refuse_useless(settings: Settings, *, expression: bool, inventory: str | None) -> None:
    options = {"long": "-l", "human": "-h", "full": "--fullpath"}
    if inventory is not None:
        useless = [option for name, option in options.items() if given(name)]
        if useless:
            raise click.UsageError(f"{useless[0]} has no meaning with --sqlite: leave it out")
    if settings.json and given("full"):
        raise click.UsageError("--fullpath has no meaning with --json, which tells location and key: leave it out")
    if "threads" in settings.given and not expression:
        raise click.UsageError("-j has no meaning without -e: one listing is made page by page")


class _Lister:
    """Lists locations, one level (``delimiter``) or everything."""

    def __init__(self, opener: Opener, settings: Settings, tally: output.Tally, delimiter: str | None) -> None:
        self.opener = opener
        self.settings = settings
        self.tally = tally
        self.delimiter = delimiter

    def plain(self, place: Location) -> Iterator[Row] | None:
        """The rows of a location, or None if there is nothing."""
        found = look(self.opener, place, delimiter=self.delimiter)
        return None if found.nothing else _rows_of(found)

    def expressed(self, place: Location, tails: Iterable[str]) -> Iterator[Row] | None:
        """The rows that begin with the tails, or None if there are none."""
        spot = self.opener.directory(place)
        listed = self._listed(spot, [(tail, None) for tail in tails])
        return _any(itertools.chain.from_iterable(rows for _, rows in listed))

    def matched(self, pattern: Pattern) -> Iterator[Row] | None:
        """The rows that the pattern matches, with what is below them if all is listed; None if there are none."""
        return _any(self._matched(pattern))

    def _matched(self, pattern: Pattern) -> Iterator[Row]:
        spot = self.opener.directory(pattern.base)
        for match in matches(self.opener, pattern, self.settings, directories=True):
            if not match.is_directory:
                yield Row(match.name, match.info, False)
            elif self.delimiter is not None:
                yield Row(f"{match.name}/", match.info, True)
            else:
                rows = spot.store._scan(ListOptions(f"{spot.key}{match.name}/"))
                yield from _rows(rows, spot)

    def take_stock(self, database: Inventory, place: Location, tails: Iterable[str], bar: Bar) -> None:
        """Have the listing of a location in the database, whole; what is there already is not listed again."""
        spot = self.opener.directory(place)
        resumable = spot.store.capabilities.sorted
        kind = self.delimiter is None
        name = place.url.local_path.rstrip("/") or "/" if place.is_local else redact.url(str(place.url)).rstrip("/")
        left, moments = [], []
        for tail in tails:
            state = database.begin(name, tail, recursive=kind, resumable=resumable)
            if state.completed is None:
                left.append((tail, state.position))
            else:
                moments.append(state.completed)
        for tail, rows in self._listed(spot, left):
            for count in database.note(name, tail, rows):
                bar.advance(count)
        count = database.count(name)
        if not count:
            database.forget(name)
            self.tally.nothing_there(place.text)
            return
        self.tally.done()
        note = f"complete since {min(moments)}" if moments and not left else "complete"
        if self.settings.json:
            output.json_line({"location": place.text, "file": database.path, "count": count, "listed": bool(left)})
        else:
            output.line(f"{database.path}: {count} names of {place.text}, {note}")

    def _listed(self, spot: Spot, prefixes: Sequence[tuple[str, str | None]]) -> Iterator[tuple[str, Iterator[Row]]]:
        """Each tail with its rows, after a key or from the beginning; of several the next are fetched meanwhile."""

        def begin(wanted: tuple[str, str | None], ahead: int = AHEAD) -> tuple[list[ObjectInfo], Iterator[ObjectInfo]]:
            tail, after = wanted
            rows = iter(spot.store._scan(ListOptions(spot.key + tail, self.delimiter, after)))
            return list(itertools.islice(rows, ahead)), rows

        if len(prefixes) == 1:
            yield prefixes[0][0], _rows(begin(prefixes[0], 0)[1], spot)
            return
        run = engine.default().run(begin, prefixes, threads=self.settings.threads, ordered=True)
        for outcome in run:
            ahead, rest = outcome.value
            yield outcome.item[0], _rows(itertools.chain(ahead, rest), spot)


def _any(rows: Iterator[Row]) -> Iterator[Row] | None:
    """The rows, or None if there are none."""
    first = next(rows, None)
    return None if first is None else itertools.chain((first,), rows)


def _rows_of(found: Found) -> Iterator[Row]:
    if found.info is not None:
        yield Row("", found.info, False)
    if found.directory is not None:
        yield from _rows(found.directory.rows, found.directory.spot, found.location.name)


def _rows(infos: Iterable[ObjectInfo], spot: Spot, name: str = "") -> Iterator[Row]:
    """The rows with their names below the spot; its own marker is none."""
    for info in infos:
        marker = is_marker(info)
        if marker and info.key == spot.key:
            continue
        yield Row(info.key[len(spot.key) :] or f"{name}/", info, marker)


class _Format:
    """Prints one row in the way that was asked for."""

    def __init__(self, as_json: bool, long: bool, human: bool, full: bool) -> None:
        self._json = as_json
        self._full = full
        self._long = long
        self._human = human

    def __call__(self, place: Location, row: Row) -> None:
        """Print one row at the place."""
        name, info, is_directory = row.name or place.name, row.info, row.is_directory
        if self._json:
            output.json_line({"location": place.text, **_row(name, info, is_directory)})
            return
        if self._full:
            name = place.child(row.name) if row.name else place.text
        if self._long:
            output.line(f"{self._size(info, is_directory):>14}  {_time(info):<20}  {name}")
        else:
            output.line(name)

    def _size(self, info: ObjectInfo, is_directory: bool) -> str:
        if is_directory or info.size is None:
            return "-"
        return size_text(info.size) if self._human else str(info.size)


def _row(name: str, info: ObjectInfo, is_directory: bool) -> dict[str, Any]:
    if is_directory:
        return {"key": name, "type": "directory"}
    moment = None if info.last_modified is None else info.last_modified.isoformat()
    row = {"key": name, "type": "object", "size": info.size, "last_modified": moment, "etag": info.etag}
    return row if info.storage_class is None else {**row, "storage_class": info.storage_class}


def _time(info: ObjectInfo) -> str:
    moment = info.last_modified
    return "-" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
