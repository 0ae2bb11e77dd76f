"""``holdfast mv``: copies, proves them, and only then removes what was copied."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import click

from ..errors import NotFound, PathConflict
from ..keys import join, printable
from ..sync import Plan, apply, plan
from ..sync.actions import KINDS
from . import DONE, output
from .applied import Report, foreseen, show, warn
from .clearing import clear_away
from .ends import Ends, directories, refuse_stdio, single
from .globs import choose
from .lists import is_list, look_at, read_list
from .locations import Found, Location, Opener, child, locate, refuse_collisions
from .options import Command, Settings, in_blocks, in_parts, shared

EXAMPLES = """
holdfast mv --dry-run results s3://bucket/run1    # only shows what, and why
holdfast mv results s3://bucket/run1              # results/a becomes run1/a
holdfast mv s3://bucket/run1 s3://bucket/2026/run1
holdfast mv 's3://bucket/run1/*.tmp' s3://bucket/old/
holdfast ls -r --fullpath s3://bucket/run1 | grep csv | holdfast mv - tables/
holdfast mv s3://bucket/a.csv s3://bucket/b.csv done/  # done/a.csv ...
"""


HELP = """
Move each SOURCE, an object or everything under SOURCE/, to TARGET.

The contents of a directory map onto the target, whether or not it exists: "mv run1 s3://b/x" gives x/a. A target that
ends in "/" is a directory: a single object keeps its name there. So does each of several sources. What the target has
under a name is replaced. An object is removed from SOURCE only when its copy is proved to hold the same bytes, by
digests or by reading it back, and only that very version of it. If anything cannot be moved for its name, nothing is.

In a SOURCE * and ? stand for the objects and directories that are there; each keeps its name in TARGET/. With ** it is
objects in directories below, too, and they keep what ** stands for. "-" as the source stands for a list of sources on
standard input, one a line.

\b
Exit codes:
  0  all is moved (with --dry-run: it would be)
  1  something failed, or something of a directory was left: each is named
  2  nothing was moved: it cannot be
  3  something has changed meanwhile, and was left
  4  nothing is there at one of the SOURCEs, and nothing was moved
  5  the bucket of TARGET does not exist
