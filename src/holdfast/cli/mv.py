"""``holdfast mv``: copies, proves them, and only then removes what was copied."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from ..errors import NotFound
from ..sync import Plan, apply, plan
from . import DONE, FAILED, NOTHING, output
from .applied import Report, show
from .clearing import clear_away
from .ends import Ends, directories, refuse_stdio, single
from .locations import Location, Opener, locate, look
from .options import Command, Settings, shared

EXAMPLES = """
holdfast mv results s3://bucket/run1
holdfast mv s3://bucket/run1 s3://bucket/2026/run1
holdfast mv s3://bucket/a.csv s3://bucket/b.csv done/
holdfast mv --dry-run s3://bucket/run1 gs://bucket/run1
"""


@click.command(cls=Command, epilog=EXAMPLES, short_help="Move objects and directories.")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.argument("target")
@click.option("-n", "--dry-run", "dry_run", is_flag=True, help="Only show what would be moved.")
@shared("threads", "json", "progress", "endpoint", "anonymous")
def command(settings: Settings, sources: tuple[str, ...], target: str, dry_run: bool) -> int:
    """Move each SOURCE, an object or everything under SOURCE/, to TARGET.

    The contents of a directory map onto the target, whether or not it exists: "mv run1 s3://b/x" gives x/a. A target
    that ends in "/" is a directory: a single object keeps its name there. So does each of several sources. What the
    target has under a name is replaced. An object is removed from SOURCE only when its copy is proved to hold the
    same bytes, by digests or by reading it back, and only that very version of it; what changes meanwhile is left,
    named, and makes the exit code 3. If anything cannot be moved for its name, nothing is.
    """
    refuse_stdio(*sources, target)
    goal, places = locate(target), [locate(source) for source in sources]
    _refuse_symlinks(places)
    if len(places) > 1 and not goal.is_directory and goal.local_directory() is None:
        raise click.UsageError(f"several sources need a directory as the target: write {target}/")
    _refuse_collisions(places, goal)
    with Opener(settings, [*places, goal]) as opener:
        plans = _plans(opener, places, goal, settings)
        if dry_run:
            for planned in plans:
                show(planned, settings)
        if refused := [action for planned in plans for action in planned.of_kind("refuse", "conflict")]:
            for action in refused:
                output.complain(f"cannot be moved: {action.reason}", action.key)
            return FAILED
        if dry_run:
            return DONE
        codes = []
        for planned in plans:
            report = Report(settings)
            summary = apply(planned, threads=settings.threads, progress=settings.progress, on_result=report.tell)
            codes.append(report.close(summary))
        if not any(codes):
            _clear_away(places)
    return FAILED if FAILED in codes else max(codes, default=NOTHING)


def _plans(opener: Opener, places: Sequence[Location], goal: Location, settings: Settings) -> list[Plan]:
    """All plans, before anything is moved; NotFound if there is nothing at one of the places."""
    plans: list[Plan] = []
    for source in places:
        if len(places) > 1:
            text = goal.child(source.name)
            target = locate(text if source.local_directory() is None and not source.is_directory else f"{text}/")
        else:
            target = goal
        plans += [_plan(ends, settings) for ends in _ends(opener, source, target, settings)]
    return plans


def _plan(ends: Ends, settings: Settings) -> Plan:
    return plan(
        ends.source, ends.target, keys=ends.keys, move=True, on_unknown="transfer",
        threads=settings.threads, progress=settings.progress,
    )  # fmt: skip


def _ends(opener: Opener, source: Location, target: Location, settings: Settings) -> list[Ends]:
    """What is at the source, and where it goes: an object, a directory, in a bucket possibly both."""
    found = look(opener, source)
    ends = []
    if found.info is not None:
        ends.append(single(opener, found.spot, source.name, target))
    if found.directory is not None:
        ends.append(directories(opener, source, target, settings))
    if not ends:
        raise NotFound(f"{source.text}: nothing there")
    return ends


def _refuse_collisions(places: Sequence[Location], goal: Location) -> None:
    seen: dict[str, Location] = {}
    for place in places:
        if (other := seen.setdefault(place.name, place)) is not place:
            raise click.UsageError(
                f"{other.text} and {place.text} would both become {goal.child(place.name)}: move them one by one"
            )


def _refuse_symlinks(places: Sequence[Location]) -> None:
    """UsageError for a source that is a symlink: what it leads to would be removed, and the link would stay."""
    for place in places:
        if place.is_local and os.path.islink(place.url.local_path.rstrip("/")):
            raise click.UsageError(f"{place.text} is a symlink: move what it leads to, or remove the link")


def _clear_away(places: Sequence[Location]) -> None:
    """Remove the local directories that are empty now."""
    for place in places:
        path = place.local_directory()
        if path is not None and not os.path.islink(path) and (reason := clear_away(path)):
            output.complain(reason, place.text)
