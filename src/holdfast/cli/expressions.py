"""Expressions of ``ls -e``: one location that stands for many string prefixes, such as ``mesh/[0-9a-f]{2}``."""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

import click

from .locations import Location, locate

#: So many prefixes at most; more would not end before one listing of everything.
MOST = 100_000
_CLASS = re.compile(r"\[([^\[\]]+)\](?:\{(\d{1,3})\})?")


class Prefixes(NamedTuple):
    """What an expression stands for: a directory, and strings that follow its prefix."""

    location: Location
    tails: tuple[str, ...]


def expand(text: str) -> Prefixes:
    """The directory before the first class of an expression, and everything that may follow, in order, each once.

    UsageError for an expression without classes, with one in the name of a bucket, or with too many prefixes.

    >>> prefixes = expand("s3://bucket/run1/[ab][0-2]x")
    >>> prefixes.location.text, prefixes.tails
    ('s3://bucket/run1/', ('a0x', 'a1x', 'a2x', 'b0x', 'b1x', 'b2x'))
    """
    first = _CLASS.search(text)
    if first is None:
        raise click.UsageError(f"{text!r} has no class of characters such as [0-9a-f]{{2}}: leave -e out")
    cut = text.rfind("/", 0, first.start()) + 1
    if text[:cut].endswith("://"):
        raise click.UsageError(f"{text!r} has a class of characters in a bucket's name, where it has no meaning")
    pieces: list[list[str]] = []
    count, at = 1, cut
    for found in _CLASS.finditer(text, cut):
        pieces += [[text[at : found.start()]], *[_characters(found[1], text)] * int(found[2] or 1)]
        at = found.end()
        for piece in pieces[-int(found[2] or 1) :]:
            count *= len(piece)
        if count > MOST:
            raise click.UsageError(f"{text!r} stands for more than {MOST} prefixes")
    pieces.append([text[at:]])
    tails = tuple(sorted({"".join(choice) for choice in itertools.product(*pieces)}))
    return Prefixes(locate(text[:cut] or "./"), tails)


def _characters(between: str, text: str) -> list[str]:
    """The characters of one class: themselves, and ranges such as 0-9."""
    found: list[str] = []
    at = 0
    while at < len(between):
        first, last = between[at], between[at]
        if between[at + 1 : at + 2] == "-" and at + 2 < len(between):
            last = between[at + 2]
            at += 2
        if first > last:
            raise click.UsageError(f"the range {first}-{last} in {text!r} ends before it begins")
        found += map(chr, range(ord(first), ord(last) + 1))
        at += 1
    return sorted(set(found))
