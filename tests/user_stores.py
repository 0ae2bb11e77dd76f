"""Stores as a user writes them: the few methods over a dict, and nothing of Holdfast's."""

from __future__ import annotations

from holdfast.store import ObjectStore


class FourMethods(ObjectStore):
    """A user's class that cannot list."""

    def __init__(self, objects=None):
        self.objects = {} if objects is None else objects

    def get(self, key):
        return self.objects[key]

    def put(self, key, data):
        self.objects[key] = data

    def delete(self, key):
        del self.objects[key]

    def exists(self, key):
        return key in self.objects


class FiveMethods(FourMethods):
    """A user's class that lists too: no attributes, no conditions, no order."""

    def keys(self):
        return list(self.objects)
