"""The matrix, encrypted, over memory and over files."""

from __future__ import annotations

import pytest

from holdfast.store import SimpleWrapper
from holdfast.stores.memory import MemoryStore
from holdfast.wrap.encrypt import EncryptingStore, KeyRing
from tests.conformance.wrapped import WrapperConformance

RING = KeyRing({"old": bytes(range(32)), "new": bytes(range(32, 64))}, "new")


class TestEncrypting(WrapperConformance):
    def wrap(self, inner):
        return EncryptingStore(inner, RING)

    def unwrapped(self, key, data):
        assert data.startswith(b"HFE1new\0")
        other = MemoryStore()
        other.put(key, data)
        return key, EncryptingStore(other, RING).get(key)


class TestEncryptingFiveMethods(WrapperConformance):
    @pytest.fixture
    def store(self):
        self.inner = MemoryStore()
        return EncryptingStore(SimpleWrapper(self.inner), RING)

    def unwrapped(self, key, data):
        return TestEncrypting.unwrapped(self, key, data)
