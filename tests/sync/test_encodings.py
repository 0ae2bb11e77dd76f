"""Equal bytes under different content encodings are different contents: never skipped, and never a moved copy."""

from __future__ import annotations

import gzip

import pytest

from holdfast import CloudFiles, open_store
from holdfast.stores.memory import MemoryStore
from holdfast.sync import Comparison, Index, apply, plan
from holdfast.sync.comparing import Verdict
from holdfast.sync.performing import Performer, Settings, Task
from holdfast.testing.stores import CountingStore
from holdfast.types import WriteOptions
from tests.stores.before import Before

from .test_comparing import reasons
from .test_plan import kinds
from .test_resume import DENIED, open_moto

STORED = gzip.compress(b"hello" * 9, mtime=0)
GZIP = WriteOptions(content_encoding="gzip")
DIFFER = "encodings differ (gzip and none)"


@pytest.fixture(params=["mem", "file", pytest.param("s3", marks=pytest.mark.server)])
def two(request, tmp_path):
    """Two stores of one kind."""
    if request.param == "mem":
        return MemoryStore(), MemoryStore()
    if request.param == "file":
        return open_store(tmp_path / "one"), open_store(tmp_path / "two")
    moto = request.getfixturevalue("moto")
    return open_moto(moto, moto.make_bucket()), open_moto(moto, moto.make_bucket())


@pytest.mark.parametrize("compare", ["auto", "digest"])
def test_the_same_bytes_in_another_encoding_are_an_update(two, compare):
    source, target = two
    source.write("a", STORED, GZIP)
    target.write("a", STORED)
    assert reasons(plan(source, target, index=None, compare=compare)) == {"a": DIFFER}
    assert kinds(plan(source, target, index=None, compare=compare, keys=["a"])) == {"a": "update"}
    assert apply(plan(source, target, index=None, compare=compare)).updated == 1
    assert target.head("a").content_encoding == "gzip"
    assert kinds(plan(source, target, index=None, compare=compare)) == {"a": "skip"}


def test_a_move_keeps_its_source_if_the_target_is_encoded_otherwise(two):
    """Also if the plan did not know it."""
    source, target = two
    source.write("a", STORED, GZIP)
    target.write("a", STORED)
    planned = plan(source, target, index=None, compare="size", move=True)
    if planned.source.vendor == "s3":  # whose listings do not tell
        assert kinds(planned) == {"a": "skip"}
        assert apply(planned, index=None).counts == {("skip", "kept"): 1}
        assert source.get("a") == STORED
    else:
        assert reasons(planned) == {"a": DIFFER}
    CloudFiles(source).moves(CloudFiles(target), [("a", "a")])
    assert CloudFiles(target)["a"] == b"hello" * 9
    assert CloudFiles(source)["a"] is None


def test_a_transfer_gives_what_can_be_read(two):
    source, target = map(CloudFiles, two)
    source.put("a", b"hello", compress="gzip")
    target.store.write("a", source.get("a", raw=True))
    source.transfer_to(target)
    assert target["a"] == b"hello"


@pytest.mark.server
def test_what_was_noted_of_the_bytes_does_not_make_them_the_same_contents(moto):
    source, target = (open_moto(moto, moto.make_bucket()) for _ in range(2))
    source.write("a", STORED, GZIP)
    target.write("a", STORED)
    target.write("b", STORED, GZIP)
    comparison = Comparison(plan(source, target).source, plan(source, target).target)
    (mine,), (theirs, same) = source.list(), target.list()
    assert comparison._by_stamp(mine, theirs) == Verdict(False, DIFFER)
    source.write("b", STORED, GZIP)
    assert comparison._by_stamp(source.head("b"), same) == Verdict(True, "same CRC-32C and size")


@pytest.mark.server
def test_the_head_is_asked_for_once_and_only_where_the_listing_does_not_tell(moto, tmp_path):
    local, remote = open_store(tmp_path / "files"), CountingStore(open_moto(moto, moto.make_bucket()))
    for name in "abc":
        local.put(name, name.encode())
        remote.put(name, name.encode())
    index = Index(":memory:")
    remote.reset()
    assert kinds(plan(local, remote, index=index)) == dict.fromkeys("abc", "skip")
    assert (remote.calls["read"], remote.bytes_read) == (3, 0)
    remote.reset()
    assert kinds(plan(local, remote, index=index, keys=["a", "b"])) == dict.fromkeys("ab", "skip")
    assert remote.calls["read"] == 2  # the heads that stand in for a listing


@pytest.mark.server
def test_who_may_list_and_not_read_is_asked_what_to_do(moto, tmp_path):
    open_store(tmp_path / "files").put("a", b"1")
    bucket = moto.make_bucket()
    open_moto(moto, bucket).put("a", b"1")
    with Before(moto, lambda request: DENIED if request.method == "HEAD" else None) as before:
        source, target = tmp_path / "files", open_moto(moto, bucket, before.endpoint)
        (action,) = plan(source, target, index=None)
        assert (action.kind, "may not be asked" in action.reason) == ("conflict", True)
        assert kinds(plan(source, target, index=None, on_unknown="skip")) == {"a": "skip"}


def test_an_object_that_is_there_in_another_encoding_is_not_done_already(two):
    """A lost answer is settled by looking at the target: the bytes alone do not settle it."""
    source, target = two
    source.write("a", STORED, GZIP)
    planned = plan(source, target, index=None)
    (action,) = planned
    target.write("a", STORED)
    performer = Performer(planned.source, planned.target, Settings())
    assert performer(Task(0, action, tries=1)).outcome == "stale"
