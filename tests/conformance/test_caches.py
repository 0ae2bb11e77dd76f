"""The matrix, behind caches, over memory and over files."""

from __future__ import annotations

import pytest

from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.wrap.cache import CachingStore
from tests.conformance.wrapped import WrapperConformance


class Reading:
    """Each object is read once before it is looked at, so that what follows comes from the cache."""

    def seed(self, store, key, data):
        super().seed(store, key, data)
        assert store.get(key) == data


@pytest.mark.parametrize("revalidate", ["etag", "ttl", "never"])
class TestCaching(Reading, WrapperConformance):
    pickles = True

    @pytest.fixture
    def store(self, inner, revalidate, tmp_path):
        self.inner = inner
        (tmp_path / "cache").mkdir()
        cache = FileStore(tmp_path / "cache") if isinstance(inner, FileStore) else MemoryStore()
        with CachingStore(inner, cache, revalidate=revalidate) as store:
            yield store


class TestTinyCache(Reading, WrapperConformance):
    """Nearly everything is evicted at once."""

    def wrap(self, inner):
        return CachingStore(inner, MemoryStore(), max_bytes=3000)
