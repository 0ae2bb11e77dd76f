"""How two objects are compared: by the cheapest proof, and never taken for equal without one."""

from __future__ import annotations

import os
import sqlite3
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from holdfast import errors as e
from holdfast import open_store
from holdfast.store import READ
from holdfast.stores.memory import MemoryStore
from holdfast.sync import Comparison, Identity, Index, apply, plan
from holdfast.sync.comparing import digest_of
from holdfast.testing.stores import CountingStore
from holdfast.types import ObjectInfo, WriteOptions

from .test_plan import kinds, store_of
from .test_resume import MIB, body, open_moto


def reasons(planned):
    return {action.key: action.reason for action in planned}


@pytest.mark.server
def test_the_md5_of_a_file_is_compared_with_the_etag_of_a_service(moto, tmp_path):
    local, remote = open_store(tmp_path), open_moto(moto, moto.make_bucket())
    for key, mine, theirs in (
        ("same", b"1", b"1"),
        ("other", b"1", b"2"),
        ("longer", b"11", b"2"),
        ("empty", b"", b""),
    ):
        local.put(key, mine)
        remote.put(key, theirs)
    counted = CountingStore(remote)
    pushed = plan(local, counted, index=None)
    assert reasons(pushed) == {
        "same": "same MD5", "other": "MD5s differ", "longer": "sizes differ (2 and 1 bytes)", "empty": "both are empty",
    }  # fmt: skip
    assert counted.calls["read"] == 2  # "other": whether its ETag is no MD5 at all; "same": how it is encoded
    assert counted.bytes_read == 0
    assert kinds(plan(counted, local, index=None)) == kinds(pushed)


def upload_in_parts(server, bucket, data, part):
    """Store data as "deep/er/large", uploaded in parts of this size as other tools do."""
    client, where = server.client(), {"Bucket": bucket, "Key": "deep/er/large"}
    upload = client.create_multipart_upload(**where)["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(data), part), 1):
        sent = client.upload_part(**where, UploadId=upload, PartNumber=number, Body=data[start : start + part])
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
    client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})


@pytest.mark.server
@pytest.mark.parametrize("part", [5 * MIB, 6 * MIB + 7])
@pytest.mark.parametrize("kind", ["moto", "ceph"])
def test_the_etag_of_an_upload_in_parts_is_computed_anew(kind, request, tmp_path, part):
    server = request.getfixturevalue(kind)
    bucket, data = server.make_bucket(), body(13 * MIB)
    upload_in_parts(server, bucket, data, part)
    remote = open_moto(server, bucket)
    assert remote.head("large").etag.strip('"') == digest_of(iter([data]), f"md5/{part}")
    local = open_store(tmp_path)
    local.put("large", data)
    counted = CountingStore(local)
    planned = plan(counted, remote, index=None)
    if part == 5 * MIB or kind == "moto":  # which tells the size of parts, as Amazon does
        assert reasons(planned) == {"large": "same MD5 of 3 parts"}
        if kind == "moto":
            assert counted.bytes_read == len(data)
    else:  # nobody uploads in parts of that size: it is not taken for the same, nor sent again unasked
        assert kinds(planned) == {"large": "conflict"}
        assert kinds(plan(local, remote, index=None, compare="digest")) == {"large": "skip"}
    assert kinds(plan(remote, local, index=None)) == kinds(planned)
    local.put("large", body(13 * MIB, seed=1))
    assert kinds(plan(local, remote, index=None)) == {"large": "conflict"}
    assert kinds(plan(local, remote, index=None, compare="digest")) == {"large": "update"}


