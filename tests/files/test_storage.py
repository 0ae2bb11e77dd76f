"""Storage: writes in the background, waiting, threads that end, and the siblings without threads and for gevent."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading

import pytest

from holdfast import GreenStorage, ObjectStore, SimpleStorage, Storage, ThreadedStorage
from holdfast import errors as e
from holdfast.engine import Background
from holdfast.stores.memory import MemoryStore

KINDS = ["simple", "threaded", "one", "none", "green"]


@pytest.fixture(params=["file", "mem", pytest.param("moto", marks=pytest.mark.server)])
def path(request, tmp_path, monkeypatch):
    if request.param == "file":
        return f"file://{tmp_path}/root"
    if request.param == "mem":
        MemoryStore("storage-tests").clear()
        return "mem://storage-tests/prefix"
    moto = request.getfixturevalue("moto")
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    return moto.url(moto.make_bucket(), "prefix")


def make(kind, path):
    if kind == "simple":
        return SimpleStorage(path)
    if kind == "green":
        pytest.importorskip("gevent")
        return Storage(path, green=True)
    return Storage(path, n_threads={"threaded": 20, "one": 1, "none": 0}[kind])


def settle(stor):
    return stor.wait() if isinstance(stor, ThreadedStorage) else stor


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_does_everything(kind, path):
    with make(kind, path) as stor:
        assert settle(stor.put_file("info", b"some content")) is stor
        assert stor.get_file("info") == b"some content"
        assert stor.get_file("missing") is None
        assert stor.get_file("info", start=2, end=6) == b"me c"
        assert stor.put_files([(f"d/{number}", b"%d" % number) for number in range(30)], compress="gzip") is stor
        rows = stor.get_files(["d/3", "missing", "d/3"])
        assert [row["filename"] for row in rows] == ["d/3", "missing", "d/3"]
        assert rows[0] == {"filename": "d/3", "byte_range": (None, None), "content": b"3", "error": None}
        assert (rows[1]["content"], rows[1]["error"]) == (None, None)
        (row,) = stor.get_files(["info"], starts=[1], ends=4)
        assert (row["content"], row["byte_range"]) == (b"ome", (1, 4))
        settle(stor.put_json("json", {"a": [1, 2.5, None]}))
        settle(stor.put_json("text", '{"b": 1}'))
        assert stor.get_json("json") == {"a": [1, 2.5, None]}
        assert stor.get_file("text") == b'{"b": 1}'
        assert stor.get_json("missing") is None
        assert stor.exists("info") is True
        assert stor.exists(["info", "no"]) == stor.files_exist(["info", "no"]) == {"info": True, "no": False}
        assert sorted(stor.list_files(prefix="d/2")) == [f"d/2{digit}" for digit in ("", *range(10))]
        assert list(stor.list_files(flat=True)) == ["info", "json", "text"]
        assert list(stor.list_files(prefix="d", flat=True)) == []
        assert settle(stor.delete_file("info")) is stor
        assert settle(stor.delete_file("info")).get_file("info") is None
        settle(stor.delete_files(f"d/{number}" for number in range(30)))
        assert sorted(stor.list_files()) == ["json", "text"]
        assert stor.get_path_to_file("a/b") == f"{stor.layer_path}/a/b"


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_that_comes_twice_and_an_unknown_codec_are_refused_before_anything_is_written(kind, path):
    with make(kind, path) as stor:
        with pytest.raises(ValueError, match="twice"):
            stor.put_files([("a", b"1"), ("a", b"2")])
        with pytest.raises(e.UnknownEncoding):
            stor.put_file("a", b"1", compress="nonsense")
        with pytest.raises(e.InvalidKey):
            stor.put_file("", b"1")
        assert list(stor.list_files()) == []


def test_a_simple_storage_is_a_dict_of_files(path):
    stor = SimpleStorage(path)
    stor["a"] = b"1"
    stor["b", {"compress": "gzip", "content_type": "text/plain"}] = b"2"
    assert (stor["a"], stor["b"], stor["c"]) == (b"1", b"2", None)
    assert not hasattr(stor, "wait")
    assert repr(stor).startswith("SimpleStorage('")


def test_a_simple_storage_closes_its_store_when_it_goes(tmp_path, no_leaks):
    stor = SimpleStorage(str(tmp_path))
    stor["a/b"] = b"1"
    assert stor["a/b"] == b"1"
    del stor
    gc.collect()
    no_leaks.verify()


class Gate(ObjectStore):
    """A store whose writes wait until they are let go, and fail for the key "bad"."""

    def __init__(self):
        self.go, self.objects, self.running, self.lock = threading.Event(), {}, 0, threading.Lock()

    def put(self, key, data):
        self.running += 1
        assert self.go.wait(60)
        if key == "bad":
            raise OSError(f"no {key}")
        self.objects[key] = data

    def get(self, key):
        return self.objects[key]

    def exists(self, key):
        return key in self.objects

    def delete(self, key):
        del self.objects[key]


@pytest.fixture
def gate(tmp_path):
    """A storage of two threads over a Gate."""
    stor = Storage(str(tmp_path), n_threads=2)
    stor.store = Gate()
    yield stor
    stor.store.go.set()
    stor.kill_threads()


def test_writes_return_at_once_and_wait_waits(gate):
    for number in range(10):
        assert gate.put_file(f"k{number}", b"%d" % number) is gate
    assert gate.pending == 10
    assert gate.store.objects == {}
    gate.store.go.set()
    assert gate.wait(progress=False).pending == 0
    assert len(gate.store.objects) == 10


def test_an_error_surfaces_when_one_waits_and_once(gate):
    gate.store.go.set()
    gate.put_file("bad", b"1").put_file("good", b"2")
    with pytest.raises(OSError, match="no bad"):
        gate.wait()
    assert gate.wait().store.objects == {"good": b"2"}


def test_writes_of_one_path_happen_in_their_order(tmp_path):
    with Storage(str(tmp_path), n_threads=8) as stor:
        for number in range(200):
            stor.put_file("same", b"%d" % number)
            stor.put_file(f"other{number}", b"")
        assert stor.wait().get_file("same") == b"199"


def test_a_write_waits_for_the_one_before_it_on_the_same_path(gate):
    gate.put_file("same", b"first")
    late = threading.Thread(target=gate.put_file, args=("same", b"second"))
    assert not gate._background.has_room(["same"], 0)
    assert gate._background.has_room(["other"], 0)
    late.start()
    gate.store.go.set()
    late.join(30)
    assert gate.wait().store.objects == {"same": b"second"}


def test_a_buffer_may_change_once_put_file_has_returned(gate):
    content = bytearray(b"before")
    gate.put_file("a", content)
    content[:] = b"after!"
    gate.store.go.set()
    assert gate.wait().store.objects["a"] == b"before"


def test_what_is_on_its_way_is_bounded_in_bytes():
    gate, entered = threading.Event(), threading.Event()
    background = Background(1, budget=100)
    background.begin(["a"], gate.wait, 80)
    assert background.has_room(["b"], 20)
    assert not background.has_room(["b"], 21)
    assert not background.has_room(["a"], 1)
    late = threading.Thread(target=lambda: background.begin(["b"], entered.set, 50))
    late.start()
    gate.set()
    assert entered.wait(30)
    late.join()
    background.wait()
    background.begin(["c"], entered.set, 10_000)  # alone, anything has room
    background.wait()
    background.end()


def test_leaving_the_block_waits_and_ends_every_thread(tmp_path, no_leaks):
    with Storage(str(tmp_path), n_threads=5) as stor:
        assert stor.are_threads_alive()
        for number in range(50):
            stor.put_file(f"k{number}", b"x")
        stor.get_files([f"k{number}" for number in range(50)])
    assert not stor.are_threads_alive()
    assert len([name for name in os.listdir(tmp_path) if name.startswith("k")]) == 50
    no_leaks.verify()


def test_kill_threads_ends_them_and_start_threads_begins_anew(tmp_path, no_leaks):
    stor = ThreadedStorage(str(tmp_path), n_threads=3)
    stor.put_file("a", b"1")
    stor.kill_threads()
    assert stor.get_file("a") == b"1"
    stor.put_file("b", b"2")  # in this thread, now
    assert stor.get_file("b") == b"2"
    assert stor.pending == 0
    stor.start_threads(2)
    assert stor.are_threads_alive()
    assert stor.put_file("c", b"3").wait().get_file("c") == b"3"
    stor.kill_threads()
    stor.kill_threads()
    stor.store.close()
    no_leaks.verify()


def test_an_error_in_the_block_is_the_one_that_is_raised(tmp_path, gate):
    gate.store.go.set()

    def block():
        with gate:
            gate.put_file("bad", b"1")
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine") as raised:
        block()
    assert any("no bad" in note for note in raised.value.__notes__)
    assert not gate.are_threads_alive()


def test_ctrl_c_in_the_block_does_not_wait(gate):
    def block():
        with gate:
            for number in range(10):
                gate.put_file(f"k{number}", b"1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        block()
    assert not gate.are_threads_alive()
    gate.store.go.set()
    assert len(gate.store.objects) <= 2


def test_threads_of_a_forgotten_storage_end(tmp_path, no_leaks):
    stor = Storage(str(tmp_path), n_threads=4)
    stor.put_file("a", b"1")
    stor.wait()
    del stor
    gc.collect()
    no_leaks.verify()


PROGRAM = """
import sys
from holdfast import Storage
stor = Storage(sys.argv[1], n_threads=2)
for number in range(50):
    stor.put_file(f"k{number}", b"x" * 100_000, compress="gzip")
