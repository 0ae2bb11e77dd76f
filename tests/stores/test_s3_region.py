"""Buckets in another region than was said: found once, and asked there from then on."""

from __future__ import annotations

import io
import pickle
import threading
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast.errors import ConfigError, StoreError
from holdfast.stores.s3.wire import Address, Request
from holdfast.types import ReadOptions
from tests.servers.faults import REFUSED, error, instead
from tests.servers.faulty_s3 import FaultyS3
from tests.stores.regional_s3 import Regional
from tests.stores.s3_stores import open_store
from tests.stores.scripted import Answer, Scripted

pytestmark = pytest.mark.server
MIB = 1 << 20


@pytest.fixture
def server(moto):
    with Regional(moto) as server:
        yield server


@pytest.fixture
def bucket(moto):
    bucket = moto.make_bucket()
    for key in ("there", "trail/"):
        moto.client().put_object(Bucket=bucket, Key=key, Body=b"value")
    return bucket


CALLS = {
    "get": lambda store: store.get("there") == b"value",
    "head": lambda store: store.head("there").size == 5,
    "exists": lambda store: store.exists("there"),
    "range": lambda store: store.read("there", ReadOptions(1, 3)).bytes() == b"al",
    "get over the wire": lambda store: store.get("trail/") == b"value",
    "head over the wire": lambda store: store.head("trail/").size == 5,
    "put": lambda store: store.put("new", b"x").size == 1,
    "stream": lambda store: store.put("new", (bytes(MIB) for _ in range(12))).size == 12 * MIB,
    "short stream": lambda store: store.put("new", iter([b"a", b"b"])).size == 2,
    "stream over the wire": lambda store: store.put("new/", (bytes(MIB) for _ in range(12))).size == 12 * MIB,
    "create": lambda store: store.create("new", b"x").size == 1,
    "list": lambda store: [row.key for row in store.list()] == ["there", "trail/"],
    "delete": lambda store: store.delete("there") is None,
    "remove": lambda store: store.remove(["there", "trail/"]) == [None, None],
    "copy": lambda store: store.copy("there", "copied").size == 5,
}


@pytest.mark.parametrize("name", CALLS)
def test_the_region_of_a_bucket_is_found_by_the_first_call(server, moto, bucket, name):
    store = open_store(server, bucket, region="us-east-1")
    assert CALLS[name](store)
    assert set(server.refused) == {"us-east-1"}
    seen = len(server.refused)
    assert store.exists("x") is False
    assert store.put("x", b"x").size == 1
    assert len(list(store.list("x"))) == 1
    assert len(server.refused) <= seen + 2  # the other plane may ask once, and once more for the reason


def test_the_region_is_remembered_for_the_stores_to_come(server, bucket):
    first = open_store(server, bucket, region="us-east-1")
    first.get("there")
    server.refused.clear()
    second = open_store(server, bucket, region="us-east-1")
    assert second.get("there") == b"value"
    assert not server.refused
    assert second.region == server.region
    assert pickle.loads(pickle.dumps(first)).region == server.region


def test_a_refusal_that_names_no_region_is_shown(moto, bucket):
    with Regional(moto, named=False) as server:
        store = open_store(server, bucket, region="us-east-1")
        for call in (
            lambda: store.get("there"),
            lambda: list(store.list()),
            lambda: store.put("a", iter([b"x"])),
            lambda: store.head("there"),
        ):
            with pytest.raises(ConfigError, match="region"):
                call()
        assert len(server.requests) <= 9


@pytest.mark.parametrize("region", ["evil.example/#", "a" * 41, "", "EU WEST"])
def test_only_what_can_be_a_region_becomes_part_of_an_address(moto, region):
    refusal = Answer(400, b"", {"x-amz-bucket-region": region})
    with Scripted(lambda request: refusal) as server:
        store = open_store(moto, "bucket", endpoint=server.endpoint, region="us-east-1")
        with pytest.raises(StoreError):
            store.wire().call(Request("list", "GET"))
        assert store.wire().region == "us-east-1"
        assert len(server.requests) == 1


def test_a_service_that_sends_from_region_to_region_is_not_followed_for_ever(moto):
    def elsewhere(request):
        here = "/us-east-1/" in request.headers["authorization"]
        return Answer(400, b"", {"x-amz-bucket-region": "eu-west-1" if here else "us-east-1"})

    with Scripted(elsewhere) as server:
        store = open_store(moto, "bucket", endpoint=server.endpoint, region="us-east-1")
        for call in (lambda: store.get("a"), lambda: store.head("a"), lambda: list(store.list())):
            with pytest.raises(StoreError):
                call()
        assert len(server.requests) < 20


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "bucket.s3.eu-west-1.amazonaws.com"),
        ("cn-north-1", "bucket.s3.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_each_region_of_amazon_has_an_address_of_its_own(region, host):
    address = Address.of(None, "bucket", region)
    assert urllib.parse.urlsplit(address.url).netloc == address.host == host
    assert Address.of(None, "with.dots", region).path("key") == "/with.dots/key"
    assert address.path("key") == "/key"


def misplaced(server, unknown):
    """Faults of a bucket that is in eu-test-1; where that is asked for, the answer is 503 while ``unknown()``."""

    def fault(request):
        if request.method == "HEAD" and not request.key and unknown():
            return REFUSED
        if "/eu-test-1/" in request.headers["authorization"]:
            return None
        return instead(error(400, "AuthorizationHeaderMalformed", x_amz_bucket_region="eu-test-1"))

    server.fault = fault


ONCE = [lambda: iter([b"precious ", b"data"]), lambda: io.BytesIO(b"precious data")]


@pytest.mark.parametrize("body", ONCE)
def test_a_region_that_is_not_told_at_first_is_asked_for_again(body):
    with FaultyS3() as server:
        misplaced(server, lambda: server.count("HEAD") == 1)
        store = open_store(server, region="us-east-1")
        assert store.put("key", body()).size == 13
        assert server.objects["key"].body == b"precious data"
        assert server.count("PUT") == 1


@pytest.mark.parametrize("body", ONCE)
def test_what_was_read_already_is_never_stored_as_what_is_left_of_it(body):
    with FaultyS3() as server:
        misplaced(server, lambda: not any(request.key == "key" for request in server.requests))
        store = open_store(server, region="us-east-1")
        with pytest.raises(ConfigError, match=r"eu-test-1.*write it again"):
            store.put("key", body())
        assert not server.objects
        assert store.put("key", body()).size == 13
        assert server.objects["key"].body == b"precious data"


def test_threads_that_ask_in_the_wrong_region_together_all_find_the_right_one():
    together = threading.Barrier(8, timeout=20)

    def fault(request):
        if "/eu-test-1/" in request.headers["authorization"]:
            return None
        together.wait()  # all were signed before the first of them was answered
        return instead(error(400, "AuthorizationHeaderMalformed", x_amz_bucket_region="eu-test-1"))

    with FaultyS3() as server:
        server.fault = fault
        store = open_store(server, region="us-east-1")
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(lambda number: list(store.list(f"{number}/")), range(8))) == [[]] * 8
