"""``holdfast cp``: first a plan that touches nothing, then the copies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import click

from .. import progress
from ..errors import PathConflict
from ..progress import Bar
from ..store import ObjectStore
from ..sync.copying import copy_objects
from . import output
from .cat import stream
from .locations import STDIO, Directory, Found, Location, Opener, Spot, locate, look, refuse_collisions
from .options import Command, Settings, shared

Pair = tuple[str, str]


EXAMPLES = """
holdfast cp -r results s3://bucket/run1
holdfast cp s3://bucket/run1/info.json ./
holdfast cp -r -j 32 s3://bucket/run1 s3://bucket/run2 backup/
holdfast cp - s3://bucket/run1/log.txt
"""


@click.command(cls=Command, epilog=EXAMPLES, short_help="Copy objects and directories.")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.argument("target")
@click.option("-r", "recursive", is_flag=True, help="Copy everything under directories.")
@click.option("--decode", is_flag=True, help="Write decoded bytes where a source has a content encoding.")
@click.option("-v", "verbose", is_flag=True, help="Close with a line of totals also when nobody watches.")
@shared("threads", "json", "progress", "endpoint", "anonymous")
def command(
    settings: Settings, sources: tuple[str, ...], target: str, recursive: bool, decode: bool, verbose: bool
) -> int:
    """Copy each SOURCE to TARGET, in parallel; every object appears there whole or not at all.

    A source is an object, or with -r everything under SOURCE/. The contents of the source map onto the target,
    whether or not that exists: "cp -r run1 s3://b/x" gives x/a, every time. A target that ends in "/" is a
    directory: a single object keeps its name there. So does each of several sources. Stored bytes and their
    attributes are copied as they are; symlinks inside local directories are left out. "-" as the source is standard
    input, as the target standard output.
    """
    if STDIO in sources or target == STDIO:
        ignored = {"-r": recursive, "-j": settings.threads is not None, "--progress": settings.progress is True}
        if sources[0] == STDIO:
            ignored["--decode"] = decode
        if target == STDIO:
            ignored["--json"] = settings.json
        if useless := [option for option, given in ignored.items() if given]:
            raise click.UsageError(f"{useless[0]} has no meaning with '-': leave it out")
        tally = output.Tally()
        with tally.summarised(settings.json):
            _copy_stdio(settings, sources, target, decode, tally)
        return tally.close("copied", as_json=settings.json, verbose=verbose)
    if len(sources) > 1 and not recursive and not locate(target).is_directory:
        raise click.UsageError(f"several sources need a directory as the target: write {target}/")
    tally = output.Tally()
    places = [locate(source) for source in sources]
    goal = locate(target)
    with tally.summarised(settings.json), Opener(settings, [*places, goal]) as opener, opener.target(places, goal):
        plan = _Plan(opener, goal, several=len(places) > 1)
        refuse_collisions(places, goal, "copy")
        for place in places:
            plan.add(look(opener, place, under=recursive), tally, recursive=recursive)
        if not plan.refused:
            with progress.bar(settings.progress, "copying") as bar:
                _copy(plan, settings, decode, tally, bar)
    return tally.close("copied", as_json=settings.json, verbose=verbose)


@dataclass
class _Job:
    """Everything that goes from one store to another."""

    source: ObjectStore
    target: ObjectStore
    pairs: list[Iterable[Pair]] = field(default_factory=list)


class _Plan:
    """What is to be copied where. Building it reads, but changes nothing."""

    def __init__(self, opener: Opener, goal: Location, *, several: bool) -> None:
        self.opener = opener
        self.goal = goal
        self.several = several
        self.refused = False
        self._jobs: dict[tuple[int, int], _Job] = {}

    @property
    def jobs(self) -> Iterable[_Job]:
        """The work, by pairs of stores."""
        return self._jobs.values()

    def add(self, found: Found, tally: output.Tally, *, recursive: bool) -> None:
        """Plan the copy of what was found, or report why there is none."""
        if found.nothing:
            tally.nothing_there(found.location.text)
        elif found.info is None and not recursive:
            tally.is_a_directory(found.location.text)
            self.refused = True
        else:
            if found.info is not None:
                self._add_object(found)
            if found.directory is not None and recursive:
                self._add_directory(found.directory)

    def _add_object(self, found: Found) -> None:
        if self.several or self.goal.is_directory:
            spot = self.opener.directory(self.goal)
            spot = Spot(spot.store, spot.key + found.location.name)
        elif self.goal.local_directory() is not None:
            raise PathConflict(f"{self.goal.text} is a directory: write {self.goal.text}/ to copy into it")
        else:
            spot = self.opener.object(self.goal)
        if self._address(found.spot) == self._address(spot):
            raise click.UsageError(f"{found.location.text} would be copied onto itself")
        self._job(found.spot, spot).pairs.append([(found.spot.key, spot.key)])

    def _add_directory(self, directory: Directory) -> None:
        if self.goal.is_local and os.path.isfile(self.goal.url.local_path.rstrip("/")):
            raise PathConflict(f"{self.goal.text} is a file: name a directory, or remove it first")
        source, target = directory.spot, self.opener.directory(self.goal)
        if self.several:
            target = Spot(target.store, f"{target.key}{directory.location.name}/")
        *where, under = self._address(source)
        *there, inside = self._address(target)
        if where == there and inside.startswith(under):
            raise click.UsageError(f"{directory.location.text} would be copied into itself")
        self._job(source, target).pairs.append(_pairs(directory, target.key))

    def _job(self, source: Spot, target: Spot) -> _Job:
        job = _Job(source.store, target.store)
        return self._jobs.setdefault((id(source.store), id(target.store)), job)

    def _address(self, spot: Spot) -> tuple[str, ...]:
        """Where the spot really is, comparable between stores; directories end in "/"."""
        there = spot.store._locate(spot.key + "x")
        if there is None:
            return (str(id(spot.store)), spot.key)
        if there.vendor == "file":
            path = os.path.realpath(self.opener.name(spot.store, spot.key))
            return ("file", path if spot.key and not spot.key.endswith("/") else f"{path}/")
        return (there.vendor, there.identity, there.bucket, there.key[:-1])


def _pairs(directory: Directory, prefix: str) -> Iterator[Pair]:
    cut = len(directory.spot.key)
    if not cut and not prefix:
        return ((row.key, row.key) for row in directory.files())
    return ((row.key, prefix + row.key[cut:]) for row in directory.files())


def _copy(plan: _Plan, settings: Settings, decode: bool, tally: output.Tally, bar: Bar) -> None:
    jobs = list(plan.jobs)
    listed = 0

    def count(pairs: Iterable[Pair], *, last: bool) -> Iterator[Pair]:
        """The pairs as they come; the bar's total is known when the last listing, which runs on meanwhile, ends."""
        nonlocal listed
        for pair in pairs:
            listed += 1
            yield pair
        if last:
            bar.total = listed

    for job in jobs:
        pairs = count(chain.from_iterable(job.pairs), last=job is jobs[-1])
        for outcome in copy_objects(job.source, job.target, pairs, decode=decode, threads=settings.threads, bar=bar):
            if outcome.error is None:
                tally.done(outcome.value)
                if settings.json:
                    output.json_line({**_names(plan, job, outcome.item), "status": "copied", "bytes": outcome.value})
            else:
                source, target = _names(plan, job, outcome.item).values()
                tally.fail(outcome.error, f"{source} -> {target}")
                if settings.json:
                    problem = output.describe(outcome.error)
                    output.json_line({"source": source, "target": target, "status": "failed", "error": problem})


