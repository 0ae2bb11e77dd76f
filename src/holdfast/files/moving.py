"""Moving objects: a batch is copied, each object whole, and only then deleted where it was."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from .. import engine
from ..errors import ConfigError, NotFound
from ..keys import check, join
from ..progress import Bar
from ..store import ObjectStore
from ..wrap.suffix import SuffixStore
from .copying import Copier, Pair
from .locking import LockingStore
from .requests import batches
from .single import remover


def move_objects(
    source: ObjectStore,
    target: ObjectStore,
    paths: Iterable[str | tuple[str, str]],
    block_size: int,
    threads: int | None,
    bar: Bar,
) -> None:
    """Move each path, or (source path, target path), from one store to the other; the first error is raised.

    An object that is moved onto itself stays. Whatever was not copied is still where it was.
    """
    if block_size < 1:
        raise ConfigError(f"block_size={block_size} is a number of objects, at least 1")
    local = source.local and target.local
    copier = Copier(source, target, moved=bar.moved)
    remove = remover(source)
    pairs = ((path, path) if isinstance(path, str) else path for path in paths)
    for block in _blocks(((check(src), check(dst)) for src, dst in pairs), block_size):
        batch = _checked(source, target, block)
        copied = engine.default().run(copier, batch, threads=threads, progress=bar.advance, local=local)
        gone = [outcome.item[0] for outcome in copied]
        for _ in engine.default().run(remove, batches(gone, max(1, source.remove_batch)), threads=threads, local=local):
            pass


def _blocks(pairs: Iterable[Pair], size: int) -> Iterator[list[Pair]]:
    iterator = iter(pairs)
    while block := list(islice(iterator, size)):
        yield block


def _checked(source: ObjectStore, target: ObjectStore, pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs that move something somewhere; ConfigError if one would overwrite what another is to move."""
    places = {_place(source, src): src for src, _ in pairs}
    moving = []
    for src, dst in pairs:
        place = _place(target, dst)
        if place == _place(source, src):
            if not source.exists(src):
                raise NotFound(f"no object {src!r}", key=src, store=source.name)
            continue
        if place in places:
            raise ConfigError(
                f"{src!r} would be moved onto {places[place]!r}, which is to be moved as well: one by one"
            )
        moving.append((src, dst))
    return moving


def _place(store: ObjectStore, key: str) -> Any:
    """Where the object lies, the same for every store that reaches it by the same names."""
    plain = store
    while isinstance(plain, SuffixStore | LockingStore):
        plain = plain.store
    location = plain._locate(key)
    if location is None:
        return join(store.name, key)
    if location.vendor == "file":
        return os.path.join(os.path.realpath(location.bucket), location.key)
    return location.vendor, location.bucket, location.key
