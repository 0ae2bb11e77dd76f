"""RedisStore: beside other clients, with other types, over connections that break, and with secrets."""

from __future__ import annotations

import pickle
import subprocess
import threading
import time
import traceback

import pytest

redis_client = pytest.importorskip("redis", reason="pip install 'holdfast[redis]'")

from holdfast import CloudFiles, registry  # noqa: E402
from holdfast.errors import (  # noqa: E402
    AuthError,
    ConfigError,
    Conflict,
    HoldfastError,
    Indeterminate,
    InvalidKey,
    NotFound,
    PathConflict,
    StoreError,
)
from holdfast.stores.redis import RedisStore  # noqa: E402
from holdfast.stores.redis import client as commands  # noqa: E402
from holdfast.stores.redis import store as redis_store  # noqa: E402
from holdfast.testing.suite import pattern, together  # noqa: E402
from holdfast.types import WriteOptions  # noqa: E402
from tests.servers.fault_proxy import Break, FaultProxy  # noqa: E402

SECRET = "canary-in-the-password"


@pytest.fixture
def other(redis):
    client = redis_client.Redis.from_url(redis.endpoint)
    client.flushdb()
    yield client
    client.flushdb()
    client.close()


@pytest.fixture
def store(other):
    return RedisStore(other)


@pytest.fixture
def proxied(redis, other):
    """A store whose client does not retry, over a proxy that breaks connections."""
    with FaultProxy(redis.port) as proxy:
        port = int(proxy.endpoint.rpartition(":")[2])
        client = redis_client.Redis(port=port, retry=None, socket_timeout=5)
        yield RedisStore(client), proxy
        client.close()


def test_other_clients_and_holdfast_share_values(store, other):
    other.set("a", b"1")
    assert (store.get("a"), store.head("a").size) == (b"1", 1)
    store.put("b", b"2")
    assert other.get("b") == b"2"
    assert sorted(store.keys()) == ["a", "b"]
    assert store.delete("a") is None
    assert other.get("a") is None


def test_anothers_value_is_a_version_of_its_own_without_our_attributes(store, other):
    etag = store.write("a", b"1", WriteOptions(content_type="text/x")).etag
    other.set("a", b"other")
    info = store.head("a")
    assert info.etag not in {None, etag}
    assert info.content_type is None
    with pytest.raises(Conflict):
        store.replace_if("a", b"x", etag)
    assert store.replace_if("a", b"mine", info.etag).etag == store.head("a").etag
    other.set("b", b"1")
    store.delete_if("b", store.head("b").etag)
    other.set("big", pattern(9 << 20))
    assert store.get("big") == pattern(9 << 20)
    assert store.get_range("big", 7, 11) == pattern(100)[7:11]


def test_other_types_are_neither_shown_nor_touched(store, other):
    other.rpush("list", "x")
    assert list(store.keys()) == []
    for call in (lambda: store.get("list"), lambda: store.put("list", b"x"), lambda: store.delete("list")):
        with pytest.raises(PathConflict, match="Redis list"):
            call()
    assert other.lrange("list", 0, -1) == [b"x"]
    for call in (lambda: store.put("holdfast:details:a", b""), lambda: store.get("holdfast:details:a")):
        with pytest.raises(InvalidKey):
            call()


def test_prefixes_are_strings_for_scan_too(store):
    keys = ["a*b", "aXb", "a?b", "a[x]b", "axb", "a\\b", "a^b"]
    for key in keys:
        store.put(key, b"x")
    for key in keys:
        assert list(store.keys(key)) == [key]
    assert len(list(store.keys("a"))) == len(keys)


def test_a_large_value_that_is_replaced_while_it_is_read_is_a_conflict(store):
    store.put("big", pattern(9 << 20))
    with store.read("big") as blob:
        chunks = blob.chunks()
        next(chunks)
        store.put("big", pattern(9 << 20))
        with pytest.raises(Conflict):
            next(chunks)


def test_a_value_that_redis_would_refuse_is_refused_before(store, monkeypatch):
    monkeypatch.setattr(redis_store, "LARGEST", 10)
    with pytest.raises(StoreError, match="cut it up"):
        store.put("a", b"12345678901")
    assert not store.exists("a")


# ---------------------------------------------------------------- connections that break
def test_a_put_whose_answer_is_lost_is_an_error_to_be_tried_again(proxied, other):
    store, proxy = proxied
    store.put("a", b"old")
    proxy.breaks.append(Break("reset", "down", request=b"EVALSHA"))
    with pytest.raises(StoreError) as raised:
        store.put("a", b"new")
    assert raised.value.retryable
    assert raised.value.key == "a"
    assert other.get("a") in (b"old", b"new")
    store.put("a", b"new")
    assert other.get("a") == b"new"


def test_a_conditional_write_whose_answer_is_lost_is_told_by_its_version(proxied, other):
    """The version that is there is our own: it was done, once."""
    store, proxy = proxied
    etag = store.put("counter", b"0").etag
    for count in range(1, 6):
        proxy.breaks.append(Break("reset", "down", request=b"EVALSHA"))
        etag = store.replace_if("counter", b"%d" % count, etag).etag
    assert other.get("counter") == b"5"
    proxy.breaks.append(Break("reset", "down", request=b"EVALSHA"))
    assert store.create("new", b"x").etag == store.head("new").etag
    assert all(broken.done for broken in proxy.breaks)


