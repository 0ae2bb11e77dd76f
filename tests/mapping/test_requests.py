"""How many requests each operation costs."""

from __future__ import annotations

import pytest

from holdfast import CloudMapping
from holdfast.stores import _conditions
from holdfast.testing.stores import CountingStore
from tests.servers.faulty_s3 import FaultyS3, Stored
from tests.stores.s3_stores import quick


@pytest.fixture
def server():
    with FaultyS3() as running:
        yield running


@pytest.fixture
def mapping(server, monkeypatch):
    """A mapping over S3, whose service was asked already what it does with conditions; no test takes long."""
    monkeypatch.setattr(_conditions, "FRESH", 600.0)
    keys = {"access_key_id": "A", "secret_access_key": "S"}
    mapping = CloudMapping(f"s3://{server.endpoint}/bucket", retry=quick(), **keys)
    server.requests.clear()
    return mapping


def asked(server) -> list[str]:
    methods = [request.method for request in server.requests]
    server.requests.clear()
    return methods


def test_modify_costs_two_requests_whatever_is_there(server, mapping):
    assert mapping.modify("count", lambda data: data + b"1", default=b"") == b"1"
    # A bucket whose first key is missing is looked for, once.
    assert [method for method in asked(server) if method != "HEAD"][-1] == "PUT"
    for _ in range(3):
        mapping.modify("count", lambda data: data + b"1")
        assert asked(server) == ["GET", "PUT"]
    mapping.modify("another", lambda data: data, default=b"x")
    assert asked(server) == ["GET", "PUT"]


def test_what_was_seen_long_ago_is_looked_at_before_it_is_replaced(server, mapping, monkeypatch):
    mapping["a"] = b"1"
    asked(server)
    monkeypatch.setattr(_conditions, "FRESH", -1.0)
    mapping["a"] = b"2"
    assert asked(server) == ["HEAD", "PUT"]
    mapping.modify("a", lambda data: data + b"+")  # as if it took long
    assert asked(server) == ["GET", "HEAD", "PUT"]


def test_what_is_known_is_answered_without_a_request(server, mapping):
    mapping["a"] = b"1"
    mapping["b"] = b"2"
    asked(server)
    assert "a" in mapping
    assert "x" not in mapping
    assert len(mapping) == 2
    assert list(mapping) == list(mapping.keys()) == ["a", "b"]
    assert mapping.get("x", b"default") == b"default"
    assert mapping.pop("x", b"default") == b"default"
    assert mapping != {"a": b"1"}
    with pytest.raises(KeyError):
        mapping["x"]
    assert mapping.keys() & {"a", "x"} == {"a"}
    assert asked(server) == []


def test_one_request_reads_and_one_writes_what_is_known(server, mapping):
    mapping["a"] = b"1"
    assert asked(server) == ["PUT"]
    assert mapping["a"] == b"1"
    assert asked(server) == ["GET"]
    mapping["a"] = b"2"
    assert asked(server) == ["PUT"]
    del mapping["a"]
    assert asked(server) == ["HEAD", "DELETE"]


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_a_sync_is_one_request_for_a_thousand_keys(server, mapping, count):
    server.objects.update({f"key{number:05}": Stored(b"%d" % number) for number in range(count)})
    mapping.sync_with_cloud()
    assert len(mapping) == count
    assert asked(server) == ["GET"] * max(1, -(-count // 1000))


def test_a_sync_of_one_key_is_two_requests_however_many_neighbours_it_has(server, mapping):
    server.objects.update({f"key{number}": Stored(b"") for number in range(3000)})
    server.objects["key/below"] = Stored(b"")
    server.objects["key"] = Stored(b"")
    mapping.sync_with_cloud("key")
    assert asked(server) == ["HEAD", "GET"]
    assert sorted(mapping) == ["key", "key/below"]


def test_a_conflict_costs_one_more_request_to_learn_what_is_there(memory):
    store = CountingStore(memory.open())
    mine, theirs = CloudMapping(store), memory.mapping()
    theirs["a"] = b"1"
    store.reset()
    with pytest.raises(KeyError):
        mine["a"] = b"2"
    assert store.calls == {"write": 1, "read": 1}
