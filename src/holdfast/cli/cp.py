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
from ..types import WriteOptions
from . import output
from .cat import stream
from .copying import Manner, Pair, processes_of
from .globs import choose
from .lists import look_at, read_list
from .locations import STDIO, Directory, Found, Location, Opener, Spot, locate, look, refuse_collisions
from .options import Command, Settings, given, in_blocks, in_parts, is_typed_before, shared
from .recording import RECORDINGS, Recording, recorded

EXAMPLES = """
holdfast cp -r results s3://bucket/run1
holdfast cp s3://bucket/run1/info.json ./
holdfast cp 's3://bucket/run1/*.json' ./
holdfast cp -r -j 32 s3://bucket/run1 s3://bucket/run2 backup/
holdfast cp - s3://bucket/run1/log.txt
holdfast ls -r --fullpath s3://bucket/run1 | grep csv | holdfast cp - tables/
holdfast cp -r -c gzip results s3://bucket/run1
holdfast cp -r --resumable s3://bucket/run1 backup
holdfast -p 0 cp -r --flight-time --io-rate results s3://bucket/run1
"""
COMPRESSIONS = ("same", "none", "gzip", "br", "zstd", "bzip2", "xz")


@click.command(cls=Command, epilog=EXAMPLES, short_help="Copy objects and directories.")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.argument("target")
@click.option("-r", "--recursive", "recursive", is_flag=True, help="Copy everything under directories.")
@click.option("--decode", is_flag=True, help="Write decoded bytes where a source has a content encoding.")
@click.option("-c", "--compression", type=click.Choice(COMPRESSIONS), default="same", show_default=True,
              help="Store objects in this encoding; none is --decode.")  # fmt: skip
@click.option("--resumable", is_flag=True,
              help="Note how far it has come: the same command goes on there, also in the middle of large objects. "
              "What the target has already, proved equal, is not copied.")  # fmt: skip
@in_blocks
@in_parts
@click.option("-v", "--verbose", "verbose", is_flag=True, help="Close with a line of totals also when nobody watches.")
@recorded
@shared("threads", "json", "progress", "endpoint", "anonymous", "literal")
@click.pass_obj
def command(
    parallel: int, settings: Settings, sources: tuple[str, ...], target: str, recursive: bool, decode: bool,
    compression: str, resumable: bool, block_size: int | None, part_bytes: int | None, verbose: bool,
    recording: Recording,
) -> int:  # fmt: skip
    """Copy each SOURCE to TARGET, in parallel; every object appears there whole or not at all.

    A source is an object, or with -r everything under SOURCE/. The contents of the source map onto the target,
    whether or not that exists: "cp -r run1 s3://b/x" gives x/a, every time. A target that ends in "/" is a
    directory: a single object keeps its name there. So does each of several sources. Stored bytes and their
    attributes are copied as they are; symlinks inside local directories are left out. "-" as the target is standard
    output, as the source standard input: a list of sources, one a line, if the target is a directory, else the content
    of the object.

    In a source * and ? stand for what is there, in the directory: for objects, with -r for directories as well. Each
    keeps its name in TARGET/. With ** it is objects in directories below, too, and they keep what ** stands for.
    """
    decode = decode or compression == "none"
    listed = sources == (STDIO,) and target != STDIO and locate(target).is_directory
    if not listed and (STDIO in sources or target == STDIO):
        _refuse_useless(sources, target)
        tally = output.Tally()
        with tally.summarised(settings.json):
            _copy_stdio(settings, sources, target, decode, part_bytes, tally)
        return tally.close("copied", as_json=settings.json, verbose=verbose)
    if listed:
        sources = tuple(read_list())
    tally = output.Tally()
    places = [locate(source) for source in sources]
    goal = locate(target)
    processes = processes_of(parallel)
    if block_size is not None and processes > 1:
        if given("block_size") and is_typed_before("parallel"):
            raise click.UsageError("-b has no meaning with -p, where each process has a share of its own: leave it out")
        processes, block_size = (1, block_size) if given("block_size") else (processes, None)
    manner = Manner(decode, settings.threads, part_bytes, block_size, processes, recording)
    with (
        tally.summarised(settings.json),
        Opener(settings, [*places, goal]) as opener,
        opener.target(places, goal),
        recording.running("cp"),
    ):
        places, by_pattern = choose(opener, places, settings, directories=recursive, listed=listed)
        several = by_pattern or len(places) > 1
        if several and not recursive and not goal.is_directory:
            raise click.UsageError(f"several sources need a directory as the target: write {target}/")
        refuse_collisions(places, goal, "copy")
        if resumable or compression not in {"same", "none"}:
            from .planned import copy_planned, refuse_mixture  # with the planner, which plain copies do without

            refuse_mixture({"--decode": given("decode"), "-p": is_typed_before("parallel"),
                            "--flight-time": recording.flight_time, "--io-rate": recording.io_rate})  # fmt: skip
            encoding = "" if decode else None if compression == "same" else compression
            copy_planned(opener, places, goal, settings, tally, recursive=recursive, several=several,
                         encoding=encoding, resumable=resumable, block_size=block_size,
                         part_size=part_bytes)  # fmt: skip
        else:
            plan = _Plan(opener, goal, several=several)
            for found in look_at(opener, places, under=recursive, threads=settings.threads):
                plan.add(found, tally, recursive=recursive)
            if not plan.refused:
                with progress.bar(settings.progress, "copying") as bar:
                    _copy(plan, settings, manner, tally, bar)
    return tally.close("copied", as_json=settings.json, verbose=verbose)


