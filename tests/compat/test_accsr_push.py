"""RemoteStorage.push: the rules for paths, globs, expressions, force, collisions, and what it asks of the bucket."""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
from collections import Counter
from pathlib import Path

import pytest

from holdfast import RemoteStorage
from holdfast import errors as e
from holdfast.store import WRITE, Wrapper
from holdfast.sync import Regex
from holdfast.testing.stores import CountingStore, FaultStore
from tests.compat.conftest import PROVIDERS
from tests.compat.rows import row

SERVED = [pytest.param(name, marks=[] if name in {"local", "gcs"} else [pytest.mark.server]) for name in PROVIDERS]


def write(directory: Path, **files: str) -> None:
    """Write files, whose names have "__" for a slash and "_dot_" for a dot."""
    for name, text in files.items():
        path = directory / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(entries) -> list[str]:
    return [entry.name for entry in entries]


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
    storage.set_remote_base_path(None)
    assert storage.remote_base_path == ""


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


@row("accsr", "gap: push changes the working directory", "kept and fixed", "it does not")
# ---------------------------------------------------------------------- globs
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
    assert names(remote.storage().push("**/*.csv").synced_files) == ["a/b/c.csv", "a/d.csv", "e.csv"]


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


# ---------------------------------------------------------------------- regular expressions
@row("accsr", "push: include_regex and exclude_regex are re.match on the path relative to the prefix; exclude wins")
def test_expressions(remote, home):
    write(home, sample_dot_txt="1", sample_2_dot_txt="2", sample_dir__a_dot_txt="3", x_dot_txt="4")
    summary = remote.storage().push(
        "*", include_regex="sample.*txt", exclude_regex=re.compile("SAMPLE_", re.IGNORECASE)
    )
    assert names(summary.synced_files) == ["sample.txt"]
    assert sorted(names(summary.skipped_source_files)) == ["sample_2.txt", "sample_dir/a.txt", "x.txt"]
    assert names(summary.matched_source_files) == ["sample.txt"]
    again = remote.storage().push("a.txt", local_path_prefix=home / "sample_dir", include_regex="a")
    assert names(again.synced_files) == ["a.txt"]


@row("accsr", "path_regex is include_regex, deprecated; both are a ValueError")
def test_the_old_name(remote, home):
    write(home, a="1", b="2")
    storage = remote.storage()
    with pytest.warns(DeprecationWarning, match="include_regex") as warned:
        storage.push(".", path_regex="a")
    assert warned[0].filename == __file__
    assert remote.objects() == {"a": b"1"}
    for call in (storage.push, storage.pull, storage.delete):
        with pytest.raises(ValueError, match="path_regex"):
            call("a", include_regex="a", path_regex="a")


@row("accsr", "regular expressions", "kept and fixed", "one that takes exponential time ends as a Timeout, not never")
def test_expressions_end(remote, home, monkeypatch):
    monkeypatch.setattr(Regex.__init__, "__kwdefaults__", {"deadline": 0.5})
    write(home, **{"a" * 60: "1"})
    storage = remote.storage()
    with pytest.raises(e.Timeout):
        storage.push(".", include_regex=r"(?=(a+)+$)(a+)+b")
    assert remote.objects() == {}


# ---------------------------------------------------------------------- what the bucket has already
@row("accsr", "push: equal files are not sent, even with force; different ones need force, and nothing is sent without")
@pytest.mark.parametrize("provider", SERVED)
def test_what_is_there(make_remote, home, provider):
    remote = make_remote(provider)
    storage = remote.storage("base")
    write(home, data__same="1", data__other="22", data__new="3", data__empty="")
    storage.push("data/same")  # on Azure others' uploads cannot be told to be equal
    remote.put("base/data/other", b"xx")
    remote.put("base/data/extra", b"e")
    remote.put("base/database/no", b"n")
    before = remote.objects()
    with pytest.raises(FileExistsError, match="'base/data/other'; force=True overwrites them"):
        storage.push("data")
    assert remote.objects() == before
    dry = storage.push("data", dryrun=True)
    assert names(dry.not_on_target) == ["base/data/empty", "base/data/new"]
    assert "base/data/other" in names(dry.on_target_neq_md5)
    assert (dry.requires_force, dry.synced_files) == (True, [])
    assert remote.objects() == before
    done = storage.push("data", force=True)
    assert names(done.synced_files)[:3] == ["base/data/empty", "base/data/new", "base/data/other"]
    assert remote.objects() == before | {"base/data/other": b"22", "base/data/new": b"3", "base/data/empty": b""}
    again = storage.push("data", force=True)
    assert (again.synced_files, len(again.on_target_eq_md5), again.requires_force) == ([], 4, False)
    assert all(entry.remote_obj.name == entry.name and entry.equal_md5_hash_sum for entry in done.synced_files)


