"""One object by its location, many by theirs, and objects that change their encoding."""

from __future__ import annotations

import pytest

from holdfast import CloudFile, CloudFiles, ConfigError, DecompressionError, UnknownEncoding, codecs, dl, transcode
from holdfast.stores.memory import MemoryStore


@pytest.fixture
def one(tmp_path):
    return CloudFile(f"file://{tmp_path}/d/hello.txt")


def test_an_object_is_written_read_and_removed(one, tmp_path):
    assert one.get() is None
    assert (one.exists(), one.size(), one.head(), one.get_json(), len(one)) == (False, None, None, None, 0)
    assert one.put(b"0123456789", content_type="text/plain", compress="gzip") == 1
    assert one.get() == b"0123456789"
    assert (tmp_path / "d" / "hello.txt.gz").exists()
    assert one.get(raw=True) == (tmp_path / "d" / "hello.txt.gz").read_bytes()
    assert one.exists()
    assert one.head()["Content-Type"] == "text/plain"
    assert one.size() == len(one) == one.head()["Content-Length"]
    one.put_json({"a": 1})
    assert one.get_json() == {"a": 1}
    assert one.delete() is None
    assert not one.exists()
    one.touch()
    assert one.get() == b""
    assert one  # also where its length is 0


@pytest.mark.parametrize(
    ("ranges", "content"),
    [
        (slice(2, 5), b"234"),
        ((2, 5), b"234"),
        ({"start": 2, "end": 5}, b"234"),
        ((None, 3), b"012"),
        ([(0, 2), slice(4, None), {"start": 8}, (20, 30)], [b"01", b"456789", b"89", b""]),
        ([], []),
    ],
)
@pytest.mark.parametrize("compress", [None, "br"])
def test_ranges_in_every_form(one, ranges, content, compress):
    one.put(b"0123456789", compress=compress)
    assert one.get(ranges=ranges) == content


def test_an_object_is_a_sequence_of_bytes(one):
    one.put(b"0123456789")
    assert (one[2:5], one[:3], one[-2:], one[0], one[-1]) == (b"234", b"012", b"89", ord("0"), ord("9"))
    with pytest.raises(IndexError):
        one[10]
    with pytest.raises(ValueError, match="step"):
        one[::2]


def test_what_is_asked_once_is_asked_again_after_a_write(tmp_path):
    path = f"file://{tmp_path}/a"
    cached = CloudFile(path, cache_meta=True)
    cached.put(b"12")
    assert (cached.size(), cached.head()["Content-Length"]) == (2, 2)
    CloudFile(path).put(b"345")
    assert (cached.size(), cached.head()["Content-Length"]) == (2, 2)
    assert cached.get() == b"345"
    cached.put(b"6789")
    assert (cached.size(), cached.head()["Content-Length"]) == (4, 4)


def test_paths_of_an_object(one, tmp_path):
    assert one.basename() == one.filename == "hello.txt"
    assert one.dirname() == f"file://{tmp_path}/d"
    assert one.join("a", "b") == "a/b"
    assert (one.protocol, one.sep) == ("file", "/")
    assert repr(one) == f"CloudFile('file://{tmp_path}/d/hello.txt')"
    one.put(b"1")
    one.move(f"file://{tmp_path}/e/")
    assert CloudFile(f"file://{tmp_path}/e/hello.txt").get() == b"1"
    for wrong in ("gs://bucket", "gs://bucket/d/", f"file://{tmp_path}/"):
        with pytest.raises(ConfigError, match="names no object"):
            CloudFile(wrong)


def test_an_object_with_locks(tmp_path):
    one = CloudFile(f"file://{tmp_path}/a", locking=True, lock_dir=str(tmp_path / "locks"))
    one.put(b"1")
    assert one.lock_dir == str(tmp_path / "locks")
    assert len(list((tmp_path / "locks").iterdir())) == 1
    one.clear_locks()
    assert not list((tmp_path / "locks").iterdir())