def test_a_conditional_write_that_cannot_be_told_is_indeterminate(proxied, other):
    store, proxy = proxied
    etag = store.put("a", b"old").etag
    is_there = store._is_there

    def overtaken(key, mine):
        other.set("a", b"somebody else's")
        return is_there(key, mine)

    store._is_there = overtaken
    proxy.breaks.append(Break("reset", "down", request=b"EVALSHA"))
    with pytest.raises(Indeterminate) as raised:
        store.replace_if("a", b"new", etag)
    assert raised.value.key == "a"
    etag = store.head("a").etag
    proxy.breaks.append(Break("reset", "down", request=b"EVALSHA"))
    with pytest.raises(Indeterminate):
        store.delete_if("a", etag)


def test_a_refused_write_is_refused_over_a_connection_that_breaks_first(proxied):
    """An answer that says no is believed; a connection that cannot be made sends nothing."""
    store, proxy = proxied
    etag = store.put("a", b"old").etag
    store.put("a", b"new")
    with pytest.raises(Conflict):
        store.replace_if("a", b"x", etag)
    proxy.__exit__(None, None, None)
    store.client.connection_pool.disconnect()
    with pytest.raises(StoreError, match="is the server running") as raised:
        store.replace_if("a", b"x", etag)
    assert not isinstance(raised.value, Indeterminate)
    with pytest.raises(StoreError):
        store.get("a")
    with pytest.raises(StoreError):
        store.delete("a")
    with pytest.raises(StoreError):
        store.remove(["a"])


def test_conditional_scripts_are_never_sent_twice(store, monkeypatch):
    sent = []
    ask = commands._ask
    monkeypatch.setattr(
        commands, "_ask", lambda connection, *command: (sent.append(command[0]), ask(connection, *command))[1]
    )
    store.client.script_flush()
    store.create("a", b"1")
    store.create("b", b"1")
    assert sent == ["EVALSHA", "EVAL", "EVALSHA"]


# ---------------------------------------------------------------- locations and secrets
def test_a_location_opens_a_database_and_a_prefix(redis, other):
    with registry.open_store(f"{redis.endpoint}/run1") as store:
        store.put("a", b"1")
        assert other.get("run1/a") == b"1"
    where, key = registry.open_object(f"{redis.endpoint}/run1/a")
    assert (where.get(key), key) == (b"1", "run1/a")
    files = CloudFiles(f"{redis.endpoint}/files")
    files.puts([("x", b"1"), ("y/z", b"22")], compress="gzip")
    assert sorted(files.list()) == ["x", "y/z"]
    assert files.get(["x", "y/z"], return_dict=True) == {"x": b"1", "y/z": b"22"}
    with pytest.raises(ConfigError, match="no database"):
        registry.open_store("redis://host/name/prefix")


def test_a_client_that_decodes_is_refused(redis):
    with pytest.raises(ConfigError, match="decode_responses"):
        RedisStore(redis_client.Redis(port=redis.port, decode_responses=True))


def test_a_password_is_never_shown_nor_pickled(redis, other):
    location = f"redis://user:{SECRET}@127.0.0.1:{redis.port}/0/run1"
    store = registry.open_store(location)
    texts = [repr(store), store.name, str(registry.url.parse(location)), repr(registry.url.parse(location))]
    with pytest.raises(AuthError, match="check the user and password") as raised:
        store.get("a")
    texts += [str(raised.value), "".join(traceback.format_exception(raised.value))]
    texts.append(pickle.dumps(store).decode("latin-1"))
    texts.append(pickle.dumps(raised.value).decode("latin-1"))
    with pytest.raises(HoldfastError) as refused:
        registry.open_store(f"redis://user:{SECRET}@host/name")
    texts.append(str(refused.value))
    assert not [text for text in texts if SECRET in text]
    with pytest.raises(TypeError, match="open it by its URL"):
        pickle.dumps(RedisStore(other))


def test_without_the_extra_one_sentence_says_what_to_type():
    program = """
import sys
sys.modules["redis"] = None
from holdfast import open_store
try:
    open_store("redis://127.0.0.1/0")
except Exception as error:
    print(type(error).__name__, error)
"""
    import sys

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("ConfigError")
    assert "pip install 'holdfast[redis]'" in done.stdout


def test_missing_keys_in_bulk(store):
    store.put("a", b"1")
    store.client.rpush("list", "x")
    answers = store.remove(["a", "missing", "a", "list", "holdfast:details:x"])
    assert [type(error) for error in answers] == [type(None)] * 3 + [PathConflict, InvalidKey]
    assert store.client.exists("list")
    with pytest.raises(NotFound):
        store.delete("a")


def test_a_close_leaves_the_calls_of_other_threads_alone(redis, other):
    """Users of one configured store share its client, and each closes it when it is done."""
    store = registry.open_store(redis.endpoint)
    stop = threading.Event()

    def use(number):
        if number == 0:
            for _ in range(30):
                store.close()
                time.sleep(0.005)  # so that the closes meet calls in all their stages
            stop.set()
            return 0
        made = 0
        while not stop.is_set():
            store.create(f"{number}-{made}", b"x" * 1000)
            made += 1
        return made

    made = together(4, use)
    assert len(list(store.keys())) == sum(made)
    store.close()


def test_a_stream_that_is_too_large_is_refused_before_its_end(store, monkeypatch):
    monkeypatch.setattr(redis_store, "LARGEST", 1000)
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield b"x" * 100

    for body in (b"x" * 1001, bytearray(1001), endless()):
        with pytest.raises(StoreError, match="cut it up"):
            store.write("a", body)
    assert len(taken) == 11
    assert not store.exists("a")
