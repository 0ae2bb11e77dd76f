"""Repairs of a mirror: one trusted child's objects to the children that differ, key by key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ..store import ObjectStore
from ..types import ATTRIBUTES, ListOptions, ObjectInfo, ReadOptions, WriteOptions
from ._children import ask, failure, log, look, marked, new_version, repeatable, unmarked, version_of
from ._deciding import grouped
from ._locks import KeyLocks
from ._tombstones import TOMBSTONES, deleted, dig_up


class Repaired(NamedTuple):
    """What ``repair`` did for one key: the children it wrote to, whether a delete was left alone, what went wrong."""

    key: str
    written: tuple[str, ...]
    deleted: bool = False
    error: BaseException | None = None


def repair_key(children: Sequence[ObjectStore], trusted: ObjectStore, key: str, store: str) -> Repaired:
    """Make the key's object in the other children equal to that of the trusted one; its lock is held."""
    answers = look(children, key)
    for answer in answers:
        if answer.error is not None:
            raise answer.error
    right = next(answer for answer in answers if answer.child is trusted)
    if right.info is None:
        return Repaired(key, ())  # gone since it was listed
    if deleted(children, key, [right.info]):
        return Repaired(key, (), deleted=True)
    alike = next(group for group in grouped(answers) if right in group)
    wrong = [answer.child for answer in answers if answer not in alike]
    if not wrong:
        return Repaired(key, ())
    return _rewrite(children, trusted, key, right.info, wrong, store)


def _rewrite(
    children: Sequence[ObjectStore],
    trusted: ObjectStore,
    key: str,
    info: ObjectInfo,
    wrong: Sequence[ObjectStore],
    store: str,
) -> Repaired:
    """Write the trusted object to the children that differ; without a version of a mirror, to all of them."""
    exact = info.etag if trusted.capabilities.ranges else None
    version = version_of(info)
    with trusted._read(key, ReadOptions(if_match=exact)) as blob:
        options = _attributes(unmarked(blob.info))
        with repeatable(blob.chunks()) as body:
            if version is None and trusted.capabilities.metadata:
                version = new_version()
                condition = info.etag if trusted.capabilities.replace_if else None
                trusted._write(key, body, marked(trusted, replace(options, if_match=condition), version))
                wrong = [child for child in children if child is not trusted]
            chosen = version or new_version()
            answers = ask(wrong, key, lambda child: child._write(key, body, marked(child, options, chosen)))
    failed = [answer for answer in answers if answer.error is not None]
    written = tuple(answer.child.name for answer in answers if answer.error is None)
    return Repaired(key, written, error=failure("a repair", key, store, failed) if failed else None)


def _attributes(info: ObjectInfo) -> WriteOptions:
    return WriteOptions(**{name: value for name in ATTRIBUTES if (value := getattr(info, name))})


def clean_up(children: Sequence[ObjectStore], locks: KeyLocks) -> None:
    """Take away the tombstones of keys that no child holds any more; what that fails for is logged, and stays."""
    keys: set[str] = set()
    for child in children:
        try:
            for row in child._scan(ListOptions(TOMBSTONES)):
                keys |= _buried_key(child, row.key)
        except Exception as error:  # noqa: BLE001 - a child's own; the repair is done, and tombstones harm nothing
            log.warning("the tombstones of %s cannot be listed: %s", child.name, error)
    for key in keys:
        with locks.of(key):
            if all(answer.error is None and answer.info is None for answer in look(children, key)):
                dig_up(children, key)


def _buried_key(child: ObjectStore, path: str) -> set[str]:
    try:
        with child._read(path) as blob:
            key = json.loads(blob.bytes())["key"]
        if not isinstance(key, str):
            raise TypeError("its key is no text")
    except Exception as error:  # noqa: BLE001 - a child's own, or what is no tombstone
        log.warning("the tombstone %r of %s cannot be read: %s", path, child.name, error)
        return set()
    return {key}
