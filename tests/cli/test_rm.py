"""rm: nothing but what was named."""

from __future__ import annotations

import os

import pytest

from holdfast.cli import clearing
from holdfast.stores.file import FileStore
from holdfast.types import WriteOptions

from .conftest import TREE


def rest(*gone):
    return {key: data for key, data in TREE.items() if key not in gone}


def test_rm_removes_one_object(holdfast, place):
    assert holdfast("rm", place / "run1.txt").code == 0
    assert place.objects == rest("run1.txt")


@pytest.mark.parametrize("location", ["run1", "run1/"])
def test_rm_r_removes_what_is_under_the_location_only(holdfast, place, location):
    result = holdfast("rm", "-rv", place / location)
    assert (result.code, place.objects) == (0, rest("run1/a", "run1/sub/b"))
    assert result.err.startswith("removed 2 objects in ")


def test_rm_of_a_directory_needs_r_and_nothing_is_touched(holdfast, place):
    result = holdfast("rm", place / "run1.txt", place / "run1")
    assert (result.code, place.objects) == (1, TREE)
    assert result.err == f"holdfast: {place / 'run1'} is a directory: add -r\n"


@pytest.mark.parametrize("missing", ["nope", "nope/", "run", "run1/su", "run1.txt/"])
def test_rm_of_nothing_is_exit_4(holdfast, place, missing):
    result = holdfast("rm", "-r", place / missing)
    assert (result.code, place.objects) == (4, TREE)
    assert result.err == f"holdfast: {place / missing}: nothing there\n"


def test_rm_goes_on_after_a_missing_location(holdfast, place):
    result = holdfast("rm", "-r", place / "nope", place / "run1", place / "run1.txt")
    assert (result.code, place.objects) == (1, rest("run1/a", "run1/sub/b", "run1.txt"))


def test_rm_removes_an_object_without_the_directory_of_its_name(holdfast, bucket):
    bucket.put({"run1": b"", "run1/a": b"", "run10": b""})
    assert holdfast("rm", bucket / "run1").code == 0
    assert sorted(bucket.objects) == ["run1/a", "run10"]
    bucket.put({"run1": b""})
    assert holdfast("rm", "-r", bucket / "run1").code == 0
    assert sorted(bucket.objects) == ["run10"]


def test_rm_r_removes_markers_too(holdfast, bucket):
    bucket.put({"run1/": b"", "run1/sub/": b"", "run1/sub/b": b"x", "run10/": b""})
    assert holdfast("rm", bucket / "run1").code == 1
    assert holdfast("rm", "-r", bucket / "run1").code == 0
    assert sorted(bucket.objects) == ["run10/"]


def test_rm_r_works_in_batches(holdfast, bucket):
    bucket.put({f"run1/{n}": b"" for n in range(2500)} | {"run10/x": b""})
    result = holdfast("rm", "-r", "--json", bucket / "run1")
    assert (result.code, sorted(bucket.objects)) == (0, ["run10/x"])
    assert result.rows[-1]["count"] == 2500
    assert {row["status"] for row in result.rows[:-1]} == {"removed"}
    assert bucket / "run1/17" in {row.get("location") for row in result.rows}


def test_rm_r_leaves_no_empty_local_directories(holdfast, folder):
    folder.put(TREE)
    os.makedirs(folder / "run1/empty/deeper")
    assert holdfast("rm", "-r", folder / "run1").code == 0
    assert not os.path.exists(folder / "run1")
    os.mkdir(folder / "only")
    assert holdfast("rm", "-r", folder / "only").code == 0
    assert not os.path.exists(folder / "only")
    assert folder.objects == rest("run1/a", "run1/sub/b")


def test_rm_r_of_a_directory_that_was_a_store_of_its_own(holdfast, folder):
    holdfast("cp", "-r", folder.put(TREE) / "run1", folder / "copy")
    os.makedirs(folder / "copy/.holdfast/tmp")  # as a copy that was killed would leave it
    assert holdfast("rm", "-r", folder / "copy").code == 0
    assert not os.path.exists(folder / "copy")


