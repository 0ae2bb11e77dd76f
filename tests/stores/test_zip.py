"""ZipStore: beside other programs' archives, hostile ones, among processes, killed, and on a full disk."""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import struct
import subprocess
import sys
import threading
import time
import zipfile
from datetime import UTC, datetime

import pytest

from holdfast.errors import AlreadyExists, HoldfastError, IntegrityError, InvalidKey, NotFound, StoreError, Unsupported
from holdfast.stores.file import FileStore
from holdfast.stores.zip import ZipStore, appending, directory, records
from holdfast.testing.suite import pattern, together
from holdfast.types import ReadOptions
from tests.stores.killing import killed_round, number_of, value
from tests.stores.small_disks import small_disk

BIG = 5 << 20


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


def contents(store):
    return {info.key: store.get(info.key) for info in store.list()}


# ---------------------------------------------------------------- other programs
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_archives_of_zipfile_are_read_and_continued(path, store, method):
    held = {f"dir/é{number}": pattern(number * 3000) for number in range(20)} | {"empty": b"", "big": pattern(BIG)}
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.comment = b"a comment"
        for name, data in held.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 2, 29, 12, 30, 42)), data, method)
    assert contents(store) == held
    assert store.head("big").last_modified == datetime(2024, 2, 29, 12, 30, 42).astimezone(UTC)
    assert store.get_range("big", 1 << 20, (1 << 20) + 9) == pattern(BIG)[1 << 20 : (1 << 20) + 9]
    store.put("new", b"new")
    assert members(path) == {**held, "new": b"new"}
    with zipfile.ZipFile(path, "a") as archive:
        assert archive.comment == b"a comment"
        archive.writestr("theirs", b"theirs")
    store.put("ours", b"ours")
    assert contents(store) == members(path) == {**held, "new": b"new", "theirs": b"theirs", "ours": b"ours"}


def test_streamed_archives_have_their_sizes_behind_the_members(path, store):
    class Pipe(io.RawIOBase):
        def __init__(self, file):
            self.file = file

        def writable(self):
            return True

        def write(self, data):
            return self.file.write(data)

    with path.open("wb") as file, zipfile.ZipFile(Pipe(file), "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"k{number}", pattern(5000))
    store.put("new", b"x")
    assert contents(store) == members(path) == {**{f"k{n}": pattern(5000) for n in range(3)}, "new": b"x"}


@pytest.mark.skipif(shutil.which("zip") is None or shutil.which("unzip") is None, reason="needs zip and unzip")
def test_the_programs_zip_and_unzip_read_and_write_the_same_archive(tmp_path, path):
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/ü").write_bytes(pattern(100_000))
    subprocess.run(["zip", "-qr", path, "dir"], cwd=tmp_path, check=True)
    with ZipStore(path, compression="deflated") as store:
        assert contents(store) == {"dir/": b"", "dir/ü": pattern(100_000)}
        store.put("new/ß", bytes(200_000))
        subprocess.run(["unzip", "-tq", path], check=True, stdout=subprocess.DEVNULL)
        (tmp_path / "later").write_bytes(b"later")
        subprocess.run(["zip", "-q", path, "later"], cwd=tmp_path, check=True)
        assert contents(store)["later"] == b"later"
        subprocess.run(["unzip", "-q", path, "-d", tmp_path / "out"], check=True)
    assert (tmp_path / "out/new/ß").read_bytes() == bytes(200_000)


def test_what_stands_in_front_of_an_archive_stays_there(path, store):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"1")
    path.write_bytes(b"#!/bin/sh\nexit\n" + path.read_bytes())
    assert store.get("a") == b"1"
    store.put("b", b"2")
    assert members(path) == contents(store) == {"a": b"1", "b": b"2"}
    assert path.read_bytes().startswith(b"#!/bin/sh")


def test_an_archive_that_another_program_replaced_is_read_anew(path, store):
    store.put("a", b"1")
    assert store.get("a") == b"1"
    for count in range(2):
        with zipfile.ZipFile(path.with_suffix(".new"), "w") as archive:
            archive.writestr("a", b"%d" % count)
        os.replace(path.with_suffix(".new"), path)
        assert store.get("a") == b"%d" % count
    store.put("b", b"2")
    assert members(path) == {"a": b"1", "b": b"2"}