# ---------------------------------------------------------------------- many locations
def test_objects_of_many_places_come_in_the_order_of_their_locations(tmp_path):
    MemoryStore("dl-tests").clear()
    CloudFiles("mem://dl-tests/d").puts([("a", b"1"), ("b", b"22")], compress="gzip")
    CloudFiles(str(tmp_path)).put("c", b"333")
    wanted = ["mem://dl-tests/d/b", f"{tmp_path}/c", "mem://dl-tests/no", "mem://dl-tests/d/a", "mem://dl-tests/d/b"]
    rows = dl(iter(wanted))
    assert [row["fullpath"] for row in rows] == wanted
    assert [row["content"] for row in rows] == [b"22", b"333", None, b"1", b"22"]
    assert rows[0] == {
        "path": "d/b", "content": b"22", "byte_range": (None, None), "error": None, "compress": "gzip", "raw": False,
        "tags": None, "fullpath": "mem://dl-tests/d/b",
    }  # fmt: skip
    assert dl("mem://dl-tests/d/a")["content"] == b"1"
    (row,) = dl([{"path": "mem://dl-tests/d/b", "start": 1, "end": 2, "tags": "mine"}])
    assert (row["content"], row["byte_range"], row["tags"]) == (b"2", (1, 2), "mine")
    assert dl({"path": "mem://dl-tests/d/b", "start": 0, "end": 1})["content"] == b"2"
    assert codecs.decompress(dl("mem://dl-tests/d/b", raw=True)["content"], "gzip") == b"22"
    assert dl([]) == []


# ---------------------------------------------------------------------- encodings
@pytest.mark.parametrize("before", [None, "gzip", "br", "zstd", "xz", "bz2"])
@pytest.mark.parametrize("after", [None, "gzip", "br", "zstd", "xz", "bz2"])
def test_every_encoding_becomes_every_other(tmp_path, before, after):
    source, target = CloudFiles(str(tmp_path / "source")), CloudFiles(str(tmp_path / "target"))
    source.puts([("a", b"abc" * 100), ("b", b"")], compress=before)
    rows = source.get(["a", "b", "missing"], raw=True)
    found = list(transcode(rows, after))
    assert [row["compress"] for row in found[:2]] == [after] * 2
    assert rows[0]["compress"] == before
    assert found[2]["content"] is None
    target.puts(found[:2], raw=True)
    assert target.get(["a", "b"], return_dict=True) == {"a": b"abc" * 100, "b": b""}
    if before == after:
        assert found[0]["content"] == rows[0]["content"]


def test_rows_that_are_not_raw_are_plain(tmp_path):
    row = {"path": "a", "content": b"abc", "compress": "gzip", "raw": False}
    (found,) = transcode(row, "br", level=3)
    assert codecs.decompress(found["content"], "br") == b"abc"
    (same,) = transcode([row], None, in_place=True)
    assert same is row
    assert row == {"path": "a", "content": b"abc", "compress": None, "raw": True}


def test_a_level_encodes_anew():
    slow = {"path": "a", "content": codecs.compress(b"abc" * 1000, "gzip", 9), "compress": "gzip", "raw": True}
    (fast,) = transcode([slow], "gzip", level=1)
    assert fast["content"] != slow["content"]
    assert codecs.decompress(fast["content"], "gzip") == b"abc" * 1000


def test_an_unknown_encoding_is_refused_at_the_call_and_a_broken_row_when_it_comes():
    with pytest.raises(UnknownEncoding):
        transcode([], "nonsense")
    rows = transcode([{"path": "p", "content": b"broken", "compress": "gzip", "raw": True}], "br")
    with pytest.raises(DecompressionError, match="'p'"):
        next(rows)


def test_a_row_that_tells_of_an_error_is_not_written(tmp_path):
    files = CloudFiles(str(tmp_path))
    rows = files.get(["../x"], raise_errors=False)
    with pytest.raises(ValueError, match="tells of an error"):
        files.puts(rows)
