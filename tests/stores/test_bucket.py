"""BucketStore: both constructors, what tests of the original rely on, and what the original got wrong."""

from __future__ import annotations

import io
import pickle
import urllib.request
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from holdfast.errors import (
    AuthError,
    BucketNotFound,
    ConfigError,
    NotFound,
    StoreError,
    Throttled,
)
from holdfast.stores.bucket import BucketStore
from holdfast.stores.s3 import S3Store

SECRET = "canary-secret"


def refusal(code):
    return ClientError({"Error": {"Code": code, "Message": "said so"}}, "Operation")


def test_an_injected_client_is_called_by_these_keywords():
    client = Mock()
    store = BucketStore("bucket", client)
    assert store.put("key", b"data") is True
    client.put_object.assert_called_once_with(Bucket="bucket", Key="key", Body=b"data")
    client.get_object.return_value = {"Body": io.BytesIO(b"data")}
    assert store.get("key") == b"data"
    client.get_object.assert_called_once_with(Bucket="bucket", Key="key")
    assert store.exists("key") is True
    client.head_object.assert_called_once_with(Bucket="bucket", Key="key")
    assert store.delete("key") is True
    client.delete_object.assert_called_once_with(Bucket="bucket", Key="key")
    client.get_paginator.return_value.paginate.return_value = [
        {"Contents": [{"Key": "a"}]},
        {},
        {"Contents": [{"Key": "ab"}]},
    ]
    assert list(store.keys(prefix="a")) == ["a", "ab"]
    client.get_paginator.assert_called_once_with("list_objects_v2")
    client.get_paginator.return_value.paginate.assert_called_once_with(Bucket="bucket", Prefix="a")
    store.presigned_put("key", expiry=60)
    client.generate_presigned_url.assert_called_once_with(
        "put_object", Params={"Bucket": "bucket", "Key": "key"}, ExpiresIn=60
    )


def test_a_client_may_come_later():
    store = BucketStore(bucket_name="bucket", client=Mock())
    client = Mock()
    store.set_client(client)
    store.put("key", b"data")
    client.put_object.assert_called_once_with(Bucket="bucket", Key="key", Body=b"data")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("NoSuchKey", NotFound), ("404", NotFound), ("NoSuchBucket", BucketNotFound), ("AccessDenied", AuthError),
        ("403", AuthError), ("SlowDown", Throttled), ("InternalError", StoreError),
    ],
)  # fmt: skip
def test_what_a_client_raises_comes_out_typed(code, kind):
    client = Mock()
    for operation in (client.get_object, client.head_object, client.put_object, client.get_paginator):
        operation.side_effect = refusal(code)
    store = BucketStore("bucket", client)
    for call in (lambda: store.get("key"), lambda: store.delete("key"), lambda: store.put("key", b"")):
        with pytest.raises(kind) as raised:
            call()
        assert raised.value.key == "key"
    if kind is NotFound:
        assert isinstance(raised.value, KeyError)
        assert store.exists("key") is False
    else:
        with pytest.raises(kind):
            store.exists("key")
        with pytest.raises(kind):
            list(store.keys())


def test_a_service_that_cannot_be_reached_may_be_tried_again():
    client = Mock()
    client.get_object.side_effect = EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
    with pytest.raises(StoreError) as raised:
        BucketStore("bucket", client).get("key")
    assert raised.value.retryable
    client.get_object.side_effect = RuntimeError("somebody else's")
    with pytest.raises(RuntimeError):
        BucketStore("bucket", client).get("key")


def test_the_first_constructor_is_a_native_store(moto):
    bucket = moto.make_bucket()
    by_position = BucketStore(moto.endpoint, moto.access_key, moto.secret_key, bucket)
    by_name = BucketStore(
        s3_url=moto.endpoint, s3_access_key=moto.access_key, s3_secret_key=moto.secret_key, bucket_name=bucket
    )
    for number, store in enumerate((by_position, by_name)):
        with store:
            assert isinstance(store.store, S3Store)
            assert store.put(f"key{number}", iter([b"da", b"ta"])) is True
            assert store.get_range(f"key{number}", 1, 3) == b"at"
            assert store.delete(f"key{number}") is True
            with pytest.raises(KeyError):
                store.get(f"key{number}")


