"""``holdfast du``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from .. import engine, progress
from ..progress import size_text
from ..types import ObjectInfo
from . import output
from .locations import Found, Opener, locate, look
from .options import Command, Settings, shared

EXAMPLES = """
holdfast du -h s3://bucket/run1
holdfast du results s3://bucket/run1
"""


@click.command(cls=Command, epilog=EXAMPLES, short_help="Measure objects and directories.")
@click.argument("locations", nargs=-1)
@click.option("-h", "human", is_flag=True, help="Sizes with units.")
@shared("threads", "json", "progress", "endpoint", "anonymous")
def command(settings: Settings, locations: tuple[str, ...], human: bool) -> int:
    """Measure each LOCATION (default: this directory): stored bytes, number of objects, location.

    A location is an object or everything under location/. With --json each location is one line.
    """
    places = [locate(text) for text in locations or (".",)]
    tally = output.Tally()
    with Opener(settings, places) as opener:
        for place in places:
            found = look(opener, place)
            if found.nothing:
                tally.nothing_there(place.text)
                continue
            with progress.bar(settings.progress, "measuring") as bar:
                for nbytes in _sizes(found, settings, tally):
                    bar.advance(1, nbytes)
            tally.done()
            if settings.json:
                output.json_line({"location": place.text, "bytes": bar.nbytes, "count": bar.count})
            else:
                size = size_text(bar.nbytes) if human else str(bar.nbytes)
                output.line(f"{size:>14}  {bar.count:>9}  {place.text}")
    return tally.finish()


def _sizes(found: Found, settings: Settings, tally: output.Tally) -> Iterator[int]:
    if found.info is not None:
        yield found.info.size or 0
    if found.directory is None:
        return
    store = found.directory.spot.store

    def size(row: ObjectInfo) -> int:
        # Some stores' listings do not tell sizes.
        return row.size if row.size is not None else store.head(row.key).size or 0

    rows = found.directory.files()
    for outcome in engine.default().run(size, rows, threads=settings.threads, on_error="collect"):
        if outcome.error is not None:
            tally.fail(outcome.error, outcome.item.key)
        else:
            yield outcome.value
