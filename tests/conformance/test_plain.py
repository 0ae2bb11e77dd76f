"""The matrix, over the local stores of amplify-storage-utils."""

from __future__ import annotations

import base64
import hashlib

import pytest

from holdfast.stores.file.renamed import HashdirStore
from holdfast.stores.plain import DictStore, FilesystemStore, SafeFilesystemStore
from holdfast.testing import StoreConformance
from tests.conformance.test_file import on_disk


class TestDictStore(StoreConformance):
    @pytest.fixture
    def store(self):
        return DictStore()

    def truth(self, store):
        return store.objects


class TestFilesystemStore(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path):
        self.root = tmp_path / "root"
        with FilesystemStore(self.root) as store:
            yield store

    def truth(self, store):
        return on_disk(self.root)


class TestSafeFilesystemStore(TestFilesystemStore):
    @pytest.fixture
    def store(self, tmp_path):
        self.root = tmp_path / "root"
        self.root.mkdir()
        for name in ("_", "readme.txt", "____", "MFRGG", "mfrgg___", "directory"):
            (self.root / name).write_bytes(b"no object")
        with SafeFilesystemStore(self.root) as store:
            yield store

    def truth(self, store):
        files = {name: data for name, data in on_disk(self.root).items() if data != b"no object"}
        return {
            base64.b32decode(name.replace("_", "=")).decode("utf-8", "surrogateescape"): data
            for name, data in files.items()
        }


class TestHashdirStore(StoreConformance):
    width, depth = 2, 3

    @pytest.fixture
    def store(self, tmp_path):
        self.root = tmp_path / "root"
        self.keys = set()
        with HashdirStore(self.root, self.width, self.depth) as store:
            yield store

    def assert_holds(self, store, expected):
        """Digests tell no keys, so what is on disk is compared with the digests of what should be."""
        cut = self.width * self.depth
        wanted = {}
        for key, data in expected.items():
            digits = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
            parts = [digits[at : at + self.width] for at in range(0, cut, self.width)]
            wanted["/".join([*parts, digits[cut:]])] = data
        assert on_disk(self.root) == wanted
        super().assert_holds(store, expected)


class TestFlatHashdirStore(TestHashdirStore):
    width, depth = 3, 0
