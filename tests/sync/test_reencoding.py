"""Objects that get another encoding on their way are compared by what they hold, and sent once."""

from __future__ import annotations

import gzip

import pytest

from holdfast import CloudFiles, open_store
from holdfast.stores.memory import MemoryStore
from holdfast.sync import Index, apply, plan
from holdfast.testing.stores import CountingStore
from holdfast.types import WriteOptions

from .test_comparing import reasons
from .test_plan import kinds, store_of
from .test_resume import open_moto

GZIP = WriteOptions(content_encoding="gzip")


@pytest.mark.server
@pytest.mark.parametrize("wanted", ["gzip", ""])
def test_fresh_files_are_equal_to_what_was_made_of_them(moto, tmp_path, wanted):
    """The index leaves fresh files out, so that their next plan knows nothing of the first one."""
    source, target = open_store(tmp_path), open_moto(moto, moto.make_bucket())
    source.put("a", b"hello" * 9)
    source.write("b", gzip.compress(b"packed"), GZIP)
    apply(plan(source, target, reencode=wanted, index=None), index=None)
    assert kinds(plan(source, target, reencode=wanted, index=None)) == {"a": "skip", "b": "skip"}
    source.put("a", b"other" * 9)
    assert kinds(plan(source, target, reencode=wanted, index=None)) == {"a": "update", "b": "skip"}


@pytest.mark.server
def test_a_transfer_between_buckets_does_not_send_everything_again(moto):
    source, target = (CountingStore(open_moto(moto, moto.make_bucket())) for _ in range(2))
    for name in "abc":
        source.put(name, name.encode() * 99)
    first, second = (CloudFiles(source).transfer_to(CloudFiles(target), reencode="gzip") for _ in range(2))
    assert (first.added, second.updated, second.skipped) == (3, 0, 3)
    assert target.calls["write"] == 3


@pytest.mark.server
def test_what_is_stored_as_it_is_wanted_is_not_read(moto, tmp_path):
    source, target = open_store(tmp_path), CountingStore(open_moto(moto, moto.make_bucket()))
    source.put("plain", b"hello")
    target.put("plain", b"hello")
    for store in (source, target):
        store.write("packed", gzip.compress(b"hello", mtime=0), GZIP)
    assert reasons(plan(source, target, reencode="", index=None, keys=["plain"])) == {"plain": "same MD5"}
    assert reasons(plan(source, target, reencode="gzip", index=None, keys=["packed"])) == {"packed": "same MD5"}
    assert target.bytes_read == 0
    target.write("packed", gzip.compress(b"hello", mtime=1), GZIP)
    assert kinds(plan(source, target, reencode="gzip", index=None, keys=["packed"])) == {"packed": "skip"}
    target.put("plain", b"other")
    assert kinds(plan(source, target, reencode="", index=None, keys=["plain"])) == {"plain": "update"}


def test_an_object_in_another_encoding_is_an_update_and_is_not_read():
    source, target = store_of(a=b"hello"), CountingStore(store_of(a=b"hello"))
    assert reasons(plan(source, target, reencode="gzip")) == {"a": "the target's encoding is none"}
    assert target.bytes_read == 0


def test_what_cannot_be_decoded_is_replaced_at_the_target_and_not_sent_from_the_source():
    source, target, broken = store_of(a=b"hello"), MemoryStore(), MemoryStore()
    target.write("a", b"no gzip", GZIP)
    broken.write("a", b"none, either", GZIP)
    assert reasons(plan(source, target, reencode="gzip")) == {"a": "the target cannot be decoded"}
    assert kinds(plan(broken, target, reencode="gzip")) == {"a": "conflict"}
    apply(plan(source, target, reencode="gzip"))
    assert CloudFiles(target)["a"] == b"hello"


def test_a_version_that_is_another_one_by_now_is_not_compared():
    class Overtaken(MemoryStore):
        def _read(self, key, *options):
            self.put(key, b"newer")
            return super()._read(key, *options)

    source, target = Overtaken(), MemoryStore()
    source.put("a", b"older")
    target.write("a", gzip.compress(b"older"), GZIP)
    assert kinds(plan(source, target, reencode="gzip", index=Index(":memory:"))) == {"a": "conflict"}