"""


@click.command(cls=Command, help=HELP, epilog=EXAMPLES, short_help="Move objects and directories.")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.argument("target")
@click.option("-n", "--dry-run", "dry_run", is_flag=True, help="Only show what would be moved.")
@in_blocks
@in_parts
@shared("threads", "json", "progress", "endpoint", "anonymous", "literal")
def command(
    settings: Settings, sources: tuple[str, ...], target: str, dry_run: bool, block_size: int | None,
    part_bytes: int | None,
) -> int:  # fmt: skip
    """Plan all, refuse what cannot be, then move."""
    refuse_stdio(target)
    listed, goal = is_list(sources), locate(target)
    if listed or len(sources) > 1:
        _need_directory(goal)
    places = [locate(source) for source in (read_list() if listed else sources)]
    _refuse_symlinks(places)
    report = Report(settings, moving=True)
    with report.summarised(), Opener(settings, [*places, goal]) as opener, opener.target(places, goal):
        places, by_pattern = choose(opener, places, settings, directories=True, listed=listed)
        if by_pattern:
            _need_directory(goal)
        several = by_pattern or len(places) > 1
        refuse_collisions(places, goal, "move")
        moves = _moves(opener, places, goal, settings, several=several)
        refused = [action for move in moves for action in move.plan.of_kind("refuse", "conflict")]
        for action in refused:
            report.fail(f"cannot be moved: {action.reason}", action.key)
        if dry_run:
            return _show(moves, settings)
        if refused:
            return report.close()
        for _, planned in moves:
            report.add(apply(
                planned, threads=settings.threads, block_size=block_size, part_size=part_bytes,
                progress=settings.progress, on_result=report.tell,
            ))  # fmt: skip
        if report.exit_code == DONE:
            _clear_away(places, report)
    return report.close()


class _Move(NamedTuple):
    """What is moved where, and the plan of it."""

    ends: Ends
    plan: Plan


def _show(moves: Sequence[_Move], settings: Settings) -> int:
    """The exit code that it would have, after all was shown.

    With --json it is one stream whatever is moved: a line for each object, and the summary. A plan that ``Plan.read``
    takes is one a file, and so is of one source.
    """
    code = max((foreseen(planned) for _, planned in moves), default=DONE)
    if not settings.json:
        for _, planned in moves:
            show(planned, settings)
        return code
    counts, nbytes = Counter(dict.fromkeys(map(str, KINDS), 0)), 0
    for ends, planned in moves:
        warn(planned.terms.warnings)
        old = {new: key for key, new in (ends.keys or {}).items()}
        for action in planned:
            if action.source is None:
                continue  # what only the target has stays there
            source = join(ends.source.name, old.get(action.key, action.key))
            names = {"source": source, "target": join(ends.target.name, action.key)}
            output.json_line({**names, "action": action.kind, "reason": action.reason, "bytes": action.nbytes})
            counts[action.kind] += 1
            nbytes += action.nbytes
    output.json_line({"status": "summary", **counts, "bytes": nbytes, "exit_code": code})
    return code


def _moves(
    opener: Opener, places: Sequence[Location], goal: Location, settings: Settings, *, several: bool
) -> list[_Move]:
    """All moves, before anything is done; NotFound if there is nothing at one of the places.

    Objects that go from one store to another are one move, however many they are.
    """
    moves: list[_Move] = []
    objects: dict[tuple[int, int], tuple[Ends, dict[str, str]]] = {}
    for found in look_at(opener, places, under=True, threads=settings.threads):
        source, target = found.location, goal
        if several:
            as_directory = source.local_directory() is not None or source.is_directory
            target = child(goal, f"{source.name}/" if as_directory else source.name)
        first, *others = _ends(opener, found, target, settings)
        if first.keys is not None and not others:
            stores = id(first.source.store), id(first.target.store)
            objects.setdefault(stores, (first, {}))[1].update(first.keys)
            continue
        made = [_Move(ends, _plan(ends, settings)) for ends in (first, *others)]
        if others:
            _refuse_one_name(source, *(move.plan for move in made))
        moves += made
    together = [replace(ends, keys=keys) for ends, keys in objects.values()]
    return moves + [_Move(ends, _plan(ends, settings)) for ends in together]


def _plan(ends: Ends, settings: Settings) -> Plan:
    return plan(
        ends.source, ends.target, keys=ends.keys, move=True, on_unknown="transfer",
        threads=settings.threads, progress=settings.progress,
    )  # fmt: skip


def _ends(opener: Opener, found: Found, target: Location, settings: Settings) -> list[Ends]:
    """What was found, and where it goes: an object, a directory, in a bucket possibly both; NotFound if nothing."""
    source, ends = found.location, []
    if found.info is not None:
        ends.append(single(opener, found.spot, source.name, target))
    if found.directory is not None:
        ends.append(directories(opener, source, target, settings))
    if not ends:
        raise NotFound(f"{source.text}: nothing there")
    return ends


def _refuse_one_name(place: Location, one: Plan, below: Plan) -> None:
    """PathConflict where the object and what is below its name would get one name, or be a file and its directory."""
    [key] = (action.key for action in one)
    own = one.target.address(key)
    for action in below:
        other = below.target.address(action.key)
        if other == own or (below.target.is_files and f"{other[-1]}/".startswith(f"{own[-1]}/")):
            raise PathConflict(
                f"{place.text} is an object, and {place.child(printable(action.key))} lies below it: the target "
                f"cannot have both; move {place.text}/ to another place first"
            )


def _need_directory(goal: Location) -> None:
    """UsageError for a goal that is none, and no local directory that is there."""
    if not goal.is_directory and goal.local_directory() is None:
        raise click.UsageError(f"several sources need a directory as the target: write {goal.text}/")


def _refuse_symlinks(places: Sequence[Location]) -> None:
    """UsageError for a source that is a symlink: what it leads to would be removed, and the link would stay."""
    for place in places:
        if place.is_local and os.path.islink(place.url.local_path.rstrip("/")):
            raise click.UsageError(f"{place.text} is a symlink: move what it leads to, or remove the link")


def _clear_away(places: Sequence[Location], report: Report) -> None:
    """Remove the local directories that are empty now; what is left of one was not moved."""
    for place in places:
        path = place.local_directory()
        if path is not None and not os.path.islink(path) and (reason := clear_away(path)):
            report.fail(reason, place.text)
