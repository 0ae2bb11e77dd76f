"""CloudVolume's Storage, row by row."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading

import pytest

from holdfast.compat import cloudvolume
from holdfast.compat.cloudvolume import GreenStorage, SimpleStorage, Storage, ThreadedStorage, exceptions, storage
from tests.compat.rows import row
from tests.servers import faults
from tests.servers.faulty_s3 import FaultyS3

SYSTEM = "cloudvolume"
CONTENT = b"some_string"
THREADS = [0, 5, 10]


@row(SYSTEM, "Storage(layer_path, n_threads=20, progress=False) is threaded; green=True gives GreenStorage")
@row(
    SYSTEM,
    "cloudvolume.storage: Storage ThreadedStorage SimpleStorage GreenStorage DEFAULT_THREADS, reset_connection_pools",
)
def test_names(tmp_path):
    pytest.importorskip("gevent")
    with Storage(str(tmp_path), 3, True) as stor:
        assert isinstance(stor, ThreadedStorage)
        assert stor.progress is True
        assert stor.layer_path == f"file://{tmp_path}"
    with Storage(str(tmp_path), green=True) as stor:
        assert isinstance(stor, GreenStorage)
    assert storage.DEFAULT_THREADS == 20
    assert storage.Storage is cloudvolume.Storage
    storage.reset_connection_pools()
    with pytest.raises(AttributeError, match="Storage alone"):
        cloudvolume.CloudVolume  # noqa: B018


@row(
    SYSTEM,
    "with Storage(...): waits, then ends the threads; or kill_threads(); start_threads, are_threads_alive, pending",
)
@row(
    SYSTEM,
    "10 ms polling threads; __del__ blocks in wait() and throws at the end",
    "kept and fixed",
    "threads sleep until there is work; what was never waited for is finished before the interpreter ends",
)
def test_threads(tmp_path, no_leaks):
    with Storage(str(tmp_path), n_threads=4) as stor:
        for number in range(20):
            stor.put_file(f"k{number}", CONTENT)
    assert not stor.are_threads_alive()
    stor.start_threads(2)
    assert stor.are_threads_alive()
    assert stor.pending == 0
    assert stor.kill_threads() is stor
    stor.store.close()
    no_leaks.verify()
    assert len(list(stor.list_files())) == 20


@row(SYSTEM, "SimpleStorage: no with statement is needed; the connection is released on destruction")
def test_destruction(tmp_path, no_leaks):
    stor = SimpleStorage(str(tmp_path))
    stor["a"] = CONTENT
    del stor
    gc.collect()
    no_leaks.verify()


@row(SYSTEM, "robust to interruptions: random exponential backoff, seven tries; a pool of connections")
@row(
    SYSTEM,
    "results are appended by many threads, in no order",
    "kept and fixed",
    "rows come in the order of the paths",
)
def test_interruptions():
    with FaultyS3() as server:
        secrets = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
        with Storage(f"s3://{server.endpoint}/{server.make_bucket()}/d", n_threads=3, secrets=secrets) as stor:
            names = [str(number) for number in range(9)]
            stor.put_files([(name, name.encode()) for name in names])
            failing = iter([faults.RESET, faults.REFUSED, faults.BODY_CLOSE])
            server.fault = lambda request: next(failing, None)
            assert [one["content"] for one in stor.get_files(names)] == [name.encode() for name in names]
            assert next(failing, None) is None


@row(SYSTEM, "GreenStorage after gevent.monkey.patch_all(threads=False), as the wiki writes it")
def test_patched(tmp_path):
    pytest.importorskip("gevent")
    program = (
        "import gevent.monkey\n"
        "gevent.monkey.patch_all(threads=False)\n"
        "import sys, gevent\n"
        "from holdfast.compat.cloudvolume.storage import GreenStorage\n"
        "with GreenStorage(sys.argv[1]) as stor:\n"
        "    stor.put_files([(str(number), b'1') for number in range(9)])\n"
        "    print(len(stor.get_files(map(str, range(9)))))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("9\n", "")


@row(SYSTEM, "n_threads=0 works in the caller's thread")
def test_no_threads(tmp_path, no_leaks):
    before = set(threading.enumerate())
    with Storage(str(tmp_path), n_threads=0) as stor:
        stor.put_file("a", CONTENT).wait()
        assert stor.get_files(["a"])[0]["content"] == CONTENT
        assert set(threading.enumerate()) == before


@row(SYSTEM, "put_file(...) returns self, is asynchronous with threads, errors surface at wait(); put_file().wait()")
@row(SYSTEM, "get_file: bytes; missing gives None; wait() gives self; get_path_to_file")
@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("compress", [None, "", True, False, "gzip", "br"])
def test_read_write(cloudpath, n_threads, compress):
    with Storage(cloudpath, n_threads=n_threads) as stor:
        found = stor.put_file("info", CONTENT, "text/plain", compress, 5, "no-cache").wait().get_file("info")
        assert found == CONTENT
        assert stor.get_file("nonexistentfile") is None
        assert stor.get_path_to_file("info") == f"{cloudpath}/info"
        stored, encoding = stor._interface.get_file("info")
        assert encoding == {True: "gzip", False: None, "": None}.get(compress, compress)
        assert (stored == CONTENT) == (not compress)
        assert stor._interface.get_file("nonexistentfile") == (None, None)


@row(SYSTEM, "get_file(path, start, end): the end is exclusive (the documentation says inclusive)")
@row(SYSTEM, "get_files(paths, starts, ends): dicts of filename, byte_range, content and error, no 'compress'")
@pytest.mark.parametrize("n_threads", THREADS)
def test_ranges_and_rows(cloudpath, n_threads):
    with Storage(cloudpath, n_threads=n_threads) as stor:
        stor.put_file("info", b"0123456789").wait()
        assert stor.get_file("info", 2, 5) == b"234"
        assert stor.get_file("info", start=8) == b"89"
        rows = stor.get_files(["info", "info", "missing"], starts=[0, 5, None], ends=[3, 7, None])
        assert [one.keys() for one in rows] == [{"filename", "byte_range", "content", "error"}] * 3
        assert [one["content"] for one in rows] == [b"012", b"56", None]
        assert rows[2]["error"] is None
        assert len(stor.get_files(["info"] * 7)) == 7


@row(
    SYSTEM, "put_files([(path, content)...], content_type, compress, compress_level, cache_control, block=True) blocks"
)
@row(SYSTEM, "put_files: a path that comes twice is a ValueError")
@pytest.mark.parametrize("n_threads", THREADS)
def test_put_files(cloudpath, n_threads):
    with Storage(cloudpath, n_threads=n_threads) as stor:
        files = [(f"k{number}", b"%d" % number) for number in range(60)]
        stor.put_files(files, content_type="text/plain", compress="gzip", compress_level=3, cache_control="no-cache")
        assert stor.pending == 0
        assert {one["filename"]: one["content"] for one in stor.get_files([name for name, _ in files])} == dict(files)
        with pytest.raises(ValueError, match="twice"):
            stor.put_files([("same", b"1"), ("same", b"2")])
        stor.put_files([("late", b"1")], block=False).wait()
        assert stor.get_file("late") == b"1"


@row(SYSTEM, "put_json, get_json: a str is stored as it is; missing gives None")
def test_json(cloudpath):
    with Storage(cloudpath, n_threads=2) as stor:
        stor.put_json("info", {"a": [1]}).put_json("text", '{"b": 2}').wait()
        assert stor.get_json("info") == {"a": [1]}
        assert stor.get_json("text") == {"b": 2}
        assert stor.get_file("text") == b'{"b": 2}'
        assert stor.get_json("missing") is None


@row(SYSTEM, "exists(path) is a bool, files_exist(paths) a dict")
@row(SYSTEM, "exists([...]) is a TypeError, although the wiki calls it so", "kept and fixed", "it gives a dict")
@row(SYSTEM, "delete_file, delete_files: missing is silent; self is returned; delete_file(...).wait()")
def test_exists_and_delete(cloudpath):
    with Storage(cloudpath, n_threads=3) as stor:
        stor.put_files([("a", b"1"), ("b", b"2"), ("c", b"3")])
        assert stor.exists("a") is True
        assert stor.exists("no") is False
        expected = {"a": True, "no": False}
        assert stor.files_exist(iter(["a", "no"])) == stor.exists(["a", "no"]) == expected
        assert stor.delete_file("a").wait() is stor
        assert stor.delete_file("a").wait().exists("a") is False
        stor.delete_files(["b", "c", "never"]).wait()
        assert list(stor.list_files()) == []


@row(SYSTEM, "list_files(prefix, flat): a generator of relative, sorted paths; flat gives files alone")
@row(
    SYSTEM,
    "str.replace strips prefixes, which breaks names that repeat the path; names beyond U+00FF kill list_files",
    "kept and fixed",
    "paths are cut once, at their front, and any name is listed",
)
def test_list_files(cloudpath):
    layout = ["build/info3", "info1", "info2", "info5", "level1/level2/info4"]
    with Storage(cloudpath, n_threads=3) as stor:
        stor.put_files([(path, CONTENT) for path in layout], compress="gzip")
        assert list(stor.list_files()) == layout
        assert list(stor.list_files(prefix="inf")) == ["info1", "info2", "info5"]
        assert list(stor.list_files(prefix="nofolder/")) == []
        assert list(stor.list_files(flat=True)) == ["info1", "info2", "info5"]
        assert list(stor.list_files(prefix="build", flat=True)) == []
        assert list(stor.list_files(prefix="level1/", flat=True)) == []
        assert list(stor.list_files(prefix="build/", flat=True)) == ["build/info3"]
        stor.delete_files(layout).wait()
        names = ["prefix/prefix/a", "日本/b"]
        stor.put_files([(name, b"") for name in names])
        assert list(stor.list_files()) == names


@row(SYSTEM, "SimpleStorage: no with statement; stor[k], a missing one is None; no wait()")
@row(
    SYSTEM, "stor[k] = v calls a method that is missing; stor[k, arguments] = v by intent", "kept and fixed", "it puts"
)
def test_simple_storage(cloudpath):
    stor = SimpleStorage(cloudpath)
    stor["a"] = CONTENT
    stor["b", {"compress": "gzip"}] = CONTENT
    assert (stor["a"], stor["b"], stor["missing"]) == (CONTENT, CONTENT, None)
    assert stor._interface.get_file("b")[1] == "gzip"
    assert not hasattr(stor, "wait")
    assert stor.put_file("c", b"1").get_file("c") == b"1"


@row(
    SYSTEM,
    "GreenStorage: put_file and put_files are a NameError",
    "kept and fixed",
    "they work, for gevent, patched or not",
)
def test_green_storage(cloudpath):
    pytest.importorskip("gevent")
    with GreenStorage(cloudpath) as stor:
        stor.put_files([("a", b"1"), ("b", b"2")])
        assert stor.put_file("c", b"3", compress="br").wait().get_file("c") == b"3"
        assert [one["content"] for one in stor.get_files(["a", "b"])] == [b"1", b"2"]


@row(SYSTEM, "unknown compression is a NotImplementedError (today a ValueError)")
@pytest.mark.parametrize("kind", [Storage, SimpleStorage])
def test_unknown_compression(tmp_path, kind):
    stor = kind(str(tmp_path))
    with pytest.raises(NotImplementedError):
        stor.put_file("info", CONTENT, compress="nonexistent")
    with pytest.raises(ValueError, match="unknown encoding"):
        stor.put_file("info", CONTENT, compress="nonexistent")
    assert list(stor.list_files()) == []


@row(SYSTEM, "brotli on Google is UnsupportedCompressionType('Brotli unsupported on google cloud storage')")
def test_brotli_on_google():
    with (
        Storage(
            "gs://bucket/layer", secrets={"type": "service_account", "client_email": "a", "private_key": "b"}
        ) as stor,
        pytest.raises(exceptions.UnsupportedCompressionType, match="Brotli unsupported on google cloud storage"),
    ):
        stor.put_file("info", CONTENT, compress="br")


@row(
    SYSTEM,
    "an unknown protocol is an UnsupportedProtocolError, whose path itself is a NameError",
    "kept and fixed",
    "it is raised",
)
def test_unknown_protocol():
    with pytest.raises(exceptions.UnsupportedProtocolError):
        Storage("ftp://bucket/layer")


@row(
    SYSTEM,
    "get_files after an error is a TypeError, the real error is printed",
    "kept and fixed",
    "the error is in its row",
)
def test_errors_of_rows(cloudpath):
    with Storage(cloudpath, n_threads=2) as stor:
        stor.put_file("good", b"1").wait()
        rows = stor.get_files(["good", ""])
        assert rows[0]["content"] == b"1"
        assert isinstance(rows[1]["error"], ValueError)


@row(SYSTEM, "a stale .gz shadows a newer plain file, and lists twice", "kept and fixed", "a write removes it")
@row(SYSTEM, "files .gz and .br locally; writes are not atomic", "kept and fixed", "the same files, old or new, whole")
def test_local_layout(tmp_path):
    with Storage(str(tmp_path), n_threads=1) as stor:
        stor.put_file("a", b"old", compress="gzip").wait()
        assert (tmp_path / "a.gz").exists()
        stor.put_file("a", b"new").wait()
        assert not (tmp_path / "a.gz").exists()
        assert (stor.get_file("a"), list(stor.list_files())) == (b"new", ["a"])
        stor.put_file("b", b"1", compress="br").wait()
        assert (tmp_path / "b.br").exists()


@row(
    SYSTEM, "every exception is retried 7 times, up to 60 s", "kept and fixed", "what cannot succeed is raised at once"
)
def test_errors_at_wait(tmp_path):
    (tmp_path / "d").write_bytes(b"a file")
    with Storage(str(tmp_path), n_threads=2) as stor:
        stor.put_file("d/x", b"1")
        with pytest.raises(ValueError, match="d"):
            stor.wait()


@row(SYSTEM, "wait(progress) and progress_description show a bar")
def test_progress(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("holdfast.progress.PATIENCE", 0.0)
    with Storage(str(tmp_path), n_threads=1) as stor:
        stor.progress_description = "Cutouts"
        stor.put_file("a", b"1").wait(progress=True)
    assert "Cutouts" in capsys.readouterr().err
