"""Utilities for whole stores: copy one into another, make two equal, empty one.

They run on the engine, many keys at a time, and return one KeyResult a key, in the order of keys. With
``on_error="raise"`` (the default) the first error ends the run and is raised; with "collect" it is in its key's
result. ``progress`` is True for a bar, None for one when stderr is a terminal. The keys are listed before anything is
changed, so a store may be copied into itself under another prefix; they are kept in memory, about 100 bytes each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from .. import engine
from ..blob import Blob, Buffer
from ..errors import AlreadyExists, ConfigError, HoldfastError, InvalidKey, NotFound, Unsupported
from ..keys import sort_key
from ..progress import Bar, bar
from ..store import HEAD, ObjectStore, stream_copy
from ..sync.copying import Copier
from ..types import ObjectInfo, RemoveOptions, WriteOptions

OnError = Literal["raise", "collect"]
Action = Literal["copied", "same", "kept", "skipped", "deleted", "failed"]

#: ETags that are a digest of the object's bytes, alone or of the parts that it was uploaded in.
_DIGEST = re.compile(r'"?[0-9a-f]{32}(-[0-9]+)?"?', re.ASCII)


class KeyResult(NamedTuple):
    """What became of one key: copied (``nbytes`` bytes), same, kept, deleted, or failed with an ``error``.

    ``skipped`` is a directory marker, an empty ``dir/``, for which a target that has real directories has no use.
    """

    key: str
    action: Action
    nbytes: int = 0
    error: BaseException | None = None


def copy_store(
    source: ObjectStore,
    target: ObjectStore,
    overwrite: bool = True,
    *,
    threads: int | None = None,
    progress: bool | None = False,
    on_error: OnError = "raise",
) -> list[KeyResult]:
    """One result for each object of ``source``, each of them now in ``target`` under the same key, whole.

    With ``overwrite=False`` objects that the target has already are ``kept``: atomically where it can create;
    elsewhere it is looked for them first, and an object that somebody else writes in between is replaced.

    >>> from holdfast.stores.memory import MemoryStore
    >>> one, two = MemoryStore(), MemoryStore()
    >>> _ = one.put("a", b"1"), one.put("b", b"2"), two.put("b", b"old")
    >>> copy_store(one, two, overwrite=False)
    [KeyResult(key='a', action='copied', nbytes=1, error=None), KeyResult(key='b', action='kept', nbytes=0, error=None)]
    """
    keys = [row.key for row in source._scan()]
    with bar(progress, f"copying {source.name}", total=len(keys)) as shown:
        copier = Copier(source, target, moved=shown.moved)
        if overwrite:
            copy = _but_markers(source, target, lambda key: copier((key, key)))
            return _run(copy, keys, threads, on_error, shown, local=_local(source, target))
        return _run(
            _but_markers(source, target, lambda key: _create(source, target, key, shown)),
            keys,
            threads,
            on_error,
            shown,
            local=_local(source, target),
        )


def sync_stores(
    source: ObjectStore,
    target: ObjectStore,
    delete: bool = False,
    *,
    threads: int | None = None,
    progress: bool | None = False,
    on_error: OnError = "raise",
    allow_empty: bool = False,
) -> list[KeyResult]:
    """One result for each key of either store, after which ``target`` has the bytes of every object of ``source``.

    Objects of different size are copied. Those of the same size are ``same`` if the ETags of both sides are digests
    of one kind of service and equal; in any other case both are read and compared, so a difference that keeps the
    size is found. Attributes are copied along, but their differences alone are not looked for.

    Keys that only the target has are ``kept``, or with ``delete=True`` ``deleted``: after everything was copied, and
    only if nothing failed. A source that lists nothing at all is then a ConfigError, because it is more often broken
    than empty: say ``allow_empty=True`` to empty the target after it.

    >>> from holdfast.stores.memory import MemoryStore
    >>> one, two = MemoryStore(), MemoryStore()
    >>> _ = one.put("a", b"1"), two.put("a", b"2"), two.put("b", b"3")
    >>> [(result.key, result.action) for result in sync_stores(one, two, delete=True)]
    [('a', 'copied'), ('b', 'deleted')]
    """
    mine = {row.key: row for row in source._scan()}
    theirs = {row.key: row for row in target._scan()}
    extra = sorted(theirs.keys() - mine.keys(), key=sort_key)
    if delete and extra and not mine and not allow_empty:
        raise ConfigError(
            f"{source.name} lists nothing, so {len(extra)} objects of {target.name} would be deleted: if it is really "
            "empty, say allow_empty=True"
        )
    with bar(progress, f"syncing {source.name}", total=len(mine) + (len(extra) if delete else 0)) as shown:
        copier = Copier(source, target, moved=shown.moved)
        compare = _Comparison(source, target)

        def make_equal(key: str) -> Any:
            if key in theirs and compare.same(mine[key], theirs[key]):
                return "same"
            return copier((key, key))

        results = _run(
            _but_markers(source, target, make_equal), list(mine), threads, on_error, shown, local=_local(source, target)
        )
        if delete and not any(result.error for result in results):
            results += _delete(target, extra, threads, on_error, shown)
        else:
            results += [KeyResult(key, "kept") for key in extra]
    return _in_order(results)


def clear_store(
    store: ObjectStore,
    *,
    confirm: bool | Callable[[int], bool] = False,
    threads: int | None = None,
    progress: bool | None = False,
    on_error: OnError = "raise",
) -> list[KeyResult]:
    """One result for each object that was in the store, which is now empty.

    ``confirm`` must be True, or a function that is called with the number of objects and returns True; else nothing
    is deleted and ConfigError says what would have been. Objects that are written meanwhile may stay.

    >>> from holdfast.stores.memory import MemoryStore
    >>> store = MemoryStore()
    >>> _ = store.put("a", b"1")
    >>> clear_store(store, confirm=lambda count: count < 10)
    [KeyResult(key='a', action='deleted', nbytes=0, error=None)]
    """
    if confirm is False or not (confirm is True or callable(confirm)):
        raise ConfigError(
            f"clear_store deletes every object of {store.name}: say confirm=True, or a function, if that is meant"
        )
    keys = [row.key for row in store._scan()]
    if confirm is not True and confirm(len(keys)) is not True:
        raise ConfigError(f"the {len(keys)} objects of {store.name} were not confirmed to be deleted; none was")
    with bar(progress, f"clearing {store.name}", total=len(keys)) as shown:
        return _in_order(_delete(store, keys, threads, on_error, shown))


def _run(
    function: Callable[[str], Any],
    keys: list[str],
    threads: int | None,
    on_error: OnError,
    shown: Bar,
    *,
    local: bool,
) -> list[KeyResult]:
    """The results of a function that returns an action, or the number of bytes that it copied."""
    outcomes = engine.default().run(
        function, keys, threads=threads, on_error=on_error, progress=shown.advance, local=local
    )
    results: list[KeyResult] = []
    for outcome in outcomes:
        if outcome.error is not None:
            results.append(KeyResult(outcome.item, "failed", error=outcome.error))
        elif isinstance(outcome.value, str):
            results.append(KeyResult(outcome.item, outcome.value))  # type: ignore[arg-type]
        else:
            results.append(KeyResult(outcome.item, "copied", outcome.value or 0))
    return _in_order(results)


def _delete(store: ObjectStore, keys: list[str], threads: int | None, on_error: OnError, shown: Bar) -> list[KeyResult]:
    step = max(1, store.remove_batch)
    batches = [keys[at : at + step] for at in range(0, len(keys), step)]

    def delete(batch: list[str]) -> list[HoldfastError | None]:
        removed = store._remove(batch, RemoveOptions())
        failed = next((error for error in removed if error is not None), None)
        if failed is not None and on_error == "raise":
            raise failed
        return removed

    results: list[KeyResult] = []
    for outcome in engine.default().run(delete, batches, threads=threads, on_error=on_error, local=store.local):
        answers = [outcome.error] * len(outcome.item) if outcome.error is not None else outcome.value
        shown.advance(len(outcome.item))
        results += [
            KeyResult(key, "deleted" if error is None else "failed", error=error)
            for key, error in zip(outcome.item, answers, strict=True)
        ]
    return results


def _create(source: ObjectStore, target: ObjectStore, key: str, shown: Bar) -> int | str:
    """Copy an object that the target does not have."""
    if _there(target, key):
        return "kept"
    options = WriteOptions(if_absent=target.capabilities.create)
    try:
        try:
            info = target._copy(source, key, key, options)
        except Unsupported:  # the service copies without conditions only
            info = stream_copy(source, key, target, key, options)
    except AlreadyExists:
        return "kept"
    shown.moved(info.size or 0)
    return info.size or 0


def _but_markers(source: ObjectStore, target: ObjectStore, copy: Callable[[str], Any]) -> Callable[[str], Any]:
    """The function, which skips directory markers where the target cannot hold them."""

    def copied(key: str) -> Any:
        if key.endswith("/") and _is_empty(source, key):
            try:
                _there(target, key)
            except InvalidKey:
                return "skipped"
        return copy(key)

    return copied


def _is_empty(store: ObjectStore, key: str) -> bool:
    with store._read(key, HEAD) as blob:
        return blob.info.size == 0


def _there(store: ObjectStore, key: str) -> bool:
    try:
        store._read(key, HEAD).close()
    except NotFound:
        return False
    return True


class _Comparison:
    """Whether objects of two stores have the same bytes."""

    def __init__(self, source: ObjectStore, target: ObjectStore) -> None:
        self._source = source
        self._target = target
        here, there = source._locate("x"), target._locate("x")
        self._one_kind = here is not None and there is not None and here.vendor == there.vendor

    def same(self, mine: ObjectInfo, theirs: ObjectInfo) -> bool:
        """Whether they have, by what the listings tell, else by reading both."""
        if None not in {mine.size, theirs.size} and mine.size != theirs.size:
            return False
        if self._one_kind and mine.etag == theirs.etag and _DIGEST.fullmatch(mine.etag or ""):
            return True
        try:
            with self._target._read(theirs.key) as other, self._source._read(mine.key) as blob:
                return blob.encoding == other.encoding and _equal(blob, other)
        except NotFound:
            return False  # gone since it was listed: the copy tells which


def _equal(one: Blob, two: Blob) -> bool:
    if one.size is not None and two.size is not None and one.size != two.size:
        return False
    mine, theirs = _pieces(one), _pieces(two)
    left = right = memoryview(b"")
    while True:
        left = left or next(mine, left)
        right = right or next(theirs, right)
        length = min(len(left), len(right))
        if not length:
            return len(left) == len(right)
        if left[:length] != right[:length]:
            return False
        left, right = left[length:], right[length:]


def _pieces(blob: Blob) -> Iterator[memoryview]:
    for chunk in blob.chunks():
        view: Buffer = bytes(chunk) if isinstance(chunk, bytearray) else chunk
        if len(view):
            yield memoryview(view)


def _local(source: ObjectStore, target: ObjectStore) -> bool:
    return source.local and target.local


def _in_order(results: list[KeyResult]) -> list[KeyResult]:
    return sorted(results, key=lambda result: sort_key(result.key))
