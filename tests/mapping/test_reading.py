"""What a mapping reads is the version that it knows, whoever else reads, writes and deletes meanwhile."""

from __future__ import annotations

import threading

import pytest

from holdfast import CloudMapping, KeySyncError, open_store
from tests.mapping.places import Intervening
from tests.servers import gcs as gcs_server
from tests.servers.faulty_s3 import FaultyS3
from tests.stores.s3_stores import quick


def elsewhere(action, *arguments):
    """Do it in another thread, now."""
    thread = threading.Thread(target=action, args=arguments)
    thread.start()
    thread.join()


# ---------------------------------------------------------------------- threads that share a mapping
@pytest.mark.parametrize(
    ("read", "left"),
    [
        (lambda mapping: list(mapping.items()), [("a", b"1")]),
        (lambda mapping: list(mapping.values()), [b"1"]),
        (lambda mapping: mapping.get_many(["a", "b"]), {"a": b"1"}),
        (lambda mapping: mapping == {"a": b"1", "b": b"2"}, False),
        (lambda mapping: ("b", b"2") in mapping.items(), False),
        (lambda mapping: b"2" in mapping.values(), False),
    ],
)
def test_a_key_that_another_thread_deletes_while_it_is_read_is_left_out(memory, read, left):
    mapping = CloudMapping(store := Intervening(memory.open()))
    mapping["a"], mapping["b"] = b"1", b"2"

    def delete():
        elsewhere(mapping.__delitem__, "b")

    original = store._read

    def reading(key, *options):
        if key == "b":
            store.before("read", delete)
            store._read = original
        return original(key, *options)

    store._read = reading
    assert read(mapping) == left
    assert list(mapping) == ["a"]


def test_a_thread_is_not_in_conflict_with_one_that_brings_an_etag_back():
    with FaultyS3() as server:
        keys = {"access_key_id": "A", "secret_access_key": "S"}
        mapping = CloudMapping(open_store(f"s3://{server.endpoint}/bucket", retry=quick(), **keys))
        mapping["k"] = b"E"
        writes = [b"E", b"F"]  # F before the read is answered, and E before the reader looks what is known now

        def write(request):
            if request.method == "GET" and request.key == "k" and writes:
                elsewhere(mapping.__setitem__, "k", writes.pop())

        server.fault = server.after = write
        assert mapping["k"] == b"E"
        assert writes == []


# ---------------------------------------------------------------------- others
def test_a_body_that_had_to_be_fetched_again_is_not_served_as_another_version(gcs, monkeypatch):
    bucket = gcs.make_bucket()
    mine, theirs = (CloudMapping(open_store(gcs.url(bucket), token=gcs.token, retry=quick())) for _ in range(2))
    mine["k"] = b"old" * 1000
    theirs.sync_with_cloud()
    whole = gcs_server._in_chunks

    def broken(body):
        if not body.startswith(b"old"):
            return whole(body)
        theirs["k"] = b"NEW" * 1000
        return b"ZZZ\r\n\r\n"

    monkeypatch.setattr(gcs, "chunked", True)
    monkeypatch.setattr(gcs_server, "_in_chunks", broken)
    with pytest.raises(KeySyncError) as caught:
        mine["k"]
    assert theirs["k"] == b"NEW" * 1000
    assert (caught.value.expected, caught.value.found) == (mine.etags["k"], theirs.etags["k"])


# ---------------------------------------------------------------------- reading blindly
def test_blind_reads_of_many_leave_out_what_was_deleted_elsewhere_or_give_the_default(place):
    mine = place.mapping(read_blindly=True, read_blindly_error=True)
    mine["a"], mine["b"] = b"1", b"2"
    del (theirs := place.mapping())["b"]
    assert list(mine.items()) == [("a", b"1")]
    assert list(mine.values()) == [b"1"]
    assert mine != {"a": b"1", "b": b"2"}
    assert ("b", b"2") not in mine.items()
    assert list(mine) == ["a", "b"]
    mine.read_blindly_error = False
    assert list(mine.items()) == [("a", b"1"), ("b", None)]
    assert dict(theirs) == {"a": b"1"}


def test_a_blind_setdefault_does_not_bring_back_what_was_deleted_elsewhere(place):
    mine = place.mapping(read_blindly=True)
    mine["a"] = b"1"
    del place.mapping()["a"]
    with pytest.raises(KeySyncError):
        mine.setdefault("a", b"default")
    assert dict(place.mapping()) == {}
    mine.sync_with_cloud("a")
    assert mine.setdefault("a", b"default") == b"default"
