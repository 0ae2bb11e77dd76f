"""Copies that the service makes: within and between buckets, in one request or in parts, exact, of one version."""

from __future__ import annotations

import urllib.parse

import pytest

from holdfast.errors import AlreadyExists, BucketNotFound, Conflict, NotFound, StoreError
from holdfast.stores.s3.wire import Guarantees
from holdfast.sync.copying import copy_objects
from holdfast.types import WriteOptions
from holdfast.wrap.rekey import PrefixStore
from tests.servers.faults import Answer as Said
from tests.servers.faults import Fault, error, instead
from tests.servers.faulty_s3 import FaultyS3, Stored
from tests.stores.before import Before
from tests.stores.s3_stores import open_store
from tests.stores.scripted import Answer

pytestmark = pytest.mark.server
MIB = 1 << 20
XML = {"Content-Type": "application/xml"}
OPTIONS = WriteOptions(content_type="text/x-copied", cache_control="no-store", metadata={"a": "b"})


@pytest.fixture(params=["moto", "ceph"], scope="module")
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def watched(server):
    with Before(server) as before:
        yield before


@pytest.fixture
def store(server, watched):
    # The server checks the Host header's signature, so what is signed for the watcher must come from it.
    return open_store(watched, server.make_bucket())


def body(size):
    return bytes(range(256)) * (size // 256) + bytes(size % 256)


@pytest.mark.parametrize("key", ["target", "odd//key/", "a b+c/\u00fc"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_copy_keeps_everything_and_moves_nothing_through_here(store, watched, server, elsewhere, key):
    source = open_store(watched, server.make_bucket()) if elsewhere else store
    source.write("source", b"data", OPTIONS)
    watched.requests.clear()
    info = store.copy("source", key, source)
    assert watched.bodies() == []
    assert len(watched.requests) == 2
    head = store.head(key)
    assert (info.key, info.size, info.etag) == (key, 4, head.etag)
    for shown in (info, head):
        assert (shown.content_type, shown.cache_control) == ("text/x-copied", "no-store")
        assert shown.metadata == OPTIONS.metadata
    assert store.get(key) == b"data"
    back = source.copy(key, "back", store)
    assert source.get("back") == b"data"
    assert back.metadata == OPTIONS.metadata


def test_a_copy_between_prefixes_of_two_buckets_is_native(store, watched, server):
    source = PrefixStore(open_store(watched, server.make_bucket()), "run1/")
    target = PrefixStore(store, "deep/er/")
    for number in range(5):
        source.put(f"{number}", b"x" * number)
    watched.requests.clear()
    done = list(copy_objects(source, target, [(str(number), f"to/{number}") for number in range(5)]))
    assert [outcome.error for outcome in done] == [None] * 5
    assert watched.bodies() == []
    assert [row.size for row in store.list("deep/er/to/")] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("size", [11 * MIB, 10 * MIB, 10 * MIB + 1])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_large_object_is_copied_in_parts(store, watched, server, size, elsewhere):
    source = open_store(watched, server.make_bucket()) if elsewhere else store
    source.write("source", body(size), OPTIONS)
    store.largest_copy, store.copy_part = size - 1, 5 * MIB
    watched.requests.clear()
    info = store.copy("source", "target", source)
    assert watched.count("PUT", "partNumber") == -(-size // (5 * MIB))
    assert watched.bodies() == []
    head = store.head("target")
    assert head.etag == info.etag
    assert (head.size, head.content_type, head.metadata) == (size, "text/x-copied", OPTIONS.metadata)
    assert store.get("target") == body(size)
    store.largest_copy = size
    watched.requests.clear()
    store.copy("source", "whole", source)
    assert watched.count("PUT", "partNumber") == 0


def test_the_parts_of_a_copy_that_fails_are_aborted(server):
    def refuse_the_second_part(request):
        if "partNumber=2" in request.target:
            return Answer(403, b"<Error><Code>AccessDenied</Code></Error>", XML)
        return None

    with Before(server, refuse_the_second_part) as before:
        store = open_store(before, server.make_bucket())
        store.put("source", body(11 * MIB))
        store.largest_copy, store.copy_part = 5 * MIB, 5 * MIB
        with pytest.raises(PermissionError):
            store.copy("source", "target")
        assert not store.exists("target")
        assert not server.client().list_multipart_uploads(Bucket=store.bucket).get("Uploads")


@pytest.mark.parametrize("where", ["CopyObject", "UploadPartCopy", "Complete"])
def test_an_error_that_comes_with_success_is_an_error(server, where):
    failing = []

    def fail(request):
        query = urllib.parse.urlsplit(request.target).query
        copies = "x-amz-copy-source" in request.headers
        this = {
            "CopyObject": copies and not query,
            "UploadPartCopy": copies and "partNumber" in query,
            "Complete": request.method == "POST" and "uploadId" in query,
        }[where]
        if this and len(failing) < limit:
            failing.append(request)
            return Answer(200, b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>", XML)
        return None

    with Before(server, fail) as before:
        store = open_store(before, server.make_bucket())
        store.put("source", body(6 * MIB))
        if where != "CopyObject":
            store.largest_copy, store.copy_part = 5 * MIB, 5 * MIB
        limit = 2
        if where == "Complete":
            with pytest.raises(Exception, match="the answer to the last request of the copy to 'target' was lost"):
                store.copy("source", "target")
            assert len(failing) == 1
            return
        assert store.copy("source", "target").size == 6 * MIB
        assert len(failing) == 2
        limit = 100
        with pytest.raises(StoreError, match="InternalError"):
            store.copy("source", "other")
        assert not store.exists("other")
        assert not server.client().list_multipart_uploads(Bucket=store.bucket).get("Uploads")


@pytest.mark.parametrize("large", [False, True])
def test_a_source_that_is_replaced_meanwhile_is_looked_at_anew(server, large):
    client, changes = server.client(), []

    def version(number):
        return bytes([number]) * 6 * MIB

    def replaced(request):
        if "x-amz-copy-source" in request.headers and len(changes) < limit:
            changes.append(1)
            number = len(changes)
            client.put_object(Bucket=bucket, Key="source", Body=version(number), Metadata={"which": str(number)})

    with Before(server, replaced) as before:
        bucket = server.make_bucket()
        store = open_store(before, bucket)
        if large:
            store.largest_copy, store.copy_part = 5 * MIB, 5 * MIB
        store.write("source", version(0), WriteOptions(metadata={"which": "0"}))
        limit = 1
        store.copy("source", "target")
        assert store.head("target").metadata == {"which": "1"}
        assert store.get("target") == version(1)
        limit = 100
        if not large:  # neither server obeys the condition on the source, but each copies one version, whole
            assert any("x-amz-copy-source-if-match" in request.headers for request in before.requests)
            store.copy("source", "other")
            assert store.get("other") == version(int(store.head("other").metadata["which"]))
            return
        with pytest.raises(Conflict, match="replaced again and again"):
            store.copy("source", "other")
        assert not store.exists("other")


def test_attributes_are_never_those_of_another_version_of_the_source(server):
    client, changes = server.client(), []

    def replaced(request):
        if "x-amz-copy-source" in request.headers and not changes:
            changes.append(1)
            client.put_object(Bucket=bucket, Key="source", Body=b"new", Metadata={"which": "new"})

    with Before(server, replaced) as before:
        bucket = server.make_bucket()
        store = open_store(before, bucket)
        store.write("source", b"old", WriteOptions(metadata={"which": "old"}))
        info = store._copy(store, "source", "target", WriteOptions(content_type="a/b"))
        assert store.get("target") == b"new"
        assert info.metadata == store.head("target").metadata == {"which": "new"}


def test_attributes_that_are_given_replace_those_of_the_source(store, watched):
    store.write("source", b"data", OPTIONS)
    watched.requests.clear()
    info = store._copy(store, "source", "typed", WriteOptions(content_type="text/plain"))
    assert info.content_type == store.head("typed").content_type == "text/plain"
    assert store.head("typed").metadata == OPTIONS.metadata
    info = store._copy(store, "source", "named", WriteOptions(metadata={"c": "d"}))
    assert info.metadata == store.head("named").metadata == {"c": "d"}
    assert store.head("named").content_type == "text/x-copied"
    store._copy(store, "source", "source", WriteOptions(content_language="de"))
    head = store.head("source")
    assert (head.content_language, head.cache_control, head.metadata) == ("de", "no-store", OPTIONS.metadata)
    assert watched.bodies() == []


WAYS = {
    "whole": (WriteOptions(), {}),
    "with other attributes": (WriteOptions(content_type="a/b"), {}),
    "in parts": (WriteOptions(), {"largest_copy": 0}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_copy_carries_along_what_no_store_shows(store, watched, server, way, elsewhere):
    options, limits = WAYS[way]
    source = open_store(watched, server.make_bucket()) if elsewhere else store
    client, tags = server.client(), [{"Key": "a b", "Value": "c=d+/é"}, {"Key": "empty", "Value": ""}]
    client.put_object(
        Bucket=source.bucket,
        Key="source",
        Body=b"data",
        Expires="Wed, 21 Oct 2037 07:28:00 GMT",
        WebsiteRedirectLocation="/elsewhere",
    )
    client.put_object_tagging(Bucket=source.bucket, Key="source", Tagging={"TagSet": tags})
    for name, value in limits.items():
        setattr(store, name, value)
    store._copy(source, "source", "target", options)
    if way == "whole" or server.name != "ceph":  # whose uploads ignore tags, as do copies with other attributes
        there = client.get_object_tagging(Bucket=store.bucket, Key="target")["TagSet"]
        assert sorted(there, key=lambda tag: tag["Key"]) == tags
    before, after = (
        client.head_object(Bucket=bucket, Key=key)
        for bucket, key in ((source.bucket, "source"), (store.bucket, "target"))
    )
    for field in ("ExpiresString", "WebsiteRedirectLocation"):
        assert after.get(field) == before.get(field)


def test_a_copy_under_a_condition_begins_with_what_no_store_shows():
    kept = {"expires": "Wed, 21 Oct 2037 07:28:00 GMT", "x-amz-website-redirect-location": "/elsewhere"}
    tags = b"<Tagging><TagSet><Tag><Key>a&amp;b</Key><Value>c d</Value></Tag></TagSet></Tagging>"
    part = b'<CopyPartResult><ETag>"part"</ETag></CopyPartResult>'
    with FaultyS3() as server:
        server.objects["source"] = Stored(b"data", kept)
        server.inject(instead(Said(200, tags, XML)), lambda request: "tagging" in request.query)
        server.inject(Fault(change=lambda _: Said(200, part, XML)), lambda r: "x-amz-copy-source" in r.headers)
        store = open_store(server)
        store._known = Guarantees()
        store._copy(store, "source", "target", WriteOptions(if_absent=True))
        [begun] = [request for request in server.requests if "uploads" in request.query]
    assert begun.headers["x-amz-tagging"] == "a%26b=c%20d"
    assert {name: begun.headers[name] for name in kept} == kept


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(403, b"<Error><Code>AccessDenied</Code></Error>", XML), PermissionError),
        (Answer(501, b"<Error><Code>NotImplemented</Code></Error>", XML), None),
        (Answer(200, b"the object itself"), None),
    ],
)
def test_tags_that_cannot_be_read_are_not_lost_in_silence(server, answer, error):
    def asked(request):
        return answer if "tagging" in request.target else None

    with Before(server, asked) as before:
        bucket = server.make_bucket()
        store = open_store(before, bucket)
        store.put("source", b"data")
        store.largest_copy = 0
        if error is None:
            assert store.copy("source", "target").size == 4
            return
        with pytest.raises(error, match="tags"):
            store.copy("source", "target")
        assert not store.exists("target")
        tagged = open_store(before, bucket, tags={"its": "own"})
        tagged.largest_copy = 0
        assert tagged.copy("source", "target").size == 4


def test_the_history_of_an_object_is_not_its_copy_s(store, server):
    first = store.create("source", b"first")
    store.replace_if("source", b"second", first.etag)
    store.copy("source", "target")
    metadata = server.client().head_object(Bucket=store.bucket, Key="target")["Metadata"]
    assert not [name for name in metadata if "history" in name]
    assert store.get("target") == b"second"


@pytest.mark.parametrize("size", [0, 4, 6 * MIB])
def test_a_copy_under_a_condition_is_exact(store, size):
    store.write("source", body(size), OPTIONS)
    first = store._copy(store, "source", "target", WriteOptions(if_absent=True))
    head = store.head("target")
    assert (head.etag, head.content_type, head.metadata) == (first.etag, "text/x-copied", OPTIONS.metadata)
    store.put("target", b"other")
    with pytest.raises(AlreadyExists):
        store._copy(store, "source", "target", WriteOptions(if_absent=True))
    with pytest.raises(Conflict):
        store._copy(store, "source", "target", WriteOptions(if_match=head.etag))
    assert store.get("target") == b"other"
    store._copy(store, "source", "target", WriteOptions(if_match=store.head("target").etag))
    assert store.get("target") == body(size)


def test_what_is_missing_is_named(store, watched, server):
    store.put("source", b"x")
    with pytest.raises(NotFound, match="no object 'nothing'"):
        store.copy("nothing", "target")
    nowhere = open_store(watched, "there-is-no-such-bucket", retry=store.retry)
    with pytest.raises(BucketNotFound, match="there-is-no-such-bucket"):
        store.copy("source", "target", nowhere)
    with pytest.raises(BucketNotFound, match="there-is-no-such-bucket"):
        nowhere.copy("source", "target", store)


def test_a_service_without_copies_is_copied_through_here():
    with FaultyS3() as server:
        done, there = server._answer, set()

        def no_copies(request):
            if "x-amz-copy-source" in request.headers:
                there.add(request.target)
                return error(501, "NotImplemented")
            return done(request)

        server._answer = no_copies
        store = open_store(server, "bucket")
        store.put("source", b"data")
        assert store.copy("source", "target").size == 4
        assert server.objects["target"].body == b"data"
        assert there
