"""cp: what a location selects, where it lands, and what is refused."""

from __future__ import annotations

import gzip
import io
import os
import sys

import pytest

from holdfast.types import WriteOptions

from .conftest import TREE

RUN1 = {"a": b"one", "sub/b": b"two!"}


def test_a_directory_is_exactly_what_is_under_it(holdfast, place, folder, bucket):
    assert holdfast("cp", "-r", place / "run1", bucket / "x").code == 0
    assert bucket.objects == {f"x/{key}": data for key, data in RUN1.items()}


def test_contents_map_the_same_whether_or_not_the_target_exists(holdfast, place, bucket):
    for source in ("run1", "run1", "run1/"):
        assert holdfast("cp", "-r", place / source, bucket / "x").code == 0
        assert sorted(bucket.objects) == ["x/a", "x/sub/b"]
    assert holdfast("cp", "-r", place / "run1", bucket / "x/").code == 0
    assert sorted(bucket.objects) == ["x/a", "x/sub/b"]


def test_contents_map_the_same_onto_local_directories(holdfast, place, tmp_path):
    for _ in range(2):
        assert holdfast("cp", "-r", place / "run1", tmp_path / "x").code == 0
        assert (tmp_path / "x/a").read_bytes() == b"one"
        assert not (tmp_path / "x/run1").exists()


def test_a_directory_needs_r_and_nothing_is_touched(holdfast, place, bucket):
    result = holdfast("cp", place / "run1.txt", place / "run1", bucket / "x/")
    assert (result.code, bucket.objects) == (1, {})
    assert result.err == f"holdfast: {place / 'run1'} is a directory: add -r\n"


def test_a_single_object_becomes_the_target(holdfast, place, bucket):
    assert holdfast("cp", place / "run1.txt", bucket / "x").code == 0
    assert holdfast("cp", "-r", place / "run1.txt", bucket / "y").code == 0
    assert bucket.objects == {"x": b"nor this", "y": b"nor this"}


def test_a_single_object_keeps_its_name_in_a_directory(holdfast, place, bucket, tmp_path, monkeypatch):
    assert holdfast("cp", place / "run1.txt", bucket / "x/").code == 0
    assert holdfast("cp", place / "run1.txt", bucket.base).code == 0
    assert sorted(bucket.objects) == ["run1.txt", "x/run1.txt"]
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert holdfast("cp", place / "run1.txt", ".").code == 0
    assert (tmp_path / "here/run1.txt").read_bytes() == b"nor this"


def test_several_sources_each_keep_their_name(holdfast, place, bucket):
    result = holdfast("cp", "-r", place / "run1", place / "run1.txt", bucket / "x")
    assert result.code == 0
    assert bucket.objects == {"x/run1/a": b"one", "x/run1/sub/b": b"two!", "x/run1.txt": b"nor this"}


def test_several_sources_need_a_directory(holdfast, place, bucket):
    result = holdfast("cp", place / "run1.txt", place / "run1-", bucket / "x")
    assert (result.code, bucket.objects) == (2, {})
    assert "write " + bucket / "x/" in result.err
    assert holdfast("cp", place / "run1.txt", place / "run1-", bucket / "x/").code == 0
    assert sorted(bucket.objects) == ["x/run1-", "x/run1.txt"]


def test_a_collision_of_names_is_refused_before_anything_is_copied(holdfast, place, bucket):
    result = holdfast("cp", "-r", place / "run1-", place / "run1/a", place / "run10/a", bucket / "x/")
    assert (result.code, bucket.objects) == (2, {})
    assert "would both become" in result.err


def test_an_object_and_a_directory_of_one_name_both_go(holdfast, bucket):
    bucket.put({"run1": b"the object", "run1/a": b"one", "run10": b"no"})
    assert holdfast("cp", "-r", bucket / "run1", bucket / "x").code == 0
    assert {key: data for key, data in bucket.objects.items() if key[0] == "x"} == {"x": b"the object", "x/a": b"one"}
    assert holdfast("cp", bucket / "run1", bucket / "y").code == 0
    assert "y/a" not in bucket.objects
    assert holdfast("cp", "-r", bucket / "run1/", bucket / "z").code == 0
    assert "z/a" in bucket.objects
    assert "z" not in bucket.objects


def test_directory_markers_are_never_files(holdfast, bucket, tmp_path):
    bucket.put({"run1/": b"", "run1/sub/": b"", "run1/sub/b": b"two"})
    result = holdfast("cp", "-r", "--json", bucket / "run1", tmp_path / "x")
    assert (result.code, result.rows[-1]["count"]) == (0, 1)
    assert (tmp_path / "x/sub/b").read_bytes() == b"two"


