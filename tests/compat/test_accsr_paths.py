"""RemoteStorage.push: which local files a path means, and what they are called in the bucket; globs and symlinks."""

from __future__ import annotations

import glob
import logging
import os
import re
import socket
from pathlib import Path

import pytest

from holdfast import RemoteStorage, RemoteStorageConfig
from holdfast import errors as e
from holdfast.remote_storage.local_paths import match
from tests.compat.rows import row
from tests.compat.test_accsr_push import SERVICES, names, write


# ---------------------------------------------------------------------- the seed's five examples
@row("accsr", "push, example 1: path=foo/bar goes to remote_base_path/foo/bar")
def test_a_relative_path_without_prefix(remote, home):
    write(home, foo__bar="1")
    assert names(remote.storage("base").push("foo/bar").synced_files) == ["base/foo/bar"]
    assert remote.objects() == {"base/foo/bar": b"1"}


@row("accsr", "push, example 2: an absolute path without prefix keeps all of itself")
def test_an_absolute_path_without_prefix(remote, home):
    write(home, foo__bar="1")
    expected = f"base/{str(home).lstrip('/')}/foo/bar"
    for path in (home / "foo/bar", home / "foo"):
        remote.storage("base").push(path)
        assert remote.objects() == {expected: b"1"}


@row("accsr", "push, examples 3 and 4: path relative to, or below, local_path_prefix goes to remote_base_path/path")
@pytest.mark.parametrize("absolute", [False, True])
def test_a_path_below_the_prefix(remote, home, monkeypatch, absolute):
    write(home, foo__bar="1")
    monkeypatch.chdir("/")
    path = home / "foo/bar" if absolute else "bar"
    summary = remote.storage("base").push(path, local_path_prefix=str(home / "foo"))
    assert names(summary.synced_files) == ["base/bar"]
    assert summary.synced_files[0].local_path == str(home / "foo/bar")


@row("accsr", "push, example 5: a path that is no child of local_path_prefix is a ValueError that names both")
@pytest.mark.parametrize("path", ["/home/baz/bar", "/home/foobar", "../baz/bar", "a/../../baz"])
def test_a_path_outside_the_prefix(remote, path):
    with pytest.raises(ValueError, match=r"Specified path=.* is not a child of local_path_prefix=/home/foo"):
        remote.storage().push(path, local_path_prefix="/home/foo")


@row(
    "accsr",
    "push: './sub/b'",
    "kept and fixed",
    "it is sub/b in the bucket; the original stored './sub/b', and '../x' too",
)
def test_paths_are_names_without_dots(remote, home):
    write(home, sub__b="1")
    for path in ("./sub/b", "sub/../sub/b", "sub//b", "sub/./b"):
        remote.storage().push(path)
    assert remote.objects() == {"sub/b": b"1"}
    with pytest.raises(ValueError, match="is not a child of"):
        remote.storage().push("../elsewhere/b")


@row(
    "accsr",
    "gap: base path 'base/' makes base//a.txt, './sub/b' pushes ./sub/b",
    "kept and fixed",
    "one slash, and no dots",
)
@row("accsr", "push: remote_base_path='base/'", "kept and fixed", "the original made 'base//a.txt' of it")
def test_a_base_path_may_end_with_a_slash(remote, home):
    write(home, a="1")
    storage = remote.storage("/base/")
    assert storage.remote_base_path == "base/"
    assert storage.get_push_remote_path("x/y") == "base/x/y"
    storage.push("a")
    assert remote.objects() == {"base/a": b"1"}


@row("accsr", "get_push_remote_path: the base path and the local path, with slashes, without a leading one")
def test_the_remote_path_of_a_local_one(remote):
    storage = remote.storage()
    assert [storage.get_push_remote_path(path) for path in ("a/b", "/home/foo", "./a", Path("a"))] == [
        "a/b", "home/foo", "a", "a",
    ]  # fmt: skip


@row("accsr", "set_remote_base_path(path or None): without the slash at its start; None is the whole bucket")
def test_the_base_path_can_be_changed(remote, home):
    write(home, a="1")
    storage = remote.storage("base")
    for path, shown in ((None, ""), ("/other", "other"), ("x/y/", "x/y/")):
        storage.set_remote_base_path(path)
        assert storage.remote_base_path == shown
        storage.push("a")
    assert sorted(remote.objects()) == ["a", "other/a", "x/y/a"]


