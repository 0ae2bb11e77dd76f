"""What a pickled store carries: a recipe to make it anew, and its secrets only where they are asked for.

Stores say in ``__reduce__`` what they are made of, and pass each secret that their user gave them through ``carried``;
values that hold nothing but secrets (credentials, rings of keys) derive from ``Secret``. Whether secrets travel is
decided here alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, SupportsIndex, TypeVar

Value = TypeVar("Value")

_secrets_travel: ContextVar[bool] = ContextVar("holdfast_pickling_secrets", default=False)


@contextmanager
def pickling(*, secrets: bool) -> Iterator[None]:
    """Within this block, what is pickled carries its secrets (or, with ``secrets=False``, again does not).

    Those are the credentials that were passed to a store and the keys of an EncryptingStore. What a store found by
    itself, in the environment or on the machine, it finds anew where it is unpickled. Whoever reads such a pickle has
    the secrets: keep it as you keep them.

    The block counts for the thread (or asyncio task) that runs it alone. Pools of processes pickle what is submitted
    in threads of their own, and so without secrets: give them ``pickle.dumps(store)``, made within the block.

    >>> import pickle
    >>> from holdfast import EncryptingStore
    >>> from holdfast.stores.memory import MemoryStore
    >>> store = EncryptingStore(MemoryStore(), bytes(range(32)))
    >>> _ = store.put("a", b"1")
    >>> with pickling(secrets=True):
    ...     recipe = pickle.dumps(store)
    >>> pickle.loads(recipe).get("a")
    b'1'
    """
    token = _secrets_travel.set(secrets)
    try:
        yield
    finally:
        _secrets_travel.reset(token)


def carried(secret: Value) -> Value | None:
    """The secret for the pickle that is being made now, or None where secrets stay behind."""
    return secret if _secrets_travel.get() else None


def stayed_behind(secret: str) -> str:
    """The beginning of an error: that this is not in the pickle, and how it would be.

    >>> stayed_behind("its password")
    'its password stayed behind when it was pickled (only `with holdfast.pickling(secrets=True):` takes secrets along)'
    """
    return (
        f"{secret} stayed behind when it was pickled (only `with holdfast.pickling(secrets=True):` takes secrets along)"
    )


class Secret:
    """A value that pickles (and is copied) only within ``pickling(secrets=True)``; elsewhere TypeError says so."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        if not _secrets_travel.get():
            raise TypeError(
                f"{type(self).__name__} holds secrets and is not pickled: make it anew in the other process, or pickle "
                "it within `with holdfast.pickling(secrets=True):`"
            )
        return super().__reduce_ex__(protocol)
