"""Which keys a sync is about: globs and regular expressions that include and exclude."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Self, TypeVar

from ..errors import ConfigError
from .globs import Glob
from .regexes import Regex

#: What may be said for a filter: a glob, ``re:`` and a regular expression, a compiled pattern, or several of those.
Pattern = str | re.Pattern[str] | Glob | Regex
Patterns = Pattern | Iterable[Pattern] | None

#: Keys are matched in batches of this many.
BATCH = 1000

Row = TypeVar("Row")


class Filter:
    """Keys that one of ``include`` matches (any, without it) and none of ``exclude``: excluding wins.

    Each is a glob (see Glob), ``"re:..."`` or a compiled pattern (matched at the start of the key, see Regex), or
    several. The same filter holds for both sides, so what it leaves out is neither copied nor deleted.

    >>> with Filter(include="*.csv", exclude="re:.*old") as keep:
    ...     keep("data/a.csv"), keep("data/old.csv"), keep("a.txt")
    (True, False, False)
    """

    def __init__(self, include: Patterns = None, exclude: Patterns = None) -> None:
        self.include = _patterns(include)
        self.exclude = _patterns(exclude)

    def __repr__(self) -> str:
        return f"Filter(include={self.describe()[0]!r}, exclude={self.describe()[1]!r})"

    def describe(self) -> tuple[list[str], list[str]]:
        """The patterns as text, those that include and those that exclude."""
        return [_text(pattern) for pattern in self.include], [_text(pattern) for pattern in self.exclude]

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude)

    def __call__(self, key: str) -> bool:
        return self.keeps([key])[0]

    def keeps(self, keys: list[str]) -> list[bool]:
        """Whether each key is kept."""
        kept = _any(self.include, keys) if self.include else [True] * len(keys)
        if self.exclude:
            kept = [one and not out for one, out in zip(kept, _any(self.exclude, keys), strict=True)]
        return kept

    def divide(self, rows: Iterable[tuple[str, Row]]) -> Iterator[tuple[Row, bool]]:
        """Each row, which comes with its key, and whether it is kept."""
        if not self:
            for _, row in rows:
                yield row, True
            return
        stream = iter(rows)
        while batch := list(itertools.islice(stream, BATCH)):
            kept = self.keeps([key for key, _ in batch])
            yield from ((row, keep) for (_, row), keep in zip(batch, kept, strict=True))

    def close(self) -> None:
        """End the processes that match regular expressions."""
        for pattern in (*self.include, *self.exclude):
            if isinstance(pattern, Regex):
                pattern.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _any(patterns: list[Glob | Regex], keys: list[str]) -> list[bool]:
    found = [False] * len(keys)
    for pattern in patterns:
        hits = pattern.matches(keys) if isinstance(pattern, Regex) else [pattern.matches(key) for key in keys]
        found = [one or hit for one, hit in zip(found, hits, strict=True)]
    return found


def _patterns(given: Patterns) -> list[Glob | Regex]:
    if given is None:
        return []
    if isinstance(given, str | re.Pattern | Glob | Regex):
        given = [given]
    return [_pattern(one) for one in given]


def _pattern(given: Pattern) -> Glob | Regex:
    if isinstance(given, Glob | Regex):
        return given
    if isinstance(given, re.Pattern):
        if not isinstance(given.pattern, str):
            raise ConfigError(f"{given.pattern!r} is a pattern of bytes: keys are text")
        return Regex(given.pattern, given.flags)
    if isinstance(given, str):
        return Regex(given.removeprefix("re:")) if given.startswith("re:") else Glob(given)
    raise ConfigError(f"a filter is a glob, 're:...' or a compiled pattern, not {type(given).__name__}")


def _text(pattern: Glob | Regex) -> str:
    return f"re:{pattern.pattern}" if isinstance(pattern, Regex) else pattern.pattern
