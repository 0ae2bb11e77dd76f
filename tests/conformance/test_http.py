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


class TestNginxInChunks(TestNginx):
    """The same where the server tells neither lengths nor ETags, and cuts no ranges, as for pages that it makes."""

    @pytest.fixture
    def store(self, nginx, root):
        with HttpStore(f"{nginx.endpoint}/chunked/conformance") as store:
            yield store

    def test_a_head_tells_without_the_body(self, store):
        """All but the size, which nobody knows before the body has been made."""
        self.seed(store, "dir/key", b"x" * 1234)
        info = store.head("dir/key")
        assert (info.key, info.size, info.is_prefix) == ("dir/key", None, False)
        assert store.get("dir/key") == b"x" * 1234


class TestNginxUnderPrefix(TestNginx):
    @pytest.fixture
    def store(self, nginx, root):
        with HttpStore(nginx.endpoint) as inner:
            yield PrefixStore(inner, "conformance/")
