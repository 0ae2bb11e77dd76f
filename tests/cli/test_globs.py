"""Patterns in locations that no shell expanded, and what stays reachable that only looks like one."""

from __future__ import annotations

import pytest

from holdfast import open_store

from .conftest import TREE, Place

RUNS = {
    "run1/x.json": b"1", "run1/y.json": b"2", "run1/sub/x.json": b"3", "run2/x.json": b"4", "run2/x.txt": b"5",
    "other/x.json": b"6", "run[1]/x.json": b"7",
}  # fmt: skip


@pytest.fixture
def runs(place):
    for key in TREE:
        place.store.delete(key)
    return place.put(RUNS)


@pytest.mark.parametrize(
    ("pattern", "copied"),
    [
        ("run1/*.json", {"x.json": b"1", "y.json": b"2"}),
        ("run1/*", {"x.json": b"1", "y.json": b"2"}),
        ("run?/y*", {"y.json": b"2"}),
        ("run[1]/*", {"x.json": b"7"}),
        ("run1/**", {"x.json": b"1", "y.json": b"2", "sub/x.json": b"3"}),
        ("**/x.*", {key: data for key, data in RUNS.items() if "/x." in key}),
        ("run1/**/x.json", {"x.json": b"1", "sub/x.json": b"3"}),
        ("run*/**/sub/*", {"sub/x.json": b"3"}),
    ],
)
def test_cp_copies_what_matches_under_its_name(holdfast, runs, backup, pattern, copied):
    result = holdfast("cp", runs / pattern, f"{backup.base}/")
    assert (result.code, result.err, backup.objects) == (0, "", copied)


def test_cp_of_directories_that_match(holdfast, runs, backup):
    assert holdfast("cp", "-r", runs / "run?", f"{backup.base}/").code == 0
    assert backup.objects == {key: data for key, data in RUNS.items() if key[:4] in {"run1", "run2"}}
    alone = Place(f"{backup.base}2")
    assert holdfast("cp", "-r", runs / "oth*", f"{alone.base}/").code == 0
    assert alone.objects == {"other/x.json": b"6"}  # of one match, too, so that a layout hangs on no count


def test_what_cannot_be_is_refused_and_what_matches_nothing_is_not_there(holdfast, runs, backup):
    goal = f"{backup.base}/"
    collision = holdfast("cp", runs / "run*/x.json", goal)
    assert (collision.code, "would both become" in collision.err) == (2, True)
    several = holdfast("cp", runs / "run1/*.json", backup.base)
    assert (several.code, "several sources need a directory" in several.err) == (2, True)
    for command in ("cp", "mv"):
        assert holdfast(command, runs / "nope*", goal).code == 4
    for command in ("cat", "rm", "ls"):
        nothing = holdfast(command, runs / "run1/nope*")
        assert (nothing.code, "nothing there" in nothing.err) == (4, True)
    assert (runs.objects, backup.objects) == (RUNS, {})


def test_ls_shows_what_matches(holdfast, runs):
    assert holdfast("ls", runs / "run*/*.json").lines == ["run1/x.json", "run1/y.json", "run2/x.json", "run[1]/x.json"]
    assert sorted(holdfast("ls", runs / "run1/*").lines) == ["sub/", "x.json", "y.json"]
    assert sorted(holdfast("ls", "-r", runs / "*1").lines) == ["run1/sub/x.json", "run1/x.json", "run1/y.json"]
    assert holdfast("ls", runs / "r*2/").lines == ["run2/"]
    assert holdfast("ls", "--fullpath", runs / "run2/*.txt").lines == [runs / "run2/x.txt"]
    assert holdfast("ls", "--json", runs / "run2/*.txt").rows[0]["size"] == 1


def test_cat_and_cp_to_standard_output(holdfast, runs):
    assert holdfast("cat", runs / "run1/*.json").out == "12"
    assert holdfast("cp", runs / "run2/*.txt", "-").out == "5"
    many = holdfast("cp", runs / "run1/*", "-")
    assert (many.code, many.out, "stands for 2 objects" in many.err) == (2, "", True)


def test_rm_removes_objects_and_with_r_directories(holdfast, runs):
    assert holdfast("rm", runs / "run1/*").code == 0
    assert runs.objects == {key: data for key, data in RUNS.items() if key not in {"run1/x.json", "run1/y.json"}}
    assert holdfast("rm", "-r", runs / "run*").code == 0
    assert runs.objects == {"other/x.json": b"6"}


