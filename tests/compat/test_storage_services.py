"""``storage.s3``, ``.redis`` and ``.http``: stores behind a network."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import inspect
import io
import threading
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest

from holdfast.compat.storage.http import AsyncHttpStore, HttpStore
from holdfast.compat.storage.object import DictStore, StoreError
from holdfast.compat.storage.redis import AsyncRedisStore, RedisStore
from holdfast.compat.storage.s3 import AsyncBucketStore, BucketStore
from holdfast.compat.storage.utils import CachingStore, MirroringStore
from holdfast.errors import AuthError, ConfigError, HoldfastError, InvalidKey, Throttled
from holdfast.retry import Policy
from tests.compat.rows import row

ONCE = Policy(tries=1)


@pytest.fixture
def bucket(moto):
    return BucketStore(moto.endpoint, moto.access_key, moto.secret_key, moto.make_bucket())


@row("storage", "BucketStore(s3_url, s3_access_key, s3_secret_key, bucket_name), with-statement")
@row("storage", "BucketStore: put and delete return True")
def test_a_bucket_by_its_service_and_keys(moto):
    name = moto.make_bucket()
    named = {"s3_url": moto.endpoint, "s3_access_key": moto.access_key, "s3_secret_key": moto.secret_key}
    with BucketStore(bucket_name=name, **named) as store:
        assert store.put("a/b", b"1") is True
        assert store.exists("a/b") is True
        assert moto.client().get_object(Bucket=name, Key="a/b")["Body"].read() == b"1"
        assert store.get("a/b") == b"1"
        assert store.delete("a/b") is True
        assert store.exists("a/b") is False


@row("storage", "BucketStore: botocore_config_kwargs={}")
def test_settings_for_botocore(moto):
    settings = {"user_agent_extra": "mine", "retries": {"max_attempts": 2}}
    with BucketStore(moto.endpoint, moto.access_key, moto.secret_key, moto.make_bucket(), settings) as store:
        assert store.put("a", b"1") is True
        assert store.get("a") == b"1"
        assert "mine" in store.native.store.client.meta.config.user_agent_extra


@row("storage", "BucketStore(bucket_name, client=None) and set_client")
def test_a_bucket_by_a_client(moto):
    name = moto.make_bucket()
    store = BucketStore(name, moto.client())
    store.put("a", b"1")
    again = BucketStore(name)
    again.set_client(moto.client())
    assert again.get("a") == b"1"
    assert again.bucket_name == name


@row("storage", "BucketStore: keys(prefix='') is a generator")
def test_keys_of_a_bucket_are_generated(bucket):
    for key in ("a/1", "a/2", "b"):
        bucket.put(key, b"")
    assert inspect.isgenerator(bucket.keys())
    assert sorted(bucket.keys()) == ["a/1", "a/2", "b"]
    assert sorted(bucket.keys(prefix="a/")) == ["a/1", "a/2"]


@row("storage", "BucketStore: presigned_put and presigned_get(key, expiry=3600)")
def test_signed_urls(bucket):
    bucket.put("a", b"1")
    web = HttpStore()
    assert web.get(bucket.presigned_get("a", expiry=60)) == b"1"
    assert "/a?" in bucket.presigned_put("a")


@row(
    "storage",
    "gap: BucketStore.get of a missing key is a ClientError, so that a CachingStore or MirroringStore over it fails",
    "kept and fixed",
    "it is a KeyError, as the promise says, also with a client of yours",
)
@pytest.mark.parametrize("way", ["keys", "client"])
def test_a_missing_key_of_a_bucket(moto, way):
    name = moto.make_bucket()
    if way == "keys":
        store = BucketStore(moto.endpoint, moto.access_key, moto.secret_key, name)
    else:
        store = BucketStore(name, moto.client())
    with pytest.raises(KeyError):
        store.get("missing")
    with pytest.raises(KeyError):
        store.delete("missing")
    with pytest.raises(KeyError):
        CachingStore(store, DictStore()).get("missing")
    mirror = MirroringStore([store, DictStore({"a": b"1"})])
    assert mirror.get("a") == b"1"


@row("storage", "BucketStore calls client.put_object(Bucket=, Key=, Body=) by exact keyword")
@row("storage", "BucketStore calls get_paginator('list_objects_v2').paginate(Bucket=, Prefix=)")
def test_a_client_is_called_by_exact_keywords():
    client = Mock()
    client.get_object.return_value = {"Body": io.BytesIO(b"1")}
    client.get_paginator.return_value.paginate.return_value = [{"Contents": [{"Key": "a/1"}]}, {}]
    store = BucketStore("bucket", client)
    assert store.put("a", b"1") is True
    client.put_object.assert_called_once_with(Bucket="bucket", Key="a", Body=b"1")
    assert store.get("a") == b"1"
    client.get_object.assert_called_once_with(Bucket="bucket", Key="a")
    assert store.delete("a") is True
    client.delete_object.assert_called_once_with(Bucket="bucket", Key="a")
    assert list(store.keys(prefix="a/")) == ["a/1"]
    client.get_paginator.assert_called_once_with("list_objects_v2")
    client.get_paginator.return_value.paginate.assert_called_once_with(Bucket="bucket", Prefix="a/")


@row("storage", "AsyncBucketStore(bucket_name, endpoint_url, s3_access_key, s3_secret_key, botocore_config=None)")
@row("storage", "AsyncBucketStore: put and delete return True; keys(prefix='') is an asynchronous generator")
def test_a_bucket_is_awaited(moto):
    async def main():
        async with AsyncBucketStore(
            bucket_name=moto.make_bucket(),
            endpoint_url=moto.endpoint,
            s3_access_key=moto.access_key,
            s3_secret_key=moto.secret_key,
        ) as store:
            assert await store.put("a/1", b"1") is True
            assert await store.put("b", b"2") is True
            assert await store.get("a/1") == b"1"
            assert inspect.isasyncgen(store.keys())
            assert [key async for key in store.keys(prefix="a/")] == ["a/1"]
            with pytest.raises(KeyError):
                await store.get("missing")
            assert "/b?" in await store.presigned_get("b", expiry=60)
            assert "/b?" in await store.presigned_put("b")
            assert await store.delete("b") is True
            assert await store.exists("b") is False

    asyncio.run(main())


class Pages:
    """What an asynchronous paginator gives."""

    async def __aiter__(self):
        yield {"Contents": [{"Key": "a/1"}, {"Key": "b"}]}
        yield {}


@row("storage", "AsyncBucketStore(bucket_name, client=None): an asynchronous client, called by exact keywords")
@pytest.mark.parametrize("positional", [True, False])
def test_an_asynchronous_client_is_awaited_in_its_loop(positional):
    client = Mock()
    client.put_object = AsyncMock()
    body = Mock(read=AsyncMock(return_value=b"1"))
    client.get_object = AsyncMock(return_value={"Body": body})
    client.head_object = AsyncMock()
    client.delete_object = AsyncMock()
    client.generate_presigned_url = AsyncMock(return_value="https://signed")
    client.get_paginator.return_value.paginate.return_value = Pages()
    store = AsyncBucketStore("bucket", client) if positional else AsyncBucketStore("bucket", client=client)

    async def main():
        async with store:
            assert await store.put("a", b"1") is True
            assert await store.get("a") == b"1"
            assert await store.exists("a") is True
            assert await store.delete("a") is True
            assert [key async for key in store.keys(prefix="a/")] == ["a/1"]
            assert await store.presigned_get("a") == "https://signed"

    asyncio.run(main())
    client.put_object.assert_awaited_once_with(Bucket="bucket", Key="a", Body=b"1")
    client.get_object.assert_awaited_once_with(Bucket="bucket", Key="a")
    client.generate_presigned_url.assert_awaited_once_with(
        "get_object", Params={"Bucket": "bucket", "Key": "a"}, ExpiresIn=3600
    )


def test_a_client_may_be_set_later(moto):
    async def main():
        name = moto.make_bucket()
        store = AsyncBucketStore(name, moto.endpoint, moto.access_key, moto.secret_key)
        await store.put("a", b"1")
        store.set_client(moto.client())
        assert await store.get("a") == b"1"
        awaited = AsyncMock()
        store.set_client(awaited)
        await store.put("a", b"2")
        awaited.put_object.assert_awaited_once_with(Bucket=name, Key="a", Body=b"2")
        assert store.bucket_name == name

    asyncio.run(main())


def test_any_mock_is_called_by_exact_keywords():
    client = MagicMock()
    assert asyncio.run(AsyncBucketStore("bucket", client=client).put("a", b"1")) is True
    client.put_object.assert_called_once_with(Bucket="bucket", Key="a", Body=b"1")


@row("storage", "RedisStore(client): put and delete return True")
def test_redis(redis):
    client = pytest.importorskip("redis").Redis.from_url(redis.endpoint)
    client.flushdb()
    store = RedisStore(client)
    assert store.put("a", b"1") is True
    assert client.get("a") == b"1"
    client.set("b", b"by another program")
    assert store.get("b") == b"by another program"
    assert list(store.keys(prefix="a")) == ["a"]
    assert store.delete("a") is True
    for missing in (store.get, store.delete):
        with pytest.raises(KeyError):
            missing("a")
    client.close()


@row(
    "storage",
    "RedisStore: a Mock for the client",
    "different",
    "it is refused: writes are scripts that run in the server, so that conditions are exact; tests start redis-server",
)
def test_redis_is_no_mock():
    with pytest.raises(ConfigError):
        RedisStore(Mock())


@row("storage", "AsyncRedisStore(client), of redis.asyncio")
@pytest.mark.parametrize("kind", ["asynchronous", "plain"])
def test_redis_is_awaited(redis, kind):
    module = pytest.importorskip("redis.asyncio" if kind == "asynchronous" else "redis")

    async def main():
        client = module.Redis.from_url(redis.endpoint, db=3)
        store = AsyncRedisStore(client)
        assert await store.put("a", b"1") is True
        assert await store.get("a") == b"1"
        assert await store.exists("a") is True
        assert [key async for key in store.keys(prefix="a")] == ["a"]
        assert await store.delete("a") is True
        assert await store.exists("a") is False
        with pytest.raises(KeyError):
            await store.get("a")
        with pytest.raises(KeyError):
            await store.delete("a")
        if kind == "asynchronous":
            await client.aclose()
        else:
            client.close()

    asyncio.run(main())


@row("storage", "HttpStore(follow_redirects=True): keys are URLs")
def test_the_web_is_read(nginx):
    (nginx.root / "a b.txt").write_bytes(b"hello")
    store = HttpStore()
    assert store.get(f"{nginx.endpoint}/a%20b.txt") == b"hello"
    assert store.get(f"{nginx.endpoint}/a b.txt?x=1") == b"hello"
    assert store.get(f"{nginx.endpoint}/chunked/a%20b.txt") == b"hello"
    assert store.exists(f"{nginx.endpoint}/a%20b.txt") is True
    assert store.exists(f"{nginx.endpoint}/missing") is False
    with pytest.raises(KeyError):
        store.get(f"{nginx.endpoint}/missing")
    assert store.get(f"{nginx.endpoint}/redirect/a%20b.txt") == b"hello"
    with pytest.raises(StoreError):
        HttpStore(follow_redirects=False).get(f"{nginx.endpoint}/redirect/a%20b.txt")


@row("storage", "HttpStore: put, delete and keys are NotImplementedError")
def test_the_web_is_not_written():
    store = HttpStore()
    for refused in (lambda: store.put("http://a/", b""), lambda: store.delete("http://a/"), store.keys):
        with pytest.raises(NotImplementedError):
            refused()
    with pytest.raises(InvalidKey):
        store.get("no-url")


@row(
    "storage",
    "gap: HttpStore.exists is False for the answers 403 and 500",
    "kept and fixed",
    "only 404 means no; what else is wrong is raised",
)
def test_what_is_wrong_is_not_missing(nginx):
    store = HttpStore(retry=ONCE)
    with pytest.raises(AuthError):
        store.exists(f"{nginx.endpoint}/forbidden/a")
    with pytest.raises(HoldfastError):
        store.exists(f"{nginx.endpoint}/unavailable/a")


class Headless(http.server.BaseHTTPRequestHandler):
    """Serves one object, and answers no HEAD."""

    refusal = 405

    def do_HEAD(self):
        self.send_response(self.refusal)
        self.end_headers()

    def do_GET(self):
        status = {"/a": 200, "/short": 200, "/broken": 500}.get(self.path, 404)
        self.send_response(status)
        self.send_header("Content-Length", {"/a": "5", "/short": "10"}.get(self.path, "0"))
        self.end_headers()
        if status == 200:
            self.wfile.write(b"hello")

    def log_message(self, *arguments):
        """Nothing."""


@contextlib.contextmanager
def served(handler):
    """The address of a server with this handler."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@row(
    "storage",
    "gap: HttpStore.exists: a HEAD answered 404 should fall back to a GET, by the documentation; only 405 does",
    "kept and fixed",
    "on both, and on any other answer that may mean HEAD alone",
)
@pytest.mark.parametrize("refusal", [404, 405, 501])
def test_a_head_that_is_not_answered_falls_back(refusal):
    handler = type("Handler", (Headless,), {"refusal": refusal})
    with served(handler) as address:
        assert HttpStore().exists(f"{address}/a") is True
        assert HttpStore().exists(f"{address}/b") is False
        assert HttpStore().get(f"{address}/a") == b"hello"


