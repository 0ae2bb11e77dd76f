"""Files whose attributes another store keeps: one whose root lies deeper than that of the place, or above it.

A file store keeps the attributes of its objects (their content encoding above all) at its root. Whoever reads a file
through a store of another root sees its bytes without them.
"""

from __future__ import annotations

import os

from ..errors import NotFound
from ..keys import printable
from ..store import HEAD
from ..stores.file.attributes import DIRECTORY
from ..stores.file.store import FileStore, keeps_attributes
from .names import Obstacle
from .places import Place

#: So many directories are remembered, and looked at anew when there were more.
_REMEMBERED = 100_000
_ATTRIBUTES = os.fsdecode(DIRECTORY)


class ForeignAttributes:
    """Why a local file cannot be copied or moved without losing attributes that the source does not show."""

    def __init__(self, source: Place) -> None:
        self._source = source
        store, _ = source.base()
        self._root = os.path.realpath(store.root) if isinstance(store, FileStore) else None
        self._above = [] if self._root is None else _roots_above(self._root)
        self._roots: dict[str, list[str]] = {}
        self._stores: dict[str, FileStore] = {}

    def why_not(self, key: str) -> Obstacle | None:
        """Why the object of this key is refused, or None if all its attributes are known."""
        if self._root is None:
            return None
        kind, *_, path = self._source.address(key)
        if kind != "file":
            return None  # a wrapper that changes what is stored has no attributes to lose
        for root in self._roots_of(os.path.dirname(path)):
            if self._are_lost(path, root):
                return Obstacle(
                    "refuse",
                    "its content encoding or metadata would be lost, for they are kept by the store at "
                    f"{printable(root)!r}: give that directory as a source of its own",
                )
        return None

    def _are_lost(self, path: str, root: str) -> bool:
        assert self._root is not None
        kept = self._attributes(root, path)
        return bool(kept) and kept != self._attributes(self._root, path)

    def _attributes(self, root: str, path: str) -> dict[str, object]:
        """What the store of this root says about the file."""
        store = self._stores.setdefault(root, FileStore(root))
        try:
            with store._read(os.path.relpath(path, root), HEAD) as blob:
                return dict(blob.info.attributes())
        except NotFound:
            return {}

    def _roots_of(self, directory: str) -> list[str]:
        """The roots that may keep attributes of files in this directory, without the one of the place."""
        if directory == self._root:
            return self._above
        known = self._roots.get(directory)
        if known is None:
            parent = os.path.dirname(directory)
            if parent == directory:
                return self._above  # a key that leads out of the place, which is refused for its name
            known = self._roots_of(parent)
            if os.path.isdir(os.path.join(directory, _ATTRIBUTES)):
                known = [directory, *known]
            if len(self._roots) >= _REMEMBERED:
                self._roots.clear()
            self._roots[directory] = known
        return known


def _roots_above(root: str) -> list[str]:
    """The roots above, nearest first, of stores that would look at this directory as a part of theirs."""
    found = []
    directory = os.path.dirname(root)
    while directory != root:
        above, _ = FileStore.root_of(directory)
        if not keeps_attributes(above):
            break
        found.append(above)
        root, directory = above, os.path.dirname(above)
    return found
