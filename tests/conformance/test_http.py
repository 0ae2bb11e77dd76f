"""The matrix, on the web: the read side against nginx, whose files are put there by other means."""

from __future__ import annotations

import os
import shutil

import pytest

from holdfast.errors import HoldfastError
from holdfast.stores.http import HttpStore
from holdfast.testing import StoreConformance
from holdfast.wrap.rekey import PrefixStore


class TestNginx(StoreConformance):
    many = 30

    @pytest.fixture
    def root(self, nginx, request):
        root = nginx.root / "conformance"
        root.mkdir()
        self.root = root
        yield root
        shutil.rmtree(root)

    @pytest.fixture
    def store(self, nginx, root):
        with HttpStore(f"{nginx.endpoint}/conformance") as store:
            yield store

    def seed(self, store, key, data):
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        # A new file each time, so that the inode and with it the time are new, as a deployment would do it.
        temporary = path.with_name(f"{path.name}.new")
        temporary.write_bytes(data)
        os.replace(temporary, path)

    def test_a_directory_is_no_object(self, store):
        """On the web a directory is what the server makes of it, here a page without a length: an error, not bytes."""
        self.seed(store, "dir/key", b"x")
        with pytest.raises(HoldfastError):
            store.get("dir")


class TestNginxUnderPrefix(TestNginx):
    @pytest.fixture
    def store(self, nginx, root):
        with HttpStore(nginx.endpoint) as inner:
            yield PrefixStore(inner, "conformance/")
