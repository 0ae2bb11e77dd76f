"""Expressions that stand for many prefixes: ``mesh/[0-9a-f]{2}`` is what two digits may be."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from ..errors import ConfigError

#: So many prefixes at most: more would not end before one listing of everything.
MOST = 100_000
#: A class of characters, and how often it comes.
CLASS = re.compile(r"\[([^\[\]]+)\](?:\{(\d{1,3})\})?")


def expand(expression: str) -> list[str]:
    """Every prefix that the expression stands for, in order, each once; the expression alone if it has no class.

    A class is characters and ranges of them in brackets, and may be repeated: ``[abx-z]{3}``. Raises ConfigError for a
    range that ends before it begins, and for too many prefixes.

    >>> expand("run[01]/[a-c]")
    ['run0/a', 'run0/b', 'run0/c', 'run1/a', 'run1/b', 'run1/c']
    """
    pieces: list[list[str]] = []
    count, at = 1, 0
    for found in CLASS.finditer(expression):
        characters, times = sorted(set(_characters(found[1]))), int(found[2] or 1)
        count *= len(characters) ** times
        if count > MOST:
            raise ConfigError(f"{expression!r} stands for more than {MOST} prefixes: list a shorter one")
        pieces += [[expression[at : found.start()]], *[characters] * times]
        at = found.end()
    pieces.append([expression[at:]])
    return sorted({"".join(choice) for choice in itertools.product(*pieces)})


def _characters(between: str) -> Iterator[str]:
    for first, last in re.findall(r"(.)(?:-(.))?", between, re.DOTALL):
        if last and first > last:
            raise ConfigError(f"the range {first}-{last} ends before it begins")
        yield from map(chr, range(ord(first), ord(last or first) + 1))
