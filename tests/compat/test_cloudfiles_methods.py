"""The methods of cloud-files' CloudFiles, row by row."""

from __future__ import annotations

import io
import os

import pytest

from holdfast import NotFound
from holdfast.compat import cloudfiles
from holdfast.compat.cloudfiles import CloudFile, CloudFiles, dl
from tests.compat.rows import row

SYSTEM = "cloudfiles"
CONTENT = b"some_string"


# ---------------------------------------------------------------------- get
@row(SYSTEM, "get: scalar str or dict gives bytes; missing gives None, never an exception")
def test_get_of_one(cf):
    assert cf.put("info", CONTENT) == 1
    assert cf.get("info") == CONTENT
    assert cf.get({"path": "info"}) == CONTENT
    assert cf.get("nonexistent") is None


@row(SYSTEM, "get: an iterable (list, generator, iterator) gives a list of dicts; one element still a list")
@row(SYSTEM, "get: whole dicts of path, content, byte_range, error, compress (None, '' on s3), raw and tags")
@row(SYSTEM, "get: missing inside a list has content None and error None")
def test_get_of_many(cf):
    cf.put("info", CONTENT)
    whole = {
        "path": "info",
        "content": CONTENT,
        "byte_range": (None, None),
        "error": None,
        "compress": "" if cf.protocol == "s3" else None,
        "raw": False,
        "tags": None,
    }
    for paths in (["info"], iter(["info"]), (path for path in ["info"])):
        assert cf.get(paths) == [whole]
    assert cf.get(["info", "nonexistent"]) == [
        whole,
        {**whole, "path": "nonexistent", "content": None, "compress": None},
    ]


@row(SYSTEM, "get: duplicates in the input give duplicate rows")
def test_get_of_duplicates(cf):
    cf.put("info", CONTENT)
    rows = cf.get(["info"] * 20)
    assert len(rows) == 20
    assert all(row["content"] == CONTENT for row in rows)


@row(SYSTEM, "get: byte ranges {'path','start','end'} with an exclusive end; either may be None")
@row(SYSTEM, "get: tags pass through")
def test_get_of_ranges(cf):
    cf.put("info", bytes(range(200)) * 10)
    whole = bytes(range(200)) * 10
    assert cf.get({"path": "info", "start": 0, "end": 1024}) == whole[:1024]
    assert cf.get({"path": "info", "start": 1990, "end": None}) == whole[1990:]
    rows = cf.get([{"path": "info", "start": None, "end": 3, "tags": {"mine"}}, {"path": "info", "start": 5, "end": 7}])
    assert [(one["content"], one["byte_range"]) for one in rows] == [(whole[:3], (None, 3)), (whole[5:7], (5, 7))]
    assert rows[0]["tags"] == {"mine"}


@row(
    SYSTEM,
    "get: results come back in completion order",
    "different",
    "rows come in the order of the requests, which every program that sorted them itself still accepts",
)
def test_get_keeps_the_order(cf):
    paths = [f"k{number}" for number in range(40)]
    cf.puts((path, path.encode()) for path in paths)
    assert [one["path"] for one in cf.get(reversed(paths))] == paths[::-1]


@row(
    SYSTEM,
    "get: errors are gathered into error [seed]; today the first is raised unless raise_errors=False",
    "kept",
    "",
)
def test_errors_are_raised_or_gathered(cf):
    cf.put("good", b"1")
    cf.put("bad", b"no gzip", compress="gzip", raw=True)
    with pytest.raises(cloudfiles.exceptions.DecompressionError):
        cf.get(["good", "bad"])
    rows = {one["path"]: one for one in cf.get(["good", "bad"], raise_errors=False)}
    assert rows["good"]["content"] == b"1"
    assert isinstance(rows["bad"]["error"], cloudfiles.exceptions.DecompressionError)
    with pytest.raises(cloudfiles.exceptions.DecompressionError):
        cf.get("bad", raise_errors=False)
    with pytest.raises(cloudfiles.exceptions.DecompressionError):
        cf.get(["bad"], raise_errors=False, return_dict=True)