@row("accsr", "push(path): may be a Path; directories are walked with hidden files")
def test_directories_are_pushed_whole(remote, home):
    write(home, data__a="1", data___dot_hidden="2", data___dot_git__x="3", data__empty="", database__no="4")
    (home / "data/nothing").mkdir()
    summary = remote.storage().push(Path("data"))
    assert remote.objects() == {"data/a": b"1", "data/.hidden": b"2", "data/.git/x": b"3", "data/empty": b""}
    assert names(summary.synced_files) == sorted(remote.objects())
    assert summary.sync_direction == "push"


@row("accsr", "push('.') pushes the whole directory")
def test_the_current_directory(remote, home):
    write(home, a="1", b__c="2")
    remote.storage("base").push(".")
    assert remote.objects() == {"base/a": b"1", "base/b/c": b"2"}


@row("accsr", "push: nothing found is a FileNotFoundError that names the path")
@pytest.mark.parametrize("path", ["no_such.txt", "no_such_dir", "*.nothing", "/no/such/path"])
def test_what_is_not_there(remote, home, path):
    with pytest.raises(FileNotFoundError, match=re.escape(path)) as raised:
        remote.storage().push(path)
    assert "does not refer to a file or directory" in str(raised.value)


# ---------------------------------------------------------------------- globs
@row("accsr", "gap: push changes the working directory", "kept and fixed", "it does not")
@row(
    "accsr", "push: globs, relative to local_path_prefix", "kept and fixed",
    "the original changed the working directory for it, so threads disturbed each other",
)  # fmt: skip
def test_globs(remote, home, monkeypatch):
    write(home, sample_dot_txt="1", sample_2_dot_txt="2", sample_dir__x="3", other="4")
    asked = []
    monkeypatch.setattr(os, "chdir", asked.append)
    storage = remote.storage()
    assert names(storage.push("s*.txt", dryrun=True).not_on_target) == ["sample.txt", "sample_2.txt"]
    for path in ("s*le_2.txt", home / "s*le_2.txt"):
        storage.push(path, local_path_prefix=home)
        assert remote.objects() == {"sample_2.txt": b"2"}
    storage.push("sample*", local_path_prefix=home)
    assert sorted(remote.objects()) == ["sample.txt", "sample_2.txt", "sample_dir/x"]
    assert not asked


@row("accsr", "push: globs", "kept and fixed", "the prefix is never a glob, and a file called 'a[1]' is itself")
def test_what_looks_like_a_glob(remote, home):
    write(home, **{"[x]__a[1]": "1", "[x]__a1": "2"})
    storage = remote.storage()
    storage.push("a[1]", local_path_prefix=home / "[x]")
    assert remote.objects() == {"a[1]": b"1"}
    storage.push("a*", local_path_prefix=home / "[x]")
    assert remote.objects() == {"a[1]": b"1", "a1": b"2"}


@row("accsr", "push: '**' in a glob", "different", "it means any number of directories; the original took it for '*'")
def test_globs_of_any_depth(remote, home):
    write(home, a__b__c_dot_csv="1", a__d_dot_csv="2", e_dot_csv="3", a__f="4")
    found = ["a/b/c.csv", "a/d.csv", "e.csv"]
    assert names(remote.storage().push("**/*.csv").synced_files) == found
    assert names(remote.storage().push("**/*.csv").on_target_eq_md5) == found


