"""ResumableTransfer: one transfer, worked on by several processes, killed and taken up again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast import CloudFiles, DictStore, ResumableTransfer
from holdfast import errors as e

PROJECT = Path(__file__).resolve().parents[2]
TREE = {f"d{number % 7}/{number}": b"%d" % number * 50 for number in range(300)}

#: A worker that logs every object when it is written, and writes as slowly as it is told.
WORKER = """
import os, sys, time
from holdfast import ResumableTransfer
from holdfast.stores.file import FileStore

db, log, pause = sys.argv[1:]
write = FileStore._write
def logged(self, key, *arguments):
    time.sleep(float(pause))
    info = write(self, key, *arguments)
    with open(log, "a") as file:
        file.write(key + chr(10))
    return info
FileStore._write = logged
ResumableTransfer(db).execute()
"""


@pytest.fixture
def ends(tmp_path):
    source, target = CloudFiles(str(tmp_path / "source")), CloudFiles(str(tmp_path / "target"))
    source.puts(TREE.items())
    return source, target


def contents(files):
    return files.get(files, return_dict=True)


def start(db, log, pause):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT / "src"), str(PROJECT)])}
    return subprocess.Popen([sys.executable, "-c", WORKER, db, log, str(pause)], env=environment)


def left_in(directory):
    return sorted(path.name for path in directory.iterdir() if path.name.startswith("transfer"))


def test_it_is_planned_then_done_then_forgotten(ends, tmp_path):
    source, target = ends
    transfer = ResumableTransfer(tmp_path / "transfer.db")
    transfer.init(source, target, paths=["d1/1", "d2/2"], reencode="gzip")
    assert list(target) == []
    assert ResumableTransfer(tmp_path / "transfer.db").execute().added == 2
    assert contents(target) == {"d1/1": TREE["d1/1"], "d2/2": TREE["d2/2"]}
    assert (tmp_path / "target/d1/1.gz").exists()
    assert transfer.execute().added == 2  # nothing is left: this tells what was done
    transfer.close()
    assert left_in(tmp_path) == []


def test_a_transfer_of_nothing(ends, tmp_path):
    _, target = ends
    transfer = ResumableTransfer(tmp_path / "transfer.db")
    transfer.init(target, f"mem://resumable-{os.getpid()}", [])
    assert transfer.execute().done == 0


def test_what_cannot_be_is_refused(ends, tmp_path):
    source, target = ends
    transfer = ResumableTransfer(str(tmp_path / "transfer.db"))
    with pytest.raises(e.ConfigError, match="call init first"):
        transfer.execute()
    with pytest.raises(e.NotFound):
        transfer.init(source, target, ["nope"])
    transfer.init(source, target)
    with pytest.raises(e.ConfigError, match="has a transfer already"):
        transfer.init(source, target)
    (tmp_path / "transfer.db.plan").write_text("nonsense\n")
    with pytest.raises(e.ConfigError, match="is no transfer"):
        transfer.execute()
    with pytest.raises(e.ConfigError):
        ResumableTransfer("x", lease_msec=-1)


def test_what_fails_is_told_and_tried_again_by_the_next(ends, tmp_path):
    source, target = ends
    transfer = ResumableTransfer(tmp_path / "transfer.db", lease_msec=500)
    transfer.init(source, target, ["d1/1", "d2/2"])
    (tmp_path / "target").mkdir(exist_ok=True)
    (tmp_path / "target/d1").write_bytes(b"a file where a directory is needed")
    with pytest.raises(e.HoldfastError):
        transfer.execute()
    (tmp_path / "target/d1").unlink()
    assert transfer.execute().added == 2
    assert contents(target) == {"d1/1": TREE["d1/1"], "d2/2": TREE["d2/2"]}


def test_what_changed_since_it_was_planned_is_not_sent(ends, tmp_path):
    source, target = ends
    transfer = ResumableTransfer(tmp_path / "transfer.db")
    transfer.init(source, target, ["d1/1"])
    source["d1/1"] = b"changed"
    for _ in range(2):
        with pytest.raises(e.Conflict, match="has changed since"):
            transfer.execute()
    assert list(target) == []
    transfer.close()
    transfer.init(source, target, ["d1/1"])
    assert (transfer.execute().added, target["d1/1"]) == (1, b"changed")


def test_the_ends_are_passed_where_their_locations_do_not_open_them(tmp_path):
    source, target = (CloudFiles(DictStore()) for _ in range(2))
    source["a"] = b"1"
    transfer = ResumableTransfer(tmp_path / "transfer.db")
    transfer.init(source, target)
    with pytest.raises(e.HoldfastError):
        transfer.execute()
    assert transfer.execute(src=source, dest=target).added == 1
    assert target["a"] == b"1"


@pytest.mark.slow
def test_workers_share_it_and_what_one_leaves_behind_is_done_by_others(ends, tmp_path):
    source, target = ends
    db, log = str(tmp_path / "transfer.db"), tmp_path / "log"
    log.touch()
    ResumableTransfer(db).init(source, target)
    victim = start(db, str(log), 0.02)
    while log.stat().st_size < 200:
        assert victim.poll() is None
        time.sleep(0.005)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert 0 < len(list(target)) < len(TREE)
    workers = [start(db, str(log), 0.002) for _ in range(3)]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]
    assert contents(target) == TREE
    written = log.read_text().split()
    assert len(written) - len(set(written)) == 0, "something was sent twice"
    assert ResumableTransfer(db).execute().done == len(TREE)
