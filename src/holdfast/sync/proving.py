"""The proof, before a move deletes a source, that its copy is an object of its own.

One object may be reached in two ways that nothing tells of: a server by two names, a directory mounted twice, two
stores of a user's over the same data. Its copy is then itself, equal to every digest, and must not be deleted.
"""

from __future__ import annotations

import secrets

from ..errors import ConfigError
from ..types import ObjectInfo, WriteOptions
from .places import Place
from .renaming import RenamedStore

#: What the object is called that is written to see whether it shows at the other place.
PROBE = "holdfast-probe-"


def refuse_one_object(source: Place, target: Place, mine: ObjectInfo, theirs: ObjectInfo) -> None:
    """Raise ConfigError if these, an object and its copy, are one object that both places reach.

    Two that differ in their ETags or times are two, and so are those of places whose addresses can be compared. Else
    an empty object of random name is written beside the copy, looked for beside the source, and deleted again.
    """
    if _are_known_apart(source, target) or _differ(mine, theirs):
        return
    name = f"{PROBE}{secrets.token_hex(16)}"
    probe = _beside(theirs.key, name)
    created = WriteOptions(if_absent=True) if target.store.capabilities.create else WriteOptions()
    target.store._write(probe, b"", created)
    try:
        shown = _shows(source, mine.key, name)
    finally:
        (error,) = target.store._remove([probe])
    if error is not None:
        raise error
    if shown:
        raise ConfigError(
            f"the source and its copy are one object, reached in two ways: {source.name} and {target.name} are the "
            "same place, and nothing was deleted"
        )


def _are_known_apart(source: Place, target: Place) -> bool:
    """Whether the addresses of both are exact, and so were compared by the planner: of memory, and of one service."""
    one, other = source.where(), target.where()
    if one is None or other is None or one.vendor != other.vendor or one.vendor == "file":
        return False
    return one.vendor == "mem" or one.identity == other.identity


def _differ(mine: ObjectInfo, theirs: ObjectInfo) -> bool:
    return any(
        one is not None and other is not None and one != other
        for one, other in ((mine.etag, theirs.etag), (mine.last_modified, theirs.last_modified))
    )


def _shows(source: Place, key: str, name: str) -> bool:
    store = source.store
    if isinstance(store, RenamedStore):
        return Place(store.store, source.name).head(_beside(store.to_inner(key), name)) is not None
    return source.head(_beside(key, name)) is not None


def _beside(key: str, name: str) -> str:
    return key.rpartition("/")[0] + "/" + name if "/" in key else name
