from __future__ import annotations

import os
import pickle
import random
import time

import pytest

from holdfast import copy_store
from holdfast.errors import (
    Conflict,
    IntegrityError,
    InvalidKey,
    NotFound,
    PartialFailure,
    StoreError,
    Throttled,
    Unsupported,
)
from holdfast.store import SimpleWrapper
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore, FaultStore
from holdfast.testing.suite import together
from holdfast.types import ReadOptions, WriteOptions
from holdfast.wrap._tombstones import TOMBSTONES
from holdfast.wrap.cache import CachingStore
from holdfast.wrap.guard import KeyValidatingStore, ReadonlyStore, RegexValidatingStore, validate_http_url_key
from holdfast.wrap.key_transformers import ValidatingKeyTransformer
from holdfast.wrap.mirror import MirroringStore
from holdfast.wrap.rekey import HashPrefixStore, KeyTransformingStore, PrefixStore
from holdfast.wrap.route import RegexRoutingStore
from holdfast.wrap.transform import GzipStore


class Child(FaultStore):
    """A named child that can be broken."""

    def __init__(self, number):
        super().__init__(MemoryStore())
        self.number = number

    @property
    def name(self):
        return f"child {self.number}"

    def down(self):
        for verb in ("read", "write", "remove", "scan"):
            self.fail(StoreError("unplugged"), verb, times=1000)

    def up(self):
        self._faults.clear()

    def keys_inside(self):
        return [key for key in self.store.keys("") if not key.startswith(TOMBSTONES)]


@pytest.fixture
def children():
    return [Child(number) for number in (1, 2, 3)]


def mirror(children, policy="all"):
    return MirroringStore(children, policy)


def test_every_child_has_every_object_with_its_attributes(children):
    store = mirror(children)
    info = store.write("a", b"1", WriteOptions(content_type="text/x", metadata={"unit": "3"}))
    assert info.metadata == {"unit": "3"}
    head = store.head("a")
    assert (head.etag, head.content_type, head.metadata) == (info.etag, "text/x", {"unit": "3"})
    assert [child.store.get("a") for child in children] == [b"1"] * 3
    assert len({child.store.head("a").metadata["mirrorversion"] for child in children}) == 1
    assert next(store.list()).metadata == {}


@pytest.mark.parametrize("policy", ["all", "quorum", "primary"])
def test_an_error_tells_what_each_child_did(children, policy):
    store = mirror(children, policy)
    store.put("a", b"old")
    for child in children[:2]:
        child.fail(StoreError("disk full"), "write")
    if policy == "primary":
        with pytest.raises(StoreError, match="disk full"):
            store.put("a", b"new")
        assert children[2].store.get("a") == b"old"
        return
    with pytest.raises(PartialFailure) as raised:
        store.put("a", b"new")
    assert [(name, type(error)) for name, error in raised.value.outcomes] == [
        ("child 1", StoreError),
        ("child 2", StoreError),
        ("child 3", type(None)),
    ]
    assert "child 1: StoreError: disk full; child 2: StoreError: disk full; child 3: done" in str(raised.value)
    assert raised.value.key == "a"
    copy = pickle.loads(pickle.dumps(raised.value))
    assert [name for name, _ in copy.outcomes] == ["child 1", "child 2", "child 3"]


def test_what_all_children_refuse_alike_is_their_own_error(children):
    for child in children:
        child.fail(Throttled("slow down"), "write")
    with pytest.raises(Throttled):
        mirror(children).put("a", b"1")
    children[0].fail(Throttled("slow down"), "write")
    with pytest.raises(PartialFailure) as raised:
        mirror(children).put("a", b"1")
    assert raised.value.retryable


@pytest.mark.parametrize(
    ("policy", "broken", "works"),
    [
        ("all", [0], False),
        ("all", [2], False),
        ("quorum", [0], True),
        ("quorum", [2], True),
        ("quorum", [0, 1], False),
        ("primary", [1, 2], True),
        ("primary", [0], False),
    ],
)
def test_writes_need_what_the_policy_says(children, policy, broken, works, caplog):
    store = mirror(children, policy)
    store.put("there", b"1")
    for number in broken:
        children[number].down()
    for change in (lambda: store.put("a", b"1"), lambda: store.delete("there")):
        if works:
            change()
        else:
            with pytest.raises((PartialFailure, StoreError)):
                change()
    if works:
        assert caplog.text.count("has not followed: child") + caplog.text.count("has not followed: unplugged") >= 2


