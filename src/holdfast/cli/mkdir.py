"""``holdfast mkdir``."""

from __future__ import annotations

import os

import click

from ..errors import HoldfastError, InvalidKey, Unsupported
from . import output
from .locations import Location, Opener, locate
from .options import Command, Settings, shared

EXAMPLES = """
holdfast mkdir results/run1
holdfast mkdir s3://bucket/run1
"""


@click.command(cls=Command, epilog=EXAMPLES, short_help="Create directories.")
@click.argument("locations", nargs=-1, required=True)
@shared("endpoint", "anonymous")
def command(settings: Settings, locations: tuple[str, ...]) -> int:
    """Create a directory at each LOCATION, with those above it; one that is there is left as it is.

    Services have no directories: on S3 an empty object of the name LOCATION/ is written, which ls, and the consoles of
    vendors, show as one; elsewhere it is told that there is nothing to make. Nothing needs it: whatever is copied to
    LOCATION/ makes the directory. A local directory with nothing in it is there, but is not listed.
    """
    places = [locate(text) for text in locations]
    tally = output.Tally()
    with Opener(settings, places) as opener:
        for place in places:
            try:
                _make(opener, place)
                tally.done()
            except (HoldfastError, OSError) as error:
                tally.fail(error, place.text)
    return tally.finish()


def _make(opener: Opener, place: Location) -> None:
    if place.is_local:
        os.makedirs(place.url.local_path, exist_ok=True)
        return
    spot = opener.directory(place)
    if not spot.store.capabilities.write:
        raise Unsupported("cannot make a directory: it can only be read", store=spot.store.name)
    if not spot.key:
        return
    try:
        if not spot.store.exists(spot.key):
            spot.store.write(spot.key, b"")
    except InvalidKey:
        output.complain("nothing to make: here a directory is there as soon as something is in it", place.text)
