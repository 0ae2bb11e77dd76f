"""The matrix, on disk: the file store, bare and under a prefix, against what the disk says."""

from __future__ import annotations

import os

import pytest

from holdfast.stores.file import FileStore
from holdfast.testing import StoreConformance
from holdfast.wrap.rekey import PrefixStore


def on_disk(root):
    """The files below a directory by relative path, without what the store keeps for itself."""
    found = {}
    for directory, names, files in os.walk(root):
        if directory == os.fspath(root):
            names[:] = [name for name in names if name != ".holdfast"]
        for name in files:
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, root)] = file.read()
    return found


def litter(root):
    """What writes left behind in the store's own directory of temporaries."""
    directory = root / ".holdfast" / "tmp"
    return sorted(os.listdir(directory)) if directory.exists() else []


class TestFile(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path):
        root = tmp_path / "root"
        root.mkdir()
        with FileStore(root) as store:
            self.root = root
            yield store
        assert litter(root) == []

    def truth(self, store):
        return on_disk(self.root)


class TestDurableFile(TestFile):
    rounds = 10
    many = 120

    @pytest.fixture
    def store(self, tmp_path):
        root = tmp_path / "root"
        root.mkdir()
        with FileStore(root, durable=True) as store:
            self.root = root
            yield store
        assert litter(root) == []


class TestFileUnderPrefix(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path):
        root = tmp_path / "root"
        root.mkdir()
        (root / "run10").write_bytes(b"neighbour")
        (root / "run1.txt").write_bytes(b"neighbour")
        with FileStore(root) as inner:
            self.root = root
            yield PrefixStore(inner, "run1/")
        assert (root / "run10").read_bytes() == (root / "run1.txt").read_bytes() == b"neighbour"
        assert litter(root) == []

    def truth(self, store):
        return {key[5:]: data for key, data in on_disk(self.root).items() if key.startswith("run1/")}
