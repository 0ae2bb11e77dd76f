"""The matrix, under other keys and under routes, over memory and over files."""

from __future__ import annotations

import hashlib
from urllib.parse import unquote

import pytest

from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.wrap.key_transformers import HashPrefixKeyTransformer, PrefixKeyTransformer
from holdfast.wrap.rekey import HashPrefixStore, KeyTransformingStore, UrlEncodingStore
from holdfast.wrap.route import RegexRoutingStore
from tests.conformance.wrapped import WrapperConformance, really_in


class TestKeyTransforming(WrapperConformance):
    pickles = True

    def wrap(self, inner):
        inner.put("foreign", b"x")
        return KeyTransformingStore(inner, PrefixKeyTransformer("below/"))

    def truth(self, store):
        found = really_in(self.inner)
        assert found.pop("foreign") == b"x"
        return {key.removeprefix("below/"): data for key, data in found.items()}


class TestHashPrefix(WrapperConformance):
    pickles = True

    def wrap(self, inner):
        inner.put("zz/2", b"foreign")
        return HashPrefixStore(inner)

    def truth(self, store):
        found = really_in(self.inner)
        assert found.pop("zz/2") == b"foreign"
        for key in found:
            assert hashlib.sha256(key[9:].encode("utf-8", "surrogateescape")).hexdigest()[:8] == key[:8]
        return {key[9:]: data for key, data in found.items()}


class TestHashPrefixOfAnotherLength(WrapperConformance):
    def wrap(self, inner):
        return KeyTransformingStore(inner, HashPrefixKeyTransformer(3, "::"))

    def unwrapped(self, key, data):
        return key[5:], data


class TestUrlEncoding(WrapperConformance):
    pickles = True

    def wrap(self, inner):
        inner.put("foreign key", b"x")
        return UrlEncodingStore(inner)

    def truth(self, store):
        found = really_in(self.inner)
        assert found.pop("foreign key") == b"x"
        assert all(key.isascii() for key in found)
        return {unquote(key, errors="surrogateescape"): data for key, data in found.items()}


class TestRouting(WrapperConformance):
    pickles = True

    @pytest.fixture
    def store(self, inner, tmp_path):
        self.inner = inner
        second = MemoryStore()
        if isinstance(inner, FileStore):
            (tmp_path / "second").mkdir()
            second = FileStore(tmp_path / "second")
        second.put("a", b"led elsewhere")
        inner.put("dirty", b"led elsewhere")
        self.second = second
        with RegexRoutingStore(inner, {"(?s)d.*": second, "never": inner}) as store:
            yield store

    def truth(self, store):
        here, there = really_in(self.inner), really_in(self.second)
        assert here.pop("dirty") == b"led elsewhere"
        assert not any(key.startswith("d") for key in here)
        found = {key: data for key, data in there.items() if key.startswith("d")}
        return {**here, **found}

    def test_two_keys_are_never_one_object(self, store):
        self.second.delete("a")
        super().test_two_keys_are_never_one_object(store)