@pytest.mark.server
def test_one_head_asks_for_the_stamp_of_what_was_written_in_parts(moto, tmp_path):
    remote, data = open_moto(moto, moto.make_bucket()), body(65 * MIB)
    remote.put("large", data)  # in memory and above one PUT: in parts, with a stamp
    assert "-" in remote.head("large").etag
    local = open_store(tmp_path)
    local.put("large", data[:-1] + b"!")
    counted = CountingStore(remote)
    assert reasons(plan(local, counted, index=None)) == {"large": "CRC-32Cs differ"}
    assert counted.calls["read"] == 1
    assert counted.bytes_read == 0


@pytest.mark.server
def test_objects_of_two_buckets_are_compared_by_their_etags(moto):
    one, two = open_moto(moto, moto.make_bucket()), open_moto(moto, moto.make_bucket())
    for key, mine, theirs in (("same", b"1", b"1"), ("other", b"1", b"2")):
        one.put(key, mine)
        two.put(key, theirs)
    assert reasons(plan(one, two, index=None)) == {"same": "same ETag", "other": "ETags differ"}


def test_the_cheap_comparisons_say_what_they_look_at(tmp_path):
    one, two = open_store(tmp_path / "one"), open_store(tmp_path / "two")
    for key in ("older", "newer"):
        one.put(key, b"1")
        two.put(key, b"2")
    os.utime(tmp_path / "one" / "older", (1000, 1000))
    os.utime(tmp_path / "two" / "newer", (1000, 1000))
    assert kinds(plan(one, two, compare="size")) == {"older": "skip", "newer": "skip"}
    assert kinds(plan(one, two, compare="size+mtime")) == {"older": "skip", "newer": "update"}
    assert kinds(plan(one, two, compare="etag")) == {"older": "update", "newer": "update"}
    assert kinds(plan(one, two)) == {"older": "update", "newer": "update"}
    with pytest.raises(e.ConfigError, match="compare='mtime' is none of auto"):
        plan(one, two, compare="mtime")


def test_a_file_that_keeps_changing_while_it_is_read_is_a_conflict(tmp_path):
    store, other = open_store(tmp_path), store_of(log=b"2")
    store.put("log", b"1")
    reads = []

    class Growing(CountingStore):
        def _read(self, key, options=READ):
            blob = super()._read(key, options)
            if not options.head:
                reads.append(key)
                os.utime(tmp_path / "log", (len(reads), len(reads)))
            return blob

    planned = plan(Growing(store), other, index=None)
    assert kinds(planned) == {"log": "conflict"}
    assert "changes while it is read" in reasons(planned)["log"]
    assert len(reads) == 3


def test_an_index_never_speaks_for_another_pair_or_version(tmp_path, aged):
    with_index = Index(tmp_path / "index")
    one, two = open_store(tmp_path / "one"), open_store(tmp_path / "two")
    one.put("a", b"1")
    two.put("a", b"2")
    same = Comparison(*_places(one, two), "auto", with_index)
    with_index.record(same.pair, [("a", _identity(one, "a"), _identity(two, "a"))], read=time.time())
    assert same(one.head("a"), two.head("a")).reason == "unchanged since the last sync"
    other = Comparison(*_places(two, one), "auto", with_index)
    assert other(two.head("a"), one.head("a")).same is False
    two.put("a", b"3")
    assert same(one.head("a"), two.head("a")).same is False
    assert Comparison(*_places(MemoryStore(), two), "auto", with_index).pair is None
    with_index.close()


def _places(*stores):
    from holdfast.sync import place

    return [place(store) for store in stores]


def _identity(store, key):
    return Identity.of(store.head(key))


