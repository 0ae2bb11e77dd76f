"""From keys to paths: which keys a directory tree can hold faithfully, and where each one lies."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from ...errors import InvalidKey
from ...keys import printable

PRIVATE = b".holdfast"
#: How a temporary is called that has to lie beside its target, because that is another file system.
BESIDE = PRIVATE + b"-temporary-"
LONGEST = 255

#: Whether Python's own encoding of file names is the keys' (UTF-8), as everywhere but under unusual locales.
FAITHFUL = sys.getfilesystemencoding().lower().replace("_", "-") == "utf-8"


class KeyPath(NamedTuple):
    """A key, its path below the root as bytes, and that path cut at the last slash."""

    key: str
    raw: bytes
    directory: bytes
    name: bytes


def split(key: str) -> KeyPath:
    """The key's path below the root, not yet checked."""
    raw = key.encode("utf-8", "surrogateescape")
    directory, _, name = raw.rpartition(b"/")
    return KeyPath(key, raw, directory, name)


def check(path: KeyPath, store: str) -> KeyPath:
    """The path itself, if the key can be a file below the root; else InvalidKey."""
    if why := _refused(path):
        raise InvalidKey(f"key {printable(path.key)!r} {why}", key=path.key, store=store)
    return path


def _refused(path: KeyPath) -> str:
    if b"\0" in path.raw:
        return "has a NUL, which no file name can hold"
    components = path.raw.split(b"/")
    for component in components:
        if component in (b"", b".", b".."):
            return f"has the component {component.decode()!r}, which a directory tree cannot keep apart"
        if len(component) > LONGEST:
            return f"has a component of {len(component)} bytes: file names end at {LONGEST}"
    if PRIVATE in components or path.name.startswith(BESIDE):
        return "is one of the names that Holdfast keeps for itself; choose another"
    return ""


def is_directory_path(path: str) -> bool:
    """Whether a listing may look below this path ("" is the root): only then can any key start with it."""
    try:
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return not raw or not _refused(KeyPath(path, raw, b"", b""))


def key_of(name: str) -> str:
    """The file name that ``os.scandir`` gave, as part of a key, whatever the locale's encoding."""
    return name if FAITHFUL else os.fsencode(name).decode("utf-8", "surrogateescape")
