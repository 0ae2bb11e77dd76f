"""Objects that get other keys on their way."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

from ..errors import ConfigError
from ..keys import printable
from ..store import ObjectStore
from ..wrap.rekey import KeyTransform
from .places import Place


class RenamedStore(KeyTransform):
    """The objects of a store, some of them under the keys that they are about to get: ``{new key: key}``."""

    def __init__(self, store: ObjectStore, keys: Mapping[str, str]) -> None:
        super().__init__(store)
        self._old = dict(keys)
        self._new = {inner: outer for outer, inner in keys.items()}

    @functools.cached_property
    def meaning(self) -> str:
        """What tells this renaming from every other one, and from none, in any process."""
        return meaning_of(self._old)

    def to_inner(self, key: str) -> str:
        """The key that the object has."""
        return self._old.get(key, key)

    def to_outer(self, key: str) -> str:
        """The key that the object is about to get; ValueError if it is not one of those."""
        if key not in self._new:
            raise ValueError(f"{key!r} is not renamed")
        return self._new[key]


def meaning_of(keys: Mapping[str, str]) -> str:
    """One text for each ``{new key: key}``, without those that stay as they are; "" if all do."""
    changed = sorted([new, old] for new, old in keys.items() if new != old)
    if not changed:
        return ""
    return hashlib.sha256(json.dumps(changed).encode()).hexdigest()


def renamed(source: Place, target: Place, keys: Mapping[str, str]) -> Place:
    """The source with its objects under the keys that ``{key: new key}`` gives them at the target.

    Raises ConfigError if two objects would get one key, or one would be written over another that is still to be read.
    """
    inner = {new: old for old, new in keys.items()}
    if len(inner) < len(keys):
        doubled = next(new for old, new in keys.items() if inner[new] != old)
        raise ConfigError(f"two objects would get the key {printable(doubled)!r}: choose another one")
    addresses = {source.address(old) for old in keys}
    for old, new in keys.items():
        if target.address(new) in addresses:
            raise ConfigError(f"{printable(old)!r} would be written over {printable(new)!r}, which is still to be read")
    return replace(source, store=RenamedStore(source.store, inner), name=f"{source.name} (renamed)", location=None)
