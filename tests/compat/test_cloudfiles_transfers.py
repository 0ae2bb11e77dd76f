"""Transfers as cloud-files makes them, row by row: its arguments, its tables, and the faults that Holdfast has not."""

from __future__ import annotations

import os
import sqlite3
import tracemalloc

import pytest

from holdfast import ConfigError, Unsupported
from holdfast.compat import cloudfiles
from holdfast.compat.cloudfiles import CloudFile, CloudFiles, ResumableTransfer, monitoring
from tests.compat.rows import row
from tests.servers import faults

SYSTEM = "cloudfiles"
NAMES = [str(number) for number in range(8)]
CONTENT = b"some_string"


@pytest.fixture(autouse=True)
def memory_of_its_own(tmp_path_factory, monkeypatch):
    """No test reads, or fills, the index of whoever runs it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(params=["file", "mem", pytest.param("moto", marks=pytest.mark.server)])
def there(request, tmp_path):
    """An empty location on each kind of service."""
    if request.param == "file":
        return f"file://{tmp_path}/there"
    if request.param == "mem":
        cloudfiles.clear_memory()
        return "mem://compat-there/prefix"
    moto = request.getfixturevalue("moto")
    for name, value in moto.environment.items():
        request.getfixturevalue("monkeypatch").setenv(name, value)
    return moto.url(moto.make_bucket(), "there")


@pytest.fixture
def local(tmp_path):
    """A local directory with some files."""
    cf = CloudFiles(f"file://{tmp_path}/local")
    cf.puts((name, CONTENT) for name in NAMES)
    return cf


def contents(files):
    return {one["path"]: one["content"] for one in files[:]}


@row(SYSTEM, "transfer_to(cf_dest), transfer_from(cf_src): CloudFiles or str; Content-Encoding is kept unless reencode")
@row(SYSTEM, "cf[:] = cf2 transfers all; cf[50:60] is a slice of the listing, read")
@row(SYSTEM, "transfer: missing is a FileNotFoundError, unless allow_missing: then it is absent, or b''")
def test_transfers(cf, cloudpath, there):
    other, everything = CloudFiles(there), dict.fromkeys(NAMES, CONTENT)
    cf.puts((name, CONTENT) for name in NAMES[::2])
    cf.puts(((name, CONTENT) for name in NAMES[1::2]), compress="gzip")
    assert [one["path"] for one in cf[2:5]] == ["2", "3", "4"]

    def emptied():
        found = contents(other)
        other.delete(list(other))
        assert list(other) == []
        return found

    other[:] = cf
    assert emptied() == everything
    other.transfer_from(cloudpath, allow_missing=True)
    assert emptied() == everything
    cf.transfer_to(other.cloudpath)
    assert [other.head(name)["Content-Encoding"] for name in ("1", "2")] == ["gzip", None]
    assert emptied() == everything
    cf.transfer_to(there, None, 3, "br")
    assert other.head("1")["Content-Encoding"] == "br"
    assert emptied() == everything
    with pytest.raises(FileNotFoundError):
        cf.transfer_to(there, paths=["1", "missing"])
    assert list(other) == []
    cf.transfer_to(there, paths=["1", "missing"], allow_missing=True)
    assert emptied() == {"1": CONTENT}


@row(
    SYSTEM,
    "transfer_to(cf_dest, paths, block_size, reencode, content_type, allow_missing, progress, resumable) records",
)
@row(SYSTEM, "transfer: paths are str, {'path','dest_path'}, pairs, or a CloudFiles; one may go to several names")
def test_the_arguments_of_transfers(local, there, tmp_path):
    cf, other = local, CloudFiles(there)
    paths = ["1", {"path": "2", "dest_path": "d/two"}, ("3", "three"), ["3", "trois"], ("3", "three")]
    monitor = cf.transfer_to(other, iter(paths), 2, None, "text/x-own", False, False, True)
    assert isinstance(monitor, monitoring.TransmissionMonitor)
    assert sorted(other) == ["1", "d/two", "three", "trois"]
    assert (len(monitor.transmissions()), monitor.total_bytes()) == (4, 4 * len(CONTENT))
    assert other.head("d/two")["Content-Type"] == "text/x-own"
    few = CloudFiles(f"file://{tmp_path}/few")
    few["4"] = few["5"] = b""
    other.transfer_from(cf, few, block_size=1)
    other.transfer_from(cf, "6")
    assert sorted(other) == ["1", "4", "5", "6", "d/two", "three", "trois"]
    with pytest.raises(ValueError, match="block_size"):
        cf.transfer_to(other, block_size=0)
    with pytest.raises(cloudfiles.exceptions.UnsupportedCompressionType, match="nonsense"):
        cf.transfer_to(other, reencode="nonsense")


@row(SYSTEM, "CloudFile.transfer_to(cloudpath, reencode), transfer_from(cloudpath, reencode)")
def test_transfers_of_one(there, tmp_path):
    one, two = CloudFile(f"file://{tmp_path}/d/one", locking=False), CloudFile(f"{there}/two", locking=False)
    one.put(CONTENT)
    one.transfer_to(f"{there}/d/copy", reencode="gzip")
    two.transfer_from(f"{tmp_path}/d/one")
    assert contents(CloudFiles(there)) == {"d/copy": CONTENT, "two": CONTENT}
    assert CloudFiles(there).head("d/copy")["Content-Encoding"] == "gzip"


def test_objects_in_memory_are_transferred_as_such_or_not_at_all(tmp_path):
    cloudfiles.clear_memory()
    cf, other, kept = CloudFiles("mem://compat-tests/a"), CloudFiles("mem://compat-tests/b"), {1, 2}
    cf["set"], cf["bytes"], other["bytes"] = kept, b"", {"old"}
    other[:] = cf
    assert (other["set"], other["bytes"]) == (kept, b"")
    with pytest.raises(Unsupported, match="Python object"):
        cf.transfer_to(f"file://{tmp_path}/x")
    cf.moves(other, [("set", "moved")])
    assert (other["moved"], cf["set"]) == (kept, None)


# ---------------------------------------------------------------------- resumable
@row(
    SYSTEM,
    "ResumableTransfer(db, lease_msec=0): init(src, dest, paths, reencode), execute(progress, block_size), close",
)
@row(SYSTEM, "ResumableTransfer: tables xfermeta, filelist(filename, finished, lease) and stats in db; its length")
def test_resumable_transfers(local, there, tmp_path):
    cf, cloudpath = local, local.cloudpath
    db = str(tmp_path / "transfer.db")

    def ask(query):
        connection = sqlite3.connect(db)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    ResumableTransfer(db).init(cloudpath, there, cf, "gzip")
    transfer = ResumableTransfer(db, lease_msec=1000)
    assert (len(transfer), bool(transfer)) == (len(NAMES), True)
    assert ask("select source, dest, reencode from xfermeta") == [(cf.cloudpath, there, "gzip")]
    assert ask("select filename, finished, lease from filelist order by filename") == [(name, 0, 0) for name in NAMES]
    transfer.execute(False, 3)
    assert ask("select key, value from stats") == [("finished", len(NAMES))]
    assert ask("select distinct finished from filelist") == [(1,)]
    assert len(transfer) == 0
    assert contents(CloudFiles(there)) == dict.fromkeys(NAMES, CONTENT)
    transfer.close()
    assert not os.path.exists(db)
    transfer.init(cloudpath, there, cloudpath, False)
    assert ask("select reencode from xfermeta") == [("",)]
    transfer.close()
    CloudFiles(f"file://{tmp_path}/same").puts([("1", CONTENT), ("2", CONTENT)])
    transfer.init(cf, f"file://{tmp_path}/same", ["1", "2"])
    assert (len(transfer), ask("select count(*) from filelist where finished")) == (0, [(2,)])
    transfer.close()


@row(
    SYSTEM,
    "ResumableTransfer.init again begins anew, whatever is under way",
    "different",
    "it is refused until close(): what others are working on is not forgotten by accident",
)
@row(
    SYSTEM,
    "an empty ResumableTransfer is a TypeError",
    "kept and fixed",
    "there is nothing to do, and it is done",
)
def test_empty_transfers(tmp_path):
    cloudfiles.clear_memory()
    transfer = ResumableTransfer(tmp_path / "transfer.db")
    assert len(transfer) == 0
    transfer.init("mem://compat-tests/a", "mem://compat-there/b")
    with pytest.raises(ConfigError, match="already"):
        transfer.init("mem://compat-tests/a", "mem://compat-there/b")
    transfer.execute()
    transfer.close()


# ---------------------------------------------------------------------- faults
class Web(faults.FaultyServer):
    """A web server with one file."""

    body = b"0123456789" * 20_000

    def answer(self, request):
        if request.key or not request.target.endswith("/file"):
            return faults.Answer(404)
        return faults.Answer(200, self.body, {"ETag": '"1"'})


@row(
    SYSTEM,
    "http to file appends to what is there when it is tried again without resumable",
    "kept and fixed",
    "a file is old or new, whole, however often it is tried",
)
@pytest.mark.parametrize("resumable", [False, True])
def test_downloads_that_are_tried_again(tmp_path, resumable):
    with Web() as server:
        failing = iter([faults.BODY_CLOSE, faults.BODY_RESET])
        server.fault = lambda request: next(failing, None) if request.method == "GET" else None
        target = CloudFiles(f"file://{tmp_path}/target")
        target["file"] = b"what was there"
        CloudFiles(server.endpoint).transfer_to(target, ["file"], resumable=resumable)
        assert target["file"] == server.body
        assert next(failing, None) is None


@row(
    SYSTEM,
    "whole objects are held in memory, and results without bound",
    "kept and fixed",
    "transfers stream; puts of a stream and of a file, too",
)
def test_memory_is_bounded(tmp_path):
    size = 64 << 20
    with open(tmp_path / "large", "wb") as file:
        file.truncate(size)
    source, target = CloudFiles(str(tmp_path)), CloudFiles(str(tmp_path / "target"))
    tracemalloc.start()
    try:
        source.transfer_to(target, ["large"])
        with open(tmp_path / "large", "rb") as file:
            target.put("handle", file, compress="zstd")
        target.put("stream", (bytes(1 << 20) for _ in range(size >> 20)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert target.size("large") == target.size("stream") == size
    assert most < 32 << 20
