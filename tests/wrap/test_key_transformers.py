from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import InvalidKey, NotFound
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore
from holdfast.wrap.guard import RegexValidator
from holdfast.wrap.key_transformers import (
    HashPrefixKeyTransformer,
    KeyTransformer,
    PrefixKeyTransformer,
    UrlEncodingKeyTransformer,
    ValidatingKeyTransformer,
)
from holdfast.wrap.rekey import HashPrefixStore, KeyTransformingStore, PrefixStore, UrlEncodingStore

KEYS = st.text(min_size=1).filter(lambda key: key.encode("utf-8", "replace").decode() == key)


@pytest.mark.parametrize(
    "transformer",
    [
        KeyTransformer(),
        PrefixKeyTransformer("p/"),
        HashPrefixKeyTransformer(),
        HashPrefixKeyTransformer(64, ""),
        UrlEncodingKeyTransformer(),
        ValidatingKeyTransformer(RegexValidator("(?s).*")),
    ],
    ids=repr,
)
@given(key=KEYS)
def test_a_key_comes_back(transformer, key):
    assert transformer.reverse_transform_key(transformer.transform_key(key)) == key


@pytest.mark.parametrize(
    ("transformer", "foreign"),
    [
        (PrefixKeyTransformer("p/"), "q/a"),
        (HashPrefixKeyTransformer(), "zz/2"),
        (HashPrefixKeyTransformer(), "2c70e12b/other"),
        (HashPrefixKeyTransformer(), "2"),
        (UrlEncodingKeyTransformer(), "a b"),
        (UrlEncodingKeyTransformer(), "a%2Fb"),
        (UrlEncodingKeyTransformer(), "%c3%bc"),
        (UrlEncodingKeyTransformer(), "100%"),
        (ValidatingKeyTransformer(RegexValidator("[a-z]+")), "A"),
    ],
    ids=repr,
)
def test_foreign_keys_are_told_and_not_listed(transformer, foreign):
    with pytest.raises(ValueError):
        transformer.reverse_transform_key(foreign)
    inner = MemoryStore()
    inner.put(foreign, b"x")
    store = KeyTransformingStore(inner, transformer)
    store.put("own", b"y")
    assert list(store.keys()) == ["own"]


def test_keys_are_hashed_as_promised():
    assert HashPrefixKeyTransformer().transform_key("key") == "2c70e12b/key"
    inner = MemoryStore()
    for key in "abcdef":
        HashPrefixStore(inner, 4, ":").put(key, b"")
    stored = list(inner.keys())
    assert [key[4:6] for key in sorted(stored)] != [f":{key}" for key in "abcdef"]
    assert not HashPrefixStore(inner).capabilities.sorted
    for wrong in (0, 65, -1):
        with pytest.raises(ValueError):
            HashPrefixStore(inner, wrong)


def test_bytes_that_join_to_another_key_are_refused_by_name():
    store = UrlEncodingStore(MemoryStore())
    store.put("é", b"1")
    store.put("a\udcff", b"2")
    with pytest.raises(InvalidKey):
        store.put("\udcc3\udca9", b"3")
    answers = store.remove(["\udcc3\udca9", "a\udcff"])
    assert isinstance(answers[0], InvalidKey)
    assert answers[1] is None
    assert list(store.keys()) == ["é"]


def test_a_prefix_costs_its_matches_under_percent_encoding():
    inner = MemoryStore()
    store = UrlEncodingStore(inner)
    seen = []

    class Rows(CountingStore):
        def _scan(self, options=None):
            seen.append(options.prefix)
            return super()._scan(options)

    for key in ("ü/a", "ü/b", "z"):
        store.put(key, b"")
    assert sorted(UrlEncodingStore(Rows(inner)).keys("ü/")) == ["ü/a", "ü/b"]
    assert seen == ["%C3%BC/"]
    assert sorted(store.keys("\udcff")) == []
    assert sorted(store.keys("\udcc3\udca9")) == []


def test_a_validator_of_keys_is_heard_by_every_call():
    store = KeyTransformingStore(MemoryStore(), ValidatingKeyTransformer(RegexValidator("[a-z]+")))
    for call in (store.get, store.exists, store.delete, store.head):
        with pytest.raises(KeyError, match="does not match"):
            call("A")
    with pytest.raises(KeyError):
        store.put("A", b"")


def test_errors_carry_the_outer_key_through_a_stack():
    store = HashPrefixStore(UrlEncodingStore(PrefixStore(MemoryStore(), "p/")))
    with pytest.raises(NotFound) as raised:
        store.get("a b")
    assert raised.value.key == "a b"
