"""The matrix, on Azure: Azurite, bare and under a prefix, against requests signed by hand."""

from __future__ import annotations

import pytest

from holdfast.stores.az import AzureStore
from holdfast.testing import StoreConformance
from holdfast.wrap.rekey import PrefixStore

NEIGHBOURS = {"run10/a": b"a", "run1.txt": b"b"}


class TestAzurite(StoreConformance):
    rounds = 16
    large = 9 << 20
    many = 60

    @pytest.fixture
    def inner(self, azurite, monkeypatch):
        for name, value in azurite.environment.items():
            monkeypatch.setenv(name, value)  # a pickled store comes back with these, not with secrets of its own
        self.container = azurite.make_container()
        self.server = azurite
        with AzureStore(self.container, endpoint=azurite.endpoint, account_key=azurite.account_key) as store:
            yield store

    @pytest.fixture
    def store(self, inner):
        return inner

    def truth(self, store):
        return self.server.objects(self.container)


class TestAzuriteUnderPrefix(TestAzurite):
    """The same below ``run1/``, beside objects that must be neither shown nor touched."""

    @pytest.fixture
    def store(self, inner):
        for key, data in NEIGHBOURS.items():
            self.server.put(self.container, key, data)
        yield PrefixStore(inner, "run1/")
        objects = self.server.objects(self.container)
        assert {key: data for key, data in objects.items() if not key.startswith("run1/")} == NEIGHBOURS

    def truth(self, store):
        objects = self.server.objects(self.container)
        return {key[len("run1/") :]: data for key, data in objects.items() if key.startswith("run1/")}
