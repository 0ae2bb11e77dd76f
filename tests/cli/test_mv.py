"""mv: what was proved to be there is gone here, and nothing else."""

from __future__ import annotations

import gzip
import os
import re

import pytest

from holdfast import sync as planner
from holdfast.stores.file.store import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.types import WriteOptions

from .conftest import TREE


def path_of(location):
    """The location without what an environment can say as well."""
    return re.sub(r"^file://|(?<=^s3://)http://[^/]*/", "", location)


def rest(*gone):
    return {key: data for key, data in TREE.items() if key not in gone}


@pytest.mark.parametrize("location", ["run1", "run1/"])
def test_a_directory_moves_without_its_siblings(holdfast, place, backup, location):
    result = holdfast("mv", place / location, backup.base)
    assert (result.code, result.err) == (0, "")
    assert (place.objects, backup.objects) == (rest("run1/a", "run1/sub/b"), {"a": b"one", "sub/b": b"two!"})


def test_an_object_moves_within_one_place(holdfast, place):
    assert holdfast("mv", place / "run1.txt", place / "new/name").code == 0
    assert place.objects == {**rest("run1.txt"), "new/name": b"nor this"}
    assert holdfast("mv", place / "new/name", place / "run1/").code == 0
    assert place.objects == {**rest("run1.txt"), "run1/name": b"nor this"}


def test_a_directory_moves_within_one_place(holdfast, place):
    assert holdfast("mv", place / "run1", place / "2026/run1").code == 0
    assert place.objects == {**rest("run1/a", "run1/sub/b"), "2026/run1/a": b"one", "2026/run1/sub/b": b"two!"}


def test_several_sources_keep_their_names(holdfast, place, backup):
    assert holdfast("mv", place / "run1", place / "run1.txt", f"{backup.base}/").code == 0
    assert backup.objects == {"run1/a": b"one", "run1/sub/b": b"two!", "run1.txt": b"nor this"}
    assert place.objects == rest("run1/a", "run1/sub/b", "run1.txt")
    result = holdfast("mv", place / "run10/a", backup / "run1/a", f"{backup.base}/")
    assert (result.code, "would both become" in result.err) == (2, True)


def test_an_object_and_the_directory_of_its_name(holdfast, bucket, tmp_path):
    bucket.put({"run1": b"object", "run1/a": b"below", "run10": b""})
    goal = bucket / "moved"
    assert holdfast("mv", bucket / "run1", goal).code == 0
    assert bucket.objects == {"moved": b"object", "moved/a": b"below", "run10": b""}


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("objects", "target"),
    [
        (("run1", "run1/a"), "here"),  # a file, and the directory of its name
        (("run1", "run1/run1"), "here/"),  # one file twice
        (("run1", "run1/run1/a"), "here/"),
        (("x/run1", "x/run1/run1"), "bucket/"),  # one object twice
    ],
)
def test_an_object_and_the_directory_of_its_name_that_cannot_be_both_stay(
    holdfast, bucket, tmp_path, options, objects, target
):
    bucket.put(dict.fromkeys(objects, b"1"))
    goal = f"{bucket.base}/there/" if target == "bucket/" else f"{tmp_path}/{target}"
    result = holdfast("mv", *options, bucket / objects[0], goal)
    assert (result.code, result.err.count("\n"), "cannot have both" in result.err) == (1, 1, True)
    assert (bucket.objects, os.listdir(tmp_path)) == (dict.fromkeys(objects, b"1"), [])


def test_what_is_left_of_a_directory_is_named_and_the_exit_code_tells(holdfast, folder, backup):
    folder.put({"a": b"1"})
    os.mkdir(folder / "sub")
    os.symlink("/nowhere", folder / "sub/link")
    result = holdfast("mv", folder.base, backup.base)
    assert (result.code, backup.objects) == (1, {"a": b"1"})
    assert f"{folder.base}: kept, because it still holds the symlink 'sub/link'\n" in result.err
    assert "1 symlink of the source not followed" in result.err
    assert os.path.islink(folder / "sub/link")
    backup.put({"link/b": b"2"})
    os.symlink("/nowhere", backup / "link/link")
    row = holdfast("mv", "--json", backup / "link", folder.base).rows[-1]
    assert row["problems"] == [f"{backup / 'link'}: kept, because it still holds the symlink 'link'"]
    assert (row["status"], row["exit_code"], row["added"]) == ("summary", 1, 1)


def test_several_sources_have_one_summary(holdfast, place, backup):
    backup.put({"run1.txt": b"nor this"})
    result = holdfast("mv", "--json", place / "run1", place / "run1.txt", f"{backup.base}/")
    assert [row.get("status") for row in result.rows] == [None, None, None, "summary"]
    assert {name: result.rows[-1][name] for name in ("added", "bytes", "exit_code")} == {
        "added": 2, "bytes": 7, "exit_code": 0,
    }  # fmt: skip
    assert holdfast("mv", backup / "run1.txt", backup / "b").out == "1 object moved; 8 B sent\n"


def test_no_empty_local_directories_are_left(holdfast, folder, backup):
    folder.put(TREE)
    os.makedirs(folder / "run1/empty/deeper")
    assert holdfast("mv", folder / "run1", backup.base).code == 0
    assert not os.path.exists(folder / "run1")
    assert folder.objects == rest("run1/a", "run1/sub/b")


def test_what_is_in_the_way_is_replaced_and_what_is_equal_only_removed(holdfast, place, backup):
    backup.put({"a": b"old", "sub/b": b"two!", "more": b"kept"})
    assert holdfast("mv", place / "run1", backup.base).code == 0
    assert backup.objects == {"a": b"one", "sub/b": b"two!", "more": b"kept"}
    assert place.objects == rest("run1/a", "run1/sub/b")


