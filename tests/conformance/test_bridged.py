"""The matrix, over an asynchronous store of five methods, whose event loop runs in another thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

from holdfast.aio import BridgedStore
from holdfast.testing import StoreConformance


class Objects:
    """Five asynchronous methods over a dict."""

    def __init__(self):
        self.objects = {}

    async def get(self, key):
        return self.objects[key]

    async def put(self, key, data):
        self.objects[key] = data

    async def delete(self, key):
        del self.objects[key]

    async def exists(self, key):
        return key in self.objects

    async def keys(self):
        for key in list(self.objects):
            yield key


@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class TestBridgedStore(StoreConformance):
    pickles = False  # a copy has no event loop until it is awaited: see tests/aio/test_bridge.py

    @pytest.fixture
    def store(self, loop):
        store = BridgedStore(Objects())
        store.bind(loop)
        return store

    def truth(self, store):
        return store.child.objects
