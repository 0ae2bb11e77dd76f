"""``storage.object``: the base of all stores, the store in a dict, and the error of backends."""

from __future__ import annotations

from ...errors import StoreError
from ...store import ObjectStore
from ...stores.plain import DictStore as NativeDictStore

__all__ = ["DictStore", "ObjectStore", "StoreError"]


class DictStore(NativeDictStore):
    """Objects of any type in a dict, ``.objects``; ``keys()`` is the dict's own.

    >>> store = DictStore()
    >>> store.put("a", "any value")
    >>> store.get("a"), store.keys()
    ('any value', dict_keys(['a']))
    """

    #: Values are kept as they are.
    takes_text = True
