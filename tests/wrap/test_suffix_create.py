"""Creating an object that may lie under several names: exactly one of any number of creators wins."""

from __future__ import annotations

import errno
import threading

import pytest

from holdfast.errors import AlreadyExists, Unsupported
from holdfast.store import WRITE, Wrapper
from holdfast.stores.file import FileStore, locking
from holdfast.stores.memory import MemoryStore
from holdfast.types import WriteOptions
from holdfast.wrap import suffix
from holdfast.wrap.rekey import PrefixStore
from holdfast.wrap.suffix import SuffixStore
from tests.user_stores import FiveMethods

from .suffixes import ENCODINGS, foreign, in_threads, listed, put, stored


def create(store, key, body, encoding=None):
    return store.write(key, body, WriteOptions(content_encoding=encoding, if_absent=True))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("first", ENCODINGS)
def test_one_create_of_a_key_succeeds_whatever_the_encodings(store, monkeypatch, first, streamed):
    monkeypatch.setattr(suffix, "GATHERED", 0)
    body = (lambda: iter([b"ne", b"w"])) if streamed else (lambda: b"new")
    info = create(store, "a", body(), first)
    assert (info.key, info.content_encoding) == ("a", first)
    before = store.head("a")
    for second in ENCODINGS:
        with pytest.raises(AlreadyExists) as caught:
            create(store, "a", body() if streamed else b"other", second)
        assert caught.value.key == "a"
    assert (store.get("a"), store.head("a"), len(stored(store))) == (b"new", before, 1)
    store.delete("a")
    create(store, "a", body(), "br")
    assert listed(store) == [("a", "br")]


def test_what_can_be_read_cannot_be_created(store):
    foreign(store, "x.gz")
    for key in ("x", "x.gz"):
        assert store.exists(key)
        with pytest.raises(AlreadyExists):
            create(store, key, b"new")
    assert stored(store) == ["x.gz"]


def test_a_name_of_its_own_does_not_stand_in_the_way_of_the_key_it_looks_like(store):
    create(store, "x.gz", b"raw")
    create(store, "x", b"(compressed)", "gzip")
    assert listed(store) == [("x", "gzip"), ("x.gz", None)]
    assert (store.get("x"), store.get("x.gz")) == (b"(compressed)", b"raw")


def test_a_staged_create_is_decided_at_its_commit(store):
    options = WriteOptions(if_absent=True)
    staged = store._stage("a", 3, options)
    staged.write_at(0, b"new")
    put(store, "a", b"meanwhile", "gzip")
    with pytest.raises(AlreadyExists):
        staged.commit()
    staged.abort()
    assert (listed(store), store.get("a")) == ([("a", "gzip")], b"meanwhile")
    store.delete("a")
    again = store._stage("a", 3, options)
    again.write_at(0, b"new")
    again.commit()
    assert (listed(store), store.get("a")) == ([("a", None)], b"new")


@pytest.mark.parametrize("mine", [None, "gzip"])
@pytest.mark.parametrize("theirs", ENCODINGS)
def test_a_stream_never_shadows_what_was_written_while_it_came(store, monkeypatch, mine, theirs):
    monkeypatch.setattr(suffix, "GATHERED", 0)

    def body():
        yield b"new"
        put(store, "a", b"meanwhile", theirs)
        yield b"!"
        assert store.get("a") == b"meanwhile"

    with pytest.raises(AlreadyExists):
        create(store, "a", body(), mine)
    assert (listed(store), store.get("a")) == ([("a", theirs)], b"meanwhile")
    with pytest.raises(AlreadyExists):  # and asks for no body when it is known to be refused
        create(store, "a", (pytest.fail("asked") if n > 1 else b"x" for n in range(3)), mine)


class Beside(MemoryStore):
    """A memory store into which another program, which takes no lock, puts an object at the very last moment."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def _write(self, key, body, options=WRITE):
        MemoryStore._write(self, self.path, b"theirs")
        return super()._write(key, body, options)


def test_a_program_that_takes_no_lock_is_not_overwritten():
    for path in ("a", "a.gz"):
        store = SuffixStore(Beside(path))
        with pytest.raises(AlreadyExists) as caught:
            create(store, "a", b"ours", None if path == "a" else "gzip")
        assert caught.value.key == "a"
        assert store.store.get(path) == b"theirs"
    store = SuffixStore(Beside("a.br"))
    create(store, "a", b"ours", "gzip")
    assert store.store.get("a.br") == b"theirs"  # hidden or not, it is not ours to remove


def test_it_is_a_capability_only_where_everybody_can_be_excluded(tmp_path):
    for inner in (
        MemoryStore(),
        PrefixStore(MemoryStore(), "p/"),
        FileStore(tmp_path),
        PrefixStore(FileStore(tmp_path), "p/"),
    ):
        store = SuffixStore(inner)
        assert store.capabilities.create
        create(store, "a", b"1", "gzip")
    for inner in (Wrapper(MemoryStore()), Wrapper(FileStore(tmp_path)), FiveMethods()):
        store = SuffixStore(inner)
        assert not store.capabilities.create
        with pytest.raises(Unsupported, match="if_absent"):
            create(store, "b", b"")
        assert not store.exists("b")


def test_without_file_locks_plain_writes_work_and_creating_is_refused(tmp_path, monkeypatch):
    def refuse(fd, operation):
        raise OSError(errno.ENOSYS, "no locks here")

    monkeypatch.setattr(locking.fcntl, "flock", refuse)
    store = SuffixStore(FileStore(tmp_path))
    put(store, "a", b"1", "gzip")
    put(store, "a", b"2")
    assert stored(store) == ["a"]
    store.delete("a")
    with pytest.raises(Unsupported, match="no file locks"):
        create(store, "a", b"3", "gzip")
    assert stored(store) == []


class Unlockable(MemoryStore):
    """A memory store that offers ``locked`` and cannot keep it."""

    def locked(self, key):
        raise self._unsupported("a locked block")


def test_without_the_lock_nothing_is_created_even_where_the_wrapped_store_can_create():
    store = SuffixStore(Unlockable())
    put(store, "a", b"1", "gzip")
    for body in (b"2", iter([b"2"])):
        with pytest.raises(Unsupported, match="locked block"):
            create(store, "b", body, "gzip")
    assert stored(store) == ["a.gz"]


@pytest.mark.parametrize("streamed", [False, True])
def test_of_racing_threads_one_creates(inner, soak, restless, monkeypatch, streamed):
    if streamed:
        monkeypatch.setattr(suffix, "GATHERED", -1)
    for attempt in range(2000 if soak else 60):
        key, won, lost = f"{attempt}", [], []
        start = threading.Barrier(4)

        def creator(number, key=key, won=won, lost=lost, start=start):
            store = SuffixStore(inner)
            body = b"%d" % number
            start.wait(10)
            try:
                create(store, key, iter([body, b""]) if streamed else body, ENCODINGS[number])
                won.append(body)
            except AlreadyExists:
                lost.append(body)

        in_threads(*(lambda number=number: creator(number) for number in range(4)))
        assert (len(won), len(lost)) == (1, 3)
        store = SuffixStore(inner)
        assert [store.get(key)] == won
    assert len(stored(store)) == attempt + 1
