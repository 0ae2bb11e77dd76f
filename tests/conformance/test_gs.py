"""The matrix, on Google Cloud Storage: the fake of tests/servers/gcs.py, bare and under a prefix."""

from __future__ import annotations

import pytest

from holdfast.stores.gs import GoogleStore
from holdfast.testing import StoreConformance
from holdfast.wrap.rekey import PrefixStore

NEIGHBOURS = {"run10/a": b"a", "run1.txt": b"b"}


class TestFake(StoreConformance):
    rounds = 16
    large = 9 << 20
    many = 1100

    @pytest.fixture
    def inner(self, gcs, monkeypatch):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.endpoint)
        monkeypatch.setattr(gcs, "accepts", lambda token: token == "anonymous")
        self.server, self.bucket = gcs, gcs.make_bucket()
        with GoogleStore(self.bucket) as store:
            yield store
        assert not gcs.buckets[self.bucket].uploads, "parts left behind"

    @pytest.fixture
    def store(self, inner):
        return inner

    def truth(self, store):
        return self.server.objects(self.bucket)


class TestFakeUnderPrefix(TestFake):
    """The same below ``run1/``, beside objects that must be neither shown nor touched."""

    many = 60

    @pytest.fixture
    def store(self, inner):
        for key, data in NEIGHBOURS.items():
            self.server.put(self.bucket, key, data)
        yield PrefixStore(inner, "run1/")
        objects = self.server.objects(self.bucket)
        assert {key: data for key, data in objects.items() if not key.startswith("run1/")} == NEIGHBOURS

    def truth(self, store):
        objects = self.server.objects(self.bucket)
        return {key[len("run1/") :]: data for key, data in objects.items() if key.startswith("run1/")}
