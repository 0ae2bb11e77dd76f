"""The matrix, over the stores and wrappers with the manners of amplify-storage-utils."""

from __future__ import annotations

import base64
import contextlib
import gzip
import logging
import sqlite3

import pytest

from holdfast.compat.storage import utils
from holdfast.compat.storage.db import SqliteStore
from holdfast.compat.storage.fs import FilesystemStore, HashdirStore, SafeFilesystemStore
from holdfast.compat.storage.object import DictStore
from holdfast.stores.memory import MemoryStore
from holdfast.testing import StoreConformance
from tests.conformance.test_file import on_disk
from tests.conformance.test_transforms import TransformConformance
from tests.conformance.wrapped import WrapperConformance


class TestDict(StoreConformance):
    @pytest.fixture
    def store(self):
        return DictStore()

    def truth(self, store):
        return store.objects


class TestFilesystem(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path):
        self.root = tmp_path / "root"
        with FilesystemStore(self.root) as store:
            yield store

    def truth(self, store):
        return on_disk(self.root)


class TestHashdir(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path):
        with HashdirStore(tmp_path) as store:
            yield store


class TestSafeFilesystem(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path):
        with SafeFilesystemStore(tmp_path) as store:
            yield store


class TestSqlite(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path):
        with SqliteStore(tmp_path / "objects.db") as store:
            yield store

    def truth(self, store):
        with contextlib.closing(sqlite3.connect(store.db_path)) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE name = 'objects'").fetchall()
            rows = database.execute("SELECT key, data FROM objects").fetchall() if tables else []
        return dict(rows) if all(isinstance(key, str) for key, _ in rows) else None


class Reversed(FilesystemStore):
    """A user's subclass, which every verb must go through."""

    def get(self, key):
        return super().get(key)[::-1]

    def put(self, key, data):
        return super().put(key, bytes(data)[::-1])


class TestOwnMethods(StoreConformance):
    pickles = False

    @pytest.fixture
    def store(self, tmp_path):
        self.root = tmp_path / "root"
        with Reversed(self.root) as store:
            yield store

    def truth(self, store):
        return {key: data[::-1] for key, data in on_disk(self.root).items()}


class InMemory:
    """Over memory alone: over files the native wrappers, which do the work, are in the matrix themselves."""

    @pytest.fixture
    def inner(self):
        return MemoryStore()


class TestIdentity(InMemory, WrapperConformance):
    pickles = True

    def wrap(self, inner):
        return utils.IdentityStore(inner)


class TestReadonly(InMemory, WrapperConformance):
    pickles = True

    def wrap(self, inner):
        return utils.ReadonlyStore(inner)

    def seed(self, store, key, data):
        self.inner.put(key, data)


class TestNotifying(InMemory, WrapperConformance):
    def wrap(self, inner):
        return utils.NotifyingStore(inner)


class TestLogging(InMemory, WrapperConformance):
    def wrap(self, inner):
        return utils.LoggingStore(inner, "test", logging.getLogger("holdfast.test"))


class TestKeyValidating(InMemory, WrapperConformance):
    def wrap(self, inner):
        return utils.KeyValidatingStore(inner, lambda key: "\x7f" not in key)


class TestPrefix(InMemory, WrapperConformance):
    pickles = True

    def wrap(self, inner):
        return utils.PrefixStore(inner, "p/")

    def unwrapped(self, key, data):
        return key.removeprefix("p/"), data


class TestHashPrefix(InMemory, WrapperConformance):
    pickles = True

    def wrap(self, inner):
        return utils.HashPrefixStore(inner)

    def unwrapped(self, key, data):
        return key[9:], data


class Mangled(utils.KeyTransformingStore):
    def transform_key(self, key):
        return f"{key}.stored"

    def reverse_transform_key(self, key):
        return key.removesuffix(".stored")


class TestKeyTransforming(InMemory, WrapperConformance):
    def wrap(self, inner):
        return Mangled(inner)

    def unwrapped(self, key, data):
        return key.removesuffix(".stored"), data


class TestGzip(InMemory, TransformConformance):
    def wrap(self, inner):
        return utils.GzipStore(inner)

    def unwrapped(self, key, data):
        return key, gzip.decompress(data)


class TestBase64(InMemory, TransformConformance):
    def wrap(self, inner):
        return utils.Base64Store(inner)

    def unwrapped(self, key, data):
        return key, base64.b64decode(data, validate=True)


class TestRouting(InMemory, WrapperConformance):
    def wrap(self, inner):
        return utils.RegexRoutingStore(inner, {})


class TestCaching(InMemory, WrapperConformance):
    def wrap(self, inner):
        return utils.CachingStore(inner, MemoryStore())
