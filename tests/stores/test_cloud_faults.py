"""Faults on the operations of gs, az and http: the right result or a named error, no wrong bytes, no half a write."""

from __future__ import annotations

import contextlib
import http.client

import pytest

from holdfast.errors import AlreadyExists, Conflict, HoldfastError, NotFound
from holdfast.stores.az import AzureStore
from holdfast.stores.gs import GoogleStore
from holdfast.stores.http import HttpStore
from tests.servers import Gcs, faults
from tests.servers.faults import Answer, FaultyServer, error, instead
from tests.stores.s3_stores import quick

pytestmark = [pytest.mark.server, pytest.mark.slow]

OLD, NEW, LISTED = b"old" * 1000, b"new" * 1000, ["listed/0", "listed/1"]
OPTIONS = {"read_timeout": 0.7, "minimum_rate": 2 << 20}
_OF_THE_CONNECTION = {"connection", "date", "keep-alive", "transfer-encoding", "server", "content-length"}


class Faulty(FaultyServer):
    """A server in front of another one, that does what was asked and then answers as the fault wants."""

    forward = None
    left = 0

    def answer(self, request):
        return self.forward(request)

    def inject(self, fault, methods, times):
        """Have the fault befall the next so many requests with these methods."""
        self.left = times

        def choose(request):
            if request.method not in methods or self.left <= 0:
                return None
            self.left -= 1
            return fault

        self.fault = choose


def forward_to(port):
    def forward(request):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request(request.method, request.target, request.body or None, request.headers)
            answer = connection.getresponse()
            headers = {n: v for n, v in answer.getheaders() if n.lower() not in _OF_THE_CONNECTION}
            length = answer.getheader("content-length") if request.method == "HEAD" else None
            return Answer(answer.status, answer.read(), headers, length)

    return forward


class Cell:
    """A store of one vendor behind a faulty server, and what its service really holds."""

    def __init__(self, server, store, objects):
        self.server, self.store, self.objects = server, store, objects


@pytest.fixture
def faulty():
    with Faulty() as server:
        yield server


@pytest.fixture
def google(faulty):
    with Gcs() as service:
        bucket = service.make_bucket()

        def forward(request):
            reply = service.answer(request.method, request.target, request.headers, request.body)
            length = str(len(reply.body)) if request.method == "HEAD" else None
            return Answer(reply.status, reply.body, reply.headers, length)

        faulty.forward = forward
        store = GoogleStore(bucket, endpoint=faulty.endpoint, token=service.token, retry=quick(3), **OPTIONS)
        yield Cell(faulty, store, lambda: service.objects(bucket))


@pytest.fixture
def azure(faulty, azurite):
    container = azurite.make_container()
    faulty.forward = forward_to(azurite.port)
    endpoint = f"{faulty.endpoint}/{azurite.account}"
    store = AzureStore(container, endpoint=endpoint, account_key=azurite.account_key, retry=quick(3), **OPTIONS)
    return Cell(faulty, store, lambda: azurite.objects(container))


@pytest.fixture
def web(faulty, nginx):
    (nginx.root / "key").write_bytes(OLD)
    faulty.forward = forward_to(nginx.port)
    return Cell(faulty, HttpStore(faulty.endpoint, retry=quick(3), **OPTIONS), lambda: {"key": OLD})


KINDS = {
    "connection reset": (faults.RESET, 1),
    "connection closed": (faults.CLOSE, 1),
    "connection reset, for ever": (faults.RESET, 99),
    "body closed early": (faults.BODY_CLOSE, 1),
    "body too short": (faults.SHORT, 1),
    "corrupt byte": (faults.CORRUPT, 1),
    "200 with HTML": (instead(faults.HTML), 1),
    "200 with HTML, for ever": (instead(faults.HTML), 99),
    "503 for ever": (instead(error(503, "SlowDown")), 99),
    "answer lost by close": (faults.LOST_BY_CLOSE, 1),
    "answer lost as 500": (faults.LOST_AS_500, 1),
    "all answers lost as 500": (faults.LOST_AS_500, 99),
}
READS = {
    "get": (lambda store: store.get("key"), OLD),
    "range": (lambda store: store.get_range("key", 10, 2000), OLD[10:2000]),
    "head": (lambda store: store.head("key").size, len(OLD)),
    "list": (lambda store: sorted(row.key for row in store.list("listed/")), LISTED),
}
WRITES = {
    "put": (lambda store, etag: store.put("key", NEW), "PUT", "key", NEW),
    "create": (lambda store, etag: store.create("new", NEW), "PUT", "new", NEW),
    "replace": (lambda store, etag: store.replace_if("key", NEW, etag), "PUT", "key", NEW),
    "delete": (lambda store, etag: store.delete("key"), ("DELETE", "POST"), "key", None),
    "delete if": (lambda store, etag: store.delete_if("key", etag), "DELETE", "key", None),
}
#: Nothing in these answers tells: there is no digest of a range, of a listing, or of what a web server has.
UNTOLD = {("corrupt byte", "range"), ("corrupt byte", "list")}
UNTOLD_ON_THE_WEB = {"corrupt byte", "body too short", "200 with HTML", "200 with HTML, for ever"}


def attempt(call, *arguments):
    """What the call returns, and what it failed with."""
    try:
        return call(*arguments), None
    except HoldfastError as failed:
        return None, failed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("vendor", ["google", "azure", "web"])
def test_reads_under_faults(request, vendor, kind):
    cell = request.getfixturevalue(vendor)
    if vendor != "web":
        for key in ("key", *LISTED):
            cell.store.put(key, OLD)
    fault, times = KINDS[kind]
    for name, (read, wanted) in READS.items():
        if vendor == "web" and name == "list":
            continue
        cell.server.inject(fault, {"GET", "HEAD"}, times)
        got, failed = attempt(read, cell.store)
        if failed is not None:
            assert not isinstance(failed, NotFound | Conflict), (name, failed)
        elif (kind, name) not in UNTOLD and not (vendor == "web" and kind in UNTOLD_ON_THE_WEB):
            assert got == wanted, name
        cell.server.left = 0
        assert cell.store.get("key") == OLD, "reads on in the rest of another answer"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {"corrupt byte", "body too short"}])
@pytest.mark.parametrize("vendor", ["google", "azure"])
def test_writes_under_faults(request, vendor, kind):
    cell = request.getfixturevalue(vendor)
    fault, times = KINDS[kind]
    for name, (write, methods, key, after) in WRITES.items():
        cell.server.left = 0
        etag = cell.store.put("key", OLD).etag
        before = cell.objects().get(key)
        cell.server.inject(fault, methods, times)
        _, failed = attempt(write, cell.store, etag)
        assert not isinstance(failed, AlreadyExists | Conflict | NotFound), (name, failed)
        assert cell.objects().get(key) in ({after} if failed is None else {before, after}), (name, failed)
        cell.server.left = 0
        cell.store.put("after", NEW)
        assert cell.store.get("after") == NEW
        cell.store.remove(["new"])
