"""``cp --resumable`` and ``cp --compression``: copies by the planner, which knows what is there already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import click

from ..errors import HoldfastError
from ..keys import join
from ..sync import Journal, Plan, Result, apply, plan
from . import output
from .ends import Ends, directories, single
from .locations import Found, Location, Opener, child, look
from .options import Settings


def copy_planned(
    opener: Opener, places: Sequence[Location], goal: Location, settings: Settings, tally: output.Tally,
    *, recursive: bool, several: bool, encoding: str | None, resumable: bool,
    block_size: int | None, part_size: int | None,
) -> None:  # fmt: skip
    """Copy all that the target does not have yet, in an encoding if one is named ("": decoded), and count it.

    Everything is planned before anything is copied. ``resumable`` notes in this user's journal how far it has come, so
    that large objects go on in the middle. ``block_size`` and ``part_size`` are those of ``apply``.
    """
    plans = []
    for place in places:
        found = look(opener, place, under=recursive)
        if found.nothing:
            tally.nothing_there(place.text)
        elif found.info is None and not recursive:
            tally.is_a_directory(place.text)
        else:
            plans += [
                plan(
                    ends.source, ends.target, keys=ends.keys, on_unknown="transfer", reencode=encoding,
                    threads=settings.threads, progress=settings.progress,
                )
                for ends in _ends(opener, found, goal, settings, several=several)
            ]  # fmt: skip
    if tally.failed:
        return
    with ExitStack() as opened:
        journal = opened.enter_context(Journal.default()) if resumable else None
        for planned in plans:
            _apply(planned, settings, tally, journal, block_size=block_size, part_size=part_size)
        if journal is not None and not tally.failed:
            journal.forget_complete()  # each call makes a plan of its own, so nobody asks for these again


def _ends(opener: Opener, found: Found, goal: Location, settings: Settings, *, several: bool) -> Iterator[Ends]:
    """What was found, the object, the directory or both, and where it goes."""
    place = found.location
    if found.info is not None:
        yield single(opener, found.spot, place.name, child(goal, place.name) if several else goal)
    if found.directory is not None:
        yield directories(opener, place, child(goal, f"{place.name}/") if several else goal, settings)


def refuse_mixture(options: dict[str, bool]) -> None:
    """UsageError for options of plain copies beside those that need a plan."""
    if useless := [option for option, wanted in options.items() if wanted]:
        raise click.UsageError(f"{useless[0]} has no meaning with --resumable or -c: leave it out")


def _apply(planned: Plan, settings: Settings, tally: output.Tally, journal: Journal | None, **sizes: Any) -> None:
    def tell(result: Result) -> None:
        name = join(planned.source.name, result.key)
        row = {"source": name, "status": "copied", "bytes": result.nbytes}
        if result.outcome in {"done", "already"}:
            tally.done(result.nbytes)
        else:
            problem = result.error or HoldfastError(result.detail)
            tally.fail(problem, name)
            row = {"source": name, "status": "failed", "error": output.describe(problem)}
        if settings.json:
            output.json_line(row)

    summary = apply(
        planned, journal=journal, threads=settings.threads, progress=settings.progress, on_result=tell, **sizes
    )
    if summary.skipped:
        output.complain(f"{summary.skipped} were there already", planned.target.name)
