"""ZipStore: what stays in front of an archive and behind its members, who is told what, and what listings show."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import zipfile

import pytest

from holdfast.errors import Indeterminate, Timeout
from holdfast.stores.zip import ZipStore, appending, directory, locking
from holdfast.stores.zip import store as zip_store


@pytest.fixture
def path(tmp_path):
    return tmp_path / "objects.zip"


@pytest.fixture
def store(path):
    with ZipStore(path) as store:
        yield store


def members(path):
    """What Python's own zipfile reads, checked."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


# ---------------------------------------------------------------- what others put there stays
def test_what_stands_in_front_of_an_empty_archive_stays_there(path, store):
    stub = b"#!/bin/sh\necho a precious stub\n" * 3
    path.write_bytes(stub)
    zipfile.ZipFile(path, "a").close()
    store.put("a", b"1")
    store.put("b", b"2")
    assert path.read_bytes().startswith(stub)
    assert members(path) == {"a": b"1", "b": b"2"}


def test_what_another_program_put_behind_the_members_stays_there(path, store):
    """As signatures of programs do, which lie between the members and the directory."""
    signature = b"a block of signatures" * 9
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"1")
        archive.fp.seek(archive.start_dir)
        archive.fp.write(signature)
        archive.start_dir += len(signature)
        archive._didModify = True
    assert signature in path.read_bytes()
    store.put("b", b"2")
    assert signature in path.read_bytes()
    assert members(path) == {"a": b"1", "b": b"2"}


# ---------------------------------------------------------------- who is told what
class Interrupted:
    """Raises in the n-th call of a function, after it was made, in one thread."""

    def __init__(self, call, number, error, thread):
        self.call, self.left, self.error, self.thread = call, number, error, thread

    def __call__(self, *arguments):
        answer = self.call(*arguments)
        if threading.current_thread() is self.thread:
            self.left -= 1
            if not self.left:
                raise self.error
        return answer


@pytest.mark.parametrize(("name", "number"), [("ftruncate", 2), ("fsync", 3)])
def test_ctrl_c_behind_the_commit_leaves_the_others_told_the_truth(path, monkeypatch, name, number):
    """Creates that the interrupted thread made for others have won, and were told AlreadyExists."""
    store = ZipStore(path, durable=name == "fsync")
    store.put("first", b"1")
    told = {}

    def create(key):
        told[key] = store.create(key, b"mine-" + key.encode()).key

    threads = [threading.Thread(target=create, args=(f"w{number}",)) for number in range(3)]
    commit, me = store._writers._commit, threading.current_thread()

    def with_others(batch):
        if threading.current_thread() is me:
            for thread in threads:
                thread.start()
            while len(store._writers.queue.waiting) < 3:
                pass
            batch.extend(store._writers._take(store._writers.queue))
        commit(batch)

    store._writers._commit = with_others
    # The second cut is the commit, and the third time it is made to survive a power failure.
    monkeypatch.setattr(appending.os, name, Interrupted(getattr(appending.os, name), number, KeyboardInterrupt(), me))
    with pytest.raises(KeyboardInterrupt):
        store.put("main", b"1")
    for thread in threads:
        thread.join(10)
    assert told == {"w0": "w0", "w1": "w1", "w2": "w2"}
    assert store.get("w1") == b"mine-w1"


def test_a_disk_that_fails_behind_the_commit_makes_it_indeterminate(path, monkeypatch):
    with ZipStore(path, durable=True) as store:
        store.put("first", b"1")
        sync = Interrupted(appending.os.fsync, 3, OSError(5, "Input/output error"), threading.current_thread())
        monkeypatch.setattr(appending.os, "fsync", sync)
        with pytest.raises(Indeterminate, match="power failure"):
            store.create("new", b"2")
        monkeypatch.undo()
        assert store.get("new") == b"2"


