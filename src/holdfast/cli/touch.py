"""``holdfast touch``."""

from __future__ import annotations

import click

from .. import engine, progress
from ..errors import AlreadyExists
from . import output
from .locations import Location, Opener, locate, look
from .options import Command, Settings, shared

EXAMPLES = """
holdfast touch s3://bucket/run1/done
holdfast touch results/a results/b
"""
CREATED, THERE, DIRECTORY = "created", "exists", "directory"


@click.command(cls=Command, epilog=EXAMPLES, short_help="Create empty objects where there are none.")
@click.argument("locations", nargs=-1, required=True)
@click.option("-v", "--verbose", "verbose", is_flag=True, help="Close with a line of totals also when nobody watches.")
@shared("threads", "json", "progress", "endpoint", "anonymous")
def command(settings: Settings, locations: tuple[str, ...], verbose: bool) -> int:
    """Create an empty object at each LOCATION where there is none; what is there is never changed.

    That holds also when somebody else writes there at the same moment, so it needs a store that can create without
    replacing: a web server is refused. With --json each location is one line, created or exists.
    """
    places = [locate(text) for text in locations]
    tally = output.Tally()
    with tally.summarised(settings.json), Opener(settings, places) as opener:

        def touch(place: Location) -> str:
            found = look(opener, place, under=False)
            if found.info is not None:
                return THERE
            if found.directory is not None or place.is_directory:
                return DIRECTORY
            spot = opener.object(place)
            try:
                spot.store.create(spot.key, b"")
            except AlreadyExists:
                return THERE
            return CREATED

        with progress.bar(settings.progress, "touching", len(places)) as bar:
            run = engine.default().run(touch, places, threads=settings.threads, ordered=True, on_error="collect")
            for outcome in run:
                _tell(outcome, settings, tally)
                bar.advance()
    return tally.close("touched", as_json=settings.json, verbose=verbose, with_bytes=False)


def _tell(outcome: engine.Outcome[Location], settings: Settings, tally: output.Tally) -> None:
    name, status, problem = outcome.item.text, outcome.value, {}
    if outcome.error is not None:
        status, problem = "failed", {"error": output.describe(outcome.error)}
        tally.fail(outcome.error, name)
    elif status == DIRECTORY:
        tally.is_a_directory(name, "name an object")
    else:
        tally.done()
    if settings.json:
        output.json_line({"location": name, "status": status, **problem})