@pytest.mark.parametrize(
    ("policy", "broken", "works"),
    [
        ("all", [0, 1], True),
        ("all", [0, 1, 2], False),
        ("quorum", [0], True),
        ("quorum", [1, 2], False),
        ("primary", [1, 2], True),
        ("primary", [0], False),
    ],
)
def test_reads_need_what_the_policy_says(children, policy, broken, works):
    store = mirror(children, policy)
    store.put("a", b"12345")
    for number in broken:
        children[number].down()
    if works:
        assert store.get("a") == b"12345"
        assert store.get_range("a", 1, 3) == b"23"
        with pytest.raises(NotFound):
            store.get("missing")
    else:
        for key in ("a", "missing"):
            with pytest.raises((PartialFailure, StoreError)):
                store.exists(key)


def test_versions_that_differ_are_a_conflict_until_they_are_repaired(children):
    store = mirror(children)
    store.put("a", b"old")
    children[1].fail(StoreError("gone"), "write")
    with pytest.raises(PartialFailure):
        store.put("a", b"new")
    for reading in (store.get, store.exists, store.head):
        with pytest.raises(Conflict, match="child 2: ") as raised:
            reading("a")
    assert "repair" in str(raised.value)
    assert list(store.keys()) == ["a"]
    assert [(r.key, r.written, r.error) for r in store.repair(source=children[0])] == [("a", ("child 2",), None)]
    assert store.get("a") == b"new"
    assert [r.written for r in store.repair(0)] == [()]


def test_a_majority_is_believed(children):
    store = mirror(children, "quorum")
    store.put("a", b"old")
    children[0].fail(StoreError("gone"), "write")
    store.put("a", b"new")
    assert store.get("a") == b"new"
    children[1].down()
    with pytest.raises(Conflict):
        store.get("a")
    children[1].up()
    store.repair(source=children[2])
    children[1].down()
    assert store.get("a") == b"new"


def test_objects_that_came_by_other_ways_are_compared_by_etag(children):
    for number, child in enumerate(children):
        for _ in range(number):
            child.store.put("a", b"x")
        child.store.put("a", b"same")
    store = mirror(children)
    with pytest.raises(Conflict):
        store.get("a")
    [result] = store.repair(source=children[2])
    assert result.written == ("child 1", "child 2")
    assert store.get("a") == b"same"
    assert store.head("a").etag == store.head("a").etag


@pytest.mark.parametrize("policy", ["all", "quorum"])
def test_a_delete_that_one_child_missed_does_not_come_undone(children, policy):
    store = mirror(children, policy)
    store.put("a", b"1")
    store.put("b", b"1")
    children[0].down()
    if policy == "all":
        with pytest.raises(PartialFailure, match="child 1"):
            store.delete("a")
    else:
        store.delete("a")
    children[0].up()
    assert children[0].keys_inside() == ["a", "b"]
    assert [len(list(child.store.keys(TOMBSTONES))) for child in children] == [0, 1, 1]
    for again in (store, mirror(children, policy)):
        assert not again.exists("a")
        with pytest.raises(NotFound):
            again.get("a")
        assert list(again.keys()) == ["b"]
    results = {result.key: result for result in store.repair(source=children[0])}
    assert results["a"].deleted
    assert not any(result.written for result in results.values())
    assert children[1].keys_inside() == ["b"]
    store.delete("a")
    assert [list(child.store.keys()) for child in children] == [["b"]] * 3
    with pytest.raises(NotFound):
        store.delete("a")


def test_an_object_written_after_its_tombstone_lives(children):
    store = mirror(children)
    store.put("a", b"1")
    children[0].down()
    with pytest.raises(PartialFailure):
        store.delete("a")
    children[0].up()
    store.put("a", b"2")
    assert store.get("a") == b"2"
    children[2].store.delete("a")
    assert store.get("a") == b"2", "missing in one child, but newer than the tombstone"
    assert list(store.keys()) == ["a"]


