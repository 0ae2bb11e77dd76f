"""Tombstones: deletes that not every child of a mirror has done, written down in those that have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from .. import redact
from ..errors import IntegrityError, InvalidKey, NotFound
from ..store import ObjectStore
from ..types import ObjectInfo
from ._children import Answer, ask, new_version, version_of
from .guard import KeyValidatingStore
from .rekey import KeyTransform

#: Where they lie.
TOMBSTONES = "holdfast-tombstones/"


def tombstone_of(key: str) -> str:
    """Where the tombstone of a key lies."""
    return TOMBSTONES + hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def refusal(child: ObjectStore) -> str | None:
    """Why the child cannot hold tombstones, as far as that can be told without asking a service; else None."""
    store, key = child, tombstone_of("")
    try:
        while isinstance(store, KeyTransform | KeyValidatingStore):
            if isinstance(store, KeyTransform):
                key = store.to_inner(key)
            else:
                store._valid(key)
            store = store.store
    except (InvalidKey, KeyError, ValueError) as error:
        return redact.text(str(error))
    return None


def bury(children: Sequence[ObjectStore], key: str) -> list[Answer]:
    """Leave a tombstone for the key in each of these children."""
    body = json.dumps({"key": key, "version": new_version()}).encode()
    return ask(children, key, lambda child: child._write(tombstone_of(key), body))


def dig_up(children: Sequence[ObjectStore], key: str) -> list[Answer]:
    """Take the key's tombstones away; a child that cannot hold any has none."""

    def remove(child: ObjectStore) -> None:
        error = child._remove([tombstone_of(key)])[0]
        if error is not None and not isinstance(error, InvalidKey):
            raise error

    return ask(children, key, remove)


def deleted(children: Sequence[ObjectStore], key: str, infos: Sequence[ObjectInfo]) -> bool:
    """Whether a tombstone of the key is newer than each of these objects that some of the children hold.

    An object that no mirror has written is not known to be newer than any. Where no tombstone says so and one cannot
    be read, its error is raised: taken for "not deleted" it would bring the object back.
    """
    answers = ask(children, key, lambda child: _version(child, key))
    newest = max((answer.value for answer in answers if answer.value), default=None)
    if newest is not None and not any((version_of(info) or "") > newest for info in infos):
        return True
    for answer in answers:
        if answer.error is not None:
            raise answer.error
    return False


def _version(child: ObjectStore, key: str) -> str | None:
    """The version in the child's tombstone of the key, or None if it has none."""
    try:
        with child._read(tombstone_of(key)) as blob:
            body = blob.bytes()
    except (NotFound, InvalidKey):  # what cannot be there is not there
        return None
    try:
        version = json.loads(body)["version"]
    except (ValueError, TypeError, KeyError):
        version = None
    if not isinstance(version, str):
        message = f"the tombstone {tombstone_of(key)!r} is damaged: delete {key!r} again"
        raise IntegrityError(message, key=key, store=child.name, retryable=False)
    return version
