"""Pending uploads are listed and aborted, writes leave none behind, and buckets are created."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.errors import AlreadyExists, BucketNotFound, StoreError
from holdfast.stores.s3 import PendingUpload
from tests.stores.before import Before
from tests.stores.s3_stores import open_store
from tests.stores.scripted import Answer, Scripted

pytestmark = pytest.mark.server
MIB = 1 << 20
XML = {"Content-Type": "application/xml"}


@pytest.fixture(params=["moto", "ceph"], scope="module")
def server(request):
    return request.getfixturevalue(request.param)


def begin(server, bucket, key, parts=1):
    client = server.client()
    upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    for number in range(1, parts + 1):
        client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=b"x" * 10)
    return upload


# ---------------------------------------------------------------------- uploads
def test_pending_uploads_are_listed_and_aborted(server):
    store = open_store(server)
    keys = ["run1/a", "run1/a", "run1/b c+d", "run10/x", "odd//\u00fc/", "tab\t"]
    begun = sorted((key, begin(server, store.bucket, key)) for key in keys)
    store.put("run1/done", (bytes(MIB) for _ in range(9)))
    found = list(store.list_multipart_uploads())
    assert sorted((upload.key, upload.id) for upload in found) == begun
    age = datetime.now(UTC) - found[0].started
    assert abs(age) < timedelta(days=10000)
    assert [upload.key for upload in store.list_multipart_uploads("run1/")] == ["run1/a", "run1/a", "run1/b c+d"]
    assert list(store.list_multipart_uploads("nothing")) == []
    for upload in store.list_multipart_uploads("run1"):
        assert store.abort_multipart_upload(upload) is None
    assert sorted(upload.key for upload in store.list_multipart_uploads()) == ["odd//\u00fc/", "tab\t"]
    for upload in found:
        store.abort_multipart_upload(upload)  # also those that are gone
    assert not server.client().list_multipart_uploads(Bucket=store.bucket).get("Uploads")
    assert store.head("run1/done").size == 9 * MIB


def test_uploads_beyond_one_page_are_listed_too(ceph):
    store = open_store(ceph)
    begun = {begin(ceph, store.bucket, f"key-{number % 40}", 0) for number in range(1005)}
    with Before(ceph) as before:
        found = list(open_store(before, store.bucket).list_multipart_uploads("key-"))
    assert len(found) == len(begun)
    assert {upload.id for upload in found} == begun
    assert before.count("GET", "uploads") == 2


def rows(*keys, marker=None):
    listed = "".join(
        f"<Upload><Key>{key}</Key><UploadId>u</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>"
        for key in keys
    )
    more = f"<IsTruncated>true</IsTruncated><NextKeyMarker>{marker}</NextKeyMarker>" if marker is not None else ""
    return f"<ListMultipartUploadsResult>{more}{listed}</ListMultipartUploadsResult>".encode()


@pytest.mark.parametrize(
    "pages",
    [
        [rows("a", marker="a"), rows("b", marker="a")],
        [rows("a", marker="")],
        [rows("a").replace(b"<UploadId>u</UploadId>", b"")],
        [rows("a").replace(b"2026", b"last year")],
        [b"<html><body>hello</body></html>"],
    ],
)
def test_a_listing_of_uploads_that_cannot_be_believed_is_an_error(moto, pages):
    left = list(pages)
    with Scripted(lambda request: Answer(200, left.pop(0), XML)) as server:
        store = open_store(moto, "bucket", endpoint=server.endpoint)
        with pytest.raises(StoreError, match=r"cannot be believed|is this an S3 endpoint"):
            list(store.list_multipart_uploads())
    assert not left


# ---------------------------------------------------------------------- within one write
@pytest.mark.parametrize("key", ["by the engine", "over//the wire"])
@pytest.mark.parametrize("status", [500, 503])
def test_a_part_that_fails_is_sent_again_alone(server, key, status):
    failed = []

    def fail(request):
        if "partNumber=2" in request.target and len(failed) < 2:
            failed.append(request)
            return Answer(status, b"<Error><Code>InternalError</Code></Error>", XML)
        return None

    with Before(server, fail) as before:
        store = open_store(before, server.make_bucket())
        body = [bytes([number]) * MIB for number in range(40)]
        assert store.put(key, iter(body)).size == 40 * MIB
        assert store.get(key) == b"".join(body)
        parts = [f"partNumber={number}" for number in (1, 2, 3)]
        assert [before.count("PUT", part) for part in parts] == [1, 3, 1]
        assert before.count("POST", "uploads") == 1


@pytest.mark.parametrize("key", ["by the engine", "over//the wire"])
def test_an_upload_that_fails_for_good_leaves_no_parts(server, key):
    def fail(request):
        if "partNumber=2" in request.target:
            return Answer(403, b"<Error><Code>AccessDenied</Code></Error>", XML)
        return None

    with Before(server, fail) as before:
        store = open_store(before, server.make_bucket())
        store.put(key, b"old")
        with pytest.raises(PermissionError):
            store.put(key, (bytes(MIB) for _ in range(40)))
        assert store.get(key) == b"old"
        assert list(store.list_multipart_uploads()) == []


# ---------------------------------------------------------------------- buckets
def test_a_bucket_is_created_once(server):
    store = open_store(server, f"created-{server.name}-by-holdfast")
    with pytest.raises(BucketNotFound, match="create=True"):
        store.put("key", b"x")
    assert store.create_bucket() is True
    store.put("key", b"x")
    assert store.create_bucket() is False
    assert store.get("key") == b"x"


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
@pytest.mark.parametrize("first", [lambda store: store.put("a", b"x"), lambda store: list(store.list())])
def test_a_bucket_is_created_by_its_first_use_if_asked_for(server, first, region):
    bucket = f"first-{server.name}-{region}-{abs(hash(first)) % 10**6}"
    with Before(server) as before:
        store = open_store(before, bucket, create=True, region=region)
        first(store)
        store.put("b", b"y")
        assert store.get("b") == b"y"
        created = [request for request in before.requests if request.target == f"/{bucket}" and request.method == "PUT"]
        assert 1 <= len(created) <= 2
        if server.name == "moto":
            where = server.client().get_bucket_location(Bucket=bucket)["LocationConstraint"]
            assert where == (None if region == "us-east-1" else region)
    assert pickle.loads(pickle.dumps(open_store(server, bucket, create=True)))._create


def test_somebody_else_s_bucket_is_not_taken_for_ours(ceph):
    def taken(request):
        if request.method == "PUT":
            return Answer(409, b"<Error><Code>BucketAlreadyExists</Code></Error>", XML)
        return Answer(403, b"", XML)

    with Scripted(taken) as server:
        store = open_store(ceph, "bucket", endpoint=server.endpoint)
        with pytest.raises(AlreadyExists, match="choose another name"):
            store.create_bucket()


def test_an_upload_says_what_it_is():
    upload = PendingUpload("key", "id", datetime.now(UTC))
    assert pickle.loads(pickle.dumps(upload)) == upload
