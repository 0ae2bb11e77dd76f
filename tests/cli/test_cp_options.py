"""cp: lists of sources, encodings, parts, blocks, processes, resumption, recordings."""

from __future__ import annotations

import gzip
import json
import os
import re
import threading

import pytest

from holdfast import WriteOptions, open_store
from holdfast.sync.copying import Copier
from holdfast.sync.performing import Performer

from .conftest import TREE, Place


@pytest.fixture
def source(tmp_path):
    """An empty directory apart from all places."""
    return Place(str(tmp_path / "source"))


def test_a_list_of_sources(holdfast, place, bucket, stdin):
    stdin(f"{place / 'run1/a'}\n\n{place / 'run1.txt'}\r\n")
    assert holdfast("cp", "-", f"{bucket.base}/x/").code == 0
    assert bucket.objects == {"x/a": b"one", "x/run1.txt": b"nor this"}
    stdin(f"{place / 'run1'}\n")
    assert holdfast("cp", "-", f"{bucket.base}/y/").code == 1
    stdin(f"{place / 'run1'}\n")
    assert holdfast("cp", "-r", "-", f"{bucket.base}/y/").code == 0
    assert bucket.objects["y/sub/b"] == b"two!"
    stdin(f"{place / 'run1/a'}\n{place / 'no'}\n{place / 'run10/a'}\n")
    result = holdfast("cp", "-", f"{bucket.base}/z/")
    assert (result.code, "would both become" in result.err) == (2, True)


def test_a_list_of_what_is_to_be_removed(holdfast, place, stdin):
    stdin(f"{place / 'run1/a'}\n{place / 'run1.txt'}\n")
    result = holdfast("rm", "--json", "-b", "1", "-")
    assert (result.code, result.rows[-1]["count"]) == (0, 2)
    assert sorted(place.objects) == ["run1-", "run1/sub/b", "run10/a"]
    stdin("")
    assert holdfast("rm", "-").code == 0


def test_names_of_any_bytes_in_a_list(holdfast, tmp_path, stdin):
    path = tmp_path / os.fsdecode(b"\xff")
    path.write_bytes(b"x")
    stdin(f"{path}\n")
    assert holdfast("rm", "-").code == 0
    assert not path.exists()


def test_objects_are_reencoded(holdfast, source, place):
    source.put(TREE)
    assert holdfast("cp", "-r", "-c", "gzip", source.base, place / "x").code == 0
    raw = holdfast("cat", "--raw", place / "x/run1/a").out
    assert gzip.decompress(raw.encode("utf-8", "surrogateescape")) == b"one"
    assert holdfast("cat", place / "x/run1/a").out == "one"
    assert holdfast("cp", "-r", "-c", "none", place / "x", place / "y").code == 0
    assert holdfast("cat", "--raw", place / "y/run1/a").out == "one"
    assert holdfast("cp", "-c", "br", source / "run1.txt", f"{place.base}/z/").code == 0
    assert holdfast("cat", place / "z/run1.txt").out == "nor this"


@pytest.mark.server
def test_large_objects_go_in_parts_and_their_etag_proves_them(holdfast, tmp_path, moto, monkeypatch):
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    bucket, body, part = f"s3://{moto.make_bucket()}", os.urandom(11 << 20), 5 << 20
    (tmp_path / "big").write_bytes(body)
    assert holdfast("cp", "--part-bytes", part, tmp_path / "big", f"{bucket}/big").code == 0
    with open_store(bucket) as store:
        assert store.head("big").etag.strip('"').endswith("-3")
    assert holdfast("verify", "-mv", "--part-size", part, tmp_path / "big", f"{bucket}/big").code == 0
    assert holdfast("cp", "--part-bytes", part, f"{bucket}/big", tmp_path / "back").code == 0
    assert (tmp_path / "back").read_bytes() == body
    with open_store(bucket) as store:
        store.write("big", iter([body]), WriteOptions(content_encoding="gzip", part_size=part))
    assert holdfast("verify", "--part-size", part, tmp_path / "big", f"{bucket}/big").code == 1
    (tmp_path / "big").write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    assert holdfast("verify", "--part-size", part, tmp_path / "big", f"{bucket}/big").code == 1


