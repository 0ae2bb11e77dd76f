"""``holdfast cat``, and the stream to standard output that ``holdfast cp ... -`` shares."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from .. import codecs
from ..blob import Blob, Buffer
from ..types import ReadOptions
from . import output
from .globs import choose
from .lists import is_list, read_list
from .locations import Opener, Spot, locate, look
from .options import Command, Settings, shared

Range = tuple[int, int | None]


def _range(_context: click.Context, _option: click.Parameter, value: str | None) -> Range | None:
    """The option's "a-b", where either may be left out, as (start, end)."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d*)-(\d*)", value, re.ASCII)
    if match is None or value == "-":
        raise click.BadParameter(f"{value!r} is not a range: write 100-200, 100- or -200")
    start, end = int(match[1] or 0), int(match[2]) if match[2] else None
    if end is not None and end < start:
        raise click.BadParameter(f"{value!r} ends before it starts")
    return start, end


EXAMPLES = """
holdfast cat s3://bucket/run1/info.json
holdfast cat -r 0-100 s3://bucket/run1/log.txt
holdfast cat 's3://bucket/run1/part-*.csv' > table.csv
holdfast ls -r --fullpath s3://bucket/run1 | grep csv | holdfast cat -
holdfast cat --raw s3://bucket/run1/table.csv > table.csv.gz
"""


@click.command(cls=Command, epilog=EXAMPLES, short_help="Write objects to standard output.")
@click.argument("locations", nargs=-1, required=True)
@click.option(
    "-r", "--range", "bounds", callback=_range, metavar="A-B",
    help="Only the bytes from A up to, not including, B: 0-10 or -10 are the first ten, 10- all after them.",
)  # fmt: skip
@click.option("--raw", is_flag=True, help="The bytes as stored, even if they have a content encoding.")
@shared("endpoint", "anonymous", "literal")
def command(settings: Settings, locations: tuple[str, ...], bounds: Range | None, raw: bool) -> int:
    """Write the object at each LOCATION to standard output, decoded if it has a content encoding.

    A range of an encoded object counts decoded bytes; with --raw stored ones. In a location * and ? stand for what is
    there, in the directory (** in those below, too). "-" stands for a list of locations on standard input, one a line.
    """
    listed = is_list(locations)
    places = [locate(text) for text in (read_list() if listed else locations)]
    tally = output.Tally()
    with Opener(settings, places) as opener:
        places = choose(opener, places, settings, directories=False, listed=listed).places
        for place in places:
            found = look(opener, place, under=False)
            if found.nothing:
                tally.nothing_there(place.text)
            elif found.info is None:
                tally.is_a_directory(place.text, "ls shows what is in it")
            else:
                try:
                    stream(found.spot, bounds, raw=raw)
                except output.ClosedOutput:
                    raise
                except Exception as error:  # noqa: BLE001 - reported; the other locations are still shown
                    tally.fail(error, place.text)
                else:
                    tally.done()
    return tally.finish()


def stream(spot: Spot, bounds: Range | None = None, *, raw: bool = False) -> int:
    """Write one object, or a part of it, to standard output, and return the count of bytes."""
    count = 0
    for chunk in _chunks(spot, bounds, raw):
        output.write(chunk)
        count += len(chunk)
    output.flush()
    return count


def _chunks(spot: Spot, bounds: Range | None, raw: bool) -> Iterator[Buffer]:
    start, end = bounds or (None, None)
    with spot.store._read(spot.key, ReadOptions(start, end)) as blob:
        if raw or not blob.encoding:
            yield from blob.chunks()
            return
        if bounds is None:
            yield from _decoded(blob, spot.key, 0, None)
            return
    # Only now is it known that the range counts decoded bytes, which can be found only from the beginning.
    with spot.store._read(spot.key) as blob:
        yield from _decoded(blob, spot.key, start or 0, end)


def _decoded(blob: Blob, key: str, start: int, end: int | None) -> Iterator[Buffer]:
    return codecs.decode_range(blob.chunks(), blob.encoding, start, end, key=key)