@pytest.mark.slow
def test_more_members_than_the_old_format_counts(path, store):
    count = 65_600
    assert sum(1 for _ in store.put_many((f"k{number:06d}", b"%d" % number) for number in range(count))) == count
    assert ZipStore(path).get("k065599") == b"65599"
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == count
        assert archive.read("k000077") == b"77"
    store.put("one more", b"x")
    assert len(list(ZipStore(path).keys())) == count + 1


@pytest.mark.slow
def test_an_archive_beyond_four_gigabytes(path, store):
    """A sparse one: its first member has 5 GiB of zeros that are never written."""
    huge = 5 << 30
    packed = records.pack(b"huge", records.STORED, 0, huge, huge)
    central = packed.central(0, 0)
    start = len(packed.local) + huge
    with path.open("wb") as file:
        file.write(packed.local)
        file.seek(start)
        file.write(central + records.pack_end(1, len(central), start, 0, b""))
    assert store.head("huge").size == huge
    assert store.get_range("huge", huge - 5, None) == bytes(5)
    store.put("after", b"beyond four gigabytes")
    assert ZipStore(path).get("after") == b"beyond four gigabytes"
    with zipfile.ZipFile(path) as archive:
        assert archive.read("after") == b"beyond four gigabytes"
        assert archive.getinfo("huge").file_size == huge
        with archive.open("huge") as file:
            assert file.read(10) == bytes(10)


# ---------------------------------------------------------------- reading
def test_reading_creates_nothing(tmp_path, path, store):
    assert list(store.keys()) == []
    for call in (store.get, store.head):
        with pytest.raises(NotFound):
            call("a")
    assert os.listdir(tmp_path) == []
    path.touch()
    assert list(store.keys()) == []
    store.put("a", b"1")
    assert members(path) == {"a": b"1"}
    assert os.listdir(tmp_path) == ["objects.zip"]


def test_a_read_goes_on_while_others_write_and_after_a_close(store):
    store.put("big", pattern(BIG))
    with store.read("big") as blob:
        chunks = blob.chunks()
        first = bytes(next(chunks))
        store.put("more", pattern(BIG))
        store.close()
        assert first + b"".join(chunks) == pattern(BIG)
    with pytest.raises(ValueError, match="closed"):
        blob.bytes()


def test_a_range_of_a_deflated_member_is_emulated_and_says_so(path):
    with ZipStore(path, compression="deflated") as store:
        store.put("big", pattern(BIG))
        with store.read("big", ReadOptions(BIG - 7, BIG)) as blob:
            assert blob.emulated
            assert blob.bytes() == pattern(BIG)[-7:]
        with store.read("big") as blob:
            assert not blob.emulated
            assert b"".join(blob.chunks()) == pattern(BIG)


def test_a_closed_store_leaves_no_descriptor(path, no_leaks):
    with ZipStore(path) as store:
        together(4, lambda number: store.put(f"k{number}", pattern(2000)))
        assert len(contents(store)) == 4
    no_leaks.verify()
    assert len(contents(store)) == 4
    store.close()