def test_mv_moves_what_matches(holdfast, runs, backup):
    assert holdfast("mv", runs / "run?", f"{backup.base}/").code == 0
    assert backup.objects == {key: data for key, data in RUNS.items() if key[:4] in {"run1", "run2"}}
    assert holdfast("mv", backup / "**/x.json", runs / "back/").code == 0
    assert backup.objects == {"run1/y.json": b"2", "run2/x.txt": b"5"}
    assert {"back/run1/x.json", "back/run1/sub/x.json", "back/run2/x.json"} < set(runs.objects)


def test_a_name_that_is_there_is_no_pattern(holdfast, runs, backup, stdin):
    names = {"a*": b"star", "ab": b"b", "what?": b"mark", "whatx": b"x"}
    runs.put(names)
    assert (holdfast("cat", runs / "a*").out, holdfast("cat", runs / "what?").out) == ("star", "mark")
    assert holdfast("rm", runs / "a*").code == 0
    assert "ab" in runs.objects
    # It is gone, and would be a pattern now: lists, and --literal, are taken as they are.
    stdin(runs / "a*\n")
    assert holdfast("rm", "-").code == 4
    for command in (("rm",), ("cat",), ("ls",), ("cp", f"{backup.base}/"), ("mv", f"{backup.base}/")):
        assert holdfast(command[0], "--literal", runs / "a*", *command[1:]).code == 4
    assert runs.objects == {**RUNS, "ab": b"b", "what?": b"mark", "whatx": b"x"}


def test_lists_of_what_is_shown_and_moved(holdfast, runs, backup, stdin):
    stdin(f"{runs / 'run1/x.json'}\n{runs / 'run2/x.txt'}\n")
    assert holdfast("cat", "-").out == "15"
    stdin(f"{runs / 'run1/y.json'}\n{runs / 'run2/x.txt'}\n{runs / 'other'}\n")
    assert holdfast("mv", "-", f"{backup.base}/").code == 0
    assert backup.objects == {"y.json": b"2", "x.txt": b"5", "other/x.json": b"6"}
    stdin(runs / "run1/x.json")
    assert holdfast("mv", "-", runs / "name").code == 2
    assert holdfast("mv", "-", runs / "run1/x.json", f"{backup.base}/").code == 2
    assert "run1/x.json" in runs.objects


@pytest.mark.parametrize("command", [["mv"], ["cp", "--resumable"], ["cp", "-c", "gzip"]], ids=" ".join)
@pytest.mark.parametrize("key", ["x/../../victim", "../victim", "x/.holdfast/attributes/1f", "x/./y", "x//y"])
def test_names_that_lead_out_of_a_directory_stay_where_they_are(holdfast, tmp_path, command, key):
    (tmp_path / "in/goal").mkdir(parents=True)
    for place in (tmp_path / "victim", tmp_path / "in/victim"):
        place.write_bytes(b"precious")
    bucket = open_store("mem://hostile")
    bucket.put(key, b"evil")
    ended = holdfast(*command, "mem://hostile/**", f"{tmp_path}/in/goal/")
    assert ended.code != 0
    assert "is no name for a file" in ended.err
    assert bucket.get(key) == b"evil"
    assert [path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()] == [b"precious"] * 2
    bucket.delete(key)


def test_two_stars_match_an_object_and_not_what_is_below_its_name(holdfast):
    bucket = open_store("mem://below")
    for key in ("d/a", "d/a/x", "e/b"):
        bucket.put(key, b"1")
    assert holdfast("rm", "-r", "mem://below/**/a").code == 0
    assert sorted(bucket.keys()) == ["d/a/x", "e/b"]
    bucket.put("d/a", b"1")
    assert holdfast("rm", "-r", "mem://below/d/*").code == 0  # the object and the directory of its name
    assert sorted(bucket.keys()) == ["e/b"]
    bucket.delete("e/b")


def test_hidden_names_are_matched_as_in_a_shell(holdfast, tmp_path):
    for name in ("d/.env", "d/.git/config", "d/sub/.hidden", "d/seen", "d/sub/seen"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    assert holdfast("rm", f"{tmp_path}/d/**").code == 0
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"d/.env", "d/.git/config", "d/sub/.hidden"}
    assert holdfast("rm", "-r", f"{tmp_path}/d/*").code == 0
    assert (tmp_path / "d/.env").exists()
    assert (tmp_path / "d/.git/config").exists()
    assert holdfast("rm", f"{tmp_path}/d/.e*").code == 0
    assert not (tmp_path / "d/.env").exists()
