"""What an index remembers holds for one pair of places, one sense of equal and one renaming, and for no others."""

from __future__ import annotations

import gzip
from contextlib import closing
from dataclasses import replace

import pytest

from holdfast import CloudFiles, open_store
from holdfast.remote_storage import RemoteStorage, RemoteStorageConfig
from holdfast.stores.file.store import FileStore
from holdfast.sync import Comparison, Index, apply, plan
from holdfast.sync.comparing import COMPARISONS
from holdfast.sync.index import pair_of
from holdfast.sync.places import place
from holdfast.sync.renaming import renamed
from holdfast.testing.stores import CountingStore
from holdfast.types import WriteOptions
from holdfast.wrap.key_transformers import KeyTransformer
from holdfast.wrap.rekey import KeyTransformingStore, PrefixStore
from tests.stores.scripted import Answer, Scripted

from .test_plan import kinds
from .test_resume import open_moto

#: Two objects of one size that were written in one second have one ETag with some web servers.
OBJECTS = {"a": b"AAAA", "b": b"BBBB"}
OF_BOTH = {"ETag": '"5f000000-4"', "Last-Modified": "Thu, 01 Oct 2020 00:00:00 GMT"}


@pytest.mark.usefixtures("aged")
def test_what_was_renamed_on_its_way_is_not_remembered_as_another_object(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def serve(request):
        data = OBJECTS.get(request.target.rpartition("/")[2])
        return Answer(404) if data is None else Answer(200, data, OF_BOTH)

    with Scripted(serve) as server:
        here, there = CloudFiles(f"{server.endpoint}/d/"), CloudFiles(f"file://{tmp_path}/copy")
        here.transfer_to(there, [{"path": "a", "dest_path": "b"}])
        assert there.get("b") == b"AAAA"
        planned = plan(here, there, keys={"a": "b"})
        assert {action.reason for action in planned} == {"unchanged since the last sync"}
        assert kinds(plan(here, there, keys=["b"], on_unknown="transfer")) == {"b": "update"}


def test_a_renamed_place_lies_where_its_store_does(tmp_path):
    source, target = place(FileStore(tmp_path / "one")), place(FileStore(tmp_path / "two"))
    moved = renamed(source, target, {"dir/q": "x", "a": "b"})
    assert moved.where() == source.where()
    assert moved.directory == source.directory
    pairs = [
        pair_of(source, target),
        pair_of(moved, target),
        pair_of(renamed(source, target, {"dir/q": "x"}), target),
        pair_of(renamed(source, target, {"a": "b"}), target),
    ]
    assert len({*pairs, None}) == 5
    assert pair_of(renamed(source, target, {"a": "a"}), target) == pairs[0]
    assert pair_of(renamed(source, target, {"a": "b", "dir/q": "x"}), target) == pairs[1]


def test_keys_that_others_change_are_no_place_to_remember(tmp_path):
    store = KeyTransformingStore(FileStore(tmp_path), KeyTransformer())
    assert place(store).identity is None


@pytest.mark.server
@pytest.mark.usefixtures("aged")
def test_a_push_that_compares_stored_bytes_says_nothing_about_encodings(moto, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bucket, body = moto.make_bucket(), gzip.compress(b"x" * 100)
    moto.client().put_object(Bucket=bucket, Key="data/a", Body=body, ContentEncoding="gzip")
    open_store(tmp_path / "data").write("a", body, WriteOptions())
    config = RemoteStorageConfig(
        "s3", moto.access_key, bucket, moto.secret_key, host="127.0.0.1", port=moto.port, secure=False
    )
    storage = RemoteStorage(config)
    for _ in range(2):
        assert storage.push("data", local_path_prefix=str(tmp_path)).files_to_sync == []
    planned = plan(tmp_path / "data", PrefixStore(storage.bucket.store, "data/"))
    assert [(action.kind, action.reason) for action in planned] == [("update", "encodings differ (none and gzip)")]


@pytest.mark.server
@pytest.mark.usefixtures("aged")
@pytest.mark.parametrize("push", [False, True])
def test_the_same_bytes_under_another_encoding_are_seen_by_their_time(moto, tmp_path, push):
    """Their ETag is that of before; a time that is another one costs one HEAD, and an unchanged one costs nothing."""
    service, body = open_moto(moto, moto.make_bucket()), gzip.compress(b"x" * 100)
    remote, local = CountingStore(service), open_store(tmp_path / "local")
    one, two = (local, remote) if push else (remote, local)
    one.write("x", body, WriteOptions(content_encoding="gzip"))

    def later(encoding=None):
        before = service.head("x").last_modified
        while service.head("x").last_modified == before:  # services tell whole seconds
            service.write("x", body, WriteOptions(content_encoding=encoding))

    def planned():
        remote.reset()
        [action] = plan(one, two, index=index)
        return action.reason, remote.calls["read"]

    with closing(Index(tmp_path / "index")) as index:
        assert apply(plan(one, two, index=index), index=index).added == 1
        pair = pair_of(place(one), place(two))
        known = index.synced(pair, "x")
        assert planned() == ("unchanged since the last sync", 0)
        assert None not in index.synced(pair, "x")[3:], "the first listing has told it"
        assert index.synced(pair, "x").stamp == known.stamp
        later("gzip")
        assert planned() == ("unchanged since the last sync", 1)
        assert planned() == ("unchanged since the last sync", 0)
        later()
        reason = "encodings differ (gzip and none)" if push else "encodings differ (none and gzip)"
        assert planned() == (reason, 1)
        assert apply(plan(one, two, index=index), index=index).updated == 1
        assert two.head("x").content_encoding == one.head("x").content_encoding
        assert planned() == ("unchanged since the last sync", 0)


@pytest.mark.usefixtures("aged")
def test_many_pairs_at_once_are_judged_as_each_of_them_alone(tmp_path):
    one, two = open_store(tmp_path / "one"), open_store(tmp_path / "two")
    one.put("x", b"same")
    with closing(Index(tmp_path / "index")) as index:
        assert apply(plan(one, two, compare="etag", index=index), index=index).added == 1
        mine, theirs = one.head("x"), two.head("x")
        for compare in COMPARISONS:
            comparison = Comparison(place(one), place(two), compare, index)
            [together] = comparison.at_once([(mine, theirs)])
            assert together in (None, comparison(mine, theirs))
            # A server whose ETags say nothing: the size is another one, and they are not.
            [other_size] = comparison.at_once([(mine, replace(theirs, size=99))])
            assert other_size is None or other_size.same is False
        assert kinds(plan(one, two, compare="etag", index=index)) == {"x": "update"}
