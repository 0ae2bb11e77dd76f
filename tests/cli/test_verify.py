"""verify: the same objects with the same bytes, or a list of what differs."""

from __future__ import annotations

import gzip

import pytest

from holdfast.cli import verify
from holdfast.types import WriteOptions

from .conftest import TREE


@pytest.fixture
def copied(holdfast, place, bucket):
    holdfast("cp", "-r", place.base, bucket / "x")
    return place


def test_a_faithful_copy_is_sound(holdfast, copied, bucket):
    result = holdfast("verify", copied.base, bucket / "x")
    assert (result.code, result.lines) == (0, ["5 same, 0 different, 0 missing, 0 extra; 45 B the same"])
    assert holdfast("verify", copied / "run1", bucket / "x/run1").code == 0
    assert holdfast("verify", copied / "run1.txt", bucket / "x/run1.txt").code == 0
    assert holdfast("verify", copied / "run1.txt", bucket / "x/").code == 0


def test_everything_that_differs_is_found(holdfast, copied, bucket):
    bucket.put({"x/run1/a": b"ONE", "x/run10/a": b"another size", "x/more": b"", "x/run1/sub/": b""})
    bucket.store.delete("x/run1.txt")
    result = holdfast("verify", copied.base, bucket / "x")
    assert result.code == 1
    assert sorted(result.lines) == sorted([
        "2 same, 2 different, 1 missing, 1 extra; 26 B the same",
        "different  run1/a",
        "different  run10/a (8 and 12 bytes)",
        "extra      more",
        "missing    run1.txt",
    ])  # fmt: skip


def test_json_for_programs(holdfast, copied, bucket):
    bucket.put({"x/run1/a": b"longer"})
    bucket.store.delete("x/run1.txt")
    result = holdfast("verify", "--json", copied.base, bucket / "x")
    *rows, summary = result.rows
    assert {"key": "run1/a", "status": "different", "source_size": 3, "target_size": 6} in rows
    assert {"key": "run1.txt", "status": "missing", "source_size": 8, "target_size": None} in rows
    assert len(rows) == 2
    assert (summary["same"], summary["different"], summary["missing"], summary["extra"]) == (3, 1, 1, 0)
    assert (result.code, summary["failed"]) == (1, 0)


def test_only_what_is_under_the_location_counts(holdfast, bucket):
    bucket.put({"run1/a": b"1", "run10/b": b"2", "run1.txt": b"3", "copy/a": b"1", "copy2/c": b"4"})
    assert holdfast("verify", bucket / "run1", bucket / "copy").code == 0


@pytest.mark.parametrize("missing", ["nope", "run", "nope/"])
def test_nothing_at_the_source_is_exit_4(holdfast, place, bucket, missing):
    result = holdfast("verify", place / missing, bucket.put(TREE).base)
    assert (result.code, result.out) == (4, "")


def test_nothing_at_the_target_is_all_missing(holdfast, place, bucket, tmp_path):
    for target in (bucket / "nope", tmp_path / "nope"):
        result = holdfast("verify", place / "run1", target)
        assert (result.code, len(result.lines)) == (1, 3)
        assert result.lines[-1].startswith("0 same, 0 different, 2 missing")
    assert holdfast("verify", place / "run1.txt", bucket / "nope").code == 1


def test_an_object_where_a_directory_should_be_is_extra(holdfast, bucket):
    bucket.put({"run1/a": b"1", "x": b"no directory"})
    result = holdfast("verify", bucket / "run1", bucket / "x")
    assert (result.code, sorted(result.lines[:2])) == (1, ["extra      x", "missing    a"])


def test_names_merge_in_the_order_of_listings(holdfast, bucket, folder):
    # Where "/" sorts between other characters, and UTF-16 order differs from UTF-8 order.
    names = ["a", "a-", "a.b", "a/b", "a0", "\uffee", "\U0001f600", "z"]
    names.remove("a")  # on disk a file cannot be a directory too
    bucket.put({f"x/{name}": name.encode() for name in names})
    folder.put({name: name.encode() for name in names})
    assert holdfast("verify", bucket / "x", folder.base).code == 0
    bucket.store.delete("x/a0")
    assert holdfast("verify", bucket / "x", folder.base).lines[0] == "extra      a0"


def test_decode_compares_what_the_encodings_hold(holdfast, bucket):
    bucket.put({"plain/a": b"hello"})
    bucket.store.write("packed/a", gzip.compress(b"hello"), WriteOptions(content_encoding="gzip"))
    assert holdfast("verify", bucket / "plain", bucket / "packed").code == 1
    assert holdfast("verify", "--decode", bucket / "plain", bucket / "packed").code == 0


def test_the_same_bytes_in_another_encoding_are_different(holdfast, bucket):
    packed = gzip.compress(b"hello")
    bucket.put({"plain/a": packed})
    bucket.store.write("packed/a", packed, WriteOptions(content_encoding="gzip"))
    result = holdfast("verify", bucket / "plain", bucket / "packed")
    assert (result.code, result.lines[0]) == (1, "different  a")
    assert holdfast("diff", bucket / "plain", bucket / "packed").code == 1


def test_large_objects_are_compared_to_the_last_byte(holdfast, bucket, monkeypatch):
    monkeypatch.setattr(verify, "LARGE", 1 << 20)
    body = bytes(3 << 20)
    bucket.put({"x/a": body, "y/a": body})
    assert holdfast("verify", bucket / "x", bucket / "y").code == 0
    bucket.put({"y/a": body[:-1] + b"\x01"})
    assert holdfast("verify", bucket / "x", bucket / "y").lines[0] == "different  a"


def test_what_cannot_be_read_is_reported(holdfast, bucket):
    bucket.put({"x/a": b"hello", "x/b": b"1"})
    bucket.put({"y/b": b"1"})
    bucket.store.write("y/a", b"no gzip", WriteOptions(content_encoding="gzip"))
    result = holdfast("verify", "--decode", bucket / "x", bucket / "y")
    assert result.code == 1
    assert result.lines == ["1 same, 0 different, 0 missing, 0 extra, 1 could not be compared; 1 B the same"]
    assert "gzip" in result.err
