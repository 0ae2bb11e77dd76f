"""Who tries again, how often and when: Retry-After, one budget for a service, no lost uploads, bodies that trickle."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from dataclasses import replace
from email.utils import formatdate

import pytest

from holdfast import retry
from holdfast.engine import Engine
from holdfast.errors import BucketNotFound, HoldfastError, Indeterminate, StoreError, Throttled, Timeout
from holdfast.retry import Policy
from holdfast.stores import _uploads
from tests.servers import faults
from tests.servers.faults import Answer, error, instead
from tests.servers.faulty_s3 import FaultyS3, Stored
from tests.stores.s3_stores import open_store, quick

LARGE = bytes(range(256)) * (36 << 10)  # 9 MiB: as an iterator it goes in parts
#: Seconds after which a test says that a call hangs.
HANG = 20
CALLS = {
    "get": lambda store, key: store.get(key),
    "head": lambda store, key: store.head(key),
    "put": lambda store, key: store.put(key, b"x"),
    "delete": lambda store, key: store.delete(key),
    "create": lambda store, key: store.create(f"{key}-new", b"x"),
    "list": lambda store, key: list(store.list(key)),
}


class SlowReader:
    """A context manager: a service that takes so many bytes a second of what is written, and answers then."""

    region, access_key, secret_key = "us-east-1", "AK", "SK"

    def __init__(self, rate):
        class Handler(socketserver.StreamRequestHandler):
            rbufsize = 0

            def handle(self):
                while line := self.rfile.readline():
                    length = 0
                    while (line := self.rfile.readline()).strip():
                        name, _, value = line.decode().partition(":")
                        length = int(value) if name.lower() == "content-length" else length
                    while length > 0 and (taken := self.connection.recv(8192)):
                        length -= len(taken)
                        time.sleep(len(taken) / rate)
                    self.wfile.write(b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 0\r\n\r\n')

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def server_bind(self):
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
                super().server_bind()

        self._server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    with FaultyS3() as server:
        yield server


@pytest.mark.parametrize("call", CALLS)
def test_two_hundred_keys_on_a_dead_service_cost_few_requests(server, monkeypatch, call):
    monkeypatch.setenv("HOLDFAST_RETRY_WAIT", "0")
    store = open_store(server, retry=None)
    store.probe()
    server.requests.clear()
    server.inject(instead(error(503, "SlowDown")), lambda request: True)
    with Engine() as engine:
        keys = (f"key-{number}" for number in range(200))
        done = list(engine.run(lambda key: CALLS[call](store, key), keys, threads=16, on_error="collect"))
    assert all(isinstance(outcome.error, HoldfastError) for outcome in done)
    assert len(server.requests) <= 400 + 200 * (call == "create")  # which looks what became of its write


def test_a_service_has_one_budget_in_a_process_and_takes_none_from_others(server):
    assert retry.shared(server.endpoint).budget is retry.shared(server.endpoint).budget
    assert retry.shared(server.endpoint).budget is not retry.shared(None).budget
    store = open_store(server, retry=None)
    assert store.client().policy.budget is store.wire().policy.budget is retry.shared(server.endpoint).budget


@pytest.mark.parametrize("call", ["get", "head", "put", "list", "create"])
def test_retry_after_is_honoured(server, call):
    waits = []
    store = open_store(server, retry=Policy(sleep=waits.append))
    store.probe()
    server.objects["key"] = Stored(b"x")
    server.inject(instead(error(429, "TooManyRequests", Retry_After="17")), lambda request: True, 3)
    CALLS[call](store, "key")
    # The engine does not tell of the wish of the first answer; all that follow are asked for over the wire.
    assert 17.0 in waits
    if call != "create":  # which is looked at before it is tried again: that wait, of the first answer, comes late
        assert waits[1:] == [wait for wait in waits[1:] if wait == 17.0]


def test_no_try_begins_after_the_deadline(server):
    waits = []
    store = open_store(server, retry=Policy(sleep=waits.append, deadline=10.0))
    server.inject(instead(error(503, "SlowDown", Retry_After="20")), lambda request: True)
    with pytest.raises(Throttled, match="within 10 s"):
        list(store.list())
    assert waits == []


@pytest.mark.parametrize("fault", [faults.LOST_AS_500, faults.LOST_BY_RESET, faults.LOST_BY_CLOSE])
@pytest.mark.parametrize("key", ["key", "key/"])
def test_an_upload_whose_last_answer_was_lost_is_known_again(server, fault, key):
    server.inject(fault, lambda request: request.method == "POST" and "uploadId" in request.query, 1)
    info = open_store(server).put(key, iter([LARGE]))
    assert server.objects[key].body == LARGE
    assert (info.size, info.etag, info.metadata) == (len(LARGE), server.objects[key].etag, {})


@pytest.mark.parametrize("key", ["key", "key/"])
def test_an_upload_that_somebody_has_replaced_meanwhile_is_indeterminate(server, key):
    def replaced(request):
        if request.method == "POST" and "uploadId" in request.query:
            server.objects[key] = Stored(LARGE)

    server.after = replaced
    server.inject(faults.LOST_AS_500, lambda request: request.method == "POST" and "uploadId" in request.query, 1)
    with pytest.raises(Indeterminate):
        open_store(server).put(key, iter([LARGE]))


def test_a_slow_body_goes_on_for_longer_than_every_timeout(server):
    server.objects["key"] = Stored(LARGE)
    server.inject(faults.Fault(pace=(256 << 10, 0.05)), lambda request: request.method == "GET")
    # Were its pauses failures, two tries would not do.
    store = open_store(server, read_timeout=0.3, minimum_rate=2 << 20, retry=quick(tries=2))
    assert store.get("key") == LARGE
    with store.read("key") as blob:
        assert b"".join(blob.chunks()) == LARGE
    assert server.count("GET") > 4


#: What the engine says when something else is wrong; a key may say it too.
WORDS = ["my-certificate.pem", "Timeout", "a Connection reset", "Received redirect", "kind: Timeout", "HTTP error"]


@pytest.mark.parametrize("key", [*WORDS, "credential provider: x", "odd//certificate"])
@pytest.mark.parametrize("call", ["get", "head", "put", "delete", "create"])
def test_a_failure_is_not_taken_for_what_the_key_says(server, key, call):
    store = open_store(server)
    store.probe()
    server.objects[key] = Stored(b"x")
    document = f"<Error><Code>InternalError</Code><Message>{key}</Message><Key>{key}</Key></Error>".encode()
    server.inject(faults.lost(faults.Answer(500, document)), lambda request: request.key.startswith(key), 2)
    CALLS[call](store, key)


@pytest.mark.parametrize("key", [*WORDS, "odd//certificate"])
def test_a_refusal_is_not_taken_for_what_the_key_says(server, key):
    store = open_store(server)
    document = f"<Error><Code>Odd</Code><Message>{key}</Message></Error>".encode()
    server.inject(instead(faults.Answer(418, document)), lambda request: True)
    for call in (store.get, store.head, lambda key: store.put(key, b"x"), lambda key: list(store.list(key))):
        with pytest.raises(HoldfastError, match="418") as caught:
            call(key)
        assert type(caught.value) is StoreError
        assert not caught.value.retryable
    assert server.count("PUT") == 1


@pytest.mark.parametrize("key", ["my-certificate.pem", "Timeout", "Content-Length Header missing"])
def test_no_answer_is_not_taken_for_what_the_key_says(key):
    with FaultyS3() as server:
        store = open_store(server)
    with pytest.raises(StoreError, match=r"the connection was refused.*gave up after 7 tries"):
        store.get(key)


@pytest.mark.parametrize("key", ["key", "odd//key"])
def test_the_time_that_the_caller_takes_is_not_the_server_s(server, monkeypatch, key):
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    body = LARGE
    server.objects[key] = Stored(body)
    store = open_store(server, read_timeout=1.0, minimum_rate=1 << 20)
    received = bytearray()
    with store.read(key) as blob:
        for chunk in blob.chunks():
            received += chunk
            clock[0] += 3600.0
    assert received == body


@pytest.mark.parametrize("call", ["list", "get/"])
def test_a_refusal_that_trickles_is_given_up(server, call):
    store = open_store(server, retry=quick(1), read_timeout=0.5, minimum_rate=1 << 20)
    server.objects["key/"] = Stored(b"x")
    trickled = replace(instead(Answer(503, bytes(2000))), pace=(1, 0.05))  # 100 seconds
    server.inject(trickled, lambda request: True)
    began = time.monotonic()
    with pytest.raises(Timeout):
        store.get("key/") if call == "get/" else list(store.list())
    assert time.monotonic() - began < HANG


def test_of_a_refusal_without_an_end_a_part_is_read(server):
    store = open_store(server, retry=quick(1))
    endless = Answer(404, bytes(1 << 20), length=str(1 << 50))
    server.inject(replace(instead(endless), end="stall", share=1.0), lambda request: True)
    began = time.monotonic()
    with pytest.raises(BucketNotFound):
        list(store.list())
    assert time.monotonic() - began < HANG


def test_a_date_in_retry_after_is_honoured(server):
    waits = []
    store = open_store(server, retry=Policy(sleep=waits.append))
    date = formatdate(time.time() + 40, usegmt=True)
    server.inject(instead(error(429, "TooManyRequests", Retry_After=date)), lambda request: True, 1)
    list(store.list())
    assert len(waits) == 1
    assert 20 < waits[0] <= 40


@pytest.mark.parametrize("size", [60 << 20, 100])
def test_files_that_are_read_whole_count_as_memory(server, tmp_path, monkeypatch, size):
    reserved = []
    monkeypatch.setattr(_uploads, "reserve", reserved.append)
    path = tmp_path / "file"
    with open(path, "wb") as file:
        file.truncate(size)
    store = open_store(server)
    for body, expected in ((path, [size]), (bytes(size), [])):
        store.put("key", body)
        assert reserved == expected
        reserved.clear()
    assert len(server.objects["key"].body) == size


def test_a_slow_upload_over_the_wire_has_the_slowest_rate_not_the_time_to_connect():
    body = bytes(8 << 20)  # more than the kernel takes at once
    with SlowReader(2_000_000) as server:
        patient = {"connect_timeout": 0.1, "read_timeout": 30.0, "retry": quick(1)}
        assert open_store(server, "bucket", **patient).put("key/", body).size == len(body)