# ---------------------------------------------------------------------- symlinks
@row(
    "accsr", "push: symlinks", "different",
    "followed where the path names one; those below a directory are left out, with a warning: they may lead anywhere",
)  # fmt: skip
def test_symlinks(remote, home, tmp_path, caplog):
    outside = tmp_path / "outside"
    write(outside, secret="s", model="m")
    write(home, data__a="1")
    (home / "data/link").symlink_to(outside / "secret")
    (home / "data/folder").symlink_to(outside)
    (home / "named").symlink_to(outside / "model")
    (home / "tree").symlink_to(outside)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(home / "data/socket"))
    server.close()
    storage = remote.storage()
    with caplog.at_level(logging.WARNING):
        summary = storage.push("data")
    assert remote.objects() == {"data/a": b"1"}
    assert sorted(names(summary.skipped_source_files)) == ["data/folder", "data/link", "data/socket"]
    assert "no regular file" in caplog.text
    storage.push("named")
    storage.push("tree")
    assert remote.objects() == {"data/a": b"1", "named": b"m", "tree/secret": b"s", "tree/model": b"m"}
    assert names(storage.push("named").on_target_eq_md5) == ["named"]
    for pattern, link in (("na*", "named"), ("tre*", "tree")):  # a glob names none, however many it finds
        globbed = storage.push(pattern, force=True)
        assert (names(globbed.skipped_source_files), globbed.matched_source_files) == ([link], [])
    assert sorted(names(storage.push("*").skipped_source_files)) == [
        "data/folder", "data/link", "data/socket", "named", "tree",
    ]  # fmt: skip


@pytest.mark.parametrize("pattern", ["g/*/secret", "g/*/tree", "**/secret", "g/l*/**", "*/*/s*t", "**/tree/*"])
def test_a_glob_searches_no_symlink(remote, home, tmp_path, pattern):
    outside = tmp_path / "outside"
    write(outside, secret="s", tree__a="a")
    (home / "g").mkdir()
    (home / "g/link").symlink_to(outside)
    with pytest.raises(FileNotFoundError, match=r"the symlink 'g/link' was not searched"):
        remote.storage().push(pattern)
    assert remote.objects() == {}


def test_a_glob_takes_what_lies_before_symlinks_and_behind_those_that_are_named(remote, home, tmp_path, caplog):
    outside = tmp_path / "outside"
    write(outside, x="s", tree__x="t")
    write(home, g__real__x="1", g__real__y="2")
    (home / "g/link").symlink_to(outside)
    storage = remote.storage()
    summary = storage.push("g/*/x")
    assert remote.objects() == {"g/real/x": b"1"}
    assert names(summary.skipped_source_files) == ["g/link"]
    assert "no regular file: 'g/link'" in caplog.text
    storage.push("g/link/*")
    assert remote.objects() == {"g/real/x": b"1", "g/link/x": b"s", "g/link/tree/x": b"t"}
    storage.delete("g/link")
    everything = storage.push("**")
    assert remote.objects() == {"g/real/x": b"1", "g/real/y": b"2"}
    assert names(everything.skipped_source_files) == ["g/link"]


def test_a_glob_does_not_go_round_in_circles(remote, home):
    write(home, a__b_dot_csv="1")
    for link in ("one", "two", "a/three"):
        (home / link).symlink_to(home)
    summary = remote.storage().push("**/**/*.csv")
    assert remote.objects() == {"a/b.csv": b"1"}
    assert names(summary.skipped_source_files) == ["a/three", "one", "two"]


@pytest.mark.parametrize(
    "pattern",
    [
        "*", "a*", "*/", "*/*", "**", "**/*", "**/", "a/**", "a/**/x", "**/x", "**/b/*", "**/b/**", "*/**/x", "?",
        "[ab]", "[!a]", "a/?/x*", ".*", "*/.*", ".h*/x", "**/.*", "a**", "*/b/x", "a/b/*/no", "no/*", "*.[tc]*",
        "./*/b", "**/**/x", "a/*/", "x*/",
    ],
)  # fmt: skip
def test_globs_find_what_those_of_python_find(home, pattern):
    write(
        home, a__b__x="", a__b__xy="", a__x="", a__c__b__x="", b__x="", x="", c_dot_txt="", _dot_h__x="", a___dot_h=""
    )

    def files(names):
        whole = [os.walk(name) for name in names if os.path.isdir(name)]
        below = [os.path.join(folder, one) for walk in whole for folder, _, inside in walk for one in inside]
        return {os.path.normpath(name) for name in [*below, *filter(os.path.isfile, names)]}

    found = glob.glob(pattern, recursive=True)
    try:
        mine = match(pattern, None).names
    except FileNotFoundError:
        mine = []
    assert files(mine) == files(found)


