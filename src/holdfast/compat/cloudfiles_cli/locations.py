"""Locations as cloud-files' command line takes them: bare local paths, directories, and ``*`` at the end."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from ...files import paths
from ..cloudfiles import CloudFiles

#: Where requests are signed, so that not signing them means something.
_SIGNED = frozenset(("az", "gs", "s3"))
_SUFFIX = re.compile(r"\*([\w.-]+)$")


class Pattern(NamedTuple):
    """What a path selects: with ``many`` the names that begin with ``prefix`` and end with ``suffix``.

    ``flat`` takes objects of one level alone.
    """

    many: bool
    flat: bool
    prefix: str
    suffix: str


def pattern(path: str, *, recursive: bool) -> Pattern:
    """The pattern of a path: ``d/x*`` and ``d/*jpg`` are one level, ``d/**`` and ``d/x**jpg`` are all below.

    >>> pattern("gs://bucket/d/x*jpg", recursive=False)
    Pattern(many=True, flat=True, prefix='x', suffix='jpg')
    """
    found = _SUFFIX.search(path)
    suffix = found[1] if found else ""
    path = path.removesuffix(suffix)
    if not path.endswith("*"):
        return Pattern(recursive, not recursive, "", suffix)
    flat = not path.endswith("**")
    return Pattern(True, flat, os.path.basename(path[: -1 if flat else -2]), suffix)


def is_written_as_directory(path: str) -> bool:
    """Whether the path is a local directory, a bucket alone, or ends with a slash."""
    parts = paths.extract(paths.normalize(path))
    if parts.protocol == "file":
        return path.endswith("/") or os.path.isdir(parts.path)
    return path.endswith("/") or not parts.path


def is_directory(path: str, *, anonymous: bool = False) -> bool:
    """Whether the path is written as a directory, or there is something below it.

    What a web server has is a file unless it is written as a directory: it cannot be asked.
    """
    if is_written_as_directory(path):
        return True
    if is_local(path) or "*" in path:
        return False
    with open_location(path, anonymous=anonymous) as files:
        return files.store.capabilities.listing and files.isdir()


def is_local(path: str) -> bool:
    """Whether the path is one of this machine."""
    return paths.extract(paths.normalize(path)).protocol == "file"


def local_path(path: str) -> str:
    """The local path of a location, or the location itself: what messages show."""
    return paths.asfilepath(paths.normalize(path)) if is_local(path) else path


def open_location(path: str, *, progress: bool = False, anonymous: bool = False, parallel: int = 1) -> CloudFiles:
    """The CloudFiles of a directory; ``anonymous`` where there is something to sign."""
    path = paths.normalize(path)
    return CloudFiles(
        path,
        progress,
        parallel=parallel,
        no_sign_request=anonymous and paths.extract(path).protocol in _SIGNED,
    )


def join(directory: str, name: str) -> str:
    """The location of a name in a directory."""
    return f"{directory.rstrip('/')}/{name}" if directory.rstrip("/") else f"/{name}"


def split(path: str) -> tuple[str, str]:
    """The directory of a location, and the name in it."""
    path = paths.normalize(path)
    return paths.dirname(path), paths.basename(path)


def prefix_of(path: str, chosen: Pattern, *, expression: bool) -> tuple[str, str]:
    """The directory to list, and the string that paths in it begin with; an expression may have slashes.

    >>> prefix_of("gs://bucket/a/[bc]/d", pattern("", recursive=True), expression=True)
    ('gs://bucket/a', '[bc]/d')
    """
    path = paths.normalize(path)
    if not paths.extract(path).path.strip("/"):
        return path, ""
    cut = path.rindex("/", 0, path.index("[")) if expression and "[" in path else path.rindex("/")
    directory, prefix = path[:cut], path[cut + 1 :].removesuffix(chosen.suffix)
    return ("file:///" if directory == "file://" else directory), prefix.rstrip("*")


def listed(files: CloudFiles, chosen: Pattern) -> Iterator[str]:
    """The objects that a pattern selects; directories, which flat listings have as well, are none."""
    for name in files.list(prefix=chosen.prefix, flat=chosen.flat):
        if name.endswith(chosen.suffix) and not name.endswith("/"):
            yield name


def common_directory(locations: list[str]) -> tuple[str, list[str]] | None:
    """The directory that holds all of these, and their names below it; None if they are not in one bucket."""
    normal = [paths.normalize(location) for location in locations]
    if not normal or len({tuple(paths.extract(one)[:3]) + tuple(paths.extract(one)[4:]) for one in normal}) > 1:
        return None
    # Character by character, up to the last slash of all: as paths they would lose the slashes of "://".
    directory = os.path.commonprefix([f"{paths.dirname(one)}/" for one in normal])  # noqa: RUF071
    directory = directory[: directory.rindex("/") + 1]
    return directory, [one[len(directory) :] for one in normal]
