"""The matrix, in Redis: bare and under a prefix, against what another client sees."""

from __future__ import annotations

import pytest

redis_client = pytest.importorskip("redis", reason="pip install 'holdfast[redis]'")

from holdfast.registry import open_store  # noqa: E402
from holdfast.stores.redis import RedisStore  # noqa: E402
from holdfast.testing import StoreConformance  # noqa: E402


def values(client):
    """All strings in the database; each has its details, and nothing else is there."""
    keys = set(client.keys())
    objects = {key for key in keys if not key.startswith(b"holdfast:details:")}
    assert {b"holdfast:details:" + key for key in objects} == keys - objects
    return {key.decode("utf-8", "surrogateescape"): client.get(key) for key in objects}


class TestRedis(StoreConformance):
    rounds = 20
    large = 9 << 20
    pickles = False

    @pytest.fixture
    def client(self, redis):
        client = redis_client.Redis.from_url(redis.endpoint)
        client.flushdb()
        yield client
        client.flushdb()
        client.close()

    @pytest.fixture
    def store(self, client):
        self.client = client
        return RedisStore(client)

    def truth(self, store):
        return values(self.client)


class TestRedisByUrl(TestRedis):
    many = 60
    pickles = True

    @pytest.fixture
    def store(self, client, redis):
        self.client = client
        client.set("run10", b"neighbour")
        client.set("run1.txt", b"neighbour")
        with open_store(f"{redis.endpoint}/run1/") as store:
            yield store
        assert client.get("run10") == client.get("run1.txt") == b"neighbour"

    def truth(self, store):
        self.client.delete("run10", "run1.txt")
        found = values(self.client)
        self.client.set("run10", b"neighbour")
        self.client.set("run1.txt", b"neighbour")
        return {key[5:]: data for key, data in found.items()}