# ---------------------------------------------------------------------- names that are no text
@row(
    "accsr", "push: names that are not UTF-8", "kept and fixed",
    "InvalidKey before anything is sent, for directories as for files; the original ended in an encoding error",
)  # fmt: skip
@pytest.mark.parametrize("provider", SERVICES)
@pytest.mark.parametrize("path", [b"dir\xff", b"dir\xff/x", b"file\xff", b"d/sub\xff", b"d/sub\xff/*"])
def test_names_that_no_service_can_hold(make_remote, home, provider, path):
    for name in (b"dir\xff/x", b"file\xff", b"d/sub\xff/x"):
        os.makedirs(os.path.dirname(os.path.join(os.fsencode(home), name)), exist_ok=True)
        Path(os.fsdecode(name)).write_text("1")
    remote, text = make_remote(provider), os.fsdecode(path)
    storage = remote.storage("base")
    summary = storage.push(text, dryrun=True)
    assert len(summary.unresolvable_collisions) == len(summary.matched_source_files) == 1
    with pytest.raises(e.InvalidKey, match=r"nothing was pushed.*unsafe name: .*UTF-8"):
        storage.push(text, force=True)
    assert remote.objects() == {}
    assert storage.push(text, exclude_regex="").matched_source_files == []


def test_directories_hold_any_name(remote, home):
    path = os.fsdecode(b"dir\xff")
    write(home / path, x="1")
    storage = remote.storage()
    assert names(storage.push(path).synced_files) == [f"{path}/x"]
    assert names(storage.pull(path, "out").synced_files) == [f"{path}/x"]
    assert names(storage.list_objects(path)) == names(storage.delete(path)) == [f"{path}/x"]


def test_names_that_no_service_can_hold_are_not_there(s3, home, caplog):
    s3.put("a", b"1")
    storage, path = s3.storage(), os.fsdecode(b"dir\xff")
    assert storage.list_objects(path) == storage.delete(path) == storage.pull(path).matched_source_files == []
    assert "Not deleting anything" in caplog.text
    assert "No files found" in caplog.text


# ---------------------------------------------------------------------- a bucket among the files
def test_a_bucket_below_the_current_directory(home):
    storage = RemoteStorage(RemoteStorageConfig("local", key="buckets", bucket="demo", secret="", base_path="base"))
    write(home, note_dot_txt="1", data__a="2", data__b="3")
    assert names(storage.push("*.txt").synced_files) == ["base/note.txt"]
    assert names(storage.push("note.txt").on_target_eq_md5) == ["base/note.txt"]
    storage.push("data")
    (home / "data/a").unlink()
    assert names(storage.pull("data").synced_files) == ["base/data/a"]
    write(home, data__a="other")
    assert names(storage.push("data", force=True).synced_files) == ["base/data/a"]
    assert names(storage.delete("data")) == ["base/data/a", "base/data/b"]


@pytest.mark.parametrize("path", [".", "buckets", "buckets/demo/base/note.txt", "b*"])
def test_a_bucket_is_not_pushed_into_itself(home, path):
    storage = RemoteStorage(RemoteStorageConfig("local", key="buckets", bucket="demo", secret="", base_path="base"))
    write(home, note_dot_txt="1")
    storage.push("note.txt")
    write(home, note_dot_txt="2")
    before = names(storage.list_objects())
    with pytest.raises(FileExistsError, match="the file lies in the bucket itself"):
        storage.push(path, force=True)
    assert names(storage.list_objects()) == before
    summary = storage.push(".", force=True, exclude_regex="buckets/")
    assert names(summary.synced_files) == ["base/note.txt"]


def test_nothing_is_pulled_into_the_bucket(home):
    storage = RemoteStorage(RemoteStorageConfig("local", key="buckets", bucket="demo", secret=""))
    write(home, data__a="1")
    storage.push("data")
    (home / "link").symlink_to(home / "buckets/demo")
    for directory in ("buckets/demo", "buckets/demo/new", "link"):
        with pytest.raises(FileExistsError, match="the file lies in the bucket itself"):
            storage.pull("data", directory, force=True)
    assert names(storage.list_objects()) == ["data/a"]