@row(
    "accsr",
    "gap: ETags of uploads in parts never equal an MD5",
    "kept and fixed",
    "they are computed from the file's parts",
)
@row("accsr", "push: equality is that of MD5s", "kept and fixed", "ETags of uploads in parts are recognised as well")
def test_an_upload_in_parts_is_recognised(s3, home, moto):
    (home / "large").write_bytes(b"x" * (12 << 20))
    client = moto.client()
    where = {"Bucket": s3.conf.bucket, "Key": "large"}
    upload = client.create_multipart_upload(**where)["UploadId"]
    parts = []
    for number, size in ((1, 8 << 20), (2, 4 << 20)):
        answer = client.upload_part(**where, UploadId=upload, PartNumber=number, Body=b"x" * size)
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    summary = s3.storage().push("large")
    assert (names(summary.on_target_eq_md5), summary.synced_files) == (["large"], [])


def test_what_nobody_can_tell_to_be_equal_needs_force(s3, home, moto):
    (home / "large").write_bytes(b"x" * (6 << 20) + b"y")
    client = moto.client()
    where = {"Bucket": s3.conf.bucket, "Key": "large"}
    upload = client.create_multipart_upload(**where)["UploadId"]
    sizes = (6 << 20) + 1 - 1000, 1000  # nobody uploads in such parts
    parts = []
    for number, size in enumerate(sizes, 1):
        answer = client.upload_part(**where, UploadId=upload, PartNumber=number, Body=b"z" * size)
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    with pytest.raises(FileExistsError, match="force"):
        s3.storage().push("large")


@row("accsr", "push with dryrun only tells, and warns of what a push would be refused for")
def test_a_dry_run_warns(remote, home, caplog):
    write(home, a="1", b="2")
    remote.put("a", b"other")
    remote.put("b/c", b"below")
    with caplog.at_level(logging.WARNING):
        summary = remote.storage().push(".", dryrun=True)
    assert summary.has_unresolvable_collisions
    assert "would be refused" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        remote.storage().push("a", dryrun=True)
    assert "would need force=True" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        remote.storage().push("a", dryrun=True, force=True)
    assert not caplog.text


@row(
    "accsr",
    "gap: one object below the name of a pushed file ends the whole push",
    "kept and fixed",
    "it is a collision like any other",
)
# ---------------------------------------------------------------------- collisions
@row(
    "accsr", "push: a file whose name is a directory in the bucket is an unresolvable collision", "kept and fixed",
    "one object below it was a ValueError for the whole push; and a directory over an object is a collision, too",
)  # fmt: skip
@pytest.mark.parametrize("count", [1, 2])
def test_a_file_over_a_directory(s3, home, count):
    write(home, name="1", other="2")
    for number in range(count):
        s3.put(f"name/{number}", b"x")
    s3.put("name.bak", b"x")
    for path in ("name", ".", "*"):
        with pytest.raises(FileExistsError, match="name: there is 'name/0'"):
            s3.storage().push(path, force=True)
    assert len(s3.objects()) == count + 1
    summary = s3.storage().push(".", dryrun=True)
    assert names(summary.unresolvable_collisions["name"]) == [f"name/{number}" for number in range(count)]
    assert names(summary.not_on_target) == ["other"]
    s3.storage().push(".", exclude_regex="name$")
    assert s3.objects()["other"] == b"2"


@pytest.mark.parametrize("path", ["name", "*", "."])
def test_a_directory_over_an_object(s3, home, path):
    write(home, name__sub__a="1")
    s3.put("base/name", b"x")
    with pytest.raises(FileExistsError, match="base/name/sub/a: there is 'base/name'"):
        s3.storage("base").push(path, force=True)
    assert s3.objects() == {"base/name": b"x"}


def test_a_marker_of_a_directory_is_no_collision(s3, home):
    write(home, name="1")
    s3.put("name/", b"")
    s3.storage().push("name")
    assert s3.objects() == {"name": b"1", "name/": b""}


@row("accsr", "names that begin alike are not confused: file.txt and file.txt.collision, dir and dir_collision")
def test_siblings_are_left_alone(s3, home):
    write(home, file_dot_txt="1", dir__a="2")
    for key in ("file.txt.collision", "dir_collision/a", "dir-x"):
        s3.put(key, b"other")
    s3.storage().push("file.txt")
    s3.storage().push("dir")
    assert s3.objects() == {
        "file.txt": b"1", "dir/a": b"2", "file.txt.collision": b"other", "dir_collision/a": b"other", "dir-x": b"other",
    }  # fmt: skip


