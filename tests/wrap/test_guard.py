from __future__ import annotations

import pickle
import re

import pytest

from holdfast.errors import Conflict, InvalidKey, NotFound, RefusedKey, Unsupported
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore
from holdfast.types import RemoveOptions, WriteOptions
from holdfast.wrap.guard import (
    IdentityStore,
    KeyValidatingStore,
    ReadonlyStore,
    RegexValidatingStore,
    RegexValidator,
    UrlValidatingStore,
    WriteonlyStore,
)


def test_a_read_only_store_is_read_natively_and_written_by_nobody():
    inner = CountingStore(MemoryStore())
    info = inner.put("a", b"0123456789")
    store = ReadonlyStore(inner)
    assert store.get_range("a", 2, 4) == b"23"
    assert inner.bytes_read == 2
    assert store.capabilities.ranges
    capabilities = store.capabilities
    assert not any((capabilities.write, capabilities.create, capabilities.replace_if, capabilities.copy))
    for change in (
        lambda: store.put("a", b""),
        lambda: store.write("a", b"", WriteOptions(if_match=info.etag)),
        lambda: store.delete_if("a", info.etag),
        lambda: store._stage("a", 1),
    ):
        with pytest.raises(Unsupported, match="read-only"):
            change()
    with pytest.raises(NotImplementedError):
        store.delete("a")
    assert inner.get("a") == b"0123456789"
    assert MemoryStore().copy("a", "b", source=store).size == 10


def test_a_write_only_store_lets_nothing_out():
    inner = MemoryStore()
    store = WriteonlyStore(inner)
    info = store.put("a", b"secret")
    other = MemoryStore()
    for look in (
        lambda: store.get("a"),
        lambda: store.exists("a"),
        lambda: store.head("a"),
        lambda: store.get_range("a", 0, 1),
        lambda: list(store.keys()),
        lambda: other.copy("a", "b", source=store),
        lambda: inner.copy("a", "b", source=store),
        lambda: store.copy("a", "b"),
    ):
        with pytest.raises(NotImplementedError, match="write-only"):
            look()
    assert not other.exists("b")
    assert list(inner.keys()) == ["a"]
    store.replace_if("a", b"newer", info.etag)
    with pytest.raises(Conflict):
        store.replace_if("a", b"newest", info.etag)
    staged = store._stage("parts", 2)
    staged.write_at(0, b"ab")
    staged.commit()
    store.delete("a")
    with pytest.raises(NotFound):
        store.delete("a")
    assert list(inner.keys()) == ["parts"]


def test_a_refused_key_reaches_the_store_by_no_way():
    inner = CountingStore(MemoryStore())
    store = RegexValidatingStore(inner, "[a-z]+")
    source = MemoryStore()
    source.put("x", b"1")
    for call in (
        lambda: store.get("A"),
        lambda: store.put("A", b""),
        lambda: store.exists("A"),
        lambda: store.delete("A"),
        lambda: store.create("A", b""),
        lambda: store.delete_if("A", "x"),
        lambda: store.copy("x", "A", source=source),
        lambda: store._stage("A", 1),
        lambda: store._locate("A"),
        lambda: store.head("ab\n"),  # "$" and match would let it through
    ):
        with pytest.raises(KeyError) as raised:
            call()
        assert isinstance(raised.value, RefusedKey)
        assert isinstance(raised.value, InvalidKey)
    assert not inner.calls.keys() - {"remove"}


def test_one_refused_key_in_bulk_keeps_no_other_from_being_removed():
    inner = MemoryStore()
    inner.put("a", b"")
    inner.put("B", b"")
    store = RegexValidatingStore(inner, "[a-z]+")
    answers = store.remove(["B", "a", "b"])
    assert [type(answer) for answer in answers] == [RefusedKey, type(None), type(None)]
    assert list(inner.keys()) == ["B"]
    assert type(store._remove(["B"], RemoveOptions(if_match="x"))[0]) is RefusedKey


def test_listings_leave_out_refused_keys_and_directories_of_nothing_else():
    inner = MemoryStore()
    for key in ("ok/a", "no/B", "both/a", "both/B", "top", "TOP"):
        inner.put(key, b"")
    store = KeyValidatingStore(inner, str.islower)
    assert [row.key for row in store.list(delimiter="/")] == ["both/", "ok/", "top"]
    assert list(store.keys()) == ["both/a", "ok/a", "top"]


@pytest.mark.parametrize("key", ["http://example.com/a", "https://example.com:8080/a?b=c", "HTTP://[::1]/x"])
def test_urls_are_keys(key):
    UrlValidatingStore(MemoryStore()).put(key, b"x")


@pytest.mark.parametrize("key", ["ftp://example.com/a", "file:///etc/passwd", "example.com", "http://", "http://[::1"])
def test_what_is_no_url_is_no_key(key):
    with pytest.raises(RefusedKey):
        UrlValidatingStore(MemoryStore()).exists(key)


def test_the_refusal_of_a_url_shows_no_password():
    with pytest.raises(RefusedKey) as raised:
        UrlValidatingStore(MemoryStore()).get("ftp://user:canary@example.com/a?sig=canary2")
    assert "canary" not in str(raised.value)


def test_a_validator_that_breaks_is_not_taken_for_a_refusal():
    def broken(key):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        KeyValidatingStore(MemoryStore(), broken).exists("a")
    with pytest.raises(TypeError):
        KeyValidatingStore(MemoryStore(), "no function")


def test_a_guarded_store_pickles_with_its_rule():
    store = pickle.loads(pickle.dumps(RegexValidatingStore(MemoryStore("pickled"), re.compile("[a-z]+"))))
    with pytest.raises(RefusedKey):
        store.get("A")
    assert repr(RegexValidator("a")) == "RegexValidator('a')"


class Opened(MemoryStore):
    """A store that counts its openings and closings."""

    opened = 0

    def __enter__(self):
        self.opened += 1
        return self

    def close(self):
        self.opened -= 1


@pytest.mark.parametrize("wrap", [IdentityStore, ReadonlyStore, lambda s: RegexValidatingStore(IdentityStore(s), ".*")])
def test_a_wrapper_opens_and_closes_what_it_wraps_again_and_again(wrap):
    inner = Opened()
    store = wrap(inner)
    for _ in range(2):
        with store as entered:
            assert entered is store
            assert inner.opened == 1
        assert inner.opened == 0
