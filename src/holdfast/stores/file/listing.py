"""Listings of a directory tree in the order of a flat namespace: UTF-8 bytes of whole keys.

A directory sorts as its name with a slash (``a.b`` before ``a/`` before ``a0``), which is where its keys belong, so
visiting each directory's sorted entries gives all keys in order. One directory's names are held at a time for each
level; only directories that can hold a match are opened, and one at a time.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from ...keys import sort_key
from .directories import Directories, Directory
from .failures import ABSENT
from .names import BESIDE, PRIVATE, is_directory_path, key_of

_PRIVATE = PRIVATE.decode()
_BESIDE = BESIDE.decode()

#: A key with the status of its file, or with None: not looked at, or a rolled-up directory, which ends with "/".
Row = tuple[str, os.stat_result | None]


@dataclass(slots=True)
class _Level:
    """One directory that is being listed: its keys' beginning, and the names to come, last first."""

    prefix: str
    names: list[str]
    directory: Directory | None


class Lister:
    """Lists the keys of one root."""

    def __init__(self, directories: Directories) -> None:
        self._directories = directories

    def rows(self, prefix: str, start_after: str | None, *, rolled: bool, names_only: bool = False) -> Iterator[Row]:
        """Every key with this string prefix that sorts after ``start_after``; with ``rolled`` one level only.

        With ``names_only`` files are not looked at: they were there, as files, when their directory was read.
        """
        folder = prefix[: prefix.rfind("/") + 1]
        if not is_directory_path(folder[:-1]) or folder == "/":
            return
        after = None if start_after is None else sort_key(start_after)
        levels = [self._level(folder, prefix[len(folder) :])]
        while levels:
            level = levels[-1]
            if not level.names:
                levels.pop()
                continue
            key = level.prefix + level.names.pop()
            if after is not None and _is_before(key, after, rolled):
                continue
            if not key.endswith("/"):
                if names_only:
                    yield key, None
                elif (status := self._status(level, key)) is not None:
                    yield key, status
            elif not rolled:
                level.directory = None  # one descriptor is enough, however deep the tree
                levels.append(self._level(key))
            elif self._holds_objects(key):
                yield key, None

    def _level(self, prefix: str, start: str = "") -> _Level:
        """The directory's names that start so, directories among them with a slash, in reversed order."""
        directory = self._open(prefix)
        if directory is None:
            return _Level(prefix, [], None)
        names = [name for name in self._names(directory, prefix) if name.startswith(start)]
        names.sort(key=sort_key, reverse=True)
        return _Level(prefix, names, directory)

    def _names(self, directory: Directory, prefix: str) -> Iterator[str]:
        fd = directory.open_to_list()
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    name = key_of(entry.name)
                    if name == _PRIVATE:
                        continue  # ours, or of a store whose root lies below this one
                    if entry.is_dir(follow_symlinks=False):
                        yield name + "/"
                    elif entry.is_file(follow_symlinks=False) and not name.startswith(_BESIDE):
                        yield name
        finally:
            os.close(fd)

    def others(self, prefix: str) -> Iterator[tuple[str, bool]]:
        """What ``rows`` passes over because it is no file: each key, and whether it is a symlink; in no order."""
        waiting = [prefix[: prefix.rfind("/") + 1]]
        while waiting:
            folder = waiting.pop()
            directory = self._open(folder)
            if directory is None:
                continue
            fd = directory.open_to_list()
            try:
                with os.scandir(fd) as entries:
                    for entry in entries:
                        key = folder + key_of(entry.name)
                        if entry.name == _PRIVATE or not (key.startswith(prefix) or prefix.startswith(key + "/")):
                            continue
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(key + "/")
                        elif not entry.is_file(follow_symlinks=False):
                            yield key, entry.is_symlink()
            finally:
                os.close(fd)

    def _status(self, level: _Level, key: str) -> os.stat_result | None:
        """The status of the key's file, or None if it is gone by now."""
        if level.directory is None:
            level.directory = self._open(level.prefix)
        if level.directory is None:
            level.names.clear()
            return None
        name = sort_key(key[len(level.prefix) :])
        try:
            status = os.stat(name, dir_fd=level.directory.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return status if stat.S_ISREG(status.st_mode) else None

    def _holds_objects(self, prefix: str) -> bool:
        waiting = [prefix]
        while waiting:
            prefix = waiting.pop()
            directory = self._open(prefix)
            for name in () if directory is None else self._names(directory, prefix):
                if not name.endswith("/"):
                    return True
                waiting.append(prefix + name)
        return False

    def _open(self, prefix: str) -> Directory | None:
        try:
            return self._directories.open(sort_key(prefix[:-1]))
        except OSError as error:
            if error.errno not in ABSENT:
                raise
            return None


def _is_before(key: str, after: bytes, rolled: bool) -> bool:
    """Whether a listing after ``after`` leaves this key out; of a directory, everything in it."""
    raw = sort_key(key)
    return raw <= after and (rolled or not key.endswith("/") or not after.startswith(raw))