@row("accsr", "gap: a listing for each pushed file", "kept and fixed", "one for all")
# ---------------------------------------------------------------------- requests, failures
@row("accsr", "push: one listing", "kept and fixed", "the original listed once for each file, whole subtrees at times")
@pytest.mark.parametrize("path", ["data", "data/0", "data/*", "."])
def test_one_listing_for_a_push(s3, home, path):
    write(home, **{f"data__{number}": str(number) for number in range(30)})
    storage = s3.storage("base")
    counting = storage.bucket.store = CountingStore(storage.bucket.store)
    storage.push(path)
    done = Counter(counting.calls)
    assert done["scan"] == 1
    storage.push(path)
    assert counting.calls["scan"] == 2
    assert counting.calls["read"] - done["read"] <= 1, "a HEAD of the directory's own name, and none for any file"
    assert counting.calls["write"] == done["write"]


@row("accsr", "gap: sequential transfers", "kept and fixed", "several are under way at a time")
def test_transfers_run_side_by_side(s3, home):
    both = threading.Barrier(2, timeout=30)

    class Meeting(Wrapper):
        def _write(self, key, body, options=WRITE):
            both.wait()
            return super()._write(key, body, options)

    write(home, a="1", b="2")
    storage = s3.storage()
    storage.bucket.store = Meeting(storage.bucket.store)
    assert len(storage.push("*").synced_files) == 2


def test_what_fails_is_told_and_the_next_push_goes_on(remote, home):
    write(home, **{f"data__{number}": "1" for number in range(5)})
    storage = remote.storage()
    inner = storage.bucket.store
    storage.bucket.store = faults = FaultStore(inner)
    faults.fail(e.StoreError("disk on fire"), "copy", key="data/3", times=9)
    with pytest.raises(e.StoreError, match=r"1 of 5 files were not pushed: 3: .*disk on fire"):
        storage.push("data")
    assert len(remote.objects()) == 4
    storage.bucket.store = inner
    assert names(storage.push("data").synced_files) == ["data/3"]


def test_what_appears_meanwhile_is_not_overwritten(s3, home):
    write(home, a="1")

    def late(entry):
        s3.put("a", b"somebody else's")
        return {}

    storage = s3.storage(add_extra_to_upload=late)
    with pytest.raises(e.Conflict, match="1 of 1 files were not pushed"):
        storage.push("a", force=True)
    assert s3.objects() == {"a": b"somebody else's"}


# ---------------------------------------------------------------------- today's additions
@row("accsr", "add_extra_to_upload: what is attached to an upload, as libcloud's extra")
def test_extras(s3, home, moto):
    write(home, a="1")
    storage = s3.storage(
        add_extra_to_upload=lambda entry: {"meta_data": {"md5": entry.local_hash}, "content_type": "text/x-a"}
    )
    storage.push("a")
    head = moto.client().head_object(Bucket=s3.conf.bucket, Key="a")
    assert head["ContentType"] == "text/x-a"
    assert head["Metadata"]["md5"] == "c4ca4238a0b923820dcc509a6f75849b"
    storage = s3.storage(add_extra_to_upload=lambda entry: {"acl": "public-read"})
    write(home, a="2")
    with pytest.raises(e.StoreError, match="'acl'"):
        storage.push("a", force=True)


@row("accsr", "remote_hash_extractor: the MD5 of a remote object, where its hash is none")
def test_extracted_hashes(s3, home):
    write(home, a="1", b="1")
    s3.put("a", b"1 but encrypted")
    s3.put("b", b"1")
    hashes = {"a": "c4ca4238a0b923820dcc509a6f75849b", "b": "something else"}
    storage = s3.storage(remote_hash_extractor=lambda remote_object: hashes[remote_object.name])
    summary = storage.push("*", dryrun=True)
    assert (names(summary.on_target_eq_md5), names(summary.on_target_neq_md5)) == (["a"], ["b"])
    assert names(storage.push("*", force=True).synced_files) == ["b"]
    assert s3.objects() == {"a": b"1 but encrypted", "b": b"1"}


def test_a_storage_goes_on_in_another_process_only_with_its_secret(s3, home):
    import pickle

    storage = pickle.loads(pickle.dumps(s3.storage()))
    write(home, a="1")
    with pytest.raises(e.ConfigError, match="secret is missing"):
        storage.push("a")
    storage.conf.secret = s3.conf.secret
    storage.push("a")
    assert isinstance(storage, RemoteStorage)
    assert s3.objects() == {"a": b"1"}
