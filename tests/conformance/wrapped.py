"""What the conformance tests of wrappers share: a store beneath, in memory or on disk, and what it really holds."""

from __future__ import annotations

import os

import pytest

from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.testing import StoreConformance
from holdfast.wrap.guard import UrlValidatingStore
from holdfast.wrap.key_transformers import KeyTransformer
from holdfast.wrap.rekey import KeyTransformingStore, PrefixStore


def really_in(store):
    """The stored bytes by key, of a memory store or a file store, read around it."""
    if isinstance(store, MemoryStore):
        return {key: found.data for key, found in store._bucket.objects.items()}
    found = {}
    for directory, names, files in os.walk(store.root):
        if directory == os.fspath(store.root):
            names[:] = [name for name in names if name != ".holdfast"]
        for name in files:
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, store.root)] = file.read()
    return found


class HostTransformer(KeyTransformer):
    """URLs of one host as paths, which any store keeps."""

    def transform_key(self, key):
        return key.removeprefix("https://host/")

    def reverse_transform_key(self, key):
        return f"https://host/{key}"


def urls(store):
    """Keys that are URLs, as they are validated."""
    return PrefixStore(UrlValidatingStore(KeyTransformingStore(store, HostTransformer())), "https://host/")


class WrapperConformance(StoreConformance):
    """One wrapper over memory and over files: say ``wrap``, and ``unwrapped`` where stored bytes or keys differ."""

    rounds = 16
    many = 120
    pickles = False

    def wrap(self, inner):
        raise NotImplementedError

    def unwrapped(self, key, data):
        """What the caller should see of one stored object."""
        return key, data

    @pytest.fixture(params=["memory", "file"])
    def inner(self, request, tmp_path):
        if request.param == "memory":
            yield MemoryStore()
        else:
            root = tmp_path / "root"
            root.mkdir()
            with FileStore(root) as store:
                yield store

    @pytest.fixture
    def store(self, inner):
        self.inner = inner
        return self.wrap(inner)

    def truth(self, store):
        return dict(self.unwrapped(key, data) for key, data in really_in(self.inner).items())