@pytest.mark.parametrize("missing", ["nope", "nope/", "run", "run1/sub/b/c", "run1.txt/"])
def test_a_missing_source_is_reported(holdfast, place, bucket, missing):
    result = holdfast("cp", "-r", place / missing, bucket / "x")
    assert (result.code, bucket.objects) == (4, {})
    assert result.err == f"holdfast: {place / missing}: nothing there\n"


def test_a_missing_source_among_others_is_reported_and_the_rest_is_copied(holdfast, place, bucket):
    result = holdfast("cp", place / "nope", place / "run1.txt", bucket / "x/")
    assert (result.code, sorted(bucket.objects)) == (1, ["x/run1.txt"])
    assert "nope: nothing there" in result.err


@pytest.mark.parametrize("hostile", ["../escaped", "/absolute", "a/../../escaped", "nul\0", "a//b", "sub/.."])
def test_hostile_names_never_leave_the_target_directory(holdfast, bucket, tmp_path, hostile):
    bucket.put({f"run1/{hostile}": b"evil", "run1/good": b"fine", "run1/\x1b[2J\n": b"odd, but a file name"})
    target = tmp_path / "deep" / "target"
    result = holdfast("cp", "-r", bucket / "run1", target)
    assert result.code == 1
    assert (target / "good").read_bytes() == b"fine"
    assert (target / "\x1b[2J\n").read_bytes() == b"odd, but a file name"
    outside = [path for path in tmp_path.rglob("*") if target not in path.parents and path != target]
    assert outside == [tmp_path / "deep"]
    assert len([path for path in target.rglob("*") if path.is_file() and ".holdfast" not in path.parts]) == 2
    assert len(result.err.splitlines()) == 1
    assert "\x1b" not in result.err


def test_names_that_are_no_utf8_are_copied_locally(holdfast, tmp_path):
    name = b"caf\xe9"
    source = os.fsencode(tmp_path) + b"/source/"
    os.mkdir(source)
    with open(source + name, "wb") as file:
        file.write(b"x")
    result = holdfast("cp", "-r", "--json", tmp_path / "source", tmp_path / "target")
    assert result.code == 0
    assert os.path.exists(os.fsencode(tmp_path) + b"/target/" + name)
    assert os.fsencode(result.rows[0]["target"]).endswith(b"/target/" + name)


def test_a_copy_into_itself_is_refused(holdfast, place):
    before = place.objects
    for target in ("run1", "run1/", "run1/backup", "run1/sub/"):
        result = holdfast("cp", "-r", place / "run1", place / target)
        assert result.code == 2
        assert "into itself" in result.err
    result = holdfast("cp", place / "run1.txt", place / "run1.txt")
    assert (result.code, "onto itself" in result.err) == (2, True)
    assert place.objects == before
    assert holdfast("cp", "-r", place / "run1", place / "run1backup").code == 0


def test_a_copy_into_itself_is_refused_through_a_symlink(holdfast, folder, tmp_path):
    folder.put(TREE)
    (tmp_path / "link").symlink_to(folder / "run1")
    result = holdfast("cp", "-r", folder / "run1", tmp_path / "link/again")
    assert (result.code, "into itself" in result.err) == (2, True)


def test_an_existing_local_directory_is_never_replaced_by_a_file(holdfast, bucket, tmp_path):
    bucket.put(TREE)
    (tmp_path / "x").mkdir()
    result = holdfast("cp", bucket / "run1.txt", tmp_path / "x")
    assert (result.code, os.listdir(tmp_path / "x")) == (1, [])
    assert f"write {tmp_path}/x/ to copy into it" in result.err


def test_a_directory_is_not_copied_onto_a_local_file(holdfast, bucket, tmp_path):
    bucket.put(TREE)
    (tmp_path / "x").write_text("mine")
    result = holdfast("cp", "-r", bucket / "run1", tmp_path / "x")
    assert (result.code, (tmp_path / "x").read_text()) == (1, "mine")
    assert "is a file" in result.err