@row(
    "storage",
    "HttpStore.get: every answer but 200 and 404 is a StoreError",
    "different",
    "401 and 403 are AuthError, 429 and 503 Throttled, no answer in time Timeout; the rest is StoreError",
)
def test_errors_of_the_web(nginx):
    with pytest.raises(AuthError):
        HttpStore().get(f"{nginx.endpoint}/private/a")
    with pytest.raises(Throttled):
        HttpStore(retry=ONCE).get(f"{nginx.endpoint}/unavailable/a")
    with served(Headless) as address, pytest.raises(StoreError):
        HttpStore(retry=ONCE).get(f"{address}/broken")


def test_a_refused_connection_is_told_as_such():
    with served(Headless) as address:
        pass  # and nobody listens there any more
    with pytest.raises(StoreError, match="the connection was refused"):
        HttpStore(retry=ONCE).get(f"{address}/a")


def test_a_short_body_is_no_object():
    with served(Headless) as address, pytest.raises(HoldfastError):
        HttpStore(retry=ONCE).get(f"{address}/short")


def test_no_error_shows_a_password(nginx):
    (nginx.root / "a").write_bytes(b"hello")
    with_login = f"{nginx.endpoint}/private/a".replace("http://", "http://reader:secret@")
    assert HttpStore().get(with_login) == b"hello"
    for url in (with_login.replace("private/a", "private/none"), f"{nginx.endpoint}/none?X-Amz-Signature=secret"):
        with pytest.raises(KeyError) as raised:
            HttpStore().get(url)
        assert "secret" not in f"{raised.value} {raised.value.key}"


@row("storage", "AsyncHttpStore(follow_redirects=True)")
@row(
    "storage",
    "tests may patch storage.http.httpx.get and head",
    "different",
    "there is no httpx: a server of the standard library does as well in tests",
)
def test_the_web_is_awaited(nginx):
    (nginx.root / "a").write_bytes(b"hello")

    async def main():
        async with AsyncHttpStore() as store:
            assert await store.get(f"{nginx.endpoint}/a") == b"hello"
            assert await store.exists(f"{nginx.endpoint}/missing") is False
            with pytest.raises(KeyError):
                await store.get(f"{nginx.endpoint}/missing")
            with pytest.raises(NotImplementedError):
                await store.put(f"{nginx.endpoint}/a", b"")

    asyncio.run(main())
