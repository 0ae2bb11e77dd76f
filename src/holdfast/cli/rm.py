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
from .globs import choose
from .lists import is_list, look_at, read_list
from .locations import Directory, Found, Location, Opener, locate
from .options import Command, Settings, shared

EXAMPLES = """
holdfast rm s3://bucket/run1/info.json
holdfast rm -r s3://bucket/run1 s3://bucket/run2
holdfast rm -r 's3://bucket/run1/tmp-*'
holdfast ls -r --fullpath s3://bucket/run1 | grep tmp | holdfast rm -
"""


@click.command(cls=Command, epilog=EXAMPLES, short_help="Remove objects and directories.")
@click.argument("locations", nargs=-1, required=True)
@click.option("-r", "--recursive", "recursive", is_flag=True, help="Remove everything under directories.")
@click.option("-b", "--block-size", "block_size", type=click.IntRange(min=1), metavar="N",
              help="Name at most N objects in one request (default: as many as the service takes).")  # fmt: skip
@click.option("-v", "--verbose", "verbose", is_flag=True, help="Close with a line of totals also when nobody watches.")
@shared("threads", "json", "progress", "endpoint", "anonymous", "literal")
def command(
    settings: Settings, locations: tuple[str, ...], recursive: bool, block_size: int | None, verbose: bool
) -> int:
    """Remove the object at each LOCATION, or with -r everything under LOCATION/ too.

    "rm -r run1" never touches run10 or run1.txt. If one of the locations is a directory and -r is not given,
    nothing at all is removed. In a location * and ? stand for what is there, in the directory (** for objects in those
    below, too): for objects, with -r for directories as well. "-" stands for a list of locations on standard input,
    one a line.
    """
    listed = is_list(locations)
    places = [locate(text) for text in (read_list() if listed else locations)]
    if any(place.is_local and place.url.local_path == "/" for place in places):
        raise click.UsageError("'/' is not removed: name what is to go")
    if links := [place.text for place in places if place.is_local and os.path.islink(place.url.local_path.rstrip("/"))]:
        raise click.UsageError(f"{links[0]} is a symlink, which is no object: remove it with the system's rm")
    tally = output.Tally()
    with tally.summarised(settings.json), Opener(settings, places) as opener:
        places = choose(opener, places, settings, directories=recursive, listed=listed).places
        plan = look_at(opener, places, under=recursive, threads=settings.threads)
        for found in plan:
            if found.nothing:
                tally.nothing_there(found.location.text)
            elif found.info is None and not recursive:
                tally.is_a_directory(found.location.text)
        if not tally.failed:
            remover = _Remover(opener, settings, tally, block_size)
            with progress.bar(settings.progress, "removing") as remover.bar:
                remover.remove(plan)
    return tally.close("removed", as_json=settings.json, verbose=verbose, with_bytes=False)


class _Remover:
    """Removes what was found, and tells of it."""

    def __init__(self, opener: Opener, settings: Settings, tally: output.Tally, block_size: int | None) -> None:
        self.opener = opener
        self.settings = settings
        self.tally = tally
        self.block_size = block_size
        self.bar = Bar(False, "removing")

    def remove(self, plan: list[Found]) -> None:
        """Remove all of it: objects by their stores, many with one request, then directories."""
        objects: dict[int, tuple[ObjectStore, list[str]]] = {}
        for found in plan:
            if found.info is not None:
                store, keys = objects.setdefault(id(found.spot.store), (found.spot.store, []))
                keys.append(found.spot.key)
        for store, keys in objects.values():
            self.remove_keys(store, dict.fromkeys(keys))
        for found in plan:
            if found.directory is not None:
                self.remove_directory(found.location, found.directory)

    def remove_directory(self, location: Location, directory: Directory) -> None:
        """Remove all under the location, and the local directory."""
        path = location.local_directory()
        # Directory markers go as well: they are what keeps an empty directory in a listing.
        self.remove_keys(
            directory.spot.store, (row.key for row in directory.rows if path is None or not is_private(row.key))
        )
        if path is not None and not self.tally.failed and (reason := clear_away(path)):
            self.tally.fail(reason, path)

    def remove_keys(self, store: ObjectStore, keys: Iterable[str]) -> None:
        """Remove these objects of one store."""
        size = max(1, store.remove_batch)
        run = engine.default().run(
            store._remove,
            batches(keys, min(size, self.block_size or size)),
            threads=self.settings.threads,
            on_error="collect",
            local=store.local,
        )
        for outcome in run:
            batch = outcome.item
            errors = outcome.value if outcome.error is None else [outcome.error] * len(batch)
            for key, error in zip(batch, errors, strict=True):
                name = self.opener.name(store, key)
                if error is None:
                    self.tally.done()
                else:
                    self.tally.fail(error, name)
                if self.settings.json:
                    problem = {} if error is None else {"error": output.describe(error)}
                    output.json_line({"location": name, "status": "failed" if problem else "removed", **problem})
            self.bar.advance(len(batch))
