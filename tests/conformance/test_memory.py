"""The matrix, without servers: memory, bare and under wrappers of every sort."""

from __future__ import annotations

import pytest

from holdfast.store import Facade, SimpleWrapper, Wrapper
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore, FaultStore, LatencyStore, StoreConformance
from holdfast.wrap.rekey import KeyTransform, PrefixStore
from tests.user_stores import FiveMethods, FourMethods


def contents(store, prefix=""):
    """What a memory store really holds below the prefix, and nothing else may be there."""
    objects = {key: found.data for key, found in store._bucket.objects.items()}
    if prefix:
        objects = {key: data for key, data in objects.items() if key not in NEIGHBOURS}
    assert all(key.startswith(prefix) for key in objects)
    return {key[len(prefix) :]: data for key, data in objects.items()}


#: Objects beside the prefix "run1/", which a store under it must neither show nor touch.
NEIGHBOURS = {"run1": b"a", "run10/a": b"b", "run1.txt": b"c", "run": b"d", "a": b"e", "run0/\U0010ffff": b"f"}


class Flipped(SimpleWrapper):
    """A user's encryption: five methods over a store that could do more."""

    def get(self, key):
        return bytes(byte ^ 0x55 for byte in self.store.get(key))

    def put(self, key, data):
        self.store.put(key, bytes(byte ^ 0x55 for byte in data))


class Reversed(KeyTransform):
    """Keys backwards: a re-keying that keeps neither order nor prefixes."""

    def to_inner(self, key):
        return key[::-1]

    def to_outer(self, key):
        return key[::-1]


class Compatible(Facade):
    """Another system's five over a native store."""

    def get(self, key):
        return self.store.get(key)

    def put(self, key, data):
        self.store.put(key, data)
        return True

    def delete(self, key):
        self.store.delete(key)
        return True

    def exists(self, key):
        return self.store.exists(key)

    def keys(self):
        return list(self.store.keys())


class TestMemory(StoreConformance):
    @pytest.fixture
    def store(self):
        return MemoryStore()

    def truth(self, store):
        return contents(store)


class TestNamedMemory(StoreConformance):
    @pytest.fixture
    def store(self):
        store = MemoryStore("conformance")
        yield store
        store.clear()

    def truth(self, store):
        return contents(store)


class TestMemoryUnderPrefix(StoreConformance):
    @pytest.fixture
    def store(self):
        inner = MemoryStore()
        for key, data in NEIGHBOURS.items():
            inner.put(key, data)
        store = PrefixStore(inner, "run1/")
        yield store
        assert {key: found.data for key, found in inner._bucket.objects.items() if key in NEIGHBOURS} == NEIGHBOURS

    def truth(self, store):
        return contents(store.store, "run1/")


class TestMemoryUnderTwoPrefixes(StoreConformance):
    @pytest.fixture
    def store(self):
        return PrefixStore(PrefixStore(MemoryStore(), "run1/"), "deeper:")

    def truth(self, store):
        return contents(store.store.store, "run1/deeper:")


class TestMemoryUnderAReversal(StoreConformance):
    @pytest.fixture
    def store(self):
        return Reversed(MemoryStore())

    def truth(self, store):
        return {key[::-1]: data for key, data in contents(store.store).items()}


class TestFiveMethods(StoreConformance):
    @pytest.fixture
    def store(self):
        return FiveMethods()

    def truth(self, store):
        return store.objects


class TestFiveMethodsUnderPrefix(StoreConformance):
    @pytest.fixture
    def store(self):
        return PrefixStore(FiveMethods(), "run1/")

    def truth(self, store):
        return {key.removeprefix("run1/"): data for key, data in store.store.objects.items()}


class TestFourMethods(StoreConformance):
    @pytest.fixture
    def store(self):
        return FourMethods()

    def truth(self, store):
        return store.objects


class TestSimpleWrapper(StoreConformance):
    large = 200_000  # enciphered byte by byte

    @pytest.fixture
    def store(self):
        return Flipped(MemoryStore())

    def truth(self, store):
        return {key: bytes(byte ^ 0x55 for byte in data) for key, data in contents(store.store).items()}


class TestFacade(StoreConformance):
    @pytest.fixture
    def store(self):
        return Compatible(MemoryStore())

    def truth(self, store):
        return contents(store.store)


@pytest.mark.parametrize("kind", [Wrapper, CountingStore, FaultStore, LatencyStore])
class TestObservers(StoreConformance):
    pickles = False  # counters and faults hold locks

    @pytest.fixture
    def store(self, kind):
        return kind(MemoryStore())

    def truth(self, store):
        return contents(store.store)
