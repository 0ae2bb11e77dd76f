from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import keys
from holdfast.errors import InvalidKey
from holdfast.testing.naming import AWKWARD

CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from(list("ab/\\\x1b\x7f\u0080\ud7ff\ue000\uffff\U00010000\U0010ffff")),
    st.integers(0xDC80, 0xDCFF).map(chr),
)
TEXTS = st.text(CHARACTERS, max_size=6)


def test_what_is_no_text_is_a_type_error():
    for key in (None, 7, b"a", bytearray(b"a"), ["a"]):
        with pytest.raises(TypeError):
            keys.check(key)


@pytest.mark.parametrize("key", ["", "\ud800", "a\udfff", "\udc00"])  # noqa: PT014 - different surrogates
def test_what_cannot_be_stored_anywhere_is_an_invalid_key(key):
    with pytest.raises(InvalidKey) as raised:
        keys.check(key, "mem://x")
    assert raised.value.key == key
    assert raised.value.store == "mem://x"
    str(raised.value).encode()  # the message can be printed, whatever the key


@pytest.mark.parametrize("key", [*AWKWARD, "a" * 100_000])
def test_everything_else_is_a_key(key):
    assert keys.check(key) is key


@given(TEXTS)
def test_a_printable_key_is_printable(key):
    shown = keys.printable(key)
    assert shown.isprintable()
    shown.encode()


def test_two_keys_never_print_alike():
    alphabet = ["a", "\\", "\\\\", "x1b", "\x1b", "\\x1b", "\\\x1b", "u2028", "\u2028", "\udc80", "udc80"]
    texts = {"".join(parts) for count in (1, 2, 3) for parts in itertools.product(alphabet, repeat=count)}
    assert len({keys.printable(text) for text in texts}) == len(texts)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_the_order_of_keys_is_that_of_their_bytes(texts):
    assert sorted(texts, key=keys.sort_key) == sorted(texts, key=lambda text: text.encode())


def test_joining_puts_one_slash_between():
    assert [keys.join(prefix, "k") for prefix in ("", "a", "a/", "a//", "/")] == ["k", "a/k", "a/k", "a//k", "/k"]
    assert keys.join("a", "/k") == "a//k"
