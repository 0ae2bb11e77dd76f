"""Expressions of ``ls -e``: one location that stands for many string prefixes, such as ``mesh/[0-9a-f]{2}``."""

from __future__ import annotations

from typing import NamedTuple

import click

from ..files import expressions
from .locations import Location, locate


class Prefixes(NamedTuple):
    """What an expression stands for: a directory, and strings that follow its prefix."""

    location: Location
    tails: tuple[str, ...]


def expand(text: str) -> Prefixes:
    """The directory before the first class of an expression, and everything that may follow, in order, each once.

    UsageError for an expression without classes or with one in the name of a bucket; ConfigError for a range that ends
    before it begins, and for too many prefixes.

    >>> prefixes = expand("s3://bucket/run1/[ab][0-2]x")
    >>> prefixes.location.text, prefixes.tails
    ('s3://bucket/run1/', ('a0x', 'a1x', 'a2x', 'b0x', 'b1x', 'b2x'))
    """
    first = expressions.CLASS.search(text)
    if first is None:
        raise click.UsageError(f"{text!r} has no class of characters such as [0-9a-f]{{2}}: leave -e out")
    cut = text.rfind("/", 0, first.start()) + 1
    if text[:cut].endswith("://"):
        raise click.UsageError(f"{text!r} has a class of characters in a bucket's name, where it has no meaning")
    return Prefixes(locate(text[:cut] or "./"), tuple(expressions.expand(text[cut:])))
