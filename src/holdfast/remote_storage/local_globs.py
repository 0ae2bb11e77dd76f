"""Globs over local files that follow no symlink which they find."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterator

ANY_DEPTH = "**"


class Search:
    """What a glob finds below a root, by names relative to it; ``**`` is any number of directories.

    ``hits`` are files and directories that match, ``links`` symlinks that do. ``unsearched`` are symlinks to
    directories that could hold more, but may lead anywhere, round in circles too. What the pattern names before it
    begins to search is taken as it is. Names that begin with a dot match only what begins with one. A pattern with a
    slash at its end finds directories alone.
    """

    def __init__(self, root: str, pattern: str) -> None:
        self.hits: list[str] = []
        self.links: list[str] = []
        self.unsearched: list[str] = []
        self._root = root
        self._only_directories = pattern.endswith(os.sep)
        given = pattern.rstrip(os.sep).split(os.sep)
        # "**" twice in a row is no more than once.
        parts = [part for part, after in zip(given, [*given[1:], ""], strict=True) if (part, after) != (ANY_DEPTH,) * 2]
        named = next(number for number, part in enumerate(parts) if glob.has_magic(part))
        self._search(os.sep.join(parts[:named]), parts[named:])

    def _search(self, folder: str, parts: list[str]) -> None:
        part, rest = parts[0], parts[1:]
        if part == ANY_DEPTH:
            self._search_below(folder, parts)
        elif glob.has_magic(part):
            for name in self._names(folder, hidden=part.startswith(".")):
                if fnmatch.fnmatchcase(name, part):
                    self._take(os.path.join(folder, name), rest)
        elif os.path.lexists(os.path.join(self._root, folder, part)):
            self._take(os.path.join(folder, part), rest)

    def _search_below(self, folder: str, parts: list[str]) -> None:
        """What the parts, the first of which is "**", find in this directory and those below it."""
        rest = parts[1:]
        if rest:
            self._search(folder, rest)
        elif folder:
            self.hits.append(folder)  # and so all that is in it
            return
        for name in self._names(folder, hidden=False):
            path = os.path.join(folder, name)
            if os.path.isdir(os.path.join(self._root, path)):
                self._take(path, parts)
            elif not rest:
                self._take(path, [])

    def _take(self, name: str, rest: list[str]) -> None:
        """Go on with a name that matches so far."""
        path = os.path.join(self._root, name)
        if os.path.islink(path):
            if not rest:
                self.links.append(name)
            elif os.path.isdir(path):
                self.unsearched.append(name)
        elif not rest:
            if os.path.isdir(path) or not self._only_directories:
                self.hits.append(name)
        elif os.path.isdir(path):
            self._search(name, rest)

    def _names(self, folder: str, *, hidden: bool) -> Iterator[str]:
        path = os.path.join(self._root, folder)
        if os.path.isdir(path):
            yield from sorted(name for name in os.listdir(path) if hidden == name.startswith("."))