@row(SYSTEM, "get: return_dict gives {path: bytes}; return_recording a tuple with the TransmissionMonitor")
@row(SYSTEM, "get: total, progress, parallel and part_size")
def test_get_options(cf):
    cf.puts([("a", b"1" * 1000), ("b", b"22")])
    found = cf.get(["a", "b"], total=2, progress=False, parallel=2, return_dict=True, part_size=100)
    assert found == {"a": b"1" * 1000, "b": b"22"}
    result, monitor = cf.get(["a", "b"], return_recording=True)
    assert len(result) == 2
    assert isinstance(monitor, cloudfiles.monitoring.TransmissionMonitor)
    assert monitor.total_bytes() == 1002


@row(SYSTEM, "get: raw=True gives the stored, still compressed bytes")
def test_get_of_stored_bytes(cf):
    cf.put("info", CONTENT, compress="gzip")
    assert cf.get("info", raw=True) == cloudfiles.compression.compress(CONTENT, "gzip")
    (found,) = cf.get(["info"], raw=True)
    assert (found["raw"], found["compress"]) == (True, "gzip")


@row(
    SYSTEM,
    "get: a range of a compressed object is a slice of the stored bytes, which does not decompress",
    "kept and fixed",
    "a range means decoded bytes, and with raw=True stored ones",
)
def test_ranges_of_compressed_objects(cf):
    cf.put("info", b"0123456789", compress="gzip")
    assert cf.get({"path": "info", "start": 2, "end": 5}) == b"234"
    stored = cf.get("info", raw=True)
    assert cf.get({"path": "info", "start": 2, "end": 5}, raw=True) == stored[2:5]


# ---------------------------------------------------------------------- JSON
@row(SYSTEM, "get_json: parsed object; missing gives None; a list in the order of the input, also of a generator")
@row(SYSTEM, "put_json, put_jsons: application/json, tuples and dicts, generators, numpy, keys that are no str")
def test_json(cf):
    np = pytest.importorskip("numpy")
    assert cf.put_json("one", {"a": [1, 2.5, None], 3: np.arange(2)}) == 1
    assert cf.get_json("one") == {"a": [1, 2.5, None], "3": [0, 1]}
    assert cf.get_json("nonexistent") is None
    count = 300
    assert cf.put_jsons(((f"{number}.json", {"n": number}) for number in range(count)), compress="gzip") == count
    assert cf.put_jsons([{"path": "dict", "content": [1]}, ("tuple", [2])]) == 2
    assert cf.get_json(f"{number}.json" for number in range(count)) == [{"n": number} for number in range(count)]
    assert cf.head("one")["Content-Type"] == "application/json"


@row(SYSTEM, "put_jsons mutates the caller's dict", "kept and fixed", "the request is copied")
@row(SYSTEM, "get_json({'path': ...}) is a TypeError although documented", "kept and fixed", "it reads the object")
def test_json_requests(cf):
    request = {"path": "a", "content": {"b": 1}}
    cf.put_jsons([request])
    assert request == {"path": "a", "content": {"b": 1}}
    assert cf.get_json({"path": "a"}) == {"b": 1}


# ---------------------------------------------------------------------- put
@row(SYSTEM, "put(path, content, content_type, compress, compression_level, cache_control, raw, storage_class) gives 1")
@row(SYSTEM, "head: a dict with Cache-Control, Content-Length, Content-Type, ETag and the others; missing gives None")
def test_put_and_head(cf):
    said = ("text/plain", "gzip", 6, "no-cache", False, None)
    assert cf.put("info", CONTENT, *said) == 1
    head = cf.head("info")
    assert head["Content-Type"] == "text/plain"
    assert head["Cache-Control"] == "no-cache"
    assert head["Content-Length"] == cf.size("info")
    assert head["Content-Encoding"] == "gzip"
    names = {
        "Cache-Control",
        "Content-Length",
        "Content-Type",
        "ETag",
        "Last-Modified",
        "Content-Md5",
        "Content-Encoding",
        "Content-Disposition",
        "Content-Language",
        "Storage-Class",
        "Request-Charged",
        "Parts-Count",
    }
    assert names <= head.keys()
    assert cf.head("nonexistent") is None
    assert cf.head(["info", "nonexistent"])["nonexistent"] is None


