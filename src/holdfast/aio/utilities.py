"""Utilities for whole stores, to await: each is one call of the synchronous one, at the same cost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..files.whole import KeyResult, OnError, clear_store, copy_store, sync_stores
from .calls import Calls
from .facade import AnyStore, sync


async def async_copy_store(
    source: AnyStore,
    target: AnyStore,
    overwrite: bool = True,
    *,
    threads: int | None = None,
    progress: bool | None = False,
    on_error: OnError = "raise",
) -> list[KeyResult]:
    """One result for each object of ``source``, each of them now in ``target``: see ``copy_store``."""
    one, two = sync(source), sync(target)
    work = partial(copy_store, one, two, overwrite, threads=threads, progress=progress, on_error=on_error)
    return await Calls(one, two).call(work)


async def async_sync_stores(
    source: AnyStore,
    target: AnyStore,
    delete: bool = False,
    *,
    threads: int | None = None,
    progress: bool | None = False,
    on_error: OnError = "raise",
    allow_empty: bool = False,
) -> list[KeyResult]:
    """One result for each key of either store, after which ``target`` is as ``source``: see ``sync_stores``."""
    one, two = sync(source), sync(target)
    work = partial(
        sync_stores,
        one,
        two,
        delete,
        threads=threads,
        progress=progress,
        on_error=on_error,
        allow_empty=allow_empty,
    )
    return await Calls(one, two).call(work)


async def async_clear_store(
    store: AnyStore,
    *,
    confirm: bool | Callable[[int], bool] = False,
    threads: int | None = None,
    progress: bool | None = False,
    on_error: OnError = "raise",
) -> list[KeyResult]:
    """One result for each object that was in the store, which is now empty: see ``clear_store``.

    A function for ``confirm`` is called in a worker thread.
    """
    one = sync(store)
    work = partial(clear_store, one, confirm=confirm, threads=threads, progress=progress, on_error=on_error)
    return await Calls(one).call(work)
