"""Deletion below a base path, where everything at once has to be confirmed."""

from __future__ import annotations

from collections.abc import Callable

from .. import engine
from ..errors import ConfigError, StoreError
from ..keys import printable
from ..store import ObjectStore
from ..sync import Filter, Glob, Regex
from .base_path import BasePath, plain
from .remote_objects import RemoteObject

#: True, or a function that is called with the number of objects and returns True.
Confirmation = bool | Callable[[int], bool]


def delete(base: BasePath, path: str, chosen: Filter, confirm: Confirmation) -> list[RemoteObject]:
    """The objects that were deleted: those of them that the path selects which the filter keeps.

    The empty path without a filter that includes anything is ConfigError unless ``confirm`` says True, and nothing
    else that is merely true. Raises StoreError if some could not be deleted; the others are gone then.
    """
    everything = not plain(path) and all(_matches_all(pattern) for pattern in chosen.include)
    if everything and confirm is not True and not callable(confirm):
        raise ConfigError(
            f"this deletes everything below {printable(str(base))!r}: say confirm=True if that is meant, or name a path"
        )
    rows = [row for row, keep in chosen.divide((row.key, row) for row in base.select(path)) if keep]
    if everything and callable(confirm) and confirm(len(rows)) is not True:
        raise ConfigError(f"the {len(rows)} objects were not confirmed to be deleted; none was")
    _remove(base.store(), [row.key for row in rows])
    return base.objects("", rows)


def _remove(store: ObjectStore, keys: list[str]) -> None:
    step = max(1, store.remove_batch)
    batches = [keys[start : start + step] for start in range(0, len(keys), step)]
    errors: list[BaseException] = []
    for outcome in engine.default().run(store.remove, batches, on_error="collect", local=store.local):
        found = [outcome.error] * len(outcome.item) if outcome.error is not None else outcome.value
        errors += [error for error in found if error is not None]
    if errors:
        raise StoreError(f"{len(errors)} of {len(keys)} objects were not deleted: {errors[0]}", cause=errors[0])


def _matches_all(pattern: Glob | Regex) -> bool:
    """Whether the pattern is empty, as one from a setting that was not set: it would choose every key."""
    return isinstance(pattern, Regex) and not pattern.pattern