@row(SYSTEM, "storage_class reaches the service")
def test_storage_class(moto, monkeypatch):
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    bucket = moto.make_bucket()
    cf = CloudFiles(moto.url(bucket))
    cf.put("a", b"1", storage_class="STANDARD_IA")
    cf.puts([{"path": "b", "content": b"2", "storage_class": "REDUCED_REDUNDANCY"}])
    assert moto.client().head_object(Bucket=bucket, Key="a")["StorageClass"] == "STANDARD_IA"
    assert moto.client().head_object(Bucket=bucket, Key="b")["StorageClass"] == "REDUCED_REDUNDANCY"


@row(SYSTEM, "puts: a dict, a tuple, or an iterable of either; dict fields override the arguments; gives the count")
@row(SYSTEM, "puts: bad compress is a ValueError before any write; duplicate paths are a ValueError")
@row(SYSTEM, "puts: content may be a binary file handle")
def test_puts(cf, tmp_path):
    assert cf.puts({"path": "dict", "content": b"1"}) == 1
    assert cf.puts(("tuple", b"2")) == 1
    files = [{"path": "x", "content": b"3", "compress": None}, ("y", b"4")]
    assert cf.puts(files, compress="br") == 2
    assert cf.puts(((f"g{number}", b"5") for number in range(9)), total=9, progress=False) == 9
    stored = {one["path"]: one["compress"] for one in cf.get(["x", "y"])}
    assert {path: compress or None for path, compress in stored.items()} == {"x": None, "y": "br"}
    with pytest.raises(ValueError, match="unknown encoding"):
        cf.puts([("new", b"1"), {"path": "new2", "content": b"1", "compress": "nonsense"}])
    with pytest.raises(ValueError, match="twice"):
        cf.puts([("new", b"1"), ("new", b"2")])
    assert cf.exists(["new", "new2"]) == {"new": False, "new2": False}
    (tmp_path / "source").write_bytes(b"from a file")
    with open(tmp_path / "source", "rb") as handle:
        cf.put("new folder/handle", handle)
    assert cf.get("new folder/handle") == b"from a file"
    cf.put("buffer", io.BytesIO(b"buffered"), compress="gzip")
    assert cf.get("buffer") == b"buffered"
    count, monitor = cf.puts([("a", b"12")], return_recording=True)
    assert (count, monitor.total_bytes()) == (1, 2)


@row(
    SYSTEM,
    "put of a file handle into a new folder is a FileNotFoundError",
    "kept and fixed",
    "directories are made as they are needed",
)
def test_a_handle_into_a_new_folder(tmp_path):
    cf = CloudFiles(f"file://{tmp_path}/never/made")
    cf.put("a/b", io.BytesIO(b"1"))
    assert cf.get("a/b") == b"1"


@row(SYSTEM, "mem:// keeps arbitrary Python objects by reference when there is no compression")
def test_objects_in_memory():
    cloudfiles.clear_memory()
    cf, kept = CloudFiles("mem://compat-tests/prefix"), {1, 2, 3}
    assert cf.put("set", kept) == 1
    assert cf.get("set") is kept
    assert cf.puts([("list", [1]), {"path": "dict", "content": {"a": 1}}, ("bytes", b"1")]) == 3
    assert cf.get(["list", "bytes"], return_dict=True) == {"list": [1], "bytes": b"1"}
    assert cf.get(["dict"])[0]["content"] == {"a": 1}
    assert CloudFiles("mem://compat-tests").get({"path": "prefix/set"}) is kept
    cf.put("set", b"")
    assert cf.get("set") == b""
    cf.delete("dict")
    assert cf.get("dict") is None
    cloudfiles.clear_memory()
    assert list(cf) == []


# ---------------------------------------------------------------------- exists, delete, size
@row(SYSTEM, "exists: scalar gives bool, an iterable {path: bool}")
@row(SYSTEM, "size: stored size; missing gives None; a list gives a dict; return_sum")
@row(SYSTEM, "delete: str, list or generator; missing is silent; gives a number")
def test_exists_size_delete(cf):
    cf.puts([("a", b"1"), ("b", b"22"), ("z", b"0" * 1000)], compress=None)
    cf.put("z", b"0" * 1000, compress="gzip")
    assert cf.exists("a") is True
    assert cf.exists("no") is False
    assert cf.exists(path for path in ["a", "no"]) == {"a": True, "no": False}
    assert cf.size("b") == 2
    assert cf.size("no") is None
    assert cf.size(["a", "no"]) == {"a": 1, "no": None}
    assert cf.size(["a", "b", "no"], return_sum=True) == 3
    assert cf.size("z") == len(cf.get("z", raw=True)) < 100
    assert cf.delete("a") == 1
    assert cf.delete(["b", "never"], total=2, progress=False, parallel=1) == 2
    assert cf.delete(path for path in ["z"]) == 1
    assert list(cf) == []