if len(sys.argv) > 2:
    stor.store = None
    stor.put_file("bad", b"1")
"""


@pytest.mark.parametrize("more", [[], ["broken"]])
def test_what_was_never_waited_for_is_written_before_the_interpreter_ends(tmp_path, more):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), *more], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert ("nobody waited for it" in done.stderr) == bool(more)
    assert len(list(SimpleStorage(str(tmp_path)).list_files())) == 50


STUCK = """
import sys, time
from holdfast import ObjectStore, Storage

class Stuck(ObjectStore):
    def put(self, key, data):
        print("stuck", flush=True)
        time.sleep(1000)
    get = delete = exists = put

stor = Storage(sys.argv[1], n_threads=1)
stor.store = Stuck()
if sys.argv[2] == "block":
    with stor:
        stor.put_file("a", b"1").wait()
stor.put_file("a", b"1").put_file("b", b"2").wait()
"""


@pytest.mark.parametrize("how", ["block", "plain"])
def test_ctrl_c_ends_a_program_that_waits_at_once(tmp_path, how):
    with subprocess.Popen(
        [sys.executable, "-c", STUCK, str(tmp_path), how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout.readline() == "stuck\n"
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=30)
    assert errors.count("Traceback") == 1
    assert ("2 operations in the background were given up" in errors) == (how == "plain")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_its_parents_writes(gate):
    gate.put_file("a", b"1")
    child = os.fork()
    if not child:
        try:
            os._exit(0 if gate.wait().pending == 0 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert gate.pending == 1


def test_a_bar_waits_with_us(gate, capsys, monkeypatch):
    monkeypatch.setattr("holdfast.progress.PATIENCE", 0.0)
    gate.put_file("a", b"1")
    gate.store.go.set()
    gate.progress_description = "Uploading a layer"
    gate.wait(progress=True)
    assert "Uploading a layer" in capsys.readouterr().err


def test_a_green_storage_lets_other_greenlets_run(tmp_path):
    gevent = pytest.importorskip("gevent")
    ticks = []

    def tick():
        while True:
            ticks.append(1)
            gevent.sleep(0.001)

    with GreenStorage(str(tmp_path), n_threads=2) as stor:
        gate = stor.store = Gate()
        ticker = gevent.spawn(tick)
        stor.put_file("a", b"1").put_file("b", b"2").put_file("c", b"3")
        gevent.spawn_later(0.05, gate.go.set)
        stor.wait()
        assert stor.get_file("c") == b"3"
        assert len(ticks) > 5
        ticker.kill()


def test_special_characters_in_names_do_not_kill_listings(path):
    names = ["a\u00ff", "b\u0100", "日本", "plain"]
    with Storage(path) as stor:
        stor.put_files([(name, b"1") for name in names])
        assert sorted(stor.list_files()) == sorted(names)