# ---------------------------------------------------------------- listings
def test_a_member_that_comes_while_a_listing_sorts_is_in_the_next_one(path, store, monkeypatch):
    for number in range(5):
        store.put(f"k{number}", b"")
    sort_key, sorting, go_on = directory.sort_key, threading.Event(), threading.Event()

    def slow(key):
        if threading.current_thread() is lister and not go_on.is_set():
            sorting.set()
            assert go_on.wait(10)
        return sort_key(key)

    monkeypatch.setattr(directory, "sort_key", slow)
    store._opened.directory._order = (0, [])
    lister = threading.Thread(target=lambda: list(store.keys()))
    lister.start()
    assert sorting.wait(10)
    store.put("acknowledged", b"1")
    go_on.set()
    lister.join(10)
    assert "acknowledged" in set(store.keys())


# ---------------------------------------------------------------- after a kill
@pytest.mark.parametrize("stub", [b"", b"#!/usr/bin/env python3\n"])
def test_a_torn_tail_is_cut_off_by_whoever_reads_next(path, stub):
    """Others do not find the directory there, and must not have to wait for somebody to write."""
    path.write_bytes(stub)
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(2000):
            archive.writestr(f"member-{number:05}", b"x")
    sound = path.read_bytes()
    # What a writer leaves that is killed while it copies the directory.
    torn = sound + bytes(200_000) + sound[-100_000:][:70_000].replace(b"PK\5\6", b"....")
    path.write_bytes(torn)
    with pytest.raises(zipfile.BadZipFile):
        members(path)
    with ZipStore(path) as store:
        assert store.get("member-00007") == b"x"
    assert path.read_bytes() == sound
    assert len(members(path)) == 2000


def test_a_torn_tail_is_left_alone_where_it_may_be_somebodys_work(path, store):
    list(store.put_many((f"member-{number:05}", b"x") for number in range(2000)))
    torn = path.read_bytes() + bytes(200_000)
    path.write_bytes(torn)
    with open(path, "rb") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        with ZipStore(path) as reader:
            assert len(list(reader.keys())) == 2000
        assert path.read_bytes() == torn


# ---------------------------------------------------------------- locks and files
def test_who_holds_the_lock_makes_others_time_out(path):
    with ZipStore(path, timeout=0.05) as store:
        store.put("a", b"1")
        with open(path, "rb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            with pytest.raises(Timeout) as raised:
                store.put("b", b"2")
            assert raised.value.retryable
            with pytest.raises(Timeout):
                ZipStore(path, timeout=0.05).get("a")
        store.put("b", b"2")
        assert list(store.keys()) == ["a", "b"]


def test_a_child_that_was_forked_off_while_its_parent_wrote_holds_no_lock(path):
    """Else the archive would be locked as long as the child lives, if the parent were killed now."""
    ZipStore(path).put("a", b"1")
    with locking.exclusive(str(path), "zip://", 1) as descriptor:
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            signal.pause()
        os.close(descriptor)  # and no unlocking, as when it is killed
        with ZipStore(path, timeout=5) as other:
            other.put("b", b"2")
        # The block closes that number once more.
        assert os.open(os.devnull, os.O_RDONLY) == descriptor
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_link_to_where_nothing_is_yet_is_followed(tmp_path):
    (tmp_path / "link.zip").symlink_to(tmp_path / "far" / "objects.zip")
    with ZipStore(tmp_path / "link.zip") as store:
        store.put("a", b"1")
    assert members(tmp_path / "far" / "objects.zip") == {"a": b"1"}


def test_a_file_system_without_hard_links_will_do(path, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(zip_store.os, "link", refuse)
    with ZipStore(path) as store:
        store.put("a", b"1")
    assert members(path) == {"a": b"1"}
    assert list(path.parent.iterdir()) == [path]


def test_a_new_durable_archive_has_its_name_on_disk_too(tmp_path, monkeypatch):
    synced, sync = [], os.fsync

    def noted(descriptor):
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    with ZipStore(tmp_path / "new" / "er" / "a.zip", durable=True) as store:
        store.put("a", b"1")
    assert {str(tmp_path), str(tmp_path / "new"), str(tmp_path / "new" / "er")} <= set(synced)


def test_one_name_that_is_no_utf_8_does_not_hide_the_others(path, store):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good", b"1")
        archive.writestr("béd", b"2")
    path.write_bytes(path.read_bytes().replace("béd".encode(), b"b\xff\xfed"))
    assert store.get("good") == b"1"
    assert store.get("b\udcff\udcfed") == b"2"
    store.put("more", b"3")
    assert len(list(store.keys())) == 3
