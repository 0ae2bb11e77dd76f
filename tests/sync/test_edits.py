"""Edits that hide: a file changed by other means, with its size and its mtime as they were."""

from __future__ import annotations

import hashlib
import os
from contextlib import closing

import pytest

from holdfast import open_store
from holdfast.sync import Index, apply, plan
from holdfast.sync.index import pair_of

from .test_plan import kinds


def edit(path, data: bytes) -> None:
    """Change the file in place, and put its mtime back."""
    before = os.stat(path)
    assert len(data) == before.st_size
    with open(path, "r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    while os.stat(path).st_ctime_ns == before.st_ctime_ns:  # within one tick of the system's clock
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def updated(tmp_path):
    """Two stores with equal objects; the second one's file was written under a condition, so it has a sidecar."""
    one, two = open_store(tmp_path / "one"), open_store(tmp_path / "two")
    one.put("a", b"111")
    two.put("a", b"000")
    assert apply(plan(one, two, index=None), index=None).exit_code == 0
    assert os.listdir(tmp_path / "two" / ".holdfast" / "attributes")
    return one, two


def test_an_edit_that_keeps_size_and_mtime_is_seen_in_a_file_with_a_sidecar(updated, tmp_path):
    one, two = updated
    with closing(Index(tmp_path / "index")) as index:
        where = plan(two, one).source.identity
        before = two.head("a")
        index._many(
            "insert into digests values (?, ?, ?, ?, ?)",
            [(where, "a", before.etag, "sha256", hashlib.sha256(b"111").hexdigest())],
        )
        edit(tmp_path / "two" / "a", b"222")
        for compare in ("auto", "digest"):
            assert kinds(plan(two, one, compare=compare, index=index)) == {"a": "update"}


def test_an_edit_after_the_plan_is_neither_overwritten_nor_deleted(updated, tmp_path):
    one, two = updated
    one.put("a", b"333")
    one.put("b", b"")
    update = plan(one, two, index=None)
    one.delete("a")
    deletion = plan(one, two, delete=True, max_delete=1, index=None)
    assert (kinds(update)["a"], kinds(deletion)["a"]) == ("update", "delete")
    one.put("a", b"333")
    edit(tmp_path / "two" / "a", b"222")
    assert [result.key for result in apply(update, index=None).stale] == ["a"]
    one.delete("a")
    assert [result.key for result in apply(deletion, index=None).stale] == ["a"]
    assert two.get("a") == b"222"


def test_the_digests_of_a_comparison_by_digest_are_read_anew(tmp_path, aged):
    one, two = open_store(tmp_path / "one"), open_store(tmp_path / "two")
    for store in (one, two):
        store.put("a", b"111")
    with closing(Index(tmp_path / "index")) as index:
        planned = plan(one, two, index=index)
        where = planned.source.identity
        index.forget(pair_of(planned.source, planned.target), ["a"])
        index._many("update digests set digest = ? where place = ?", [("what is remembered", where)])
        assert index.digest(where, "a", one.head("a").etag, "sha256") == "what is remembered"
        assert kinds(plan(one, two, index=index)) == {"a": "update"}
        assert kinds(plan(one, two, index=index, compare="digest")) == {"a": "skip"}