@row(
    SYSTEM,
    "s3 delete of three files returns 1; errors of single keys are ignored",
    "kept and fixed",
    "the number of paths is returned, and the first error is raised",
)
def test_delete_counts(cf):
    cf.puts((f"k{number}", b"") for number in range(3))
    assert cf.delete(f"k{number}" for number in range(3)) == 3


# ---------------------------------------------------------------------- list
LAYOUT = ["build/info3", "info1", "info2", "info5", "level1/level2/info4"]


@row(SYSTEM, "list: paths relative to the cloudpath, a string prefix, suffixes of compression stripped, sorted")
@row(SYSTEM, "list flat: directories with a trailing slash; 'build' gives what is in it, 'level1/' its directories")
@row(SYSTEM, "iter(cf), isdir, subtree_size")
def test_list(cf):
    cf.puts(((path, CONTENT) for path in LAYOUT), compress="gzip")
    assert list(cf.list()) == list(cf) == LAYOUT
    assert list(cf.list(prefix="inf")) == ["info1", "info2", "info5"]
    assert list(cf.list(prefix="nofolder/")) == []
    assert set(cf.list(flat=True)) == {"build/", "info1", "info2", "info5", "level1/"}
    assert set(cf.list(flat=True, prefix="build")) == {"build/info3"}
    assert set(cf.list(flat=True, prefix="level1/")) == {"level1/level2/"}
    assert set(cf.list(flat=True, prefix="inf")) == {"info1", "info2", "info5"}
    assert dict(cf.list(size=True)) == {path: cf.size(path) for path in LAYOUT}
    assert [cf.isdir(path) for path in ("build", "build/", "", "info", "none/")] == [True, True, True, False, False]
    assert cf.subtree_size("level1") == {"N": 1, "num_bytes": cf.size("level1/level2/info4")}
    tokens = list(cf.list(return_resume_token=True))
    assert list(cf.list(resume_token=tokens[2][1])) == LAYOUT[3:]


@row(SYSTEM, "isdir() is False on an empty location")
@row(
    SYSTEM,
    "flat list of a missing directory is a FileNotFoundError, another one is empty",
    "kept and fixed",
    "both are empty",
)
@row(SYSTEM, "isdir('x/') is True on clouds whatever there is", "kept and fixed", "it looks")
def test_an_empty_location(cf):
    assert cf.isdir() is False
    assert cf.isdir("x/") is False
    assert list(cf.list()) == list(cf.list(flat=True)) == []


@row(
    SYSTEM,
    "list(size=True) on file:// looks at a path of the working directory",
    "kept and fixed",
    "it tells the stored sizes",
)
@row(SYSTEM, "mem: head of a missing file is a TypeError, subtree_size fails", "kept and fixed", "as everywhere else")
def test_listing_faults(cf):
    cf.put("d/a", b"123")
    assert list(cf.list(size=True)) == [("d/a", 3)]
    assert cf.head("missing") is None
    assert cf.subtree_size() == {"N": 1, "num_bytes": 3}


# ---------------------------------------------------------------------- touch, move
@row(SYSTEM, "touch: creates what is missing, never truncates")
@row(
    SYSTEM,
    "touch: renews the time of what is there, by a copy unless nocopy",
    "different",
    "what is there is not written: its time stays, and nobody's newer content can be lost",
)
def test_touch(cf):
    cf.put("a", b"1")
    before = cf.head("a")["Last-Modified"]
    cf.touch("new")
    cf.touch(["a", "b"], progress=False, total=2, nocopy=True)
    assert cf.get(["a", "b", "new"], return_dict=True) == {"a": b"1", "b": b"", "new": b""}
    assert cf.head("a")["Last-Modified"] == before


@row(SYSTEM, "move(src, dest), moves(cf_dest, [(src, dest), ...], block_size)")
def test_move(cf, tmp_path):
    cf.puts([("a", b"1"), ("b", b"2"), ("c", b"3")])
    cf.move("a", f"{tmp_path}/target/moved")
    target = CloudFiles(f"file://{tmp_path}/target")
    cf.moves(target, [("b", "renamed"), "c"], block_size=1, total=2, progress=False)
    assert target.get(["moved", "renamed", "c"], return_dict=True) == {"moved": b"1", "renamed": b"2", "c": b"3"}
    assert list(cf) == []