def _names(plan: _Plan, job: _Job, pair: Pair) -> dict[str, str]:
    name = plan.opener.name
    return {"source": name(job.source, pair[0]), "target": name(job.target, pair[1])}


def _copy_stdio(settings: Settings, sources: tuple[str, ...], target: str, decode: bool, tally: output.Tally) -> None:
    if len(sources) > 1 or (sources[0] == STDIO) == (target == STDIO):
        raise click.UsageError("'-' is standard input as the only source, or standard output as the target")
    place = locate(target if sources[0] == STDIO else sources[0])
    with Opener(settings, [place]) as opener:
        if sources[0] == STDIO:
            if place.is_directory:
                raise click.UsageError(f"standard input has no name to keep in {place.text}: name the object")
            spot = opener.object(place)
            with opener.target([], place):
                size = spot.store.write(spot.key, sys.stdin.buffer).size or 0
            tally.done(size)
            if settings.json:
                names = {"source": STDIO, "target": opener.name(spot.store, spot.key)}
                output.json_line({**names, "status": "copied", "bytes": size})
            return
        found = look(opener, place, under=False)
        if found.nothing:
            tally.nothing_there(place.text)
        elif found.info is None:
            tally.is_a_directory(place.text, "name an object in it")
        else:
            tally.done(stream(found.spot, raw=not decode))