def test_blocks_are_done_before_the_next_begin(holdfast, folder, bucket, monkeypatch):
    folder.put({f"{number:03}": b"x" for number in range(30)})
    copy, done, next_began = Copier.__call__, set(), threading.Event()

    def watched(self, pair):
        number = int(pair[0])
        if number == 0:
            next_began.wait(0.5)  # what follows the block would begin now, if anything let it
        elif number >= 10:
            next_began.set()
            assert set(range(number // 10 * 10)) <= done
        value = copy(self, pair)
        done.add(number)
        return value

    monkeypatch.setattr(Copier, "__call__", watched)
    assert holdfast("cp", "-r", "-j", "4", "-b", "10", folder.base, bucket / "x").code == 0
    assert len(done) == 30


@pytest.mark.parametrize("command", ["mv", "cp", "xfer"])
def test_blocks_of_what_is_planned_are_done_before_the_next_begin(holdfast, folder, backup, monkeypatch, command):
    folder.put({f"{number:03}": b"x" for number in range(30)})
    perform, done, next_began = Performer.__call__, set(), threading.Event()

    def watched(self, task):
        number = int(task.action.key)
        if number == 0:
            next_began.wait(0.5)  # what follows the block would begin now, if anything let it
        elif number >= 10:
            next_began.set()
            assert set(range(number // 10 * 10)) <= done
        value = perform(self, task)
        done.add(number)
        return value

    monkeypatch.setattr(Performer, "__call__", watched)
    if command == "mv":
        assert holdfast("mv", "-j", "4", "-b", "10", folder.base, backup.base).code == 0
    elif command == "cp":
        assert holdfast("cp", "-r", "--resumable", "-j", "4", "-b", "10", folder.base, backup.base).code == 0
    else:
        assert holdfast("xfer", "init", "--db", f"{backup.base}.db", folder.base, backup.base).code == 0
        assert holdfast("xfer", "execute", "-b", "10", f"{backup.base}.db").code == 0
    assert (len(done), len(backup.objects)) == (30, 30)


@pytest.mark.server
def test_large_objects_move_in_parts(holdfast, tmp_path, moto, monkeypatch):
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    bucket, bodies = f"s3://{moto.make_bucket()}", {"some": os.urandom(11 << 20), "large": os.urandom(65 << 20)}
    for name, body in bodies.items():
        (tmp_path / name).write_bytes(body)
    parts = {"some": "-3", "large": "-4"}
    for name, part in (("some", 5 << 20), ("large", 20 << 20)):
        assert holdfast("mv", "--part-bytes", part, tmp_path / name, f"{bucket}/{name}").code == 0
        with open_store(bucket) as store:
            assert store.head(name).etag.strip('"').endswith(parts[name])
        assert holdfast("mv", "--part-bytes", part, f"{bucket}/{name}", tmp_path / name).code == 0
        assert (tmp_path / name).read_bytes() == bodies[name]


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_processes_copy_as_threads_do(holdfast, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place.put({f"many/{number}": b"%d" % number for number in range(60)})
    (tmp_path / "x/7").mkdir(parents=True)
    result = holdfast("-p", "2", "cp", "-r", "--json", "--flight-time", place / "many", tmp_path / "x")
    summary = result.rows[-1]
    assert (result.code, summary["count"], summary["bytes"], summary["failed"]) == (1, 59, 109, 1)
    assert "flight time: 59 objects in" in result.err
    expected = {str(number): b"%d" % number for number in range(60) if number != 7}
    assert Place(str(tmp_path / "x")).objects == expected


def test_resumable_copies_what_is_not_there(holdfast, source, place):
    source.put({"a": b"1", "b/c": b"22"})
    assert holdfast("cp", "--resumable", source.base, place / "x").code == 1
    first = holdfast("cp", "-r", "--resumable", "--json", source.base, place / "x")
    assert (first.code, first.rows[-1]["count"]) == (0, 2)
    source.put({"d": b"333"})
    again = holdfast("cp", "-r", "--resumable", "--json", source.base, place / "x")
    assert (again.code, again.rows[-1]["count"], "2 were there already" in again.err) == (0, 1, True)
    assert holdfast("cp", "--resumable", source / "a", source / "b/c", f"{place.base}/y/").code == 0
    assert (place.objects["y/a"], place.objects["y/c"]) == (b"1", b"22")
    assert holdfast("cp", "--resumable", source / "no", place / "n").code == 4


def test_recordings_are_told_and_drawn(holdfast, source, bucket, tmp_path, monkeypatch):
    source.put(TREE)
    monkeypatch.chdir(tmp_path)
    result = holdfast("cp", "-r", "--flight-time", "--io-rate", "--machine-io-rate", source.base, bucket / "x")
    assert result.code == 0
    assert re.search(r"^flight time: 5 objects in [\d.]+ s, [\d.]+ at a time$", result.err, re.MULTILINE)
    assert re.search(r"^flight time: fastest [\d.]+ s, median [\d.]+ s, slowest [\d.]+ s$", result.err, re.MULTILINE)
    assert re.search(r"^io rate: mean [\d.]+ MB/s \([\d.]+ Gbit/s\), peak ", result.err, re.MULTILINE)
    assert re.search(r"^machine io rate: received: mean [\d.]+ MB/s", result.err, re.MULTILINE)
    drawn = [line.partition(": ")[2] for line in result.err.splitlines() if line.startswith("drawn: ")]
    assert [re.sub(r"\d{8}T[\d.]+Z", "T", name) for name in drawn] == [
        "holdfast-cp-flight-time-T.png", "holdfast-cp-io-rate-T.png", "holdfast-cp-machine-io-rate-T.png",
    ]  # fmt: skip
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in drawn)


def test_without_the_library_that_draws_the_text_is_told(holdfast, folder, bucket, monkeypatch):
    folder.put({"a": b"1"})
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    result = holdfast("cp", "-r", "--io-rate", folder.base, bucket / "x")
    assert (result.code, "io rate: mean" in result.err) == (0, True)
    assert "not drawn: plots need matplotlib: pip install 'holdfast[plots]'" in result.err


def test_a_transfer_is_planned_and_executed(holdfast, place, tmp_path, stdin):
    file = tmp_path / "t.db"
    stdin("run1/a\nrun1.txt\n")
    there = Place(str(tmp_path / "there"))
    assert holdfast("xfer", "init", "--db", file, "--txt", "-", place.base, there.base).code == 0
    assert not os.path.exists(there.base)
    assert holdfast("xfer", "init", "--db", file, place.base, there.base).code == 2
    done = holdfast("xfer", "execute", "--keep", "--json", "--lease-msec", "5000", file)
    assert (done.code, json.loads(done.out)["added"]) == (0, 2)
    assert there.objects == {"run1/a": b"one", "run1.txt": b"nor this"}
    assert holdfast("xfer", "execute", file).code == 0
    assert not file.exists()
    (tmp_path / "names").write_text("nope\n")
    missing = holdfast("xfer", "init", "--db", file, "--txt", tmp_path / "names", place.base, there.base)
    assert (missing.code, "nope" in missing.err) == (4, True)
