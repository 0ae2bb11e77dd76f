"""ls, du and head: what is there, how it is shown to people and to programs."""

from __future__ import annotations

import os
import re

import pytest

from holdfast.types import WriteOptions

from .conftest import TREE


def test_ls_shows_one_level(holdfast, place):
    result = holdfast("ls", place / "run1")
    assert (result.code, sorted(result.lines)) == (0, ["a", "sub/"])
    assert sorted(holdfast("ls", place.base).lines) == ["run1-", "run1.txt", "run1/", "run10/"]


def test_ls_r_shows_everything_under_the_location_only(holdfast, place):
    assert holdfast("ls", "-r", place / "run1").lines == ["a", "sub/b"]
    assert holdfast("ls", "-r", place / "run1/").lines == ["a", "sub/b"]
    assert sorted(holdfast("ls", "-r", place.base).lines) == sorted(TREE)


def test_ls_of_an_object_shows_it(holdfast, place):
    assert holdfast("ls", place / "run1.txt").lines == ["run1.txt"]
    assert holdfast("ls", "-r", place / "run1/sub/b").lines == ["b"]


@pytest.mark.parametrize("command", ["ls", "du", "head", "cat"])
@pytest.mark.parametrize("missing", ["nope", "nope/", "run", "run1.txt/", "run1/sub/b/c"])
def test_nothing_there_is_exit_4(holdfast, place, command, missing):
    result = holdfast(command, place / missing)
    assert (result.code, result.out) == (4, "")
    assert result.err == f"holdfast: {place / missing}: nothing there\n"


def test_an_empty_bucket_and_an_empty_directory_are_there(holdfast, bucket, folder):
    for empty in (bucket, folder):
        assert holdfast("ls", empty.base).code == 0
        assert re.fullmatch(r"\s+0\s+0  " + re.escape(empty.base), holdfast("du", empty.base).lines[0])


def test_ls_l_shows_size_and_time(holdfast, place):
    result = holdfast("ls", "-l", place / "run1")
    assert any(re.fullmatch(r" +3  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  a", line) for line in result.lines)
    assert any(re.fullmatch(r" +-  - +sub/", line) for line in result.lines)
    assert re.search(r" 3 B  ", holdfast("ls", "-lh", place / "run1/a").out)


def test_ls_of_several_locations_names_each_and_misses_one(holdfast, place):
    result = holdfast("ls", place / "run1", place / "nope", place / "run1.txt")
    assert result.code == 1
    assert [line for line in result.lines if line.endswith(":")] == [f"{place / 'run1'}:", f"{place / 'run1.txt'}:"]
    assert "nope: nothing there" in result.err


def test_ls_without_a_location_lists_this_directory(holdfast, folder, monkeypatch):
    folder.put(TREE)
    monkeypatch.chdir(folder / "run1")
    assert sorted(holdfast("ls").lines) == ["a", "sub/"]
    assert holdfast("du").lines[0].split() == ["7", "2", "."]


def test_ls_json_for_programs(holdfast, place):
    rows = {row["key"]: row for row in holdfast("ls", "--json", place / "run1").rows}
    assert sorted(rows) == ["a", "sub/"]
    assert rows["sub/"] == {"location": place / "run1", "key": "sub/", "type": "directory"}
    assert (rows["a"]["type"], rows["a"]["size"]) == ("object", 3)
    assert rows["a"]["etag"]
    assert rows["a"]["last_modified"].endswith("+00:00")


def test_an_object_and_a_directory_of_one_name_are_both_shown(holdfast, bucket):
    bucket.put({"run1": b"x", "run1/a": b"yy", "run10": b""})
    assert holdfast("ls", bucket / "run1").lines == ["run1", "a"]
    assert holdfast("ls", bucket / "run1/").lines == ["a"]
    assert holdfast("du", bucket / "run1").lines[0].split()[:2] == ["3", "2"]


