"""``holdfast rm``."""

from __future__ import annotations

import os
from collections.abc import Iterable

import click

from .. import engine, progress
from ..files.requests import batches
from ..progress import Bar
from ..store import ObjectStore
from . import output
from .clearing import clear_away, is_private
from .locations import Found, Opener, locate, look
from .options import Command, Settings, shared

EXAMPLES = """
holdfast rm s3://bucket/run1/info.json
holdfast rm -r s3://bucket/run1 s3://bucket/run2
"""


@click.command(cls=Command, epilog=EXAMPLES, short_help="Remove objects and directories.")
@click.argument("locations", nargs=-1, required=True)
@click.option("-r", "recursive", is_flag=True, help="Remove everything under directories.")
@click.option("-v", "verbose", is_flag=True, help="Close with a line of totals also when nobody watches.")
@shared("threads", "json", "progress", "endpoint", "anonymous")
def command(settings: Settings, locations: tuple[str, ...], recursive: bool, verbose: bool) -> int:
    """Remove the object at each LOCATION, or with -r everything under LOCATION/ too.

    "rm -r run1" never touches run10 or run1.txt. If one of the locations is a directory and -r is not given,
    nothing at all is removed.
    """
    places = [locate(text) for text in locations]
    if any(place.is_local and place.url.local_path == "/" for place in places):
        raise click.UsageError("'/' is not removed: name what is to go")
    if links := [place.text for place in places if place.is_local and os.path.islink(place.url.local_path.rstrip("/"))]:
        raise click.UsageError(f"{links[0]} is a symlink, which is no object: remove it with the system's rm")
    tally = output.Tally()
    with tally.summarised(settings.json), Opener(settings, places) as opener:
        plan = [look(opener, place, under=recursive) for place in places]
        for found in plan:
            if found.nothing:
                tally.nothing_there(found.location.text)
            elif found.info is None and not recursive:
                tally.is_a_directory(found.location.text)
        if not tally.failed:
            with progress.bar(settings.progress, "removing") as bar:
                for found in plan:
                    _remove(opener, found, settings, tally, bar)
    return tally.close("removed", as_json=settings.json, verbose=verbose, with_bytes=False)


def _remove(opener: Opener, found: Found, settings: Settings, tally: output.Tally, bar: Bar) -> None:
    if found.info is not None:
        _remove_keys(opener, found.spot.store, [found.spot.key], settings, tally, bar)
    if found.directory is not None:
        path = found.location.local_directory()
        # Directory markers go as well: they are what keeps an empty directory in a listing.
        keys = (row.key for row in found.directory.rows if path is None or not is_private(row.key))
        _remove_keys(opener, found.directory.spot.store, keys, settings, tally, bar)
        if path is not None and not tally.failed and (reason := clear_away(path)):
            tally.fail(reason, path)


def _remove_keys(
    opener: Opener, store: ObjectStore, keys: Iterable[str], settings: Settings, tally: output.Tally, bar: Bar
) -> None:
    run = engine.default().run(
        store._remove,
        batches(keys, max(1, store.remove_batch)),
        threads=settings.threads,
        on_error="collect",
        local=store.local,
    )
    for outcome in run:
        batch = outcome.item
        errors = outcome.value if outcome.error is None else [outcome.error] * len(batch)
        for key, error in zip(batch, errors, strict=True):
            name = opener.name(store, key)
            if error is None:
                tally.done()
            else:
                tally.fail(error, name)
            if settings.json:
                problem = {} if error is None else {"error": output.describe(error)}
                output.json_line({"location": name, "status": "failed" if problem else "removed", **problem})
        bar.advance(len(batch))
