"""Threads that race for the variants of one key."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from holdfast.errors import AlreadyExists, Conflict, NotFound
from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.types import WriteOptions
from holdfast.wrap import _families, suffix
from holdfast.wrap.rekey import PrefixStore
from holdfast.wrap.suffix import SuffixStore

from .suffixes import ENCODINGS, Watched, in_threads, listed, put, stored


def writer(store, number, rounds, acknowledged, key="a", names=ENCODINGS, streamed=False):
    def run():
        for turn in range(rounds):
            data = b"%d:%d" % (number, turn)
            body = iter([data, b""]) if streamed else data
            put(store, key, body, names[(turn + number) % len(names)])
            acknowledged[number] = data

    return run


@pytest.mark.parametrize("streamed", [False, True])
def test_racing_writes_leave_exactly_one_variant_one_of_the_last(inner, soak, restless, monkeypatch, streamed):
    if streamed:
        monkeypatch.setattr(suffix, "GATHERED", -1)
    for attempt in range(3000 if soak else 100):
        acknowledged = {}
        # Two wrappers of the same objects, as two CloudFiles of one directory are.
        writers = [writer(SuffixStore(inner), n, 2, acknowledged, streamed=streamed) for n in range(2)]
        in_threads(*writers, writer(SuffixStore(inner), 2 + attempt % 6, 2, acknowledged))
        store = SuffixStore(inner)
        assert len(stored(store)) == 1, attempt
        assert store.get("a") in acknowledged.values()
        assert len(listed(store)) == 1


@pytest.mark.slow
def test_a_reader_never_misses_a_key_that_is_there_nor_sees_less_than_was_acknowledged(inner, soak, restless):
    store = SuffixStore(inner)
    put(store, "a", b"0")
    acknowledged = [0]
    done = threading.Event()

    def write():
        try:
            for turn in range(1, 4000 if soak else 400):
                put(store, "a", b"%d" % turn, ENCODINGS[turn % len(ENCODINGS)])
                acknowledged[0] = turn
                assert store.get("a") == b"%d" % turn
        finally:
            done.set()

    def read():
        while not done.is_set():
            before = acknowledged[0]
            assert int(store.get("a")) >= before
            assert store.exists("a")

    in_threads(write, read, read, seconds=120)


def test_natural_names_and_encodings_of_one_family_do_not_lose_each_other(inner, soak, restless):
    stores = [SuffixStore(inner) for _ in range(3)]
    acknowledged = [{}, {}, {}]
    rounds = 600 if soak else 60
    in_threads(
        writer(stores[0], 0, rounds, acknowledged[0], "q", ["gzip", None, "gzip", "br"]),
        writer(stores[1], 0, rounds, acknowledged[1], "q.gz", [None, "gzip", "br"]),
        writer(stores[2], 0, rounds, acknowledged[2], "q.gz.br", [None, "br"]),
        seconds=120,
    )
    for store, key, last in zip(stores, ("q", "q.gz", "q.gz.br"), acknowledged, strict=True):
        assert store.get(key) == last[0]
    assert len(stored(stores[0])) == 3


def test_racing_deletes_and_writes_end_with_one_variant_or_none(inner, soak, restless):
    store = SuffixStore(inner)

    def delete():
        for _ in range(40):
            assert store.remove(["a"]) == [None]

    for _ in range(100 if soak else 8):
        acknowledged = {}
        in_threads(*(writer(store, number, 30, acknowledged) for number in range(2)), delete)
        assert len(stored(store)) <= 1
        assert store.exists("a") == bool(stored(store))


def test_a_long_stream_holds_nobody_up_and_may_write_to_the_store_itself(inner, monkeypatch):
    monkeypatch.setattr(suffix, "GATHERED", 10)
    store = SuffixStore(inner)
    put(store, "a", b"old", "gzip")

    def body(encoding):
        yield b"x" * 20
        assert store.get("a")
        put(store, "progress", b"half", encoding)
        in_threads(lambda: put(store, "other", b"1"), lambda: put(store, "a.zstd", b"relative"), seconds=10)
        yield b"y"

    for encoding in (None, "br"):
        put(store, "a", body(encoding), encoding)
        assert store.get("a") == b"x" * 20 + b"y"
        assert store.get("a.zstd") == b"relative"
        assert [row.key for row in store.list("a")].count("a") == 1


@pytest.mark.parametrize("encoding", [None, "br"])
@pytest.mark.parametrize("other", ["put", "delete", "create"])
def test_who_comes_while_a_stream_becomes_visible_waits_for_it(monkeypatch, encoding, other):
    monkeypatch.setattr(suffix, "GATHERED", 0)
    store = SuffixStore(Watched())

    def create():
        with pytest.raises(AlreadyExists):
            store.create("a", b"later")

    changes = {
        "put": lambda: put(store, "a", b"later", "gzip"),
        "delete": lambda: store.delete("a"),
        "create": create,
    }
    thread = threading.Thread(target=changes[other], daemon=True)

    def overtake():
        store.store.watch(lambda: None)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        assert store.get("a") == b"streamed"

    store.store.watch(overtake)
    put(store, "a", iter([b"stream", b"ed"]), encoding)
    thread.join(10)
    assert not thread.is_alive()
    left = {"put": [("a", "gzip")], "delete": [], "create": [("a", encoding)]}[other]
    assert listed(store) == left
    assert len(stored(store)) == len(left)


def test_a_stream_sees_what_was_written_to_its_key_while_it_came(inner, monkeypatch):
    monkeypatch.setattr(suffix, "GATHERED", 0)
    store = SuffixStore(inner)

    def body(encoding):
        yield b"of"
        put(store, "a", b"meanwhile", encoding)
        assert store.get("a") == b"meanwhile"
        yield b" a"

    for mine, theirs in ((None, "gzip"), ("gzip", None), ("br", "xz"), ("xz", "xz")):
        put(store, "a", body(theirs), mine)
        assert listed(store) == [("a", mine)]
        assert (store.get("a"), len(stored(store))) == (b"of a", 1)


def test_a_stream_that_finds_its_name_taken_is_refused_and_takes_nothing(inner, monkeypatch):
    monkeypatch.setattr(suffix, "GATHERED", 0)
    store = SuffixStore(inner)

    def body():
        yield b"of a"
        put(store, "a.gz", b"of a.gz")
        yield b"!"

    with pytest.raises(Conflict, match="write it again") as caught:
        store.write("a", body(), WriteOptions(content_encoding="gzip"))
    assert caught.value.retryable
    assert listed(store) == [("a.gz", None)]
    assert store.get("a.gz") == b"of a.gz"


def test_a_staged_object_replaces_every_variant_when_it_is_committed(inner):
    store = SuffixStore(inner)
    put(store, "a", b"old", "gzip")
    staged = store._stage("a", 3)
    staged.write_at(1, b"ew")
    assert store.get("a") == b"old"
    staged.write_at(0, b"n")
    assert staged.commit().key == "a"
    assert store.get("a") == b"new"
    assert listed(store) == [("a", None)]
    abandoned = store._stage("a", 3)
    abandoned.abort()
    assert store.get("a") == b"new"
    assert store._stage("a", 3, WriteOptions(content_encoding="gzip")) is None
    natural = store._stage("a.br", 1)
    natural.write_at(0, b"n")
    assert natural.commit().content_encoding is None
    assert listed(store) == [("a", None), ("a.br", None)]


def test_one_object_has_one_lock_under_whatever_prefix_it_is_opened(tmp_path):
    bucket = MemoryStore("locks")
    pairs = [
        (SuffixStore(bucket), "p/a", SuffixStore(PrefixStore(MemoryStore("locks"), "p/")), "a.gz"),
        (SuffixStore(FileStore(tmp_path)), "p/a", SuffixStore(FileStore(tmp_path / "p")), "a"),
    ]
    for one, its_key, other, other_key in pairs:
        with one._locked(its_key):
            assert len(_families.families._locks) == 1
            with other._locked(other_key):
                assert len(_families.families._locks) == 1
            with other._locked("b"):
                assert len(_families.families._locks) == 2


def test_no_lock_is_left_behind():
    store = SuffixStore(MemoryStore())
    put(store, "a", b"", "gzip")
    with pytest.raises(NotFound):
        store.get("b")
    with pytest.raises(AlreadyExists):
        store.create("a", b"")
    with pytest.raises(TypeError):
        store.put("c", ["not bytes"])
    assert _families.families._locks == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are tested where there are forks")
def test_a_child_forked_while_a_lock_is_held_can_write():
    store = SuffixStore(MemoryStore())
    held, release = threading.Event(), threading.Event()

    def hold():
        with store._locked("a"):
            held.set()
            release.wait(30)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    assert held.wait(10)
    child = os.fork()
    if not child:
        signal.alarm(10)  # ends the child if it hangs
        put(store, "a", b"1", "gzip")
        os._exit(0 if store.get("a") == b"1" else 1)
    try:
        assert os.waitpid(child, 0)[1] == 0
    finally:
        release.set()
        thread.join(10)
