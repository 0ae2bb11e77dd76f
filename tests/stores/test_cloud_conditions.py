"""Counters on Google and Azure while every fifth answer is lost: what was acknowledged is there, and only once."""

from __future__ import annotations

import http.client
import itertools
import random
import threading

import pytest

from holdfast.engine import Engine
from holdfast.errors import Conflict, Indeterminate
from holdfast.stores.az import AzureStore
from holdfast.stores.gs import GoogleStore
from tests.servers import Gcs
from tests.stores.s3_stores import quick
from tests.stores.scripted import Answer, Scripted

pytestmark = pytest.mark.server

WRITERS, TURNS = 6, 40
PATIENT = quick(capacity=10**6)


class Lossy:
    """What stands before Azurite: every fifth answer to a conditional write is lost, and some requests are."""

    def __init__(self, port, run):
        self.port, self.dice, self.lock = port, random.Random(run), threading.Lock()
        self.losing = True

    def __call__(self, request):
        with self.lock:
            number = self.dice.randrange(100) if self.losing and request.method == "PUT" else 100
        if number < 6:
            return Answer(500)
        answer = self.forward(request)
        if number < 13:
            return Answer(500)
        return Answer(200, b"", cut=0) if number < 20 else answer

    def forward(self, request):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(request.method, request.target, request.body or None, request.headers)
            answer = connection.getresponse()
            dropped = {"connection", "date", "keep-alive", "transfer-encoding", "server"}
            headers = {n: v for n, v in answer.getheaders() if n.lower() not in dropped}
            return Answer(answer.status, answer.read(), headers)
        finally:
            connection.close()


def count(store):
    """How many increments were acknowledged, and how many are indeterminate."""
    serial = itertools.count()

    def work(_):
        acknowledged = unknown = 0
        while acknowledged + unknown < TURNS:
            with store.read("counter") as blob:
                etag, value = blob.info.etag, int(blob.bytes().split()[0])
            try:
                store.replace_if("counter", b"%d %d" % (value + 1, next(serial)), etag)
            except Conflict:
                continue
            except Indeterminate:
                unknown += 1
            else:
                acknowledged += 1
        return acknowledged, unknown

    with Engine() as engine:
        results = [outcome.value for outcome in engine.run(work, range(WRITERS), threads=WRITERS)]
    return tuple(sum(column) for column in zip(*results, strict=True))


def check(store, counted):
    acknowledged, unknown = counted
    assert acknowledged + unknown == WRITERS * TURNS
    assert acknowledged <= int(store.get("counter").split()[0]) <= acknowledged + unknown
    assert unknown < acknowledged // 4


def test_a_counter_on_google_never_loses_an_acknowledged_increment(soak):
    for run in range(20 if soak else 3):
        with Gcs() as server:
            store = GoogleStore(server.make_bucket(), endpoint=server.endpoint, token=server.token, retry=PATIENT)
            store.put("counter", b"0")
            server.lost = random.Random(run).choices(["", "not done", "status", "close"], [80, 6, 7, 7], k=100_000)
            counted = count(store)
            server.lost = []
            check(store, counted)


@pytest.mark.timeout(600)
def test_a_counter_on_azure_never_loses_an_acknowledged_increment(azurite, soak):
    for run in range(20 if soak else 3):
        lossy = Lossy(azurite.port, run)
        with Scripted(lossy) as proxy:
            endpoint = f"{proxy.endpoint}/{azurite.account}"
            container = azurite.make_container()
            store = AzureStore(container, endpoint=endpoint, account_key=azurite.account_key, retry=PATIENT)
            lossy.losing = False
            store.put("counter", b"0")
            lossy.losing = True
            counted = count(store)
            lossy.losing = False
            check(store, counted)


def test_the_history_is_bounded_and_hidden(azurite, gcs, monkeypatch):
    monkeypatch.setattr(gcs, "accepts", lambda token: True)
    bucket = gcs.make_bucket()
    for store in (
        GoogleStore(bucket, endpoint=gcs.endpoint, token="x"),
        AzureStore(azurite.make_container(), endpoint=azurite.endpoint, account_key=azurite.account_key),
    ):
        etag = store.create("key", b"0").etag
        for number in range(1, 20):
            etag = store.replace_if("key", b"%d" % number, etag).etag
        assert store.head("key").metadata == {}
    assert len(gcs.buckets[bucket].objects["key"].headers["x-goog-meta-holdfasthistory"].split(",")) == 16
