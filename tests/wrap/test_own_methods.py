"""Methods that a user overrides are called, each of them, in whatever class they are."""

from __future__ import annotations

import io

import pytest

from holdfast.errors import RefusedKey
from holdfast.stores.memory import MemoryStore
from holdfast.types import ReadOptions
from holdfast.wrap.guard import RegexValidator
from holdfast.wrap.key_transformers import KeyTransformer, ValidatingKeyTransformer
from holdfast.wrap.rekey import HashPrefixStore, KeyTransformingStore, PrefixStore, UrlEncodingStore
from holdfast.wrap.transform import Base64Store, CompressingStore, GzipStore, TransformingStore
from holdfast.wrap.transformers import Base64Transformer, CompressingTransformer, DataTransformer, GzipTransformer


class Reading(TransformingStore):
    def reverse_transform(self, data):
        return bytes(data)[::-1]


class Writing(TransformingStore):
    def transform(self, data):
        return bytes(data)[::-1]


def test_a_subclass_may_write_one_of_the_two_methods():
    inner = MemoryStore()
    inner.put("a", b"abc")
    assert Reading(inner).get("a") == b"cba"
    assert Reading(inner).get_range("a", 0, 1) == b"c"
    Reading(inner).put("b", b"abc")
    assert inner.get("b") == b"abc"
    Writing(inner).put("c", b"abc")
    assert (inner.get("c"), Writing(inner).get("c")) == (b"cba", b"cba")


@pytest.mark.parametrize("base", [GzipStore, CompressingStore, Base64Store])
def test_a_subclass_of_a_store_may_change_what_that_does(base):
    class Upper(base):
        def transform(self, data):
            return super().transform(bytes(data).upper())

    class Shout(Upper):
        def reverse_transform(self, data):
            return super().reverse_transform(data) + b"!"

    inner = MemoryStore()
    for write in (lambda store: store.put("a", b"abc"), lambda store: store.write("a", io.BytesIO(b"abc"))):
        write(Upper(inner))
        assert base(inner).get("a") == Upper(inner).get("a") == b"ABC"
        assert Shout(inner).get("a") == b"ABC!"
        assert Shout(inner).transform(b"x") == base(inner).transform(b"X")


def test_methods_of_a_subclass_go_before_a_transformer_and_may_use_it():
    class Both(TransformingStore):
        def transform(self, data):
            return b"<" + super().transform(data) + b">"

        def reverse_transform(self, data):
            return super().reverse_transform(bytes(data)[1:-1])

    inner = MemoryStore()
    store = Both(inner, Base64Transformer())
    store.put("a", b"hello")
    assert (inner.get("a"), store.get("a")) == (b"<aGVsbG8=>", b"hello")


@pytest.mark.parametrize("base", [GzipTransformer, CompressingTransformer, Base64Transformer])
def test_a_subclass_of_a_transformer_may_change_what_that_does(base):
    class Upper(base):
        def transform(self, data):
            return super().transform(bytes(data).upper())

    class Shout(Upper):
        def reverse_transform(self, data):
            return super().reverse_transform(data) + b"!"

    inner = MemoryStore()
    for store in (TransformingStore(inner, Upper()), TransformingStore(inner, Shout())):
        store.write("a", iter([b"ab", b"c"]))
        assert TransformingStore(inner, base()).get("a") == b"ABC"
    assert store.get("a") == b"ABC!"

    class Streaming(Shout):
        def reverse_chunks(self, chunks):
            yield from super().reverse_chunks(chunks)
            yield b"?"

    assert TransformingStore(inner, Streaming()).get("a") == b"ABC!?"


def test_a_mixin_is_heard_too():
    class Upper:
        def transform(self, data):
            return super().transform(bytes(data).upper())

    class Mixed(Upper, GzipTransformer):
        pass

    class MixedStore(Upper, GzipStore):
        pass

    inner = MemoryStore()
    for store in (TransformingStore(inner, Mixed()), MixedStore(inner)):
        store.put("a", b"abc")
        assert store.get("a") == b"ABC"


def test_what_streamed_still_streams():
    for kind in (GzipTransformer, CompressingTransformer, Base64Transformer):
        assert type("Same", (kind,), {}).transform_chunks is kind.transform_chunks
        assert kind.transform_chunks is not DataTransformer.transform_chunks


class Doubled(KeyTransformingStore):
    def transform_key(self, key):
        return f"{key}.{key}"

    def reverse_transform_key(self, key):
        left, _, right = key.partition(".")
        if left != right:
            raise ValueError(key)
        return left


def test_keys_go_through_the_methods_of_a_subclass_in_listings_too():
    class Backwards(UrlEncodingStore):
        def transform_key(self, key):
            return super().transform_key(key)[::-1]

        def reverse_transform_key(self, key):
            return super().reverse_transform_key(key[::-1])

    class Hidden(PrefixStore):
        def to_inner(self, key):
            return super().to_inner(key)[::-1]

        def to_outer(self, key):
            return super().to_outer(key[::-1])

    class Marked(HashPrefixStore):
        def transform_key(self, key):
            return f"x{super().transform_key(key)}"

        def reverse_transform_key(self, key):
            return super().reverse_transform_key(key.removeprefix("x"))

    for make in (Backwards, lambda inner: Hidden(inner, "p/"), Marked, Doubled):
        inner = MemoryStore()
        store = make(inner)
        for key in ("abc", "abd", "bx"):
            store.put(key, key.encode())
        assert sorted(store.keys("ab")) == ["abc", "abd"]
        assert sorted(row.key for row in store.list(start_after="abc")) == ["abd", "bx"]
        assert store.get("bx") == b"bx"
        assert not set(inner.keys()) & set(store.keys())


def test_a_transformer_that_refuses_a_key_answers_for_that_key_alone():
    class Picky(KeyTransformer):
        def transform_key(self, key):
            if not key.islower():
                raise self.error(f"{key} is not lower case")
            return key

        def __init__(self, error):
            self.error = error

    for transformer in (
        ValidatingKeyTransformer(RegexValidator("[a-z]+")),
        ValidatingKeyTransformer(str.islower),
        Picky(KeyError),
        Picky(ValueError),
    ):
        inner = MemoryStore()
        store = KeyTransformingStore(inner, transformer)
        for key in "abc":
            store.put(key, b"1")
        gone, refused, missing = store.remove(["a", "BAD", "b"])
        assert (gone, missing, list(inner.keys())) == (None, None, ["c"])
        assert isinstance(refused, RefusedKey)
        assert (refused.key, refused.store) == ("BAD", "memory")
        for call in (store.get, store.exists, store.delete, store.head, store._locate):
            with pytest.raises(RefusedKey, match="BAD") as raised:
                call("BAD")
            assert raised.value.key == "BAD"
        for call, given in ((store.put, ("BAD", b"")), (store.copy, ("c", "BAD")), (store._stage, ("BAD", 1))):
            with pytest.raises(RefusedKey):
                call(*given)
        with pytest.raises(RefusedKey):
            store.read("BAD", ReadOptions(start=1))