# ---------------------------------------------------------------- hostile archives
def archive_of(path, *entries):
    """An archive of these (name, data); a duplicate is what zipfile only warns of."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries:
            with (
                pytest.warns(UserWarning, match="Duplicate") if name in archive.namelist() else contextlib.nullcontext()
            ):
                archive.writestr(name, data)


def patch(path, signature, index, offset, form, number):
    """Change one field of the index-th record with this signature."""
    data = bytearray(path.read_bytes())
    at = -1
    for _ in range(index + 1):
        at = data.index(signature, at + 1)
    struct.pack_into(form, data, at + offset, number)
    path.write_bytes(data)


CENTRAL, LOCAL, END = b"PK\1\2", b"PK\3\4", b"PK\5\6"


@pytest.mark.parametrize(
    ("signature", "offset", "form", "number"),
    [
        (CENTRAL, 20, "<I", 0x7FFFFFFF),  # stored size
        (CENTRAL, 24, "<I", 0x7FFFFFFF),  # size
        (CENTRAL, 20, "<I", 3000),  # reaches into the next member
        (CENTRAL, 42, "<I", 7),  # offset: no member there
        (CENTRAL, 42, "<I", 0x7FFFFFFF),  # offset beyond the end
        (CENTRAL, 16, "<I", 1),  # checksum
        (LOCAL, 26, "<H", 1),  # the member's own name is another
        (LOCAL, 28, "<H", 0xFFFF),  # an extra field beyond the archive
    ],
)
def test_a_member_that_lies_is_an_integrity_error_and_its_neighbours_are_read(
    path, store, signature, offset, form, number
):
    archive_of(path, ("first", pattern(2000)), ("second", pattern(2000)))
    patch(path, signature, 0, offset, form, number)
    for read in (
        lambda: store.get("first"),
        lambda: b"".join(store.read("first").chunks()),
        lambda: store.read("first", ReadOptions(0, None)).bytes(),
    ):
        with pytest.raises(IntegrityError) as raised:
            read()
        assert raised.value.key == "first"
        assert not raised.value.retryable
    assert store.get("second") == pattern(2000)


def test_a_bomb_is_stopped_at_the_size_that_it_claims(path, store):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(300 << 20))
    for claimed in (1000, 3 << 20):
        patch(path, CENTRAL, 0, 24, "<I", claimed)
        with pytest.raises(IntegrityError):
            store.get("bomb")
    seen = []
    with store.read("bomb") as blob, pytest.raises(IntegrityError, match="larger than it says"):
        seen.extend(len(chunk) for chunk in blob.chunks())
    assert sum(seen) <= 3 << 20
    patch(path, CENTRAL, 0, 24, "<I", 0x7FFFFFFF)
    with pytest.raises(IntegrityError, match="cannot be as large"):
        store.get("bomb")


def test_members_that_share_their_bytes_are_refused(path, store):
    archive_of(path, ("a", pattern(2000)), ("b", pattern(2000)), ("c", b"fine"))
    data = path.read_bytes()
    # The second entry points at the first member, with its name: one kernel, several names.
    patch(path, CENTRAL, 0, 20, "<I", 2000 + 31 + 2000)
    with pytest.raises(IntegrityError, match="overlaps"):
        store.get("a")
    path.write_bytes(data)
    assert store.get("a") == pattern(2000)


def test_a_name_that_several_members_have_is_refused_and_listed_once(path, store):
    archive_of(path, ("twice", b"1"), ("twice", b"2"), ("once", b"3"))
    with pytest.raises(IntegrityError, match="several members"):
        store.get("twice")
    assert list(store.keys()) == ["once", "twice"]
    with pytest.raises(AlreadyExists):
        store.put("twice", b"3")
    store.put("new", b"4")
    assert (store.get("once"), store.get("new")) == (b"3", b"4")


def test_names_that_climb_are_keys_here_and_refused_by_a_store_of_files(tmp_path, path, store):
    archive_of(path, ("../outside", b"x"), ("/etc/passwd", b"x"), ("a/../../b", b"x"), ("fine", b"x"))
    files = FileStore(tmp_path / "root")
    assert len(list(store.keys())) == 4
    for key in store.keys():  # noqa: SIM118
        with contextlib.suppress(InvalidKey):
            files.copy(key, key, store)
    assert sorted(os.listdir(tmp_path)) == ["objects.zip", "root"]
    assert list(files.keys()) == ["fine"]


def test_what_cannot_be_read_says_why(path, store):
    archive_of(path, ("a", b"1"))
    patch(path, CENTRAL, 0, 8, "<H", 1)
    with pytest.raises(Unsupported, match="encrypted"):
        store.get("a")
    archive_of(path, ("a", b"1"))
    patch(path, CENTRAL, 0, 10, "<H", 14)
    with pytest.raises(Unsupported, match="method 14"):
        store.get("a")


@pytest.mark.parametrize("damage", ["text", "cut", "count", "size", "offset", "volumes"])
def test_what_is_no_archive_is_an_integrity_error_and_not_touched(path, store, damage):
    archive_of(path, ("é", b"1"), ("b", b"2"))
    if damage == "text":
        path.write_bytes(b"this is no archive " * 1000)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    else:
        field = {
            "count": (10, "<H", 9),
            "size": (12, "<I", 1 << 30),
            "offset": (16, "<I", 1 << 30),
            "volumes": (4, "<H", 3),
        }
        patch(path, END, 0, *field[damage])
    before = path.read_bytes()
    for call in (lambda: store.get("a"), lambda: list(store.keys()), lambda: store.put("new", b"x")):
        with pytest.raises(IntegrityError, match="no sound zip archive"):
            call()
    assert path.read_bytes() == before


def test_any_bytes_are_read_or_refused(path, store):
    """Random damage gives the right bytes, or an error of ours, and nothing else."""
    archive_of(path, *((f"k{number}", pattern(number * 50)) for number in range(8)))
    sound, chance = path.read_bytes(), random.Random(5)
    for _ in range(400):
        data = bytearray(sound)
        for _ in range(chance.choice((1, 1, 3, 20))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.unlink()
        path.write_bytes(data[: chance.choice((len(data), len(data), chance.randrange(len(data))))])
        try:
            found = contents(store)
        except (HoldfastError, NotFound):
            continue
        assert all(data == pattern(len(data)) for data in found.values())


# ---------------------------------------------------------------- writing
class Killed(BaseException):
    """What stands for a kill in this process."""


def test_a_kill_between_any_two_writes_leaves_every_member_readable_by_all(path, monkeypatch):
    """The archive after each single write of an append, as a kill there would leave it."""
    store = ZipStore(path)
    held = {}
    for number in range(60):
        held[f"old{number}"] = pattern(number * 10)
        store.put(f"old{number}", pattern(number * 10))
    states = []
    for name in ("pwrite", "ftruncate"):
        call = getattr(os, name)

        def noted(*arguments, call=call):
            answer = call(*arguments)
            states.append(path.read_bytes())
            return answer

        monkeypatch.setattr(appending.os, name, noted)
    store.put("new", pattern(300_000))
    monkeypatch.undo()
    assert len(states) >= 7
    for number, state in enumerate(states):
        path.write_bytes(state)
        assert members(path) in (held, {**held, "new": pattern(300_000)}), number
        with ZipStore(path) as healed:
            assert contents(healed) == members(path)
            healed.put("after", b"after")
            assert members(path) == contents(healed)
            assert members(path)["after"] == b"after"
        if "new" not in members(path):
            sizes = sum(len(data) for data in held.values())
            assert path.stat().st_size < sizes + 200 * len(held), "what the killed one left is used again"


def test_a_tail_that_hides_the_directory_from_others_is_healed(path, store, monkeypatch):
    """The one moment at which zipfile finds nothing: a large copy of the directory that is half there."""
    held = {f"k{number:05d}": b"%d" % number for number in range(3000)}
    list(store.put_many(held.items()))
    write = appending._write

    def cut(descriptor, at, data):
        write(descriptor, at, bytes(data)[: len(data) // 2])
        raise Killed

    monkeypatch.setattr(appending, "_write", cut)
    monkeypatch.setattr(appending.os, "ftruncate", lambda *_: None)
    with pytest.raises(Killed):
        store.put("new", pattern(200_000))
    monkeypatch.undo()
    with pytest.raises(zipfile.BadZipFile):
        members(path)
    with ZipStore(path) as other:
        assert contents(other) == held
        other.put("new", b"new")
    assert members(path) == {**held, "new": b"new"}


def test_an_archive_within_the_archive_is_not_taken_for_it(path, store):
    inner = path.with_name("inner.zip")
    archive_of(inner, ("trap", b"trap"))
    store.put("inner.zip", inner.read_bytes() + bytes(100_000))
    with path.open("ab") as file:
        file.write(os.urandom(100_000))
    assert list(store.keys()) == ["inner.zip"]
    store.put("b", b"2")
    assert sorted(members(path)) == ["b", "inner.zip"]


def test_many_are_put_with_one_directory_and_refusals_do_not_spoil_them(path, store, monkeypatch):
    calls = []
    commit = appending.Append.commit
    monkeypatch.setattr(appending.Append, "commit", lambda self: (calls.append(len(self.pending)), commit(self))[1])
    infos = list(store.put_many((f"k{number:04d}", b"%d" % number) for number in range(1500)))
    assert calls == [1000, 500]
    assert infos[7].etag == store.head("k0007").etag
    with pytest.raises(AlreadyExists) as raised:
        list(store.put_many([("a", b"1"), ("k0001", b"x"), ("b", b"2"), ("b", b"3")]))
    assert raised.value.key == "k0001"
    assert (store.get("a"), store.get("b"), len(members(path))) == (b"1", b"2", 1502)


def test_threads_that_create_one_key_agree(store):
    def create(number):
        try:
            store.create("key", b"%d" % number)
        except AlreadyExists:
            return None
        return b"%d" % number

    winners = [value for value in together(6, create) if value is not None]
    assert winners == [store.get("key")]


def test_readers_meet_writers(path, store):
    """Stores of their own, as in other processes, read while members are added."""
    done = threading.Event()

    def work(number):
        if number == 0:
            for count in range(150):
                store.put(f"k{count:03d}", value(f"k{count:03d}", count))
            done.set()
            return
        reader = ZipStore(path) if number % 2 else store
        last = 0
        while not done.is_set():
            keys = list(reader.keys())
            assert len(keys) >= last
            last = len(keys)
            for key in keys[-3:]:
                assert number_of(key, reader.get(key)) == int(key[1:])

    together(4, work)
    assert len(members(path)) == 150


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_writes_too(path, store):
    store.put("a", b"parent")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            store.put("b", b"child")
            status = 0 if store.get("a") == b"parent" else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    store.put("c", b"parent again")
    assert members(path) == {"a": b"parent", "b": b"child", "c": b"parent again"}


def assert_others_read(path, found):
    """After a kill, and once Holdfast has read it, zipfile opens the archive as well, with every member ``found``."""
    assert set(members(path)) == set(found)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_writers_leave_an_archive_with_all_they_were_told(path, soak):
    chance = random.Random(13)
    acknowledged = {}
    for number in range(100 if soak else 5):
        acknowledged |= killed_round("holdfast.stores.zip:ZipStore", path, number, chance, replaces=False)
        with ZipStore(path) as store:
            found = {info.key: number_of(info.key, store.get(info.key)) for info in store.list()}
        assert acknowledged.items() <= found.items()
        assert_others_read(path, found)
        if path.stat().st_size > 200 << 20:
            path.unlink()
            acknowledged = {}


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path, "20m") as disk:
        yield disk


def test_a_full_disk_leaves_an_archive_with_every_acknowledged_member(disk):
    path = disk / "objects.zip"
    held, full, number = {}, 0, 0
    with ZipStore(path) as store:
        while full < 30:
            number += 1
            data = pattern((number * 7919) % 700_000 if full < 10 else number % 5000)
            try:
                store.put(f"k{number}", data)
            except StoreError as error:
                assert "free some space" in str(error)  # noqa: PT017
                full += 1
            else:
                held[f"k{number}"] = data
            if full:
                assert set(members(path)) == set(held)
        assert members(path) == contents(store) == held
    assert path.stat().st_size > 15 << 20
    assert os.listdir(disk) == ["objects.zip"]


@pytest.mark.slow
def test_writers_killed_on_a_full_disk_leave_it_too(disk, soak):
    script = """
