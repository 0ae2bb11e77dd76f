"""Options of S3Store: what is asked for reaches the service over both planes, and keys stay secret."""

from __future__ import annotations

import base64
import logging
import pickle

import pytest

from holdfast.errors import AuthError, ConfigError, StoreError, Unsupported
from holdfast.registry import open_store as open_location
from holdfast.stores.s3.options import S3Options
from holdfast.types import ReadOptions, WriteOptions
from tests.servers.faulty_s3 import FaultyS3
from tests.stores.before import Before
from tests.stores.s3_stores import open_store

pytestmark = pytest.mark.server
MIB = 1 << 20
LARGE = 12 * MIB
KEY = bytes(range(32))
#: One write for each way to the service: the engine in one request and in parts, the wire in one and in parts.
WRITES = {
    "engine": lambda store: store.put("key", b"data"),
    "engine, in parts": lambda store: store.put("key", (bytes(MIB) for _ in range(12))),
    "wire": lambda store: store.put("key/", b"data"),
    "wire, in parts": lambda store: store.put("key/", (bytes(MIB) for _ in range(12))),
    "create": lambda store: store.create("key", b"data"),
    "copy": lambda store: store.put("from", b"data") and store.copy("from", "key"),
    "large copy": lambda store: store.put("from", bytes(LARGE)) and store.copy("from", "key"),
}


def write(store, way):
    store.largest_copy, store.copy_part = 6 * MIB, 6 * MIB
    WRITES[way](store)
    return next(row.key for row in store.list("key"))


@pytest.mark.parametrize("way", WRITES)
def test_class_tags_and_encryption_reach_the_service(moto, way):
    options = {"storage_class": "STANDARD_IA", "tags": {"a b": "c=d/e", "e": ""}, "encryption": "aws:kms"}
    with Before(moto) as before:
        store = open_store(before, kms_key_id="some-key", bucket_key=True, **options)
        key = write(store, way)
        asked = [request.headers.get("x-amz-server-side-encryption-bucket-key-enabled") for request in before.requests]
    assert set(map(str.lower, filter(None, asked))) == {"true"}  # moto forgets it in multipart uploads
    client = moto.client()
    head = client.head_object(Bucket=store.bucket, Key=key)
    assert head["StorageClass"] == "STANDARD_IA"
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", "some-key")
    tags = client.get_object_tagging(Bucket=store.bucket, Key=key)["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"a b": "c=d/e", "e": ""}


@pytest.mark.parametrize("way", WRITES)
def test_an_acl_is_given_to_new_objects(ceph, way):
    store = open_store(ceph, acl="public-read")
    key = write(store, way)
    grants = ceph.client().get_object_acl(Bucket=store.bucket, Key=key)["Grants"]
    assert any(grant["Grantee"].get("URI", "").endswith("/AllUsers") for grant in grants)
    anonymous = open_store(ceph, store.bucket, access_key_id=None, secret_access_key=None, anonymous=True)
    assert len(anonymous.get(key)) in {4, LARGE}


@pytest.mark.parametrize("way", WRITES)
def test_a_key_of_the_service_encrypts(ceph, way):
    store = open_store(ceph, encryption="aws:kms", kms_key_id=ceph.kms_key)
    key = write(store, way)
    head = ceph.client().head_object(Bucket=store.bucket, Key=key)
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", ceph.kms_key)
    assert len(store.get(key)) in {4, LARGE}


@pytest.mark.parametrize("way", [way for way in WRITES if "copy" not in way])  # Ceph 16 copies no such objects
def test_a_key_of_the_customer_encrypts_and_is_needed_to_read(ceph, way):
    store = open_store(ceph, sse_customer_key=KEY)
    key = write(store, way)
    assert len(store.get(key)) in {4, LARGE}
    assert store.head(key).size in {4, LARGE}
    assert len(store.read(key, ReadOptions(1, 3)).bytes()) == 2
    with pytest.raises(StoreError, match="400"):
        open_store(ceph, store.bucket).get(key)
    with pytest.raises((StoreError, AuthError)):
        open_store(ceph, store.bucket, sse_customer_key=b"x" * 32).get(key)


@pytest.mark.parametrize("large", [False, True])
def test_a_copy_of_what_the_customer_encrypted_has_both_keys_in_its_headers(moto, large):
    with Before(moto) as before:
        store = open_store(before, sse_customer_key=KEY)
        store.wire().encrypts = True  # moto takes the key, but does not say so as Amazon does
        write(store, "large copy" if large else "copy")
        copies = [request for request in before.requests if "x-amz-copy-source" in request.headers]
        assert copies
        for request in copies:
            for name in ("x-amz-server-side-encryption", "x-amz-copy-source-server-side-encryption"):
                assert request.headers[f"{name}-customer-algorithm"] == "AES256"
                assert request.headers[f"{name}-customer-key"] == base64.b64encode(KEY).decode()
                assert request.headers[f"{name}-customer-key-md5"]


def test_stores_with_different_keys_copy_through_here(ceph):
    store = open_store(ceph, sse_customer_key=KEY)
    plain = open_store(ceph, store.bucket)
    store.put("secret", b"data")
    assert plain._locate("x").identity != store._locate("x").identity
    plain.copy("secret", "clear", store)
    assert plain.get("clear") == b"data"


@pytest.mark.parametrize("options", [{"encryption": "AES256"}, {"sse_customer_key": KEY}])
def test_a_service_that_ignores_the_encryption_is_found_out(options):
    with FaultyS3() as server:
        store = open_store(server, "bucket", **options)
        for _ in range(2):
            with pytest.raises(Unsupported, match=r"ignores it.*'key' lies there in clear"):
                store.put("key", b"secret")
        with pytest.raises(Unsupported, match=r"ignores it.*'new' lies there in clear"):
            store.create("new", b"secret")


def test_the_encryption_is_looked_at_once(moto):
    with Before(moto) as before:
        store = open_store(before, encryption="AES256")
        for number in range(4):
            store.put(f"key-{number}", b"x")
        assert before.count("HEAD") == 1


def test_the_requester_pays_on_both_planes(moto):
    with Before(moto) as before:
        store = open_store(before, request_payer=True)
        for key in ("key", "key/"):
            store.put(key, b"x")
            store.get(key)
        list(store.list())
        store.remove(["key", "key/"])
        assert len(before.requests) >= 7
        assert {request.headers.get("x-amz-request-payer") for request in before.requests} == {"requester"}


def test_what_one_write_says_wins(moto):
    store = open_store(moto, storage_class="STANDARD_IA")
    for key in ("key", "key/"):
        store.write(key, b"x", WriteOptions(storage_class="ONEZONE_IA"))
        assert moto.client().head_object(Bucket=store.bucket, Key=key)["StorageClass"] == "ONEZONE_IA"


def test_encryption_comes_from_the_environment_on_both_planes(ceph, monkeypatch):
    monkeypatch.setenv("AWS_SERVER_SIDE_ENCRYPTION", "aws:kms")
    monkeypatch.setenv("AWS_SSE_KMS_KEY_ID", ceph.kms_key)
    store = open_store(ceph)
    for key in ("key", "key/"):
        store.put(key, b"x")
        assert ceph.client().head_object(Bucket=store.bucket, Key=key)["SSEKMSKeyId"] == ceph.kms_key


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"encryption": "rot13"}, "AES256"),
        ({"encryption": "sse-c"}, "sse_customer_key"),
        ({"encryption": "AES256", "sse_customer_key": KEY}, "go together"),
        ({"encryption": "AES256", "kms_key_id": "x"}, "aws:kms"),
        ({"kms_key_id": "a\nb"}, "header"),
        ({"sse_customer_key": b"short"}, "256 bits"),
        ({"sse_customer_key": "not base64!"}, "256 bits"),
        ({"acl": "everybody"}, "public-read"),
        ({"tags": {str(number): "x" for number in range(11)}}, "10"),
        ({"tags": {"a": 1}}, "text"),
        ({"storage_class": "two\r\nlines"}, "header"),
    ],
)
def test_options_that_cannot_be_are_refused(moto, options, word):
    with pytest.raises(ConfigError, match=word) as caught:
        open_store(moto, "bucket", **options)
    assert "short" not in str(caught.value)


