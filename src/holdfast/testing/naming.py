"""Conformance of keys: any key is stored faithfully or refused loudly, and two keys are never one object."""

from __future__ import annotations

import pickle
from dataclasses import astuple
from typing import Any

import pytest

from ..errors import HoldfastError, InvalidKey, NotFound
from ..keys import sort_key
from ..store import ObjectStore
from .suite import Suite, listed

AWKWARD = (
    *("a//b", "a/b", "trail/", "trail", "/lead", "lead", "//", "/", "a/", "a"),
    *(".", "..", "../up", "a/../b", "./a", "a/./b", "a/..", "...", ".hidden", "~", "~/a", "-rf", ".holdfast/x"),
    *("a b", " lead", "trail ", "a+b", "a%20b", "a%2Fb", "%", "%00", "100%", "x#1", "?", "a?b=c&d", "[x]", "*", "{x}"),
    *("back\\slash", "a:b", "C:/x", "a|", "<&>", "'\"`", "$HOME", "a;b,c=d@e!", "a.gz", "a.tmp", "CON", "name."),
    *("tab\tkey", "new\nline", "return\rkey", "\x01", "\x7f", "escape\x1b[2J", "nul\x00key"),
    *("Case", "case", "CASE", "\u00e9", "e\u0301", "\u00fcn\u00efcode/\u65e5\u672c", "\ufb01", "fi", "\U0001f600"),
    *("\ufeffbom", "right\u202eleft", "\u2028", "\uffff", "\U0010ffff", "bad\udcff"),
    *("x" * 255, "x" * 256, "deep/" * 60 + "x", "y" * 1024, "y" * 1025),
)


class NamingConformance(Suite):
    """What every store promises about keys, and about itself."""

    @pytest.mark.parametrize("key", AWKWARD, ids=lambda key: ascii(key)[:40])
    def test_a_key_is_stored_faithfully_or_refused(self, store: ObjectStore, key: str) -> None:
        """A key comes back exactly, in listings and around the store too, or it is InvalidKey and leaves nothing."""
        if not store.capabilities.write:
            return
        refused = None
        try:
            store.put(key, b"value of " + sort_key(key))
        except InvalidKey as error:
            refused = error
        if refused is not None:
            assert refused.key == key
            self.assert_holds(store, {})
            for reading in (store.get, store.head, store.delete):
                with pytest.raises((InvalidKey, NotFound)):
                    reading(key)
        else:
            self.assert_holds(store, {key: b"value of " + sort_key(key)})
            assert store.head(key).key == key
            assert store.exists(key)
            assert store.remove([key]) == [None]
            self.assert_holds(store, {})

    def test_two_keys_are_never_one_object(self, store: ObjectStore) -> None:
        """All keys that a store accepts live side by side, each with its own value."""
        if not store.capabilities.write:
            return
        accepted = {}
        for number, key in enumerate(AWKWARD):
            value = f"value {number}".encode()
            try:
                store.put(key, value)
            except InvalidKey:
                continue
            accepted[key] = value
        assert len(accepted) > 10
        self.assert_holds(store, accepted)
        if store.capabilities.sorted:
            assert listed(store) == sorted(accepted, key=sort_key)
        for key in [*accepted][::2]:
            store.delete(key)
            del accepted[key]
        self.assert_holds(store, accepted)

    @pytest.mark.parametrize("key", ["", "\ud800", "a\udbff/b", None, b"bytes", 7], ids=ascii)
    def test_what_can_be_no_key_is_refused_everywhere(self, store: ObjectStore, key: Any) -> None:
        """Every method refuses what is no key: InvalidKey for a string, TypeError for anything else."""
        for call in (
            lambda: store.head(key),
            lambda: store.read(key),
            lambda: store.write(key, b""),
            lambda: store.get_range(key, 0, 1),
            lambda: store.create(key, b""),
            lambda: store.replace_if(key, b"", "x"),
            lambda: store.delete_if(key, "x"),
            lambda: store.remove(["a", key]),
            lambda: store.copy(key, "a"),
            lambda: store.copy("a", key),
        ):
            with pytest.raises(InvalidKey if isinstance(key, str) else TypeError):
                call()

    def test_a_refused_key_says_so_in_bulk(self, store: ObjectStore) -> None:
        """In a bulk delete a key that the store cannot hold does not keep the others from being removed."""
        if not store.capabilities.write:
            return
        store.put("good", b"x")
        answers = store.remove(["nul\x00key", "good"])
        assert answers[0] is None or isinstance(answers[0], HoldfastError)
        assert answers[1] is None
        self.assert_holds(store, {})

    def test_a_store_tells_what_it_is(self, store: ObjectStore) -> None:
        """Name and representation are text, the capabilities ten booleans that do not contradict each other."""
        assert store.name
        assert isinstance(store.name, str)
        assert repr(store)
        capabilities = store.capabilities
        assert {type(flag) for flag in astuple(capabilities)} == {bool}
        assert capabilities.listing or not capabilities.sorted
        needs_write = (capabilities.create, capabilities.replace_if, capabilities.delete_if)
        assert capabilities.write or not any(needs_write)
        assert store.remove_batch >= 1

    def test_a_pickled_store_is_the_same_store(self, store: ObjectStore) -> None:
        """A store that went through pickle finds the same objects."""
        if not self.pickles:
            return
        self.seed(store, "dir/key", b"value")
        with pickle.loads(pickle.dumps(store)) as copy:  # noqa: S301 - our own
            assert type(copy) is type(store)
            assert copy.name == store.name
            assert copy.capabilities == store.capabilities
            assert copy.get("dir/key") == b"value"
        assert store.get("dir/key") == b"value"