def _refuse_useless(sources: tuple[str, ...], target: str) -> None:
    """UsageError for an option on the command line that has no meaning for the stream that this is."""
    options = {"recursive": "-r", "threads": "-j"}
    options |= {name: f"--{name.replace('_', '-')}" for name in ("resumable", "block_size", *RECORDINGS)}
    if sources[0] == STDIO:
        options |= {"decode": "--decode", "compression": "-c"}
    if target == STDIO:
        options |= {"json": "--json", "part_bytes": "--part-bytes"}
    useless = [option for name, option in options.items() if given(name)]
    context = click.get_current_context()
    if given("progress") and context.params["progress"]:
        useless.append("--progress")
    if context.params["compression"] not in {"same", "none"}:
        useless.append("-c")
    if useless:
        raise click.UsageError(f"{useless[0]} has no meaning with '-': leave it out")


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


def _copy(plan: _Plan, settings: Settings, manner: Manner, tally: output.Tally, bar: Bar) -> None:
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
        for outcome in manner.copies(plan.opener, job.source, job.target, pairs, bar):
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


def _copy_stdio(
    settings: Settings, sources: tuple[str, ...], target: str, decode: bool, part_size: int | None, tally: output.Tally
) -> None:
    if len(sources) > 1 or (sources[0] == STDIO) == (target == STDIO):
        raise click.UsageError("'-' is standard input as the only source, or standard output as the target")
    place = locate(target if sources[0] == STDIO else sources[0])
    with Opener(settings, [place]) as opener:
        if sources[0] == STDIO:
            if place.is_directory:
                raise click.UsageError(f"standard input has no name to keep in {place.text}: name the object")
            spot = opener.object(place)
            with opener.target([], place):
                size = spot.store.write(spot.key, sys.stdin.buffer, WriteOptions(part_size=part_size)).size or 0
            tally.done(size)
            if settings.json:
                names = {"source": STDIO, "target": opener.name(spot.store, spot.key)}
                output.json_line({**names, "status": "copied", "bytes": size})
            return
        places = choose(opener, [place], settings, directories=False).places
        if len(places) > 1:
            raise click.UsageError(f"{place.text} stands for {len(places)} objects: holdfast cat writes them all")
        found = look(opener, places[0], under=False)
        if found.nothing:
            tally.nothing_there(place.text)
        elif found.info is None:
            tally.is_a_directory(place.text, "name an object in it")
        else:
            tally.done(stream(found.spot, raw=not decode))
