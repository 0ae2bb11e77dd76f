"""S3Store on a real service (Ceph) behind a proxy that breaks connections: never wrong bytes, no write done twice."""

from __future__ import annotations

import os

import pytest

from holdfast.errors import IntegrityError, Timeout
from holdfast.types import WriteOptions
from tests.servers.fault_proxy import Break, FaultProxy
from tests.stores.s3_stores import open_store, quick

pytestmark = [pytest.mark.server, pytest.mark.slow]

MIB = 1 << 20
LARGE = os.urandom(3 * MIB)
NEW = os.urandom(MIB)
READS = {
    "get": lambda store: store.get("large"),
    "range": lambda store: store.get_range("large", 0, len(LARGE)),
    "stream": lambda store: b"".join(store.read("large").chunks()),
}


@pytest.fixture(scope="module")
def bucket(ceph):
    """A bucket with the object "large"."""
    bucket = ceph.make_bucket()
    open_store(ceph, bucket).put("large", LARGE)
    return bucket


@pytest.fixture
def proxy(ceph):
    with FaultProxy(ceph.port) as proxy:
        yield proxy


@pytest.fixture
def store(ceph, bucket, proxy):
    """A store behind the proxy, which no request has gone through yet."""
    options = {"read_timeout": 1.0, "minimum_rate": 8 * MIB, "retry": quick(tries=4)}
    return open_store(ceph, bucket, endpoint=proxy.endpoint, **options)


def test_the_proxy_passes_on_what_it_is_not_told_to_break(store):
    assert store.get("large") == LARGE
    store.put("small", b"x")
    assert [row.key for row in store.list("sm")] == ["small"]


@pytest.mark.parametrize("kind", ["reset", "close", "stall", "trickle"])
@pytest.mark.parametrize("after", [100, 2 * MIB])
@pytest.mark.parametrize("read", READS)
def test_a_read_that_breaks_is_completed(store, proxy, read, kind, after):
    proxy.breaks = [Break(kind, after=after, request=b"GET /"), Break(kind, after=after, request=b"GET /")]
    assert READS[read](store) == LARGE
    assert not proxy.breaks


def test_a_read_that_always_trickles_is_a_timeout(store, proxy):
    proxy.breaks = [Break("trickle", after=2000) for _ in range(10)]
    with pytest.raises(Timeout):
        store.get("large")


def test_a_corrupt_byte_is_read_again_or_raised(store, proxy):
    proxy.breaks = [Break("corrupt", after=2 * MIB, request=b"GET /")]
    assert store.get("large") == LARGE
    proxy.breaks = [Break("corrupt", after=2 * MIB, request=b"GET /")]
    with pytest.raises(IntegrityError):
        b"".join(store.read("large").chunks())


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("kind", ["reset", "close", "stall"])
@pytest.mark.parametrize("write", ["put", "create", "replace", "upload"])
def test_a_write_that_breaks_is_done_once(ceph, bucket, store, proxy, kind, way, write):
    key = f"{write}-{kind}-{way}"
    direct = open_store(ceph, bucket)
    etag = direct.put(key, b"old").etag if write != "create" else None
    store.probe()
    request = b"POST /" if write == "upload" else b"PUT /"
    proxy.breaks = [Break(kind, way, 0 if way == "down" else 100, request)]
    calls = {
        "put": lambda: store.put(key, NEW),
        "create": lambda: store.create(key, NEW),
        "replace": lambda: store.replace_if(key, NEW, etag),
        "upload": lambda: store.write(key, iter([NEW] * 9), WriteOptions(part_size=5 * MIB)),
    }
    calls[write]()
    assert not proxy.breaks
    body = ceph.client().get_object(Bucket=bucket, Key=key)["Body"].read()
    assert body == (NEW * 9 if write == "upload" else NEW)


def test_bytes_that_change_on_the_way_there_are_sent_again(ceph, bucket, store, proxy):
    proxy.breaks = [Break("corrupt", "up", MIB // 2, b"PUT /")]
    store.put("sent", NEW)
    assert not proxy.breaks
    assert ceph.client().get_object(Bucket=bucket, Key="sent")["Body"].read() == NEW


def test_a_listing_that_breaks_is_asked_for_again(store, proxy):
    for number in range(3):
        store.put(f"listed/{number}", b"x")
    for kind in ("reset", "close", "stall", "trickle"):
        proxy.breaks = [Break(kind, after=200, request=b"list-type=2")]
        assert [row.key for row in store.list("listed/")] == [f"listed/{number}" for number in range(3)]
        assert not proxy.breaks
