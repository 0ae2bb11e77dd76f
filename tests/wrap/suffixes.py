"""What the tests of ``SuffixStore`` share: short ways to write, list and look, and stores to wrap."""

from __future__ import annotations

import threading
import time

from holdfast import codecs
from holdfast.store import REMOVE, WRITE
from holdfast.stores.memory import MemoryStore
from holdfast.types import ListOptions, WriteOptions

ENCODINGS = [None, *codecs.SUFFIXES]


def put(store, key, data, encoding=None):
    info = store.write(key, data, WriteOptions(content_encoding=encoding))
    assert (info.key, info.content_encoding) == (key, encoding)
    return info


def foreign(store, *paths, data=b"foreign"):
    for path in paths:
        store.store.put(path, data)


def listed(store, **options):
    """The listed keys with their encodings, which rows and heads must agree on."""
    rows = [(row.key, row.content_encoding) for row in store._scan(ListOptions(**options))]
    assert rows == [(key, store.head(key).content_encoding) for key, _ in rows]
    return rows


def stored(store):
    return [row.key for row in store.store.list()]


def marks(store):
    return {key: store.store.head(key).content_encoding for key in stored(store)}


class Watched(MemoryStore):
    """A memory store that tells after each step that something was written or removed."""

    def watch(self, look):
        self.look = look

    def _write(self, key, body, options=WRITE):
        info = super()._write(key, body, options)
        self.look()
        return info

    def _remove(self, keys, options=REMOVE):
        removed = super()._remove(keys, options)
        self.look()
        return removed


def in_threads(*functions, seconds=30.0):
    """Run them all at once; the first failure is raised here."""
    failures = []

    def guarded(function):
        try:
            function()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(function,), daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    if failures:
        raise failures[0]
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
