"""What every part of the conformance suite stands on: the hooks of a store's test class, and checks of its state."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import pytest

from ..engine import Engine
from ..errors import Unsupported
from ..store import ObjectStore
from ..types import ListOptions, ObjectInfo, ReadOptions, WriteOptions

Value = TypeVar("Value")


class Suite:
    """The hooks by which a test class tells the suite about its store; only ``store`` must be there.

    Override the fixture ``store`` (a fresh, empty store for each test), and where it applies: ``truth``, so that the
    suite need not believe the store; ``seed``, where the store cannot write; and the numbers, where a server is slow.
    """

    #: Size in bytes of the object called large: several chunks and, where there are parts, several of them.
    large: ClassVar[int] = 3 << 20
    #: How many keys make a long listing: more than one page of it.
    many: ClassVar[int] = 1100
    #: How many times writers and readers race.
    rounds: ClassVar[int] = 40
    #: Whether a head tells the size (it cannot where bodies are stored transformed).
    sizes: ClassVar[bool] = True
    #: Whether the store's class can be pickled (one that is defined inside a function cannot).
    pickles: ClassVar[bool] = True

    @pytest.fixture
    def store(self) -> Any:
        """A fresh, empty store: the one fixture that a test class must override."""
        raise NotImplementedError(f"{type(self).__name__} has no fixture 'store'")

    def truth(self, store: ObjectStore) -> Mapping[str, bytes] | None:
        """All objects by key, read around the store (from the disk, by another client), or None if that cannot be."""
        return None

    def seed(self, store: ObjectStore, key: str, data: bytes) -> None:
        """Make an object exist; a store that cannot write overrides this."""
        store.put(key, data)

    def fill(self, store: ObjectStore, objects: Mapping[str, bytes]) -> None:
        """Make all these objects exist."""
        for key, data in objects.items():
            self.seed(store, key, data)

    def declared(self, capability: bool, operation: Callable[[], object]) -> bool:
        """Whether the capability is declared; if it is not, the operation must raise Unsupported."""
        if not capability:
            with pytest.raises(Unsupported):
                operation()
        return capability

    def assert_holds(self, store: ObjectStore, expected: Mapping[str, bytes]) -> None:
        """Check that the store holds exactly these objects: by truth, by listing and by reading."""
        truth = self.truth(store)
        if truth is not None:
            assert dict(truth) == dict(expected)
        if store.capabilities.listing:
            assert sorted(info.key for info in store.list()) == sorted(expected)
        for key, data in expected.items():
            assert store.get(key) == data


def together(count: int, function: Callable[[int], Value]) -> list[Value]:
    """What ``function(0)`` to ``function(count - 1)`` return, called by as many threads at once; errors are raised."""
    start = threading.Barrier(count)

    def run(number: int) -> Value:
        start.wait(timeout=30)
        return function(number)

    with Engine() as engine:
        outcomes = list(engine.run(run, range(count), threads=count, ordered=True, on_error="collect"))
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    return [outcome.value for outcome in outcomes]


def pattern(size: int) -> bytes:
    """So many bytes, such that no two places look alike for long."""
    block = b"".join(number.to_bytes(4, "big") for number in range(min(size, 1 << 20) // 4 + 1))
    return (block * (size // len(block) + 1))[:size]


def read(store: ObjectStore, key: str, **options: Any) -> bytes:
    """The bytes that a read with these ReadOptions gives."""
    with store.read(key, ReadOptions(**options)) as blob:
        return blob.bytes()


def write(store: ObjectStore, key: str, data: Any, **options: Any) -> ObjectInfo:
    """The info of what a write with these WriteOptions stored."""
    return store.write(key, data, WriteOptions(**options))


def listed(store: ObjectStore, prefix: str = "", **options: Any) -> list[str]:
    """The keys that a listing with these ListOptions gives, in its order; none twice."""
    found = [info.key for info in store._scan(ListOptions(prefix, **options))]
    assert len(found) == len(set(found))
    return found