def test_stored_bytes_and_attributes_stay(holdfast, bucket, tmp_path):
    stored = gzip.compress(b"hello", mtime=0)
    options = WriteOptions(content_encoding="gzip", content_type="text/x-note", metadata={"colour": "blue"})
    bucket.store.write("run1/sub/a", stored, options)
    assert holdfast("cp", "-r", bucket / "run1", tmp_path / "x").code == 0
    assert (tmp_path / "x/sub/a").read_bytes() == stored
    # From any depth of the copy, because the attributes are kept at its root.
    assert holdfast("cp", tmp_path / "x/sub/a", bucket / "back").code == 0
    assert holdfast("cp", "-r", tmp_path / "x/sub", bucket / "back2").code == 0
    assert holdfast("cat", tmp_path / "x/sub/a").out == "hello"
    for key in ("back", "back2/a"):
        info = bucket.store.head(key)
        assert (info.content_encoding, info.content_type) == ("gzip", "text/x-note")
        assert dict(info.metadata) == {"colour": "blue"}
        assert bucket.store.get(key) == stored


def test_decode_writes_decoded_bytes(holdfast, bucket, tmp_path):
    bucket.store.write("a", gzip.compress(b"hello"), WriteOptions(content_encoding="gzip"))
    assert holdfast("cp", "--decode", bucket / "a", tmp_path / "a").code == 0
    assert (tmp_path / "a").read_bytes() == b"hello"


def test_a_broken_object_is_reported_and_the_rest_is_decoded(holdfast, bucket, tmp_path):
    for key, data in {"x/bad": b"no gzip", "x/good": gzip.compress(b"hello")}.items():
        bucket.store.write(key, data, WriteOptions(content_encoding="gzip"))
    result = holdfast("cp", "-r", "--decode", bucket / "x", tmp_path / "x")
    assert (result.code, (tmp_path / "x/good").read_bytes()) == (1, b"hello")
    assert not (tmp_path / "x/bad").exists()
    assert "bad" in result.err


def test_dash_is_standard_input_and_output(holdfast, bucket, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x00piped\xff")))
    assert holdfast("cp", "-", bucket / "x").code == 0
    assert bucket.objects == {"x": b"\x00piped\xff"}
    bucket.store.write("z", gzip.compress(b"hello", mtime=0), WriteOptions(content_encoding="gzip"))
    assert holdfast("cp", "--decode", bucket / "z", "-").out == "hello"
    assert holdfast("cp", bucket / "z", "-").out.encode("utf-8", "surrogateescape") == gzip.compress(b"hello", mtime=0)


@pytest.mark.parametrize("arguments", [["-", "-"], ["-", "a", "MEM/x/"], ["-", "a", "-"]])
def test_dash_in_other_places_is_refused(holdfast, bucket, arguments):
    assert holdfast("cp", *(text.replace("MEM", bucket.base) for text in arguments)).code == 2
    assert bucket.objects == {}


def test_json_tells_every_object_and_a_summary(holdfast, bucket, tmp_path):
    bucket.put(TREE | {"run1/../x": b"evil"})
    result = holdfast("cp", "-r", "--json", bucket / "run1", tmp_path / "x")
    *items, summary = result.rows
    copied = {row["source"]: row for row in items if row["status"] == "copied"}
    assert sorted(copied) == [bucket / "run1/a", bucket / "run1/sub/b"]
    assert copied[bucket / "run1/sub/b"]["target"] == f"{tmp_path}/x/sub/b"
    assert copied[bucket / "run1/sub/b"]["bytes"] == 4
    (failed,) = [row for row in items if row["status"] == "failed"]
    assert failed["source"] == bucket / "run1/../x"
    assert (summary["status"], summary["count"], summary["bytes"], summary["failed"]) == ("summary", 2, 7, 1)


def test_a_closing_line_on_request(holdfast, bucket):
    bucket.put(TREE)
    assert holdfast("cp", "-r", bucket / "run1", bucket / "x").err == ""
    assert holdfast("cp", "-rv", bucket / "run1", bucket / "x").err.startswith("copied 2 objects, 7 B in ")


@pytest.mark.parametrize("threads", [1, 3])
def test_threads(holdfast, bucket, threads):
    bucket.put({f"many/{n}": b"%d" % n for n in range(300)})
    assert holdfast("cp", "-r", "-j", threads, bucket / "many", bucket / "x").code == 0
    assert len(bucket.objects) == 600


def test_a_named_symlink_is_the_file_it_leads_to_and_inner_ones_are_left_out(holdfast, bucket, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file").write_text("x")
    (tmp_path / "d/link").symlink_to("file")
    assert holdfast("cp", tmp_path / "d/link", bucket / "one").code == 0
    assert holdfast("cp", "-r", tmp_path / "d", bucket / "two").code == 0
    assert sorted(bucket.objects) == ["one", "two/file"]
