"""The matrix, retried and throttled, over memory and over files."""

from __future__ import annotations

import pytest

from holdfast.errors import Throttled
from holdfast.retry import Policy
from holdfast.testing import FaultStore
from holdfast.wrap.retrying import RetryingStore
from holdfast.wrap.throttle import ThrottledStore
from tests.conformance.wrapped import WrapperConformance


class TestThrottled(WrapperConformance):
    def wrap(self, inner):
        return ThrottledStore(inner, operations_per_second=1e9, bytes_per_second=1e12)


class TestRetrying(WrapperConformance):
    def wrap(self, inner):
        return RetryingStore(inner)


class TestRetryingAStoreThatStumbles(WrapperConformance):
    """The first try of every verb that is retried fails."""

    many = 30

    @pytest.fixture
    def store(self, inner):
        self.inner = inner

        class Stumbling(FaultStore):
            def __init__(self, store):
                super().__init__(store)
                self.stumbled = set()

            def seen(self, verb, key):
                if verb in {"read", "scan"} and (verb, key) not in self.stumbled:
                    self.stumbled.add((verb, key))
                    raise Throttled("slow down")

        return RetryingStore(Stumbling(inner), Policy(sleep=lambda seconds: None))
