"""CloudFiles for gevent: other greenlets run meanwhile, patched or not, and an abandoned call ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from holdfast import CloudFiles, ConfigError, DictStore, ObjectStore
from holdfast.engine import native
from holdfast.files import green

gevent = pytest.importorskip("gevent")

PROGRAM = Path(__file__).with_name("green_program.py")


@pytest.mark.parametrize("how", ["plain", "patched"])
@pytest.mark.parametrize("where", ["file", pytest.param("ceph", marks=pytest.mark.server)])
def test_other_greenlets_run_while_bulk_calls_do(how, where, tmp_path, request):
    environment = dict(os.environ)
    cloudpath = f"file://{tmp_path}/root"
    if where == "ceph":
        ceph = request.getfixturevalue("ceph")
        cloudpath = ceph.url(ceph.make_bucket(), "prefix")
        environment |= ceph.environment
    command = [sys.executable, str(PROGRAM), cloudpath, how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) > 20


class Slow(ObjectStore):
    """A store whose reads wait until they are let go."""

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()

    def get(self, key):
        self.begun.set()
        self.go.wait(60)
        return key.encode()

    def put(self, key, data):
        raise NotImplementedError

    delete = exists = put


def test_a_greenlet_that_is_killed_while_it_waits_leaves_no_run_behind():
    store = Slow()
    files = CloudFiles(store, green=True, num_threads=2)
    job = gevent.spawn(files.get, (f"k{number}" for number in range(10_000)))
    while not store.begun.is_set():
        gevent.sleep(0.01)
    job.kill()
    assert isinstance(job.value, gevent.GreenletExit)
    store.go.set()
    assert files.get(["a", "b"], return_dict=True) == {"a": b"a", "b": b"b"}


class Gated(DictStore):
    """A store whose writes wait until they are let go."""

    def __init__(self):
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()

    def _write(self, *arguments):
        self.begun.set()
        self.go.wait(60)
        return super()._write(*arguments)


def test_other_greenlets_run_during_a_transfer_which_ends_with_the_one_that_waits(tmp_path):
    source, store = CloudFiles(str(tmp_path), green=True, num_threads=2), Gated()
    source.puts((f"k{number}", b"1") for number in range(500))
    job = gevent.spawn(source.transfer_to, CloudFiles(store, num_threads=2))
    while not store.begun.is_set():
        gevent.sleep(0.01)
    job.kill()
    store.go.set()
    other = CloudFiles(DictStore(), num_threads=2)
    assert gevent.spawn(source.transfer_to, other).get().added == 500
    assert len(list(CloudFiles(store))) < 500


def test_an_error_of_the_items_or_of_an_operation_reaches_the_greenlet(tmp_path):
    files = CloudFiles(str(tmp_path), green=True)

    def broken():
        yield "a"
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        files.get(broken())
    with pytest.raises(ValueError, match=r"'\.\.'"):
        files.get(["../x"])


def test_green_work_may_go_to_processes(tmp_path):
    files = CloudFiles(str(tmp_path), green=True, parallel=2)
    files.puts((f"k{number}", b"%d" % number) for number in range(50))
    jobs = [gevent.spawn(files.get, [f"k{number}"]) for number in range(2)]
    assert [job.get()[0]["content"] for job in jobs] == [b"0", b"1"]


def test_none_means_green_where_gevent_has_patched_threads(tmp_path):
    assert not native.patched()
    assert CloudFiles(str(tmp_path), green=None).green is False


def test_green_without_gevent_names_the_line_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "gevent", None)
    with pytest.raises(ConfigError, match=r"pip install 'holdfast\[gevent\]'"):
        green.wanted(True)
