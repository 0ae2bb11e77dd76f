"""Bounded memory: listings are consumed as the work goes on, never collected; and whom a listing may be believed."""

from __future__ import annotations

import os

import pytest

from holdfast import Capabilities, ObjectStore, register
from holdfast.stores.file import FileStore
from holdfast.types import WriteOptions

COUNT = 20_000
#: More than any window of the engine, far less than everything.
AHEAD = 3000


class Endless(ObjectStore):
    """Many objects, and a count of how far the listing ran ahead of the work."""

    listed = 0
    worked = 0
    ahead = 0

    def get(self, key):
        type(self).worked += 1
        return b"x"

    def put(self, key, data):
        type(self).worked += 1

    def delete(self, key):
        type(self).worked += 1

    def exists(self, key):
        return True

    def keys(self):
        for number in range(COUNT):
            cls = type(self)
            cls.listed += 1
            cls.ahead = max(cls.ahead, cls.listed - cls.worked)
            yield f"run1/{number:06d}"


@pytest.fixture
def endless():
    class Fresh(Endless):
        pass

    register("cliendless", Fresh)
    return Fresh


@pytest.mark.parametrize(
    "arguments", [["cp", "-r", "E/run1/", "mem://cli-endless/x"], ["rm", "-r", "E/run1/"], ["du", "E/run1/"]]
)
def test_listings_run_only_a_little_ahead_of_the_work(holdfast, endless, arguments):
    result = holdfast(*(text.replace("E", "cliendless://") for text in arguments))
    assert (result.code, endless.listed, endless.worked) == (0, COUNT, COUNT)
    assert endless.ahead < AHEAD


class Unsorted(ObjectStore):
    """Says that its listing is sorted, and it is not."""

    def get(self, key):
        return b"x"

    def put(self, key, data):
        raise NotImplementedError

    delete = exists = get

    def keys(self):
        return iter(["b", "a", "c"])

    @property
    def capabilities(self):
        return Capabilities(listing=True, sorted=True)


def test_verify_believes_no_listing_that_is_out_of_order(holdfast, bucket):
    register("cliunsorted", Unsorted)
    bucket.put(dict.fromkeys("abc", b"x"))
    result = holdfast("verify", bucket.base, "cliunsorted://")
    assert (result.code, "out of order" in result.err) == (1, True)


def test_a_directory_belongs_to_the_store_that_wrote_its_attributes(holdfast, bucket, tmp_path, monkeypatch):
    bucket.store.write("a/b/c", b"x", WriteOptions(content_type="text/x-note"))
    holdfast("cp", "-r", bucket.base, tmp_path / "copy")
    copy = str(tmp_path / "copy")
    assert FileStore.root_of(f"{copy}/a/b") == (copy, "a/b")
    assert FileStore.root_of(f"{copy}/a/not/there/yet") == (copy, "a/not/there/yet")
    assert FileStore.root_of(str(tmp_path)) == (str(tmp_path), "")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "copy/link").symlink_to(tmp_path / "elsewhere")
    assert FileStore.root_of(f"{copy}/link") == (f"{copy}/link", "")
    owner = os.stat(copy).st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert FileStore.root_of(f"{copy}/a/b") == (f"{copy}/a/b", "")