import sys
from holdfast.stores.zip import ZipStore
from tests.stores.killing import value
store, number = ZipStore(sys.argv[1]), int(sys.argv[2])
while True:
    number += 1
    try:
        store.put(f"k{number}", value(f"k{number}", number))
    except OSError:
        continue
    print(f"k{number}", flush=True)
"""
    path, chance, told = disk / "objects.zip", random.Random(3), set()
    project = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([project, os.path.join(project, "src")])}
    for number in range(100 if soak else 6):
        command = [sys.executable, "-c", script, str(path), str(number * 1_000_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=project) as writer:
            time.sleep(0.6 + chance.uniform(0, 0.4))
            writer.kill()
            told |= set(writer.stdout.read().split("\n")[:-1])
        with ZipStore(path) as store:
            found = {info.key: number_of(info.key, store.get(info.key)) for info in store.list()}
        assert told <= set(found)
        assert_others_read(path, found)
    assert told


def test_a_locked_archive_is_parsed_once_and_again_when_it_changed(path, store, monkeypatch):
    counted = []
    read = directory.read
    monkeypatch.setattr(directory, "read", lambda descriptor: (counted.append(1), read(descriptor))[1])
    store.put("a", b"1")
    for _ in range(5):
        assert store.get("a") == b"1"
    store.put("b", b"2")
    assert store.get("b") == b"2"
    assert len(counted) == 1
    ZipStore(path).put("c", b"3")
    assert store.get("c") == b"3"
    assert len(counted) == 3