@pytest.mark.parametrize("dated_back", [False, True])
def test_freshness_counts_from_when_the_reading_began(tmp_path, dated_back):
    with_index = Index(tmp_path / "index")
    store = open_store(tmp_path / "store")
    store.put("a", b"1")
    then = store.head("a").last_modified.timestamp()
    if dated_back:  # as a copy that keeps times: what it was yesterday says nothing about now
        os.utime(tmp_path / "store" / "a", (1000, 1000))
        then = (tmp_path / "store" / "a").stat().st_ctime
    fresh = _identity(store, "a")
    with_index.remember_digest("place", "a", fresh, "md5", "x", then + 1.9)
    with_index.record("pair", [("a", fresh, fresh)], then + 1.9)
    assert with_index.digest("place", "a", fresh.etag, "md5") is with_index.synced("pair", "a") is None
    with_index.remember_digest("place", "a", fresh, "md5", "x", then + 2.1)
    with_index.record("pair", [("a", fresh, fresh)], then + 2.1)
    assert with_index.digest("place", "a", fresh.etag, "md5") == "x"
    assert with_index.synced("pair", "a")[:3] == (fresh.etag, fresh.etag, None)
    with_index.close()


def test_without_a_place_for_an_index_a_sync_does_without_one(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    open_store(tmp_path / "one").put("a", b"1")
    assert apply(plan(tmp_path / "one", tmp_path / "two")).exit_code == 0
    assert kinds(plan(tmp_path / "one", tmp_path / "two")) == {"a": "skip"}
    with pytest.raises(e.ConfigError, match="cannot be used as a journal"):
        apply(plan(tmp_path / "one", tmp_path / "two"), journal=tmp_path / "file" / "journal")


def test_what_was_equal_is_not_for_another_encoding(tmp_path, aged):
    with_index = Index(tmp_path / "index")
    one, two = open_store(tmp_path / "one"), open_store(tmp_path / "two")
    one.put("a", b"1" * 100)
    apply(plan(one, two, index=with_index), index=with_index)
    assert kinds(plan(one, two, index=with_index)) == {"a": "skip"}
    assert kinds(plan(one, two, index=with_index, reencode="gzip")) == {"a": "update"}
    apply(plan(one, two, index=with_index, reencode="gzip"), index=with_index)
    assert kinds(plan(one, two, index=with_index, reencode="gzip")) == {"a": "skip"}
    assert kinds(plan(one, two, index=with_index)) == {"a": "update"}
    with_index.close()


def test_stored_encodings_are_compared_as_they_are_stored(tmp_path):
    one, two = MemoryStore(), MemoryStore()
    one.write("a", b"x", WriteOptions(content_encoding="br"))
    two.write("a", b"x", WriteOptions(content_encoding="br"))
    assert kinds(plan(one, two)) == {"a": "skip"}


def test_chosen_keys_are_asked_for_and_nothing_is_listed():
    source, target = CountingStore(store_of(a=b"1", b=b"2", c=b"3")), CountingStore(store_of(b=b"2", d=b"4"))
    planned = plan(source, target, keys=["b", "a", "a", "missing"])
    assert kinds(planned) == {"a": "add", "b": "skip", "missing": "refuse"}
    assert source.calls["scan"] == target.calls["scan"] == 0
    with pytest.raises(e.ConfigError, match="whole listings"):
        plan(source, target, keys=["a"], delete=True)


@pytest.mark.server
def test_the_plan_says_whether_deletions_can_be_undone(moto, tmp_path):
    bucket = moto.make_bucket()
    remote = open_moto(moto, bucket)
    remote.put("extra", b"1")
    open_store(tmp_path).put("a", b"1")
    assert not plan(tmp_path, remote, delete=True).terms.recoverable
    moto.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    planned = plan(tmp_path, remote, delete=True)
    assert planned.terms.recoverable is True
    assert "Deletions are recoverable" in str(planned)
    assert "permanent" in str(plan(store_of(a=b""), store_of(b=b""), delete=True))


def test_an_index_on_a_full_disk_or_damaged_ends_no_sync(tmp_path, aged):
    with_index = Index(tmp_path / "index")
    one, two = open_store(tmp_path / "one"), open_store(tmp_path / "two")
    for number in range(200):
        for store in (one, two):
            store.put(f"{number:03}" * 20, b"1")
    with_index._connection.execute("pragma max_page_count=8")
    assert set(kinds(plan(one, two, index=with_index)).values()) == {"skip"}
    one.put("new", b"2")
    assert apply(plan(one, two, index=with_index), index=with_index).exit_code == 0
    with_index._connection.execute("drop table digests")
    assert set(kinds(plan(one, two, index=with_index)).values()) == {"skip"}
    with_index.close()
    with pytest.raises(sqlite3.ProgrammingError):
        with_index.synced("pair", "a")


def test_what_a_service_wrote_within_the_second_of_the_copy_may_be_newer():
    class Remote(MemoryStore):
        local = False

    second = datetime(2026, 1, 1, 12, 0, 5, tzinfo=UTC)
    copied = ObjectInfo("a", size=2, last_modified=second + timedelta(seconds=0.4))
    listed = ObjectInfo("a", size=2, last_modified=second)
    by_time = Comparison(*_places(Remote(), MemoryStore()), "size+mtime")
    assert by_time(listed, copied).same is False
    assert by_time(listed, replace(copied, last_modified=second + timedelta(seconds=1))).same is True
    assert by_time(replace(listed, last_modified=second + timedelta(seconds=0.3)), copied).same is True
    local = Comparison(*_places(MemoryStore(), Remote()), "size+mtime")
    assert local(listed, copied).same is True


# ---------------------------------------------------------------------- what a plan learns
def test_what_a_plan_found_equal_is_not_read_by_the_next_one(tmp_path, aged):
    with_index = Index(tmp_path / "index")
    one, two = CountingStore(open_store(tmp_path / "one")), CountingStore(open_store(tmp_path / "two"))
    for store in (one, two):
        for key in ("a", "b", "other"):
            store.put(key, key.encode() if key != "other" else store.name[-2:].encode())
    assert reasons(plan(one, two, index=with_index)) == {
        "a": "same contents", "b": "same contents", "other": "contents differ",
    }  # fmt: skip
    two.put("b", b"B")
    with_index._many("delete from digests where key <> ?", [("",)])
    one.reset()
    assert reasons(plan(one, two, index=with_index)) == {
        "a": "unchanged since the last sync", "b": "contents differ", "other": "contents differ",
    }  # fmt: skip
    assert one.bytes_read == len(b"b") + 2
    with_index.close()


@pytest.mark.parametrize("compare", ["size", "size+mtime", "etag"])
def test_what_only_seems_equal_is_not_remembered(tmp_path, aged, compare):
    with_index = Index(tmp_path / "index")
    one, two = open_store(tmp_path / "one"), open_store(tmp_path / "two")
    one.put("a", b"1")
    two.put("a", b"2")
    plan(one, two, index=with_index, compare=compare)
    assert reasons(plan(one, two, index=with_index)) == {"a": "contents differ"}
    plan(one, two, index=with_index, compare="size", on_unknown="skip")
    assert reasons(plan(one, two, index=with_index)) == {"a": "contents differ"}
    with_index.close()


@pytest.mark.server
def test_fresh_files_are_not_remembered_by_a_plan_on_either_side(moto, tmp_path):
    with_index = Index(tmp_path / "index")
    local, remote = open_store(tmp_path / "local"), open_moto(moto, moto.make_bucket())
    for store in (local, remote):
        store.put("a", b"1")
    for pair in ((local, remote), (remote, local)):
        for _ in range(2):
            assert reasons(plan(*pair, index=with_index)) == {"a": "same MD5"}
    with_index.close()


@pytest.mark.server
def test_what_heads_have_told_is_not_asked_again(moto, tmp_path):
    """Versions of services may be as fresh as they like."""
    with_index = Index(tmp_path / "index")
    stores = []
    for part in (5 * MIB, 6 * MIB):
        bucket = moto.make_bucket()
        upload_in_parts(moto, bucket, body(13 * MIB), part)
        stores.append(CountingStore(open_moto(moto, bucket)))
        stores[-1].put("a", b"1")
    one, two = stores
    assert reasons(plan(one, two, index=with_index, compare="digest")) == {"a": "same ETag", "large": "same contents"}
    one.reset()
    two.reset()
    assert set(reasons(plan(one, two, index=with_index)).values()) == {"unchanged since the last sync"}
    assert one.calls["read"] + two.calls["read"] == 0
    with_index.close()


def test_an_index_is_for_the_eyes_of_its_user_alone(tmp_path):
    umask = os.umask(0o022)
    try:
        with_index = Index(tmp_path / "index")
        with_index.remember_digest("place", "a", Identity(1, "x"), "md5", "x", 0.0)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        with_index.close()
    finally:
        os.umask(umask)
    assert set(modes.values()) == {0o600}


def test_what_is_unchanged_is_told_without_a_question_for_each(tmp_path, aged):
    source, target = open_store(tmp_path / "here"), open_store(tmp_path / "there")
    keys = [f"{number:04}" for number in range(1234)] + ["\udcff-no-utf-8"]
    for key in keys:
        source.put(key, b"x")
    index = Index(tmp_path / "index")
    apply(plan(source, target, index=index), index=index)
    source.put("0500", b"y")
    target.put("0501", b"z")
    asked = []
    index.synced = lambda pair, key: asked.append(key)  # type: ignore[method-assign,assignment]
    again = plan(source, target, index=index)
    assert {key for key, reason in reasons(again).items() if reason != "unchanged since the last sync"} == set(asked)
    assert set(asked) == {"0500", "0501"}
    assert [action.key for action in again] == keys
    index.close()


def differing(planned):
    return {action.key: (action.kind, action.reason) for action in planned if action.kind != "skip"}


@pytest.mark.server
def test_what_was_changed_since_the_last_sync_is_known_without_a_request(moto, tmp_path, aged):
    local, remote = open_store(tmp_path / "local"), CountingStore(open_moto(moto, moto.make_bucket()))
    for number in range(5):
        local.put(f"{number}", b"%d" % number)
    index = Index(tmp_path / "index")
    apply(plan(local, remote, index=index), index=index)
    local.put("1", b"x")
    os.utime(tmp_path / "local/2", (1, 1))
    remote.reset()
    pushed = plan(local, remote, index=index)
    assert differing(pushed) == {"1": ("update", "changed since the last sync")}
    assert reasons(pushed)["2"] == "same MD5"
    assert (remote.calls["read"], remote.bytes_read) == (1, 0), "how the bytes of 2 are encoded, which no listing tells"
    assert apply(pushed, index=index).updated == 1
    assert remote.get("1") == b"x"
    back = open_store(tmp_path / "back")
    apply(plan(remote, back, index=index), index=index)
    remote.put("3", b"y")
    remote.reset()
    assert differing(plan(remote, back, index=index)) == {"3": ("update", "changed since the last sync")}
    assert (remote.calls["read"], remote.bytes_read) == (0, 0)
    back.put("3", b"z")  # now both sides have changed: what was known proves nothing
    assert differing(plan(remote, back, index=index)) == {"3": ("update", "MD5s differ")}
    index.close()


def test_an_index_of_an_earlier_form_is_begun_anew(tmp_path):
    with sqlite3.connect(tmp_path / "index") as old:
        old.execute("create table synced (pair text, key text, source text, target text, primary key (pair, key))")
        old.execute("insert into synced values ('pair', 'a', 'x', 'y')")
    old.close()
    for _ in range(2):
        with_index = Index(tmp_path / "index")
        assert with_index.synced("pair", "a") in (None, ("x", "y", "00000000-1", None, None))
        with_index.record("pair", [("a", Identity(1, "x"), Identity(1, "y"))], 0.0, {"a": "00000000-1"})
        assert with_index.synced("pair", "a") == ("x", "y", "00000000-1", None, None)
        with_index.close()
