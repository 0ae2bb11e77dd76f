"""Which local files a push is about: the rules for its path and prefix, globs, and what is found there."""

from __future__ import annotations

import glob
import os
import posixpath
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .. import registry, url
from ..errors import InvalidKey, NotFound
from ..keys import join, printable
from ..store import ObjectStore
from ..types import ObjectInfo
from .local_globs import Search

#: The name under which a file store keeps its own files, which are nobody's objects.
PRIVATE = ".holdfast"


class Match(NamedTuple):
    """What the path of a push means: ``names`` below ``root``, with slashes between; "" is the root itself.

    ``links`` are symlinks that a glob found, and did not follow.
    """

    root: str
    names: list[str]
    links: Sequence[str] = ()


def match(path: str | os.PathLike[str], local_path_prefix: str | os.PathLike[str] | None) -> Match:
    """What the path names; FileNotFoundError if that is nothing, ValueError if it is outside the prefix.

    Names are relative to the prefix; without one to this directory, those of absolute paths to "/". A path that is not
    there by itself is a glob, in which ``**`` stands for any number of directories. The prefix is never a glob.
    """
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError("the path of a push is text, not bytes")
    if local_path_prefix is not None:
        root = os.path.abspath(local_path_prefix)
    else:
        root = os.sep if os.path.isabs(text) else os.getcwd()
    relative = _below(root, text)
    if relative is None:
        where = f"local_path_prefix={os.fspath(local_path_prefix)}" if local_path_prefix is not None else root
        raise ValueError(f"Specified path={text} is not a child of {where}")
    if os.path.lexists(os.path.join(root, relative)):
        return Match(root, [relative])
    slash = os.sep if text.endswith(os.sep) else ""
    found = Search(root, relative + slash) if glob.has_magic(relative) else None
    if found is None or not (found.hits or found.links):
        place = os.path.join(root, relative)
        searched = f" (the symlink {found.unsearched[0]!r} was not searched)" if found and found.unsearched else ""
        raise FileNotFoundError(f"{text!r} does not refer to a file or directory: there is no {place!r}{searched}")
    names = _outermost(found.hits)
    links = _outermost([*found.links, *found.unsearched])
    return Match(root, names, [name for name in links if not _lies_in(name, names)])


def _below(root: str, path: str) -> str | None:
    """The path relative to the root, without "." and ".." in it; None if it leads elsewhere."""
    place = os.path.normpath(os.path.join(root, path))
    if place == root:
        return ""
    start = os.path.join(root, "")
    return place.removeprefix(start) if place.startswith(start) else None


def _outermost(names: list[str]) -> list[str]:
    """The names, once each, without those that lie inside others of them, as "**" finds them."""
    known = set(names)
    return sorted(name for name in known if not _lies_in(name, known))


def _lies_in(name: str, directories: Collection[str]) -> bool:
    return any(above in directories for above in parents(name))


def parents(name: str) -> Iterator[str]:
    """The directories above a name, the nearest first.

    >>> list(parents("a/b/c"))
    ['a/b', 'a']
    """
    while name := name.rpartition("/")[0]:
        yield name


@dataclass
class LocalFiles:
    """The files that a push is about, by keys relative to ``folder``, a directory below the root ("" is the root).

    ``rows`` are what ``store`` has of them; ``actual`` holds the store's own key where that is another. ``left_out``
    are the keys of what is no regular file. ``flat`` tells that all of them lie in
    the folder itself, and that no directory was named.
    """

    store: ObjectStore
    folder: str
    rows: list[ObjectInfo] = field(default_factory=list)
    actual: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    flat: bool = True


