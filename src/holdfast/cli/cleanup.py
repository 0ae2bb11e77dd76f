"""``holdfast cleanup``: what processes that died have left, found and, on demand, removed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import click

from ..errors import HoldfastError
from ..keys import join
from ..progress import size_text
from ..sync import Journal
from . import output
from .locations import Location, Opener, locate
from .options import Command, Settings, shared
from .uploads import Age, administered, uploads_at

EXAMPLES = """
holdfast cleanup s3://bucket                      # only shows what is old
holdfast cleanup --older-than 1d --yes s3://bucket/run1 /backup
holdfast cleanup --journal transfer.sqlite        # syncs that never ended
holdfast cleanup                                  # in the user's own journal
"""


class Leftover(NamedTuple):
    """One thing that was left: what it is, when it was last touched, how to name it, and how to remove it."""

    kind: str
    touched: datetime
    name: str
    note: str
    remove: Callable[[], Any]


@click.command(cls=Command, epilog=EXAMPLES, short_help="Find and remove what dead processes have left.")
@click.argument("locations", nargs=-1)
@click.option("--journal", "journals", type=click.Path(dir_okay=False), multiple=True, metavar="FILE",
              help="Look into this journal of syncs as well.")  # fmt: skip
@click.option("--older-than", "older_than", type=Age(), default="7d", show_default=True, metavar="AGE",
              help="Only what nobody has touched for so long, such as 90m, 12h or 7d.")  # fmt: skip
@click.option("-y", "--yes", is_flag=True, help="Remove what was found; without it, it is only shown.")
@shared("json", "endpoint", "anonymous")
def command(
    settings: Settings, locations: tuple[str, ...], journals: tuple[str, ...], older_than: timedelta, yes: bool
) -> int:
    """Show what processes that were killed have left at each LOCATION, and with --yes remove it.

    On services that is uploads in parts that were never completed: nobody sees them, but they are stored and paid
    for. In local directories it is the temporary files of writers that are gone. Without any LOCATION, and in each
    --journal, it is syncs that were begun and never ended, and the pieces of objects that they had fetched.

    An upload that is going on looks the same as an abandoned one, and fails if it is removed: hence --older-than.
    Objects are never touched. The exit code is 0 also if nothing was found, 1 if something could not be removed, and
    4 if there is no such LOCATION.
    """
    before = datetime.now(UTC) - older_than
    places = [locate(text) for text in locations]
    if absent := [path for path in journals if not os.path.exists(path)]:
        raise click.UsageError(f"there is no journal {absent[0]}")
    files = [*journals] if locations or journals else [str(Journal.default_path())]
    tally = output.Tally()
    with tally.summarised(settings.json), Opener(settings, places) as opener, ExitStack() as opened:
        # An empty file would become a journal; and what is none is refused before anything is removed.
        files = [path for path in files if os.path.exists(path) and os.path.getsize(path)]
        known = [opened.enter_context(Journal(path)) for path in files]
        for place in places:
            if place.is_local and place.local_directory() is None:
                _refuse(place, tally)
                continue
            for leftover in _at(opener, place, before):
                _treat(leftover, before, settings, tally, remove=yes)
        for journal in known:
            for leftover in _in_journal(journal):
                _treat(leftover, before, settings, tally, remove=yes)
    if tally.count and not yes and not settings.json:
        sys.stderr.write("nothing was removed: add --yes\n")
    return tally.close("removed" if yes else "found", "leftover", as_json=settings.json, verbose=True)


def _refuse(place: Location, tally: output.Tally) -> None:
    """Report a local location that is no directory."""
    if os.path.lexists(place.url.local_path.rstrip("/")):
        tally.fail("is no directory: leftovers lie in directories, so name the one that it is in", place.text)
    else:
        tally.nothing_there(place.text)


def _treat(leftover: Leftover, before: datetime, settings: Settings, tally: output.Tally, *, remove: bool) -> None:
    """Show one leftover that is old enough, and remove it if that is wanted."""
    if leftover.touched >= before:
        return
    status, row = "found", {"kind": leftover.kind, "location": leftover.name, "touched": leftover.touched.isoformat()}
    try:
        if remove:
            leftover.remove()
            status = "removed"
        tally.done()
    except (HoldfastError, OSError) as error:
        tally.fail(error, leftover.name)
        status, row["error"] = "failed", output.describe(error)
    if settings.json:
        output.json_line({**row, "status": status})
    else:
        note = f"  ({leftover.note})" if leftover.note else ""
        output.line(f"{leftover.touched:%Y-%m-%d %H:%M:%S}  {status:<7}  {leftover.kind:<9}  {leftover.name}{note}")


def _at(opener: Opener, place: Location, before: datetime) -> Iterator[Leftover]:
    """What was left at a location."""
    if place.is_local:
        store: Any = opener.directory(place).store
        for path, size, modified in list(store.abandoned()):
            touched, sweep = datetime.fromtimestamp(modified, UTC), partial(store.sweep, before.timestamp())
            yield Leftover("temporary", touched, path, size_text(size), sweep)
        return
    store = administered(opener, place)
    for upload in list(uploads_at(opener, store, place)):
        abort = partial(store.abort_multipart_upload, upload)
        yield Leftover("upload", upload.started, opener.name(store, upload.key), "", abort)


def _in_journal(journal: Journal) -> Iterator[Leftover]:
    """The syncs that a journal knows, and the transfers in parts that were never ended; nothing while one goes on."""
    if journal.has_workers():
        output.complain("left alone, because a sync is going on with it", journal.path)
        return
    for run in list(journal.runs()):
        note = f"{run.left} of its actions are left" if run.left else "complete"
        touched = datetime.fromtimestamp(run.touched, UTC)
        yield Leftover("sync", touched, f"{run.source} -> {run.target}", note, partial(journal.drop, run.id))
    for transfer in list(journal.transfers()):
        touched = datetime.fromtimestamp(transfer.touched, UTC)
        forget = partial(journal.drop_transfer, transfer.name)
        yield Leftover("pieces", touched, join(transfer.target, transfer.key), "", forget)
