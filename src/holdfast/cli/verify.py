"""``holdfast verify``."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import click

from .. import engine, progress
from ..errors import StoreError
from ..keys import sort_key
from ..progress import size_text
from ..store import ObjectStore
from ..types import ObjectInfo
from . import DONE, FAILED, NOTHING, output
from .locations import Directory, Found, Opener, locate, look
from .options import Command, Settings, given, shared
from .proofs import Proof

SAME, DIFFERENT, MISSING, EXTRA = "same", "different", "missing", "extra"
MINE, THEIRS = 0, 1
NOT_THERE = ("", None)
CLOSING = ("bytes", "failed", "seconds")

Named = tuple[bytes, int, str, ObjectInfo]


EXAMPLES = """
holdfast verify results s3://bucket/run1
holdfast verify --json s3://bucket/run1 s3://other/run1
holdfast verify -mv --part-size 8388608 results s3://bucket/run1
"""


@click.command(cls=Command, epilog=EXAMPLES, short_help="Compare two locations, byte by byte.")
@click.argument("source")
@click.argument("target")
@click.option("--decode", is_flag=True, help="Compare decoded bytes where one side has a content encoding.")
@click.option("-m", "--only-matching", "matching", is_flag=True, help="Leave out what only one side has.")
@click.option("-v", "--verbose", "verbose", is_flag=True, help="Tell what is known of both sides of what differs.")
@click.option("--md5", is_flag=True, help="Compare MD5s instead of CRC32Cs.")
@click.option("--part-size", "part_size", type=click.IntRange(min=1), metavar="N",
              help="Do not read a service's object with the ETag of the other side in parts of N bytes.")  # fmt: skip
@click.option("--multipart-threshold", "threshold", type=click.IntRange(min=0), metavar="N",
              help="With --part-size: what has at most N bytes was sent whole (default: as --part-size).")  # fmt: skip
@shared("threads", "json", "progress", "endpoint", "anonymous")
def command(
    settings: Settings, source: str, target: str, decode: bool, matching: bool, verbose: bool, md5: bool,
    part_size: int | None, threshold: int | None,
) -> int:  # fmt: skip
    """Compare everything at SOURCE with TARGET, as "cp -r SOURCE TARGET" would have written it, byte by byte.

    Both sides are listed, sizes are compared, then the contents of both are read. What differs is printed, and a
    closing line; the exit code is 0 only if both sides hold the same objects with the same bytes. Equal bytes with
    another content encoding are different contents.
    """
    if given("threshold") and part_size is None:
        raise click.UsageError("--multipart-threshold has no meaning without --part-size: add that")
    proof = Proof("md5" if md5 else "crc32c", decode, part_size, part_size or 0 if threshold is None else threshold)
    places = [locate(source), locate(target)]
    report = _Report(settings.json, verbose=verbose)
    with Opener(settings, places) as opener:
        mine, theirs = (look(opener, place) for place in places)
        if mine.nothing:
            output.complain("nothing there", mine.location.text)
            if settings.json:
                report.close()
            return NOTHING
        compare = _Comparison(mine.spot.store, theirs.spot.store, proof)
        couples = _couples(opener, mine, theirs)
        run = engine.default().run(
            compare,
            (one for one in couples if not matching or None not in (one.mine, one.theirs)),
            threads=settings.threads,
            on_error="collect",
            local=mine.spot.store.local and theirs.spot.store.local,
        )
        with progress.bar(settings.progress, "comparing") as bar:
            for outcome in run:
                report.add(outcome)
                bar.advance(1, outcome.item.size)
    report.close()
    return DONE if report.sound else FAILED


@dataclass(frozen=True, slots=True)
class _Couple:
    """One name, and what each side has under it."""

    name: str
    mine: ObjectInfo | None
    theirs: ObjectInfo | None

    @property
    def size(self) -> int:
        """The bytes that are compared, as far as a listing tells."""
        return 0 if self.mine is None or self.theirs is None else self.mine.size or 0


def _couples(opener: Opener, mine: Found, theirs: Found) -> Iterator[_Couple]:
    if mine.info is not None:
        other = theirs.info
        if theirs.location.is_directory:
            other = look(opener, locate(theirs.location.child(mine.location.name)), under=False).info
        yield _Couple(mine.location.name, mine.info, other)
    elif theirs.info is not None:
        yield _Couple(theirs.location.name, None, theirs.info)
    if mine.directory is not None:
        rows = heapq.merge(_named(mine.directory, MINE), _named(theirs.directory, THEIRS), key=itemgetter(0))
        for _, group in groupby(rows, key=itemgetter(0)):
            sides = {side: (name, row) for _, side, name, row in group}
            name, _ = next(iter(sides.values()))
            yield _Couple(name, sides.get(MINE, NOT_THERE)[1], sides.get(THEIRS, NOT_THERE)[1])


def _named(directory: Directory | None, side: int) -> Iterator[Named]:
    """The rows with their names below the directory, in the order of these names."""
    if directory is None:
        return iter(())
    cut = len(directory.spot.key)
    rows = ((sort_key(name := row.key[cut:]), side, name, row) for row in directory.files())
    if directory.spot.store.capabilities.sorted:
        return _checked(rows, directory.spot.store)
    # Stores without an order of their own are small ones, with all their keys in memory.
    return iter(sorted(rows, key=itemgetter(0)))


def _checked(rows: Iterator[Named], store: ObjectStore) -> Iterator[Named]:
    before: bytes | None = None
    for row in rows:
        if before is not None and row[0] <= before:
            # Merged out of order, objects would look missing that are there.
            message = f"the listing is out of order at {row[2]!r}: it cannot be compared"
            raise StoreError(message, key=row[3].key, store=store.name)
        before = row[0]
        yield row


class _Comparison:
    """The operation of comparing one couple, for an engine; its value is the verdict."""

    def __init__(self, mine: ObjectStore, theirs: ObjectStore, proof: Proof) -> None:
        self._mine = mine
        self._theirs = theirs
        self._proof = proof

    def __call__(self, couple: _Couple) -> str | engine.Split:
        mine, theirs = couple.mine, couple.theirs
        if theirs is None:
            return MISSING
        if mine is None:
            return EXTRA
        if not self._proof.decode and None not in {mine.size, theirs.size} and mine.size != theirs.size:
            return DIFFERENT
        same = self._proof.same(self._mine, self._theirs, mine, theirs)
        if isinstance(same, engine.Split):
            finish = same.finish
            same.finish = lambda parts: _verdict(finish(parts))
            return same
        return _verdict(same)


def _verdict(same: bool) -> str:
    return SAME if same else DIFFERENT


class _Report:
    """Prints what differs as it is found, and counts everything."""

    def __init__(self, as_json: bool, *, verbose: bool) -> None:
        self._json = as_json
        self._verbose = verbose
        self._counts = dict.fromkeys((SAME, DIFFERENT, MISSING, EXTRA), 0)
        self._tally = output.Tally()

    @property
    def sound(self) -> bool:
        """Whether both sides hold the same."""
        return not self._tally.failed and self._tally.count == self._counts[SAME]

    def add(self, outcome: engine.Outcome[_Couple]) -> None:
        """Count one couple, and print it unless both sides are the same."""
        couple, verdict = outcome.item, outcome.value
        if outcome.error is not None:
            self._tally.fail(outcome.error, couple.name)
            if self._json:
                output.json_line({"key": couple.name, "status": "failed", "error": output.describe(outcome.error)})
            return
        self._tally.done(couple.size if verdict == SAME else 0)
        self._counts[verdict] += 1
        if verdict == SAME:
            return
        sizes = [None if info is None else info.size for info in (couple.mine, couple.theirs)]
        if self._json:
            row = {"key": couple.name, "status": verdict, "source_size": sizes[0], "target_size": sizes[1]}
            if self._verbose:
                etags = [None if info is None else info.etag for info in (couple.mine, couple.theirs)]
                row |= {"source_etag": etags[0], "target_etag": etags[1]}
            output.json_line(row)
        else:
            note = f" ({sizes[0]} and {sizes[1]} bytes)" if verdict == DIFFERENT and sizes[0] != sizes[1] else ""
            output.line(f"{verdict:<9}  {couple.name}{note}")
            if self._verbose and verdict == DIFFERENT:
                for side, info in (("source", couple.mine), ("target", couple.theirs)):
                    output.line(f"{'':<11}{side}: {_known(info)}")

    def close(self) -> None:
        """Print the closing line, after what is not yet reported."""
        self._tally.finish()
        if self._json:
            summary = self._tally.summary()
            output.json_line({"status": "summary", **self._counts, **{n: summary[n] for n in CLOSING}})
            return
        counts = ", ".join(f"{count} {name}" for name, count in self._counts.items())
        failed = f", {self._tally.failed} could not be compared" if self._tally.failed else ""
        output.line(f"{counts}{failed}; {size_text(self._tally.nbytes)} the same")


def _known(info: ObjectInfo | None) -> str:
    """What is known of one side, in words."""
    if info is None:
        return "nothing"
    moment = "no time" if info.last_modified is None else info.last_modified.isoformat(timespec="seconds")
    size = "?" if info.size is None else info.size
    return f"{size} bytes, {moment}, {f'ETag {info.etag}' if info.etag else 'no ETag'}"
