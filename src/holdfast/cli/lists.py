"""Lists of locations on standard input, one a line, in place of locations on the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO

import click

from .. import engine
from .locations import STDIO, Found, Location, Opener, look


def is_list(texts: Sequence[str]) -> bool:
    """Whether standard input is to be read for the locations; UsageError for "-" among others."""
    if STDIO in texts and len(texts) > 1:
        raise click.UsageError("'-' stands for a list on standard input: name no other location beside it")
    return list(texts) == [STDIO]


def read_list() -> list[str]:
    """The locations on standard input."""
    return read_lines(sys.stdin.buffer)


def read_lines(file: IO[bytes]) -> list[str]:
    """The lines of a file, without empty ones; names of any bytes are taken as they are."""
    return [os.fsdecode(line.removesuffix(b"\r")) for line in file.read().split(b"\n") if line.strip()]


def look_at(opener: Opener, places: Iterable[Location], *, under: bool, threads: int | None) -> list[Found]:
    """What lies at each of the places, in their order; many are looked at at a time. The first error is raised."""

    def examine(place: Location) -> Found:
        return look(opener, place, under=under)

    return [outcome.value for outcome in engine.default().run(examine, places, threads=threads, ordered=True)]
