"""Attributes of objects as one line of JSON, for stores that keep them beside the bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import Unsupported
from ..types import ATTRIBUTES, WriteOptions

_KEPT = frozenset(ATTRIBUTES) - {"storage_class"}


def dump(options: WriteOptions, store: str, inherited: Mapping[str, Any] | None = None) -> str | None:
    """The attributes that are written, as JSON, or None where there are none; those not given are inherited.

    Raises Unsupported for a storage class, which no local store has, and TypeError for metadata that is not text.
    """
    if options.storage_class:
        raise Unsupported("cannot do a write with storage_class: there are none here; leave it out", store=store)
    attributes: dict[str, Any] = {**(inherited or {}), **options.attributes()}
    if metadata := attributes.get("metadata"):
        for name, value in metadata.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise TypeError(f"metadata maps str to str, not {type(name).__name__} to {type(value).__name__}")
        attributes["metadata"] = dict(metadata)
    return json.dumps(attributes, separators=(",", ":")) if attributes else None


def load(text: str | bytes | None) -> dict[str, Any]:
    """The attributes that ``dump`` wrote; what somebody else put there instead counts as none."""
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return {name: found[name] for name in _KEPT & found.keys()} if isinstance(found, dict) else {}