def test_a_child_that_was_added_empty_is_filled_by_a_repair(children):
    old = mirror(children[:2])
    for key in "abc":
        old.put(key, key.encode())
    store = mirror(children)
    assert store.get("a") == b"a"
    assert list(store.keys()) == ["a", "b", "c"]
    seen = []
    results = store.repair(source=1, progress=seen.append)
    assert [result.written for result in results] == [("child 3",)] * 3
    assert sum(seen) == 3
    assert children[2].keys_inside() == ["a", "b", "c"]


def test_a_repair_deletes_nothing_and_reports_each_error(children):
    store = mirror(children)
    store.put("both", b"1")
    children[1].store.put("extra", b"2")
    children[2].store.delete("both")
    children[2].fail(StoreError("read-only"), "write")
    [result] = store.repair(source=0)
    assert (result.key, result.written, type(result.error)) == ("both", (), StoreError)
    assert children[1].store.get("extra") == b"2"
    with pytest.raises(ValueError, match="children"):
        store.repair(source=MemoryStore())


def test_the_tombstones_go_when_all_agree(children):
    store = mirror(children, "quorum")
    store.put("a", b"1")
    children[0].down()
    store.delete("a")
    children[0].up()
    children[0].store.delete("a")
    store.repair()
    assert not any(list(child.store.keys()) for child in children)


def test_a_child_without_metadata_counts_its_tombstones_until_it_is_written():
    plain = [FaultStore(MemoryStore()), MemoryStore()]
    store = MirroringStore([SimpleWrapper(child) for child in plain])
    store.put("a", b"1")
    plain[0].fail(StoreError("gone"), "remove")
    with pytest.raises(PartialFailure):
        store.delete("a")
    assert not store.exists("a")
    store.put("a", b"2")
    plain[1].delete("a")
    assert store.get("a") == b"2"
    plain[1].put("a", b"other size")
    with pytest.raises(Conflict):
        store.get("a")


def test_the_primary_judges_conditions(children):
    store = mirror(children, "primary")
    info = store.create("a", b"1")
    with pytest.raises(KeyError):
        store.create("a", b"2")
    store.replace_if("a", b"2", info.etag)
    with pytest.raises(Conflict):
        store.replace_if("a", b"3", info.etag)
    with pytest.raises(Conflict):
        store.delete_if("a", info.etag)
    assert [child.store.get("a") for child in children] == [b"2"] * 3
    store.delete_if("a", store.head("a").etag)
    assert [child.keys_inside() for child in children] == [[], [], []]
    quorum = mirror(children, "quorum")
    assert not quorum.capabilities.create
    with pytest.raises(Unsupported):
        quorum.create("a", b"1")
    assert [child.keys_inside() for child in children] == [[], [], []]


def test_a_read_of_a_version_is_of_the_mirrors_version(children):
    store = mirror(children)
    old = store.put("a", b"old").etag
    new = store.put("a", b"new").etag
    with store.read("a", ReadOptions(1, if_match=new)) as blob:
        assert blob.bytes() == b"ew"
        assert blob.info.etag == new
    with pytest.raises(Conflict):
        store.read("a", ReadOptions(if_match=old))


class Slow(Child):
    """A child that takes a different time for each write."""

    def seen(self, verb, key):
        super().seen(verb, key)
        if verb == "write":
            time.sleep(random.random() / 1000)


def test_racing_writers_and_readers_of_one_process_always_agree():
    children = [Slow(number) for number in (1, 2, 3)]
    store = mirror(children)
    store.put("a", b"x" * 10)

    def work(number):
        for turn in range(30):
            if number < 3:
                store.put("a", bytes([65 + number]) * (turn + 1))
            else:
                assert len(set(store.get("a"))) == 1

    together(6, work)
    assert len({child.store.get("a") for child in children}) == 1
    assert store.get("a") == children[0].store.get("a")


