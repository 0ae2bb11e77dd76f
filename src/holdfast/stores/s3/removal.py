"""Bulk deletes: a thousand keys to a request where the engine can name them, one by one where that fails."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from ...errors import AuthError, BucketNotFound, ConfigError, HoldfastError
from ...store import Removed
from .. import _obstore
from .._obstore import Client
from . import direct
from .wire import Wire


def remove(client: Client, wire: Callable[[], Wire], keys: Sequence[str]) -> Removed:
    """One entry a key: None once there is no such object, or else the error."""
    removed: Removed = [None] * len(keys)
    together = [index for index, key in enumerate(keys) if _fits_a_batch(key)]
    if together:
        batch = [keys[index] for index in together]
        try:
            failures = _together(client, batch)
        except HoldfastError:
            # One key failed, or the service knows no batches: which ones are gone is learned one by one.
            failures = [direct.delete(wire(), key) for key in batch]  # the engine would believe a page of HTML
        for index, failure in zip(together, failures, strict=True):
            removed[index] = failure
    for index in set(range(len(keys))).difference(together):
        removed[index] = direct.delete(wire(), keys[index])
    return removed


def _fits_a_batch(key: str) -> bool:
    """Whether the engine can name this key in the XML of a batch of deletes."""
    return _obstore.carries(key) and "\ufffe" not in key and "\uffff" not in key


def _together(client: Client, batch: list[str]) -> Removed:
    """What became of the keys of one request; raises what does not tell."""
    delete = functools.partial(client.attempt, "delete", None, _obstore.delete, client.plain, batch)
    try:
        delete()
    except (AuthError, BucketNotFound, ConfigError) as error:
        return [_with_key(error, key) for key in batch]
    except HoldfastError as error:
        if not error.retryable:
            raise
        failed = error
    else:
        return [None] * len(batch)
    try:
        client.policy.again(delete, failed)
    except HoldfastError as error:
        # A service that is down for one request is not asked a thousand times more.
        return [_with_key(error, key) for key in batch]
    return [None] * len(batch)


def _with_key(error: HoldfastError, key: str) -> HoldfastError:
    return type(error)(error.message, store=error.store, key=key, cause=error.cause, retryable=error.retryable)