def test_a_dry_run_moves_nothing(holdfast, place, backup):
    result = holdfast("mv", "-n", place / "run1", backup.base)
    assert (result.code, len(result.lines), place.objects, backup.objects) == (0, 3, TREE, {})


def test_a_dry_run_for_programs_is_one_stream_whatever_is_moved(holdfast, place, backup):
    goal = f"{backup.base}/"
    backup.put({"run1.txt": b"nor this"})
    *rows, summary = holdfast("mv", "-n", "--json", place / "run1", place / "run1.txt", goal).rows
    assert sorted((*map(path_of, (row["source"], row["target"])), row["action"], row["bytes"]) for row in rows) == [
        (place / "run1.txt", f"{goal}run1.txt", "skip", 0),
        (place / "run1/a", f"{goal}run1/a", "add", 3),
        (place / "run1/sub/b", f"{goal}run1/sub/b", "add", 4),
    ]
    assert (summary["status"], summary["add"], summary["skip"], summary["bytes"]) == ("summary", 2, 1, 7)
    *rows, summary = holdfast("mv", "-n", "--json", place / "run1", backup.base).rows
    assert ([row["action"] for row in rows], summary["exit_code"]) == (["add", "add"], 0)
    assert place.objects == TREE


@pytest.mark.parametrize("missing", ["nope", "nope/", "run", "run1.txt/"])
def test_nothing_there_moves_nothing_at_all(holdfast, place, backup, missing):
    result = holdfast("mv", place / "run10/a", place / missing, f"{backup.base}/")
    assert (result.code, place.objects, backup.objects) == (4, TREE, {})


@pytest.mark.parametrize("target", ["run1", "run1/sub"])
def test_a_directory_into_itself_is_refused(holdfast, place, target):
    assert holdfast("mv", place / "run1", place / target).code == 2
    assert holdfast("mv", place / "run1.txt", place / "run1.txt").code == 2
    assert place.objects == TREE


def test_a_directory_is_no_target_for_an_object_without_a_slash(holdfast, folder):
    folder.put(TREE)
    result = holdfast("mv", folder / "run1.txt", folder / "run1")
    assert (result.code, "is a directory" in result.err, folder.objects) == (1, True, TREE)


def test_one_name_that_cannot_be_keeps_everything(holdfast, bucket, tmp_path):
    store = MemoryStore(bucket.base.removeprefix("mem://"))
    for name in ("../up", "fine"):
        store._write(name, b"x")
    result = holdfast("mv", bucket.base, tmp_path / "target")
    assert (result.code, "../up" in result.err) == (1, True)
    assert sorted(store.keys()) == ["../up", "fine"]
    assert not (tmp_path / "target").exists()


def test_a_source_that_changes_meanwhile_is_kept(holdfast, bucket, backup, monkeypatch):
    bucket.put({"a": b"1", "b": b"2"})
    apply = planner.apply

    def late(*arguments, **more):
        bucket.put({"a": b"changed"})
        return apply(*arguments, **more)

    monkeypatch.setattr("holdfast.cli.mv.apply", late)
    result = holdfast("mv", bucket.base, backup.base)
    assert (result.code, bucket.objects, backup.objects) == (3, {"a": b"changed"}, {"b": b"2"})


def test_encodings_move_along(holdfast, place, backup):
    from holdfast.types import WriteOptions

    with place.store as store:
        store.write("run1/z", b"\x1f\x8b not looked into", WriteOptions(content_encoding="gzip"))
    assert holdfast("mv", place / "run1/z", f"{backup.base}/").code == 0
    assert backup.store.head("z").content_encoding == "gzip"


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_symlink_is_not_moved(holdfast, tmp_path, slash):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a").write_bytes(b"1")
    (tmp_path / "file").write_bytes(b"2")
    (tmp_path / "directory").symlink_to("real")
    (tmp_path / "link").symlink_to("file")
    for name in ("directory", "link"):
        result = holdfast("mv", f"{tmp_path / name}{slash}", tmp_path / "moved")
        assert (result.code, "is a symlink" in result.err) == (2, True)
    assert (tmp_path / "real/a").read_bytes() + (tmp_path / "file").read_bytes() == b"12"
    assert sorted(os.listdir(tmp_path)) == ["directory", "file", "link", "real"]


def test_a_directory_with_a_store_of_its_own_in_it_keeps_what_that_knows_about_its_objects(holdfast, tmp_path):
    """The attributes lie at the root of that store, and the one above would not take them along."""
    options = WriteOptions(content_encoding="gzip", metadata={"owner": "ann"})
    FileStore(tmp_path / "results/run1").write("x", gzip.compress(b"hello"), options)
    (tmp_path / "results/plain").write_bytes(b"1")
    result = holdfast("mv", tmp_path / "results", tmp_path / "backup")
    assert result.code != 0
    assert "results/run1" in result.err
    assert not (tmp_path / "backup").exists()
    assert holdfast("mv", tmp_path / "results/run1", tmp_path / "backup/run1").code == 0
    info = FileStore(tmp_path / "backup/run1").head("x")
    if info.content_encoding is None:  # a store above may keep them
        info = FileStore(tmp_path / "backup").head("run1/x")
    assert (info.content_encoding, dict(info.metadata)) == ("gzip", {"owner": "ann"})
    assert holdfast("mv", tmp_path / "results", tmp_path / "backup2").code == 0
    assert not (tmp_path / "results").exists()
