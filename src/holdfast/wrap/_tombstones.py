"""Tombstones: deletes that not every child of a mirror has done, written down in those that have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from ..errors import NotFound
from ..store import ObjectStore
from ..types import ObjectInfo
from ._children import Answer, ask, new_version, version_of

#: Where they lie.
TOMBSTONES = "holdfast-tombstones/"


def tombstone_of(key: str) -> str:
    """Where the tombstone of a key lies."""
    return TOMBSTONES + hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def bury(children: Sequence[ObjectStore], key: str) -> list[Answer]:
    """Leave a tombstone for the key in each of these children."""
    body = json.dumps({"key": key, "version": new_version()}).encode()
    return ask(children, lambda child: child._write(tombstone_of(key), body))


def dig_up(children: Sequence[ObjectStore], key: str) -> list[Answer]:
    """Take the key's tombstones away."""

    def remove(child: ObjectStore) -> None:
        error = child._remove([tombstone_of(key)])[0]
        if error is not None:
            raise error

    return ask(children, remove)


def buried(children: Sequence[ObjectStore], key: str) -> str | None:
    """The version of the newest tombstone of the key in any child that answers, or None."""

    def read(child: ObjectStore) -> str | None:
        try:
            with child._read(tombstone_of(key)) as blob:
                return str(json.loads(blob.bytes())["version"])
        except NotFound:
            return None

    return max((answer.value for answer in ask(children, read) if answer.value), default=None)


def outlived(tombstone: str | None, infos: Sequence[ObjectInfo]) -> bool:
    """Whether an object is newer than the tombstone; one that no mirror has written is not known to be."""
    return tombstone is None or any((version_of(info) or "") > tombstone for info in infos)