@pytest.mark.parametrize(
    ("root", "removed", "code"), [("", "", 1), ("copy/", "copy/", 1), ("copy/", "", 1), ("", "copy/", 0)]
)
def test_rm_r_leaves_live_writers_what_they_need(holdfast, folder, root, removed, code):
    store = FileStore(folder / root)
    prefix = "copy/" if removed and not root else ""
    store.write(f"{prefix}old", b"1", WriteOptions(content_type="text/x-old"))
    results = []

    def slow():
        yield b"first "
        results.append(holdfast("rm", "-r", folder / removed))
        yield b"second"

    store.write(f"{prefix}sub/new", slow(), WriteOptions(content_type="text/x-new"))
    assert [result.code for result in results] == [code]
    assert ("somebody is writing there" in results[0].err) == bool(code)
    assert store.get(f"{prefix}sub/new") == b"first second"
    assert store.head(f"{prefix}sub/new").content_type == "text/x-new"
    store.close()
    assert holdfast("rm", "-r", folder.base).code == 0
    assert not os.path.exists(folder.base)


def test_rm_r_leaves_held_locks(holdfast, folder):
    store = FileStore(folder.base)
    with store.locked("a"):
        assert "somebody is writing there" in holdfast("rm", "-r", folder.base).err
        assert os.listdir(folder / ".holdfast/locks")
    assert holdfast("rm", "-r", folder.base).code == 0
    assert not os.path.exists(folder.base)


def test_rm_r_removes_what_dead_writers_left_in_stores_below(holdfast, folder):
    for path in ("copy", "copy/inner"):
        FileStore(folder / path).write("a", b"1", WriteOptions(content_type="text/x-old"))
        for name in ("tmp/1f", "locks/0a", "attributes/1-stale.json"):
            path_of_it = f"{folder / path}/.holdfast/{name}"
            os.makedirs(os.path.dirname(path_of_it), exist_ok=True)
            open(path_of_it, "w").close()
    assert holdfast("rm", "-r", folder.base).code == 0
    assert not os.path.exists(folder.base)


def test_attributes_written_while_a_directory_is_cleared_are_kept(holdfast, folder, monkeypatch):
    folder.put({"old": b"1"})
    looks = []
    is_quiet = clearing._is_quiet

    def look_between(root):
        looks.append(is_quiet(root))
        if len(looks) == 1:
            FileStore(root).write("new", b"2", WriteOptions(content_type="text/x-new"))
        return looks[-1]

    os.makedirs(folder / ".holdfast/attributes")
    open(folder / ".holdfast/attributes/1-stale.json", "w").close()
    monkeypatch.setattr(clearing, "_is_quiet", look_between)
    assert holdfast("rm", "-r", folder.base).code == 1
    assert looks == [True, False]
    assert folder.store.head("new").content_type == "text/x-new"


def test_rm_r_dot_empties_this_directory(holdfast, folder, monkeypatch):
    monkeypatch.chdir(folder.put(TREE) / "run1")
    assert holdfast("rm", "-r", ".").code == 0
    assert os.listdir(folder / "run1") == []


def test_rm_never_follows_a_symlink(holdfast, folder, tmp_path):
    folder.put(TREE)
    (tmp_path / "link").symlink_to(folder / "run1")
    (tmp_path / "file").symlink_to(folder / "run1.txt")
    for location in ("link", "link/", "file"):
        assert holdfast("rm", "-r", f"{tmp_path}/{location}").code == 2
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/inner").symlink_to(folder / "run1")
    result = holdfast("rm", "-r", tmp_path / "dir")
    assert (result.code, "symlink" in result.err) == (1, True)
    assert folder.objects == TREE


def test_the_root_directory_is_refused(holdfast):
    result = holdfast("rm", "-r", "/")
    assert (result.code, "not removed" in result.err) == (2, True)


def test_what_cannot_be_removed_is_named_and_the_rest_goes(holdfast, nginx, bucket):
    (nginx.root / "a").write_text("x")
    bucket.put(TREE)
    result = holdfast("rm", f"{nginx.endpoint}/a", bucket / "run1.txt")
    assert (result.code, bucket.objects) == (1, rest("run1.txt"))
    assert nginx.endpoint in result.err
    assert result.err.count("\n") == 1
