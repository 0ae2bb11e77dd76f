"""CloudMapping is a dict, keeps its promises about syncing, and says what it cannot do."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import ItemsView, KeysView, MutableMapping, ValuesView

import pytest

from holdfast import (
    CloudMapping,
    Indeterminate,
    InvalidKey,
    KeySyncError,
)
from holdfast.keys import PROBES
from holdfast.testing.stores import FaultStore
from tests.mapping.places import Intervening


def test_it_is_used_like_a_dict(place):
    mapping = place.mapping()
    assert isinstance(mapping, MutableMapping)
    assert (len(mapping), list(mapping), dict(mapping)) == (0, [], {})
    mapping["a"] = b"1"
    mapping["b/ü x"] = b"2"
    mapping.update({"c": b"3"}, d=b"4")
    expected = {"a": b"1", "b/ü x": b"2", "c": b"3", "d": b"4"}
    assert mapping == expected
    assert expected == mapping
    assert mapping != {**expected, "a": b"0"}
    assert mapping != [*expected]
    assert mapping == place.mapping()
    assert dict(mapping) == expected
    assert mapping.setdefault("a", b"9") == b"1"
    assert mapping.setdefault("e", b"5") == b"5"
    assert mapping.pop("e") == b"5"
    assert mapping.pop("e", b"gone") == b"gone"
    assert mapping.get("e") is None
    del mapping["d"]
    for missing in (lambda: mapping["d"], lambda: mapping.__delitem__("d"), lambda: mapping.pop("d")):
        with pytest.raises(KeyError) as caught:
            missing()
        assert not isinstance(caught.value, KeySyncError)
    assert mapping.popitem() == ("c", b"3")
    mapping.clear()
    assert (len(mapping), dict(place.mapping())) == (0, {})
    with pytest.raises(KeyError):
        mapping.popitem()


def test_a_value_can_be_written_again_after_each_of_its_ways_to_go(place):
    mapping = place.mapping()
    for leave in (lambda: mapping.pop("a"), lambda: mapping.__delitem__("a"), mapping.clear, mapping.popitem):
        mapping["a"] = b"1"
        mapping["a"] = b"2"
        leave()
        assert "a" not in mapping
        assert dict(place.mapping()) == {}


def test_the_versions_it_knows_are_those_of_a_listing(place):
    mapping = place.mapping()
    mapping["a"] = b"1"
    mapping["a"] = b"2"
    mapping.modify("b", lambda value: value, default=b"3")
    mapping.set_many([("c", b"1"), ("c", b"2")])
    assert mapping.etags == {info.key: info.etag for info in place.open().list()} == place.mapping().etags


def test_views_are_views(memory):
    mapping = memory.mapping()
    keys, values, items = mapping.keys(), mapping.values(), mapping.items()
    assert isinstance(keys, KeysView)
    assert isinstance(values, ValuesView)
    assert isinstance(items, ItemsView)
    mapping.update(a=b"1", b=b"2")
    assert (list(keys), list(values), list(items)) == (["a", "b"], [b"1", b"2"], [("a", b"1"), ("b", b"2")])
    assert (len(keys), len(values), len(items)) == (2, 2, 2)
    assert list(reversed(mapping)) == list(reversed(keys)) == ["b", "a"]
    assert keys == {"a", "b"}
    assert keys | {"c"} == {"a", "b", "c"}
    assert ("a", b"1") in items
    assert ("a", b"2") not in items
    assert ("x", b"1") not in items
    assert "a" not in items
    assert b"2" in values
    assert b"3" not in values
    assert items & {("a", b"1")} == {("a", b"1")}
    assert repr(keys) == "Keys(['a', 'b'])"


def test_values_that_go_while_they_are_read_are_left_out(memory):
    mapping = memory.mapping()
    mapping.update({f"{number:04}": b"x" for number in range(1000)})
    rows = iter(mapping.items())
    first, _ = next(rows)
    mapping.delete_many([key for key in mapping if key > "0900"])
    seen = [first, *(key for key, _ in rows)]
    assert seen[:901] == [f"{number:04}" for number in range(901)]


def test_bulk_reads_and_deletes_leave_out_what_is_not_known(place):
    mapping = place.mapping()
    mapping.set_many((f"{number}", b"%d" % number) for number in range(40))
    assert mapping.get_many(["7", "x", "3"]) == {"7": b"7", "3": b"3"}
    mapping.delete_many(["x", *map(str, range(39)), "0"])
    assert dict(place.mapping()) == {"39": b"39"}


def test_of_a_key_that_comes_twice_the_last_value_stays(place):
    mapping = place.mapping()
    mapping.set_many([("a", b"1"), ("b", b"1"), ("a", b"2"), ("a", b"3"), ("b", b"2")])
    assert dict(place.mapping()) == {"a": b"3", "b": b"2"}


def test_update_takes_what_a_dict_takes(memory):
    class Keyed:
        def keys(self):
            return ["a", "b"]

        def __getitem__(self, key):
            return key.encode()

    mapping = memory.mapping()
    mapping.update(Keyed())
    mapping.update([("c", b"1")], d=b"2")
    mapping.update(self=b"3", other=b"4")
    mapping.update()
    assert dict(mapping) == {"a": b"a", "b": b"b", "c": b"1", "d": b"2", "self": b"3", "other": b"4"}


# ---------------------------------------------------------------------- syncing
def test_a_sync_learns_and_forgets(place):
    mine, theirs = place.mapping(), place.mapping()
    theirs.update(a=b"1", b=b"2")
    assert dict(mine) == {}
    mine.sync_with_cloud()
    assert dict(mine) == {"a": b"1", "b": b"2"}
    del theirs["a"]
    theirs["c"] = b"3"
    mine.sync_with_cloud()
    assert dict(mine) == {"b": b"2", "c": b"3"}


@pytest.mark.parametrize("name", ["key_or_prefix", "key", "key_prefix"])
def test_a_sync_is_about_a_key_and_what_is_below_it(place, name):
    mine, theirs = place.mapping(), place.mapping()
    # A file system has no file beside a directory of its name.
    own = set() if place.location.startswith("file:") else {"ab"}
    below, beside = {"ab/c", "ab/gone"}, {"abc", "ab-", "a"}
    theirs.update(dict.fromkeys(own | below | beside, b"1"))
    mine.sync_with_cloud()
    theirs.update(dict.fromkeys([*theirs, "ab/new", "abcd"], b"2"))
    del theirs["ab/gone"]
    mine.sync_with_cloud(**{name: "ab"})
    assert {key for key, etag in mine.etags.items() if theirs.etags.get(key) == etag} == own | {"ab/c", "ab/new"}
    assert set(mine) == own | {"ab/c", "ab/new"} | beside
    mine.sync_with_cloud("ab/c")
    theirs.delete_many([*own, "ab/new"])
    mine.sync_with_cloud("ab/")
    assert set(mine) == own | {"ab/c"} | beside
    mine.sync_with_cloud("ab")
    assert set(mine) == {"ab/c"} | beside


def test_what_is_written_during_a_sync_stays_known(place):
    mapping = CloudMapping(store := Intervening(place.open()))
    mapping.update(a=b"1", b=b"1")

    def write():
        mapping["a"] = b"2"
        mapping["c"] = b"2"
        del mapping["b"]

    store.before("scan", write)  # after the rows were read
    mapping.sync_with_cloud()
    assert mapping["a"] == b"2"
    assert mapping["c"] == b"2"
    assert "b" not in mapping
    mapping.update(a=b"3", b=b"3", c=b"3")
    assert dict(place.mapping()) == {"a": b"3", "b": b"3", "c": b"3"}


def test_without_an_initial_sync_nothing_is_known(place):
    place.mapping()["a"] = b"1"
    mapping = place.mapping(sync_initially=False)
    assert "a" not in mapping
    assert mapping.get("a") is None
    with pytest.raises(KeySyncError):
        mapping["a"] = b"2"
    mapping.sync_with_cloud()
    assert mapping["a"] == b"1"


def test_a_sync_takes_one_argument(memory):
    with pytest.raises(TypeError):
        memory.mapping().sync_with_cloud("a", key="b")
    with pytest.raises(TypeError):
        memory.mapping().sync_with_cloud(5)


def test_marks_of_directories_and_of_probes_are_no_values(memory):
    store = memory.open()
    for key in ("folder/", f"{PROBES}0123456789abcdef", "folder/file", f"{PROBES}mine"):
        store.put(key, b"")
    mapping = memory.mapping()
    assert sorted(mapping) == ["folder/file", f"{PROBES}mine"]
    other = memory.mapping(key_prefix="other")
    other["own/"] = b""
    other.sync_with_cloud()
    assert other["own/"] == b""


# ---------------------------------------------------------------------- reading blindly
def test_a_blind_read_asks_the_store(place):
    theirs = place.mapping()
    mine = place.mapping(read_blindly=True)
    theirs["a"] = b"1"
    assert mine["a"] == b"1"
    assert "a" in mine
    assert mine.get("a") == b"1"
    assert (len(mine), list(mine)) == (0, [])  # which are about what is known
    theirs["a"] = b"2"
    assert mine["a"] == b"2"
    with pytest.raises(KeySyncError):
        mine["a"] = b"3"
    del theirs["a"]
    assert "a" not in mine
    assert mine["a"] is None
    assert mine.get("a", b"default") == b"default"
    assert mine.setdefault("a", b"4") == b"4"
    assert theirs.etags == {}
    theirs.sync_with_cloud("a")
    assert theirs["a"] == b"4"


def test_what_a_blind_read_does_not_find(memory):
    mapping = memory.mapping(read_blindly=True, read_blindly_default=b"none")
    assert mapping["a"] == mapping.get("a") == b"none"
    mapping.read_blindly_error = True
    with pytest.raises(KeyError):
        mapping["a"]
    assert mapping.get("a") is None
    assert mapping.get_many(["a"]) == {}
    mapping.read_blindly = False
    with pytest.raises(KeyError):
        mapping["a"]


def test_a_blind_setdefault_takes_what_is_there(place):
    place.mapping()["a"] = b"theirs"
    mapping = place.mapping(read_blindly=True, sync_initially=False)
    assert mapping.setdefault("a", b"mine") == b"theirs"


# ---------------------------------------------------------------------- keys
def test_a_key_prefix_is_a_directory(place):
    store, whole = place.open(), place.mapping()
    inside = place.mapping(key_prefix="pre")
    inside["x"] = b"1"
    store.put("prex", b"not ours")
    assert sorted(info.key for info in store.list()) == ["pre/x", "prex"]
    assert dict(place.mapping(key_prefix="pre/")) == {"x": b"1"}
    assert (inside.key_prefix, whole.key_prefix) == ("pre", None)
    inside.sync_with_cloud("x")
    assert list(inside) == ["x"]


def test_a_key_is_a_str(memory):
    mapping = memory.mapping()
    for wrong in (5, b"a", None, ("a",)):
        for operation in (
            lambda key: mapping[key],
            lambda key: mapping.__setitem__(key, b""),
            mapping.__delitem__,
            lambda key: key in mapping,
            mapping.get,
            lambda key: mapping.pop(key, None),
            lambda key: mapping.setdefault(key, b""),
            lambda key: mapping.update({key: b""}),
            lambda key: mapping.get_many([key]),
            lambda key: mapping.delete_many([key]),
            lambda key: mapping.modify(key, lambda value: value, b""),
        ):
            with pytest.raises(TypeError):
                operation(wrong)
    with pytest.raises(TypeError):
        memory.mapping(key_prefix=5)
    with pytest.raises(InvalidKey):
        mapping[""] = b"1"
    assert "" not in mapping


# ---------------------------------------------------------------------- modify
def test_modify_works_on_what_is_stored_known_or_not(place):
    mine, theirs = place.mapping(serialisation="json"), place.mapping(serialisation="json")
    with pytest.raises(KeyError):
        mine.modify("n", lambda n: n + 1)
    assert mine.modify("n", lambda n: n + 1, default=0) == 1
    assert theirs.modify("n", lambda n: n + 1) == 2
    assert mine.modify("n", lambda n: n + 1) == 3
    assert mine["n"] == 3
    with pytest.raises(KeySyncError):
        theirs["n"] = 0


def test_modify_does_not_change_its_default(memory):
    mapping = memory.mapping(serialisation="json")
    default = []

    def add(names):
        names.append("x")
        return names

    assert mapping.modify("a", add, default=default) == ["x"]
    assert mapping.modify("b", add, default=default) == ["x"]
    assert default == []


def test_modify_gives_up_after_a_bounded_number_of_tries(memory, monkeypatch):
    monkeypatch.setenv("HOLDFAST_RETRY_WAIT", "0")
    mine, theirs = memory.mapping(), memory.mapping(read_blindly=True)
    calls = []

    def race(value):
        calls.append(value)
        theirs.modify("a", lambda value: value + b"t", default=b"")
        return b"mine"

    with pytest.raises(KeySyncError, match="100 tries") as caught:
        mine.modify("a", race, default=b"")
    assert len(calls) == 100
    assert caught.value.key == "a"
    assert theirs["a"] == b"t" * 100


def test_what_the_function_raises_leaves_everything_as_it_was(memory):
    mapping = memory.mapping()
    mapping["a"] = b"1"
    with pytest.raises(ZeroDivisionError):
        mapping.modify("a", lambda value: 1 / 0)
    with pytest.raises(ValueError, match="must be bytes like"):
        mapping.modify("a", lambda value: "text")
    assert dict(memory.mapping()) == {"a": b"1"}


def test_threads_that_share_a_mapping_lose_nothing(place):
    mapping = place.mapping(serialisation="json")
    threads = [
        threading.Thread(target=lambda: [mapping.modify("n", lambda n: n + 1, default=0) for _ in range(10)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert place.mapping(serialisation="json")["n"] == 40


def test_threads_that_share_a_mapping_are_never_in_conflict_with_each_other(place):
    mapping, problems = place.mapping(), []

    def work(number):
        try:
            for turn in range(12):
                mapping["shared"] = b"%d" % number
                assert mapping.get("shared", b"") is not None
                mapping.modify("count", lambda value: b"%d" % (int(value) + 1), default=b"0")
                assert int(mapping["count"]) > turn
                mapping.setdefault("default", b"%d" % number)
                mapping.pop("default", None)
                mapping.update(shared=b"x", other=b"y")
                mapping.sync_with_cloud()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert mapping["count"] == b"48"
    assert mapping == place.mapping()
    assert mapping._known._locks._locks == {}


# ---------------------------------------------------------------------- the rest
def test_a_mapping_pickles_with_what_it_knows(memory):
    mapping = memory.mapping(serialisation=["json", "zlib"], key_prefix="p")
    mapping["a"] = {"x": 1}
    twin = pickle.loads(pickle.dumps(mapping))
    assert (twin.etags, twin["a"], twin.serialisation) == (mapping.etags, {"x": 1}, mapping.serialisation)
    twin["a"] = {"x": 2}
    with pytest.raises(KeySyncError):
        mapping["a"]
    with pytest.raises(TypeError):
        hash(mapping)
    assert copy.copy(mapping.etags) == mapping.etags


def test_a_lost_answer_is_told_and_makes_nothing_known(memory):
    mapping = CloudMapping(store := FaultStore(memory.open()))
    mapping.update(a=b"1", b=b"1")
    known = dict(mapping.etags)
    for landed in (False, True):
        store.fail(lambda key: Indeterminate("lost", key=key), "write", landed=landed)
        with pytest.raises(Indeterminate):
            mapping.modify("a", lambda value: value + b"+")
        assert mapping.etags == known
    assert memory.mapping()["a"] == b"1+"
    with pytest.raises(KeySyncError):
        mapping["a"]
    mapping.sync_with_cloud()
    store.fail(lambda key: Indeterminate("lost", key=key), "write", key="a", landed=True)
    with pytest.raises(Indeterminate):
        mapping.update(a=b"2", b=b"2", c=b"2")
    assert dict(memory.mapping()) == {"a": b"2", "b": b"2", "c": b"2"}
    store.fail(lambda key: Indeterminate("lost", key=key), "remove", landed=True)
    with pytest.raises(Indeterminate):
        del mapping["b"]
    assert "b" in mapping
    with pytest.raises(KeySyncError):
        mapping["b"]


def test_any_other_error_ends_bulk_work_at_once(memory):
    mapping = CloudMapping(store := FaultStore(memory.open()))
    store.fail(PermissionError("no"), "write", key="3")
    with pytest.raises(PermissionError):
        mapping.set_many((str(number), b"") for number in range(1_000_000))
    assert len(memory.mapping()) < 10_000
