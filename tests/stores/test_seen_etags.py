"""An ETag that was seen in an answer saves the look before the write that names it, and says nothing else."""

from __future__ import annotations

import pickle

import pytest

from holdfast import CloudMapping, Conflict, open_store
from holdfast.stores import _conditions
from tests.servers.faults import LOST_BY_CLOSE
from tests.servers.faulty_s3 import FaultyS3
from tests.stores.s3_stores import quick

KEYS = {"access_key_id": "A", "secret_access_key": "S"}


@pytest.fixture
def server():
    with FaultyS3() as running:
        yield running


@pytest.fixture
def store(server, monkeypatch):
    monkeypatch.setattr(_conditions, "FRESH", 600.0)  # no test takes long
    store = open_store(f"s3://{server.endpoint}/bucket", retry=quick(), **KEYS)
    # Each asks the service what it does with its condition.
    store.replace_if("warm", b"up", store.create("warm", b"").etag)
    server.requests.clear()
    return store


@pytest.fixture
def long_ago(store, monkeypatch):
    """What was seen is never fresh."""
    monkeypatch.setattr(_conditions, "FRESH", -1.0)


def methods(server):
    return [request.method for request in server.requests]


def test_one_request_replaces_what_was_read_or_written(server, store):
    etag = store.create("key", b"1").etag
    etag = store.replace_if("key", b"2", etag).etag
    with store.read("key") as blob:
        assert (blob.bytes(), blob.info.etag) == (b"2", etag)
    store.replace_if("key", b"3", blob.info.etag)
    assert methods(server) == ["PUT", "PUT", "GET", "PUT"]


def test_an_etag_of_a_listing_is_looked_up_first(server, store):
    store.create("key", b"1")
    (info,) = store.list("key")
    server.requests.clear()
    store.replace_if("key", b"2", info.etag)
    assert methods(server) == ["HEAD", "PUT"]


def test_the_history_goes_on_as_if_it_had_been_looked_up(server, store):
    seen = store.create("key", b"1").etag
    seen = store.replace_if("key", b"2", seen).etag
    store.replace_if("key", b"3", str(seen))
    history = server.objects["key"].headers["x-amz-meta-holdfasthistory"].split(",")
    assert len(history) == 3
    assert history[1:] == seen.history.split(",")


def test_a_seen_etag_is_a_str_that_pickles_with_what_it_remembers(store):
    etag = store.create("key", b"1").etag
    copy = pickle.loads(pickle.dumps(etag))
    assert copy.seen < etag.seen  # by the clock of another machine: look first
    assert (copy, copy.history, copy.version) == (etag, etag.history, etag.version)
    assert isinstance(copy, str)


def test_what_was_replaced_since_it_was_seen_is_refused(server, store):
    seen = store.create("key", b"1").etag
    store.put("key", b"theirs")
    with pytest.raises(Conflict):
        store.replace_if("key", b"mine", seen)
    assert store.get("key") == b"theirs"


def test_generations_of_google_are_remembered_too(gcs):
    bucket = gcs.make_bucket()
    store = open_store(gcs.url(bucket), token=gcs.token)
    etag = store.create("key", b"1").etag
    gcs.requests.clear()
    etag = store.replace_if("key", b"1", etag).etag  # the same bytes, and so the same ETag: another generation
    store.replace_if("key", b"2", etag)
    assert [method for method, *_ in gcs.requests] == ["PUT", "PUT"]
    gcs.put(bucket, "key", b"another")
    with pytest.raises(Conflict):
        store.replace_if("key", b"3", etag)
    assert store.get("key") == b"another"


# ---------------------------------------------------------------------- where ETags come back with the bytes
def test_what_was_seen_long_ago_is_looked_up_first(server, store, long_ago):
    etag = store.create("key", b"1").etag
    server.requests.clear()
    etag = store.replace_if("key", b"2", etag).etag
    copy = pickle.loads(pickle.dumps(etag))
    store.replace_if("key", b"3", copy)
    assert methods(server) == ["HEAD", "PUT"] * 2


def test_a_lost_write_is_not_hidden_by_one_who_saw_the_same_bytes_long_ago(server, store, long_ago):
    first = store.create("key", b"E").etag
    other = open_store(f"s3://{server.endpoint}/bucket", retry=quick(), **KEYS)
    remembered = other.head("key").etag  # since when "E" was replaced and came back
    lost = []

    def come_back(request):
        if request.method == "PUT" and not lost:
            lost.append(request)
            server.fault = lambda request: None
            assert server.objects["key"].body == b"W"
            now = other.head("key").etag
            other.replace_if("key", b"E", now)
            other.replace_if("key", b"C", remembered)

    server.fault = lambda request: LOST_BY_CLOSE if request.method == "PUT" else None
    server.after = come_back
    store.replace_if("key", b"W", first)  # it was done, and that is told
    assert len(lost) == 1
    assert server.objects["key"].body == b"C"


def test_a_generation_that_was_written_again_with_the_same_bytes_is_the_same_version(gcs):
    bucket = gcs.make_bucket()
    mine, theirs = (CloudMapping(open_store(gcs.url(bucket), token=gcs.token)) for _ in range(2))
    mine["key"] = b"1"
    theirs.sync_with_cloud()
    theirs["key"] = b"1"
    assert mine["key"] == b"1"
    mine["key"] = b"2"
    assert mine["key"] == b"2"
    theirs.sync_with_cloud()
    theirs["key"] = b"2"
    theirs["key"] = b"other"
    with pytest.raises(Conflict):
        mine["key"] = b"3"
    assert theirs["key"] == b"other"
