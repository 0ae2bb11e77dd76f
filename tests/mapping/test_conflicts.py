"""What another writer does is never overwritten, deleted, served as if it were known, nor taken for a missing key."""

from __future__ import annotations

import pytest

from holdfast import Conflict, KeySyncError
from holdfast.mapping import CloudMapping
from tests.mapping.places import Intervening, Place

#: Every operation of the interface on a key "a" that the mapping knows, with defaults that would hide a conflict.
OPERATIONS = {
    "[]": lambda mapping: mapping["a"],
    "get": lambda mapping: mapping.get("a"),
    "get with a default": lambda mapping: mapping.get("a", b"default"),
    "[] =": lambda mapping: mapping.__setitem__("a", b"mine"),
    "del": lambda mapping: mapping.__delitem__("a"),
    "pop": lambda mapping: mapping.pop("a"),
    "pop with a default": lambda mapping: mapping.pop("a", b"default"),
    "popitem": lambda mapping: mapping.popitem(),
    "setdefault": lambda mapping: mapping.setdefault("a", b"default"),
    "clear": lambda mapping: mapping.clear(),
    "update": lambda mapping: mapping.update({"a": b"mine"}),
    "update by name": lambda mapping: mapping.update(a=b"mine"),
    "set_many": lambda mapping: mapping.set_many([("a", b"mine")]),
    "get_many": lambda mapping: mapping.get_many(["a"]),
    "delete_many": lambda mapping: mapping.delete_many(["a"]),
    "values": lambda mapping: list(mapping.values()),
    "in values": lambda mapping: b"old" in mapping.values(),
    "items": lambda mapping: list(mapping.items()),
    "in items": lambda mapping: ("a", b"old") in mapping.items(),
    "==": lambda mapping: mapping == {"a": b"old"},
    "!=": lambda mapping: mapping != {"a": b"old"},
    "dict": dict,
}
CHANGES = {
    "changed": (lambda theirs: theirs.__setitem__("a", b"new"), {"a": b"new"}),
    "deleted": (lambda theirs: theirs.__delitem__("a"), {}),
}
#: The same on a key that somebody else has created and the mapping does not know.
CREATIONS = {name: OPERATIONS[name] for name in ("[] =", "setdefault", "update", "update by name", "set_many")}


def stored(place: Place) -> dict[str, bytes]:
    store = place.open()
    return {info.key: store.get(info.key) for info in store.list()}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_somebody_else_did_is_a_conflict_for_every_operation(place, operation, change):
    mine = place.mapping()
    mine["a"] = b"old"
    theirs = place.mapping()
    known = dict(mine.etags)
    act, left = CHANGES[change]
    act(theirs)
    for _ in range(2):  # it stays one until the mapping is synced
        with pytest.raises(KeySyncError) as caught:
            OPERATIONS[operation](mine)
        assert stored(place) == left
        assert dict(mine.etags) == known
    error = caught.value
    assert (error.key, error.expected, error.store) == ("a", known["a"], mine.store.name)
    assert error.found == theirs.etags.get("a")
    assert "a" in mine  # it is known, and the conflict is no absence

    mine.sync_with_cloud("a")
    assert dict(mine.etags) == dict(theirs.etags)
    assert dict(mine) == left
    mine["a"] = b"mine"
    assert stored(place) == {"a": b"mine"}


@pytest.mark.parametrize("operation", CREATIONS)
def test_what_somebody_else_created_is_not_overwritten(place, operation):
    mine, theirs = place.mapping(), place.mapping()
    theirs["a"] = b"theirs"
    with pytest.raises(KeySyncError) as caught:
        CREATIONS[operation](mine)
    assert (caught.value.expected, caught.value.found) == (None, theirs.etags["a"])
    assert stored(place) == {"a": b"theirs"}
    assert "a" not in mine.etags
    mine.sync_with_cloud("a")
    assert mine["a"] == b"theirs"


#: Operations of several steps, the step before which somebody comes, and what is left to be there.
MIDDLES = {
    "pop": ("pop", "remove"),
    "pop with a default": ("pop with a default", "remove"),
    "popitem": ("popitem", "remove"),
    "clear": ("clear", "remove"),
    "delete_many": ("delete_many", "remove"),
    "setdefault": ("setdefault", "write"),
    "update": ("update", "write"),
}


@pytest.mark.parametrize("middle", MIDDLES)
def test_whoever_comes_in_the_middle_is_a_conflict_too(place, middle):
    operation, verb = MIDDLES[middle]
    mine, theirs = CloudMapping(store := Intervening(place.open())), place.mapping()
    if verb == "remove" or middle == "update":
        mine["a"] = b"old"
        theirs.sync_with_cloud()
    store.before(verb, lambda: theirs.__setitem__("a", b"theirs"))
    with pytest.raises(KeySyncError):
        OPERATIONS[operation](mine)
    assert store.armed == {}
    assert stored(place) == {"a": b"theirs"}


def test_modify_starts_over_when_somebody_comes_in_the_middle(place):
    mine, theirs = CloudMapping(store := Intervening(place.open())), place.mapping()
    seen = []

    def add(value):
        seen.append(value)
        return value + b"+"

    store.before("write", lambda: theirs.__setitem__("a", b"theirs"))
    assert mine.modify("a", add, default=b"default") == b"theirs+"
    assert seen == [b"default", b"theirs"]
    assert mine["a"] == b"theirs+"
    theirs.sync_with_cloud()
    store.before("write", lambda: theirs.__delitem__("a"))
    assert mine.modify("a", add, default=b"default") == b"default+"
    with pytest.raises(KeySyncError):
        theirs["a"] = b"stale"
    assert stored(place) == {"a": b"default+"}


def test_a_conflict_is_an_error_of_every_kind_that_it_was(memory):
    mine, theirs = memory.mapping(), memory.mapping()
    theirs["a"] = b"1"
    for kind in (KeyError, ValueError, Conflict):
        with pytest.raises(kind):
            mine["a"] = b"2"


def test_a_conflict_in_bulk_leaves_the_others_done_and_names_them_all(place):
    mine, theirs = place.mapping(), place.mapping()
    theirs.update(b=b"theirs", d=b"theirs")
    with pytest.raises(KeySyncError) as caught:
        mine.update(dict.fromkeys("abcde", b"mine"))
    assert sorted({caught.value.key, *(error.key for error in caught.value.others)}) == ["b", "d"]
    assert stored(place) == {"a": b"mine", "b": b"theirs", "c": b"mine", "d": b"theirs", "e": b"mine"}
    mine.sync_with_cloud()
    theirs.update(b=b"again")
    with pytest.raises(KeySyncError) as caught:
        mine.clear()
    assert (caught.value.key, caught.value.others) == ("b", ())
    assert stored(place) == {"b": b"again"}
    assert list(mine) == ["b"]