# ---------------------------------------------------------------------- like a dict, and paths
@row(SYSTEM, "join, dirname, basename, abspath")
def test_path_helpers(cf, cloudpath):
    assert cf.join("a", "b") == "a/b"
    assert cf.dirname("a/b/c") == "a/b"
    assert cf.basename("a/b/c") == "c"
    assert cf.abspath("a/b") == f"{cloudpath}/a/b"
    assert cf.sep == "/"


@row(SYSTEM, "cf[k], cf[k, a:b], cf[:100], cf[k] = bytes, del cf[k]; a missing k is None, its del silent")
def test_like_a_dict(cf):
    cf["a"] = b"0123"
    cf["b"] = b"45"
    assert (cf["a"], cf["a", 1:3], cf["missing"]) == (b"0123", b"12", None)
    assert [one["path"] for one in cf[:1]] == ["a"]
    assert [one["content"] for one in cf[0:5]] == [b"0123", b"45"]
    assert {one["path"] for one in cf[["a", "b"]]} == {"a", "b"}
    del cf["a"]
    del cf["a"]
    assert list(cf) == ["b"]


# ---------------------------------------------------------------------- CloudFile and dl
@row(SYSTEM, "CloudFile: get put get_json put_json head size exists delete touch move join dirname basename len [a:b]")
@row(
    SYSTEM,
    "CloudFile.get([slice]) is an AttributeError; CloudFile.__setitem__ has the wrong arity",
    "kept and fixed",
    "ranges are slices, pairs or dicts; there is no item to set, for objects are written whole",
)
def test_cloudfile(cf, cloudpath, tmp_path):
    one = CloudFile(f"{cloudpath}/d/hello.txt", lock_dir=str(tmp_path / "locks"))
    assert one.get() is None
    assert one.put(b"0123456789", compress="gzip", content_type="text/plain") == 1
    assert cf.get("d/hello.txt") == b"0123456789"
    assert (one.get(), one[2:4], one.get(ranges=slice(0, 2))) == (b"0123456789", b"23", b"01")
    assert one.get([slice(0, 2), slice(8, None)]) == [b"01", b"89"]
    assert len(one) == one.size() == one.head()["Content-Length"]
    assert (one.exists(), one.basename(), one.dirname(), one.join("a", "b")) == (
        True,
        "hello.txt",
        f"{cloudpath}/d",
        "a/b",
    )
    one.put_json([1])
    assert one.get_json() == [1]
    one.touch()
    one.delete()
    assert one.exists() is False
    one.clear_locks()
    assert one.protocol == cf.protocol


@row(SYSTEM, "dl(cloudpaths): full paths from many buckets; rows carry fullpath; a scalar gives one dict")
def test_dl(cf, cloudpath):
    cf.puts([("a", b"1"), ("d/b", b"2")])
    other = CloudFiles("mem://compat-other")
    other.put("c", b"3")
    rows = dl([f"{cloudpath}/d/b", "mem://compat-other/c", f"{cloudpath}/a", f"{cloudpath}/no"])
    assert [one["content"] for one in rows] == [b"2", b"3", b"1", None]
    assert rows[1]["fullpath"] == "mem://compat-other/c"
    assert dl(f"{cloudpath}/a")["content"] == b"1"
    assert dl({"path": f"{cloudpath}/d/b", "start": 0, "end": 1}, raw=True)["content"] == b"2"


@row(SYSTEM, "reset_connection_pools, clear_memory")
def test_module_functions(cf):
    cf.put("a", b"1")
    cloudfiles.reset_connection_pools()
    assert cf.get("a") == b"1"
    CloudFiles("mem://compat-other").put("x", b"1")
    cloudfiles.clear_memory()
    assert CloudFiles("mem://compat-other").get("x") is None


@row(SYSTEM, "a missing source of move is told")
def test_move_of_nothing(cf, tmp_path):
    with pytest.raises(NotFound):
        cf.move("nothing", f"{tmp_path}/target")
    assert os.listdir(tmp_path) == [] or not (tmp_path / "target").exists()