def test_settings_for_botocore_are_settings_of_a_client(moto):
    bucket = moto.make_bucket()
    keys = (moto.endpoint, moto.access_key, moto.secret_key, bucket)
    with BucketStore(*keys, {"s3": {"addressing_style": "path"}, "read_timeout": 7}) as store:
        assert store.store.client.meta.config.read_timeout == 7
        store.put("key", b"data")
        assert store.get("key") == b"data"
    with pytest.raises(ConfigError, match="does not take these settings"):
        BucketStore(*keys, {"no_such_setting": 1})


@pytest.mark.parametrize("with_client", [False, True])
def test_signed_urls_work_without_credentials(moto, with_client):
    bucket = moto.make_bucket()
    keys = (moto.endpoint, moto.access_key, moto.secret_key, bucket)
    store = BucketStore(bucket, moto.client()) if with_client else BucketStore(*keys)
    signed, headers = store.presigned_put("a b", expiry=60), {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(signed, data=b"signed", headers=headers, method="PUT")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(store.presigned_get("a b"), timeout=10) as answer:
        assert answer.read() == b"signed"
    assert store.get("a b") == b"signed"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), {}), (("a", "b", "c"), {}), (("a", "b", "c", "d", {}, "f"), {}), (("bucket",), {"bucket_name": "b"}),
        ((), {"s3_url": "http://h"}), (("bucket", Mock()), {"s3_url": "http://h", "s3_access_key": "x"}),
        (("http://h", "k", "s", "bucket"), {"client": Mock()}),
    ],
)  # fmt: skip
def test_what_fits_neither_constructor_is_refused(arguments, named):
    with pytest.raises(TypeError, match="BucketStore takes"):
        BucketStore(*arguments, **named)


def test_keys_are_neither_shown_nor_pickled(moto):
    bucket = moto.make_bucket()
    store = BucketStore(moto.endpoint, "access", SECRET, bucket)
    pickled = pickle.dumps(store)
    assert SECRET.encode() not in pickled
    assert SECRET not in repr(store) + store.name + repr(store.store)
    assert pickle.loads(pickled).name == store.name
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(BucketStore("bucket", Mock()))


# ---------------------------------------------------------------- what a client's errors mean
@pytest.fixture
def stubbed():
    boto3 = pytest.importorskip("boto3")
    from botocore.stub import Stubber

    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        yield BucketStore("photos", client=client), stub


def test_a_missing_bucket_is_no_missing_key(stubbed):
    store, stub = stubbed
    for call in (store.exists, store.delete):
        stub.add_client_error("head_object", "404", "Not Found", 404)
        stub.add_client_error("head_bucket", "404", "Not Found", 404)
        with pytest.raises(BucketNotFound):
            call("key")
    stub.add_client_error("head_object", "404", "Not Found", 404)
    stub.add_response("head_bucket", {})
    assert not store.exists("key")
    stub.add_client_error("head_object", "404", "Not Found", 404)
    assert not store.exists("key")  # the bucket was seen
    stub.assert_no_pending_responses()


def test_only_what_may_pass_by_itself_is_worth_another_try(stubbed):
    store, stub = stubbed
    for code, status, retryable in (("500", 500, True), ("InternalError", 500, True), ("InvalidRequest", 400, False)):
        stub.add_client_error("head_object", code, "x", status)
        with pytest.raises(StoreError) as raised:
            store.exists("key")
        assert raised.value.retryable is retryable


def test_a_client_takes_any_body(stubbed, tmp_path):
    store, stub = stubbed
    (tmp_path / "body").write_bytes(b"abc")
    for body in (b"abc", bytearray(b"abc"), memoryview(b"abc"), iter([b"a", b"bc"]), tmp_path / "body"):
        stub.add_response("put_object", {}, {"Bucket": "photos", "Key": "key", "Body": b"abc"})
        assert store.put("key", body) is True
    stub.assert_no_pending_responses()


def test_no_answer_may_be_tried_again_and_wrong_arguments_not():
    boto3 = pytest.importorskip("boto3")
    from botocore.config import Config

    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    settings = Config(retries={"max_attempts": 0})
    client = boto3.client("s3", endpoint_url="http://127.0.0.1:9", config=settings, **keys)
    with pytest.raises(StoreError) as raised:
        BucketStore("photos", client=client).get("key")
    assert raised.value.retryable
    with pytest.raises(StoreError) as raised:
        BucketStore("not a bucket", client=client).get("key")
    assert not raised.value.retryable
