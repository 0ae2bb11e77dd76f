"""``holdfast verify``."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter

import click

from .. import checksums, codecs, engine, progress
from ..errors import StoreError
from ..keys import sort_key
from ..progress import size_text
from ..store import ObjectStore
from ..types import ObjectInfo
from . import DONE, FAILED, NOTHING, output
from .locations import Directory, Found, Opener, locate, look
from .options import Command, Settings, shared

SAME, DIFFERENT, MISSING, EXTRA = "same", "different", "missing", "extra"
#: From this size on (bytes) the two sides of one object are read at the same time.
LARGE = 16 << 20
MINE, THEIRS = 0, 1
NOT_THERE = ("", None)
CLOSING = ("bytes", "failed", "seconds")

Named = tuple[bytes, int, str, ObjectInfo]


EXAMPLES = """
holdfast verify results s3://bucket/run1
holdfast verify --json s3://bucket/run1 s3://other/run1
"""


@click.command(cls=Command, epilog=EXAMPLES, short_help="Compare two locations, byte by byte.")
@click.argument("source")
@click.argument("target")
@click.option("--decode", is_flag=True, help="Compare decoded bytes where one side has a content encoding.")
@shared("threads", "json", "progress", "endpoint", "anonymous")
def command(settings: Settings, source: str, target: str, decode: bool) -> int:
    """Compare everything at SOURCE with TARGET, as "cp -r SOURCE TARGET" would have written it, byte by byte.

    Both sides are listed, sizes are compared, then the contents of both are read. What differs is printed, and a
    closing line; the exit code is 0 only if both sides hold the same objects with the same bytes. Equal bytes with
    another content encoding are different contents.
    """
    places = [locate(source), locate(target)]
    report = _Report(settings.json)
    with Opener(settings, places) as opener:
        mine, theirs = (look(opener, place) for place in places)
        if mine.nothing:
            output.complain("nothing there", mine.location.text)
            if settings.json:
                report.close()
            return NOTHING
        compare = _Comparison(mine.spot.store, theirs.spot.store, decode)
        run = engine.default().run(
            compare,
            _couples(opener, mine, theirs),
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

    def __init__(self, mine: ObjectStore, theirs: ObjectStore, decode: bool) -> None:
        self._mine = mine
        self._theirs = theirs
        self._decode = decode

    def __call__(self, couple: _Couple) -> str | engine.Split:
        mine, theirs = couple.mine, couple.theirs
        if theirs is None:
            return MISSING
        if mine is None:
            return EXTRA
        if not self._decode and None not in {mine.size, theirs.size} and mine.size != theirs.size:
            return DIFFERENT
        sides = partial(self._digest, self._mine, mine.key), partial(self._digest, self._theirs, theirs.key)
        if couple.size >= LARGE:
            return engine.Split(sides, _verdict)
        return _verdict([side() for side in sides])

    def _digest(self, store: ObjectStore, key: str) -> tuple[int, bytes, str | None]:
        """Size and digest, and the encoding without which the bytes mean something else."""
        with store._read(key) as blob:
            chunks, encoding = blob.chunks(), blob.encoding
            if self._decode and encoding:
                chunks, encoding = codecs.decompress_chunks(chunks, encoding, key=key), None
            digest = checksums.digest_chunks(chunks, "crc32c")
        return digest.size, digest.digest(), encoding


def _verdict(digests: list[tuple[int, bytes, str | None]]) -> str:
    return SAME if digests[0] == digests[1] else DIFFERENT


class _Report:
    """Prints what differs as it is found, and counts everything."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
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
            output.json_line({"key": couple.name, "status": verdict, "source_size": sizes[0], "target_size": sizes[1]})
        else:
            note = f" ({sizes[0]} and {sizes[1]} bytes)" if verdict == DIFFERENT and sizes[0] != sizes[1] else ""
            output.line(f"{verdict:<9}  {couple.name}{note}")

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
