"""The matrix, under guards and observers, over memory and over files."""

from __future__ import annotations

import logging

import pytest

from holdfast.wrap.guard import IdentityStore, KeyValidatingStore, ReadonlyStore, RegexValidatingStore
from holdfast.wrap.observe import ExceptionLoggingStore, LoggingStore, NotifyingStore
from tests.conformance.wrapped import WrapperConformance


class TestIdentity(WrapperConformance):
    pickles = True

    def wrap(self, inner):
        return IdentityStore(inner)


class TestReadonly(WrapperConformance):
    pickles = True

    def wrap(self, inner):
        return ReadonlyStore(inner)

    def seed(self, store, key, data):
        self.inner.put(key, data)


class TestKeyValidating(WrapperConformance):
    def wrap(self, inner):
        inner.put("REFUSED", b"not to be seen")
        return KeyValidatingStore(inner, lambda key: key != "REFUSED" and "\x7f" not in key)

    def truth(self, store):
        found = super().truth(store)
        assert found.pop("REFUSED") == b"not to be seen"
        return found


class TestRegexValidating(WrapperConformance):
    pickles = True

    def wrap(self, inner):
        return RegexValidatingStore(inner, r"(?s)[^%]+")


class TestNotifying(WrapperConformance):
    def wrap(self, inner):
        store = NotifyingStore(inner)
        store.on_change(lambda *_: None)
        return store


class TestLogging(WrapperConformance):
    @pytest.fixture(autouse=True)
    def logged(self, caplog):
        caplog.set_level(logging.INFO, "holdfast.test")

    def wrap(self, inner):
        return LoggingStore(inner, "test", logging.getLogger("holdfast.test"))


def test_the_verbs_of_exception_logging_raise():
    store = IdentityStore(ExceptionLoggingStore(ReadonlyStore(IdentityStore(_empty()))))
    with pytest.raises(NotImplementedError):
        store.put("a", b"1")
    with pytest.raises(KeyError):
        store.get("a")


def _empty():
    from holdfast.stores.memory import MemoryStore

    return MemoryStore()