def gather(found: Match) -> LocalFiles:
    """The files that these names are, and those below the directories among them, hidden ones included.

    Symlinks are followed where they are named by themselves. Those that a glob or a directory brings along are left
    out, as are sockets and devices, for they may lead anywhere.
    """
    if len(found.names) == 1 and not found.links:
        return _one(found.root, found.names[0])
    folder = os.path.commonpath([posixpath.dirname(name) for name in (*found.names, *found.links)])
    files = LocalFiles(_open(os.path.join(found.root, folder)), folder)
    base = os.path.realpath(os.path.join(found.root, folder))
    files.left_out += [_relative(name, folder) for name in found.links]
    for name in found.names:
        key = _relative(name, folder)
        if os.path.isdir(os.path.join(base, key)):
            _add_directory(files, base, key)
            continue
        try:
            files.rows.append(files.store.head(key))
        except (NotFound, InvalidKey):  # no regular file, or a symlink since a moment ago
            files.left_out.append(key)
    files.flat = files.flat and not any("/" in key for key in (*files.left_out, *(row.key for row in files.rows)))
    return files


def _relative(name: str, folder: str) -> str:
    return name.removeprefix(folder).lstrip("/")


def _one(root: str, name: str) -> LocalFiles:
    path = os.path.join(root, name)
    if os.path.isdir(path):
        files = LocalFiles(_open(path), name)
        _add_directory(files, os.path.realpath(path), "")
        return files
    folder, _, key = name.rpartition("/")
    where, actual = os.path.split(os.path.realpath(path))
    files = LocalFiles(_open(where), folder, actual={key: actual})
    try:
        files.rows.append(files.store.head(actual).renamed(key))
    except NotFound:  # a symlink to nothing, a socket
        files.left_out.append(key)
    return files


def _add_directory(files: LocalFiles, base: str, key: str) -> None:
    files.flat = False
    files.rows += files.store.list(join(key, "") if key else "")
    files.left_out += _irregular(os.path.join(base, key), key)


def _irregular(directory: str, key: str) -> Iterator[str]:
    """The keys of what lies below the directory and is neither a file nor a directory."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name == PRIVATE:
                continue
            below = join(key, entry.name)
            if entry.is_dir(follow_symlinks=False):
                yield from _irregular(entry.path, below)
            elif not entry.is_file(follow_symlinks=False):
                yield below


def _open(directory: str) -> ObjectStore:
    return registry.open_store(url.parse(Path(os.path.realpath(directory))))


class Obstacles:
    """What stands in the way of files below a directory, other than regular files: told without following symlinks."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._folders: dict[str, str | None] = {}

    def why_not(self, key: str) -> str | None:
        """Why no file can be written for this key, or None."""
        for folder in parents(key):
            if folder not in self._folders:
                mode = self._mode(folder)
                blocked = mode is not None and not stat.S_ISDIR(mode) and not stat.S_ISLNK(mode)
                self._folders[folder] = f"no directory, but a file: {self._shown(folder)}" if blocked else None
            if reason := self._folders[folder]:
                return reason
        mode = self._mode(key)
        if mode is None or stat.S_ISREG(mode):
            return None
        if stat.S_ISDIR(mode):
            return f"the local path is a directory: {self._shown(key)}"
        if stat.S_ISLNK(mode):
            return f"the local path is a symlink, which is neither followed nor replaced: {self._shown(key)}"
        return f"the local path is no regular file: {self._shown(key)}"

    def _shown(self, key: str) -> str:
        return printable(os.path.join(self._directory, key))

    def _mode(self, key: str) -> int | None:
        try:
            return os.lstat(os.path.join(self._directory, key)).st_mode
        except OSError:
            return None


def is_inside(path: str, directory: str) -> bool:
    """Whether an absolute path is the directory, or below it."""
    return os.path.isabs(path) and os.path.join(os.path.normpath(path), "").startswith(os.path.join(directory, ""))


def relative_to(path: str, prefix: str | os.PathLike[str] | None) -> str:
    """The path without the prefix, if it is absolute and there is one; ValueError if it lies elsewhere."""
    if prefix is None or not os.path.isabs(path):
        return path
    above = os.path.abspath(prefix)
    if not is_inside(path, above):
        raise ValueError(f"remote_path={path} is not below strip_abspath_prefix={above}")
    relative = os.path.relpath(path, above)
    return "" if relative == "." else relative
