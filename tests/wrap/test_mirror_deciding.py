"""What a mirror's children hold together: versions first, then the children of which only sizes are known."""

from __future__ import annotations

import itertools

import pytest

from holdfast.errors import Conflict, StoreError
from holdfast.store import READ, Wrapper
from holdfast.stores.memory import MemoryStore
from holdfast.stores.plain import DictStore
from holdfast.testing import FaultStore
from holdfast.types import ObjectInfo
from holdfast.wrap._children import VERSION, Answer
from holdfast.wrap._deciding import grouped
from holdfast.wrap.mirror import MirroringStore
from holdfast.wrap.transform import GzipStore


def version(name, size=5):
    return MemoryStore, ObjectInfo("a", size=size, metadata={VERSION: name}, etag=f"tag of {name}")


def etag(tag, size=5):
    return MemoryStore, ObjectInfo("a", size=size, etag=tag)


def plain(size):
    return DictStore, ObjectInfo("a", size=size)


NONE = MemoryStore, None


@pytest.mark.parametrize(
    ("seen", "groups"),
    [
        ([version("1"), version("1"), version("2")], [[0, 1], [2]]),
        ([etag("x"), etag("x"), version("x")], [[0, 1, 2]]),
        ([NONE, version("1"), (DictStore, None)], [[0, 2], [1]]),
        ([plain(5), version("1"), version("1")], [[0, 1, 2]]),
        ([plain(5), version("1"), version("2", 6)], [[0, 1], [2]]),
        # One child's size must not glue together what differs.
        ([plain(5), version("1"), version("2")], [[0], [1], [2]]),
        ([version("1"), plain(5), version("2")], [[0], [1], [2]]),
        ([plain(4), version("1")], [[0], [1]]),
        ([plain(5), plain(5), plain(6)], [[0, 1], [2]]),
        ([plain(None), plain(5), plain(5)], [[0, 1, 2]]),
        ([plain(None), plain(5), plain(6)], [[0], [1], [2]]),
        ([plain(None), plain(None)], [[0, 1]]),
        ([plain(None), version("1"), version("2", 6)], [[0], [1], [2]]),
        ([plain(None), version("1", None), plain(7)], [[0, 1, 2]]),
        ([plain(None), NONE], [[0], [1]]),
        ([plain(5), plain(6), version("1", None)], [[0], [1], [2]]),
        ([etag(None), etag(None)], [[0, 1]]),
        ([etag(None), etag("x", 6)], [[0], [1]]),
    ],
)
def test_children_agree_in_any_order(seen, groups):
    answers = [Answer(child(), info) for child, info in seen]
    for order in itertools.permutations(range(len(seen))):
        found = grouped([answers[at] for at in order])
        assert sorted(sorted(answers.index(answer) for answer in group) for group in found) == groups
        assert all(group == sorted(group, key=[answers[at] for at in order].index) for group in found)


@pytest.mark.parametrize("policy", ["all", "quorum"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_child_without_versions_hides_no_conflict(policy, place):
    plain, one, two = DictStore(), MemoryStore(), MemoryStore()
    children = [one, two]
    children.insert(place, plain)
    store = MirroringStore(children, policy)
    store.put("a", b"AAAAA")
    MirroringStore([two]).put("a", b"BBBBB")
    with pytest.raises(Conflict):
        store.get("a")
    results = store.repair(source=one)
    assert [result.error for result in results] == [None]
    assert store.get("a") == plain.get("a") == two.get("a") == b"AAAAA"


def test_a_repair_from_a_child_without_versions_makes_all_others_equal():
    plain, one, two = DictStore(), MemoryStore(), MemoryStore()
    store = MirroringStore([plain, one, two])
    store.put("a", b"AAAAA")
    MirroringStore([two]).put("a", b"BBBBB")
    assert [len(result.written) for result in store.repair(source=plain)] == [2]
    assert store.get("a") == one.get("a") == two.get("a") == b"AAAAA"


def test_the_version_is_told_wherever_its_child_stands():
    store = MirroringStore([DictStore(), MemoryStore()])
    etag = store.put("a", b"1").etag
    assert etag
    assert store.head("a").etag == etag
    with store.read("a") as blob:
        assert (blob.bytes(), blob.info.etag) == (b"1", etag)


def test_a_body_comes_from_a_child_that_knows_its_version():
    plain, keeping = DictStore(), FaultStore(MemoryStore())
    store = MirroringStore([plain, keeping])
    store.put("a", b"new")
    plain.put("a", b"old")  # of the same size: nobody sees the difference
    assert store.get("a") == b"new"
    keeping.fail(StoreError("unplugged"), "read", after=1)
    with store.read("a") as blob:
        assert (blob.bytes(), blob.info.etag) == (b"old", None)


class Overwritten(Wrapper):
    """A store in which something happens between the look at an object and the read of its body."""

    meanwhile = None

    def _read(self, key, options=READ):
        if not options.head and self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return self.store._read(key, options)


def test_a_body_is_of_the_version_that_is_told():
    inner = Overwritten(MemoryStore())
    store = MirroringStore([GzipStore(inner)])  # whose reads cannot name a version
    old = store.put("a", b"one").etag
    inner.meanwhile = lambda: MirroringStore([GzipStore(inner.store)]).put("a", b"two")
    with store.read("a") as blob:
        assert blob.bytes() == b"two"
        assert blob.info.etag != old
        assert blob.info.etag == store.head("a").etag


def test_a_body_of_another_size_is_looked_at_again():
    inner = Overwritten(DictStore())
    store = MirroringStore([inner, DictStore()])
    store.put("a", b"one")
    inner.meanwhile = lambda: inner.store.put("a", b"longer")
    with pytest.raises(Conflict):
        store.get("a")