def test_options_go_with_a_location(moto, monkeypatch):
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    bucket = moto.make_bucket()
    open_location(f"s3://{bucket}/run1", storage_class="STANDARD_IA", tags={"a": "b"}).put("key", b"x")
    assert moto.client().head_object(Bucket=bucket, Key="run1/key")["StorageClass"] == "STANDARD_IA"


def test_the_customer_s_key_is_never_shown_nor_pickled(ceph, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    store = open_store(ceph, sse_customer_key=KEY, tags={"a": "b"})
    for name, value in ceph.environment.items():
        monkeypatch.setenv(name, value)
    store.put("key", b"x")
    encoded = base64.b64encode(KEY).decode()
    data = pickle.dumps(store)
    assert KEY not in data
    assert encoded.encode() not in data
    assert encoded not in repr(store) + repr(store.options) + repr(store._locate("x")) + caplog.text
    there = pickle.loads(data)
    assert there.options.tags == (("a", "b"),)
    for store in (there, pickle.loads(pickle.dumps(there))):
        with pytest.raises(AuthError, match=r"sse_customer_key= stayed behind.*AWS_SSE_CUSTOMER_KEY_BASE64"):
            store.get("key")
    monkeypatch.setenv("AWS_SSE_CUSTOMER_KEY_BASE64", encoded)
    assert pickle.loads(data).get("key") == b"x"


def test_the_options_of_a_pickle_come_back(moto, monkeypatch):
    store = open_store(moto, "bucket", encryption="aws:kms", kms_key_id="k", acl="private", request_payer=True)
    assert pickle.loads(pickle.dumps(store)).options == store.options
    monkeypatch.setenv("AWS_SERVER_SIDE_ENCRYPTION", "AES256")
    assert pickle.loads(pickle.dumps(store)).options == store.options
    assert repr(S3Options(acl="private")) == "S3Options(acl='private')"
