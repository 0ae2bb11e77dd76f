"""Globs over keys, matched in time that no pattern can make long."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from ..errors import ConfigError

#: The component that is any number of components.
ANY_DEPTH = "**"


class Glob:
    """A pattern of path components: it matches a key, or a directory above it and so everything inside.

    ``*`` and ``?`` and ``[abc]`` stay within one component, ``**`` is any number of components. A pattern without a
    slash (but for one at its end) is looked for at any depth, one with a slash from the top. A slash at the end means
    a directory.

    >>> glob = Glob("data/*.csv")
    >>> glob.matches("data/a.csv"), glob.matches("data/b/a.csv"), glob.matches("database/a.csv")
    (True, False, False)
    >>> Glob("*.csv").matches("x/y/a.csv"), Glob("data/").matches("data"), Glob("**/b/**").matches("a/b/c")
    (True, False, True)
    """

    def __init__(self, pattern: str) -> None:
        if not pattern.strip("/"):
            raise ConfigError(f"{pattern!r} is no glob: it names nothing")
        if odd := {".", ".."}.intersection(pattern.strip("/").split("/")):
            raise ConfigError(
                f"{pattern!r} has the component {odd.pop()!r}, and would match nothing, as keys of files have none: "
                "leave it out, or use re: and a regular expression for objects that have one"
            )
        self.pattern = pattern
        self._directory = pattern.endswith("/")
        parts = pattern.strip("/").split("/")
        if len(parts) == 1 and not pattern.startswith("/"):
            parts = [ANY_DEPTH, *parts]
        if parts[-1] == ANY_DEPTH and len(parts) > 1:  # everything inside, and not the thing itself
            self._directory = True
            parts.pop()
        # What fnmatch makes of one component has atomic groups, so that a failed match is given up in linear time.
        self._parts = [None if part == ANY_DEPTH else re.compile(fnmatch.translate(part)) for part in parts]

    def __repr__(self) -> str:
        return f"Glob({self.pattern!r})"

    def matches(self, key: str) -> bool:
        """Whether the key, or a directory above it, is one that the pattern describes."""
        components = key.split("/")
        longest = len(components) - 1 if self._directory else len(components)
        return _matches_head(self._parts, components[:longest])


def _matches_head(parts: Sequence[re.Pattern[str] | None], components: Sequence[str]) -> bool:
    """Whether the parts match the first so many components; ``**`` takes as few as it can, which is never wrong."""
    at = done = 0
    retry: tuple[int, int] | None = None
    while done < len(parts):
        part = parts[done]
        if part is None:
            retry = (done, at)
            done += 1
        elif at < len(components) and part.match(components[at]):
            at, done = at + 1, done + 1
        elif retry is not None and retry[1] < len(components):
            retry = (retry[0], retry[1] + 1)
            done, at = retry[0] + 1, retry[1]
        else:
            return False
    return True


def matches_whole(parts: Sequence[re.Pattern[str] | None], components: Sequence[str]) -> bool:
    """Whether the parts, of which None is "**", match all of the components.

    >>> matches_whole([None, re.compile("a")], ["x", "y", "a"]), matches_whole([re.compile("x")], ["x", "y"])
    (True, False)
    """
    at = done = 0
    retry: tuple[int, int] | None = None
    while at < len(components):
        if done < len(parts) and parts[done] is None:
            retry = (done, at)
            done += 1
        elif done < len(parts) and (part := parts[done]) is not None and part.match(components[at]):
            at, done = at + 1, done + 1
        elif retry is not None:
            retry = (retry[0], retry[1] + 1)
            done, at = retry[0] + 1, retry[1]
        else:
            return False
    return all(part is None for part in parts[done:])
