"""For tests of stores: the conformance suite, and wrappers that break, delay and count.

This is test code, shipped for whoever writes a store; it needs pytest, which Holdfast itself does not. A backend's
conformance test is a subclass with one fixture:

    class TestMine(StoreConformance):
        @pytest.fixture
        def store(self):
            return MyStore()
"""

import pytest

# Before the import: assertions in the suite explain themselves like those of any test file.
pytest.register_assert_rewrite(
    "holdfast.testing.suite",
    "holdfast.testing.reading",
    "holdfast.testing.writing",
    "holdfast.testing.conditions",
    "holdfast.testing.listing",
    "holdfast.testing.naming",
)

from .conformance import StoreConformance  # noqa: E402
from .stores import CountingStore, FaultStore, LatencyStore  # noqa: E402

__all__ = ["CountingStore", "FaultStore", "LatencyStore", "StoreConformance"]