def test_directory_markers_are_directories(holdfast, bucket):
    bucket.put({"run1/": b"", "run1/empty/": b"", "run1/a": b"x", "run1/odd/": b"has bytes, so it is an object"})
    assert sorted(holdfast("ls", bucket / "run1").lines) == ["a", "empty/", "odd/"]
    assert sorted(holdfast("ls", "-r", bucket / "run1").lines) == ["a", "empty/", "odd/"]
    types = {row["key"]: row["type"] for row in holdfast("ls", "-r", "--json", bucket / "run1").rows}
    assert types == {"a": "object", "empty/": "directory", "odd/": "object"}
    assert holdfast("du", bucket / "run1").lines[0].split()[:2] == ["30", "2"]
    assert holdfast("ls", bucket / "run1/empty").code == 0


HOSTILE = "\x1b[2J\nnew line\t\x07\u202eback\\slash"


def test_people_never_see_raw_control_characters(holdfast, bucket):
    bucket.put({HOSTILE: b"x"})
    (shown,) = holdfast("ls", bucket.base).lines
    assert shown == "\\x1b[2J\\nnew line\\t\\x07\\u202eback\\\\slash"
    assert holdfast("ls", "-l", bucket.base).out.count("\n") == 1
    assert holdfast("head", bucket / HOSTILE).lines[0].endswith(shown)
    assert holdfast("cat", bucket / (HOSTILE + "x")).err.count("\n") == 1


def test_programs_get_exact_names(holdfast, bucket):
    names = [HOSTILE, "ü", "\U0001f600", 'quote"d', "\x7f", " "]
    bucket.put(dict.fromkeys(names, b""))
    result = holdfast("ls", "--json", bucket.base)
    assert sorted(row["key"] for row in result.rows) == sorted(names)
    assert '"ü"' in result.out


def test_names_that_are_no_utf8_survive(holdfast, tmp_path):
    raw = b"caf\xe9\xff"
    with open(os.path.join(os.fsencode(tmp_path), raw), "wb"):
        pass
    result = holdfast("ls", "--json", tmp_path)
    assert os.fsencode(result.rows[0]["key"]) == raw
    assert r'"caf\udce9\udcff"' in result.out
    assert holdfast("ls", tmp_path).lines == [r"caf\udce9\udcff"]
    assert holdfast("cat", os.fsdecode(os.path.join(os.fsencode(tmp_path), raw))).code == 0


def test_du_counts_stored_bytes_under_the_location_only(holdfast, place):
    result = holdfast("du", place / "run1", place / "run1.txt")
    assert [line.split() for line in result.lines] == [
        ["7", "2", place / "run1"],
        ["8", "1", place / "run1.txt"],
    ]
    assert holdfast("du", "--json", place / "run1").rows == [{"location": place / "run1", "bytes": 7, "count": 2}]


def test_du_h_shows_units(holdfast, bucket):
    bucket.put({"a": bytes(1536)})
    assert holdfast("du", "-h", bucket.base).lines[0].split()[:2] == ["1.50", "KiB"]


def test_head_shows_what_is_known(holdfast, bucket):
    options = WriteOptions(content_type="text/x-note", content_encoding="gzip", metadata={"colour": "blue"})
    bucket.store.write("a", b"12345", options)
    lines = holdfast("head", bucket / "a").lines
    assert lines[0] == bucket / "a"
    wanted = {"  size: 5", "  content_type: text/x-note", "  content_encoding: gzip", "  metadata.colour: blue"}
    assert wanted <= set(lines)
    (row,) = holdfast("head", "--json", bucket / "a").rows
    assert (row["location"], row["size"], row["metadata"]) == (bucket / "a", 5, {"colour": "blue"})


def test_head_keeps_the_order_and_names_what_is_missing(holdfast, place):
    result = holdfast("head", "--json", place / "run1/a", place / "nope", place / "run1.txt", place / "run1")
    assert [row["size"] for row in result.rows] == [3, 8]
    assert result.code == 1
    assert result.err.splitlines() == [
        f"holdfast: {place / 'nope'}: nothing there",
        f"holdfast: {place / 'run1'} is a directory: ls shows what is in it",
    ]