def test_a_long_stream_goes_to_every_child_and_leaves_no_file(children, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = mirror(children)
    block = os.urandom(1 << 20)
    store.write("big", (block for _ in range(12)))
    assert [child.store.get("big") for child in children] == [block * 12] * 3
    assert not list(tmp_path.iterdir())


def test_a_mirror_keeps_its_own_names_to_itself(children):
    store = mirror(children)
    for call in (store.get, store.delete, lambda key: store.put(key, b"")):
        with pytest.raises(InvalidKey):
            call(TOMBSTONES + "x")
    assert type(store.remove([TOMBSTONES + "x"])[0]) is InvalidKey


def test_wrong_mirrors_are_refused(children):
    for wrong in ([], [children[0], children[0]]):
        with pytest.raises(ValueError):
            MirroringStore(wrong)
    with pytest.raises(ValueError, match="policy"):
        MirroringStore(children, "most")
    readonly = MirroringStore([children[0], ReadonlyStore(children[1])])
    with pytest.raises(Unsupported):
        readonly.put("a", b"1")
    with pytest.raises(Unsupported):
        readonly.delete("a")
    assert not children[0].keys_inside()


class Picky(Child):
    """A child that cannot hold every key."""

    def seen(self, verb, key):
        super().seen(verb, key)
        if verb == "write" and "!" in key:
            raise InvalidKey(f"no key: {key}", key=key, store=self.name)


def test_a_key_that_a_child_cannot_hold_is_taken_back_from_the_others():
    children = [Child(1), Picky(2), Child(3)]
    with pytest.raises(InvalidKey) as raised:
        mirror(children).put("a!", b"1")
    assert raised.value.key == "a!"
    assert [list(child.store.keys()) for child in children] == [[], [], []]
    mirror(children, "quorum").put("a!", b"1")
    assert [list(child.store.keys()) for child in children] == [["a!"], [], ["a!"]]
    assert mirror(children, "quorum").get("a!") == b"1"


def test_what_cannot_be_taken_back_is_told():
    plain = MemoryStore()
    with pytest.raises(PartialFailure, match="no key"):
        MirroringStore([SimpleWrapper(plain), Picky(2)]).put("a!", b"1")
    children = [Child(1), Picky(2), Child(3)]
    children[2].fail(StoreError("unplugged"), "write")
    with pytest.raises(PartialFailure, match="unplugged"):
        mirror(children).put("a!", b"1")
    children[0].fail(StoreError("unplugged"), "remove")
    with pytest.raises(PartialFailure):
        mirror(children).put("b!", b"1")


def test_a_copy_out_of_a_mirror_shows_nothing_of_it(children):
    store = mirror(children)
    store.write("a", b"1", WriteOptions(metadata={"x": "y"}))
    target = CountingStore(MemoryStore())
    target.copy("a", "b", source=store)
    assert target.head("b").metadata == {"x": "y"}
    store.copy("a", "c")
    assert store.head("c").metadata == {"x": "y"}


class Unreadable(Child):
    """A child whose tombstones cannot be read for so many times."""

    times = 0

    def seen(self, verb, key):
        super().seen(verb, key)
        if verb == "read" and key.startswith(TOMBSTONES) and self.times:
            self.times -= 1
            raise StoreError("one slow answer", key=key)


def test_a_tombstone_that_cannot_be_read_is_not_taken_for_none():
    children = [Unreadable(1), Child(2)]
    store = mirror(children)
    store.put("a", b"1")
    children[1].fail(StoreError("unplugged"), "remove")
    with pytest.raises(PartialFailure):
        store.delete("a")
    children[0].times = 1
    with pytest.raises(StoreError, match="one slow answer"):
        store.exists("a")
    children[0].times = 1
    [result] = store.repair(source=1)
    assert (result.written, str(result.error)) == ((), "one slow answer")
    assert not store.exists("a")
    assert not children[0].keys_inside()


def test_one_tombstone_that_can_be_read_is_enough():
    children = [Unreadable(1), Child(2), Child(3)]
    store = mirror(children)
    store.put("a", b"1")
    children[2].fail(StoreError("unplugged"), "remove")
    with pytest.raises(PartialFailure):
        store.delete("a")
    children[0].times = 1
    assert not store.exists("a")
    assert not children[0].times


@pytest.mark.parametrize("damaged", [b"", b"[]", b"{}", b'{"version": 5}', b"\xff"])
def test_a_damaged_tombstone_is_told_until_the_delete_is_repeated(children, damaged):
    store = mirror(children)
    store.put("a", b"1")
    children[0].fail(StoreError("unplugged"), "remove")
    with pytest.raises(PartialFailure):
        store.delete("a")
    for child in children[1:]:
        [tombstone] = child.store.keys(TOMBSTONES)
        child.store.put(tombstone, damaged)
    with pytest.raises(IntegrityError, match="delete 'a' again"):
        store.get("a")
    store.delete("a")
    assert [list(child.store.keys()) for child in children] == [[]] * 3
    assert not store.exists("a")


def test_a_mirror_in_a_mirror_is_refused_wherever_it_lies(children):
    inner = mirror(children[:2])
    for stack in (
        inner,
        PrefixStore(GzipStore(inner), "a/"),
        CachingStore(MemoryStore(), inner),
        SimpleWrapper(inner),
        RegexRoutingStore(MemoryStore(), {"a": inner}),
    ):
        for policy in ("all", "quorum", "primary"):
            with pytest.raises(ValueError, match="all children to one mirror"):
                MirroringStore([stack, children[2]], policy)
    assert MirroringStore([*inner.children, children[2]]).put("a", b"1").key == "a"


def test_the_mirrors_name_for_versions_is_not_for_users(children):
    store = mirror(children)
    with pytest.raises(Unsupported, match="mirrorversion"):
        store.write("a", b"1", WriteOptions(metadata={"mirrorversion": "mine", "x": "y"}))
    assert not children[0].keys_inside()
    # What was a mirror's child may be copied into another mirror.
    store.write("a", b"1", WriteOptions(metadata={"x": "y"}))
    other = mirror([MemoryStore(), MemoryStore()])
    old = children[0].store.head("a").metadata["mirrorversion"]
    other.copy("a", "b", source=children[0])
    copy_store(children[0], other)
    for key in "ab":
        assert (other.get(key), other.head(key).metadata) == (b"1", {"x": "y"})
        versions = {child.head(key).metadata["mirrorversion"] for child in other.children}
        assert len(versions) == 1
        assert old not in versions


@pytest.mark.parametrize(
    "refusing",
    [
        lambda store: RegexValidatingStore(store, "[a-z]+"),
        lambda store: PrefixStore(RegexValidatingStore(store, "x/[a-z]+"), "x/"),
        lambda store: HashPrefixStore(KeyValidatingStore(store, lambda key: "tomb" not in key)),
        lambda store: KeyTransformingStore(store, ValidatingKeyTransformer(validate_http_url_key)),
    ],
)
def test_a_child_that_refuses_tombstones_is_no_child(refusing):
    with pytest.raises(ValueError, match=r"holdfast-tombstones.*around the mirror"):
        MirroringStore([MemoryStore(), refusing(MemoryStore())])
    MirroringStore([MemoryStore(), PrefixStore(RegexValidatingStore(MemoryStore(), "x/.*"), "x/")])
    around = refusing(MirroringStore([MemoryStore(), MemoryStore()]))
    assert around.capabilities.write


class Narrow(SimpleWrapper):
    """A user's store without metadata whose keys are letters."""

    @staticmethod
    def check(key):
        if not key.isalpha():
            raise InvalidKey(f"no letters: {key}", key=key)

    def get(self, key):
        self.check(key)
        return super().get(key)

    def put(self, key, data):
        self.check(key)
        super().put(key, data)

    def delete(self, key):
        self.check(key)
        super().delete(key)


def test_a_child_that_cannot_hold_tombstones_is_written_and_tells_of_its_half_deletes():
    broken = FaultStore(MemoryStore())
    store = MirroringStore([Narrow(MemoryStore()), SimpleWrapper(broken)])
    store.put("a", b"1")
    assert store.get("a") == b"1"
    broken.fail(StoreError("unplugged"), "remove")
    with pytest.raises(PartialFailure, match="no letters: holdfast-tombstones/"):
        store.delete("a")
    store.delete("a")
    assert not store.exists("a")
    assert store.repair() == []
