"""RemoteStorage.pull, delete, list_objects: what a path selects, force, collisions, and names that lead elsewhere."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter

import pytest

from holdfast import RemoteStorage, RemoteStorageConfig
from holdfast import errors as e
from holdfast.testing.stores import CountingStore, FaultStore
from tests.compat.rows import row
from tests.compat.test_accsr_push import SERVED, names, write
from tests.servers.faults import CORRUPT
from tests.servers.faulty_s3 import FaultyS3


def tree(directory) -> dict[str, bytes]:
    """The regular files below a directory, without those that the file store keeps for itself."""
    found = {}
    for folder, folders, files in os.walk(directory):
        folders[:] = [name for name in folders if name != ".holdfast"]
        for name in files:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, directory)] = file.read()
    return found


# ---------------------------------------------------------------------- where things go
@row("accsr", "gap: empty files are pushed but never pulled back", "kept and fixed", "they are pulled")
@row("accsr", "pull: the destination is local_base_dir and the path relative to the base path; force overwrites")
@row("accsr", "pull: empty files", "kept and fixed", "the original pushed them and never pulled them back")
@pytest.mark.parametrize("provider", SERVED)
def test_a_round_trip(make_remote, home, provider):
    remote = make_remote(provider)
    write(home, data__a="1", data__sub__b="22", data__empty="", data__same="s")
    storage = remote.storage("base")
    storage.push("data")
    remote.put("base/database/no", b"n")
    out = home / "out"
    write(out, data__a="x", data__same="s", data__mine="m")
    before = tree(out)
    with pytest.raises(FileExistsError, match="'base/data/a'; force=True overwrites them"):
        storage.pull("data", out)
    dry = storage.pull("data", out, dryrun=True)
    assert (dry.requires_force, dry.synced_files, dry.sync_direction) == (True, [], "pull")
    assert tree(out) == before
    done = storage.pull("data", out, force=True)
    assert names(done.synced_files) == ["base/data/empty", "base/data/sub/b", "base/data/a"]
    assert names(done.on_target_eq_md5) == ["base/data/same"]
    assert tree(out) == {"data/a": b"1", "data/sub/b": b"22", "data/empty": b"", "data/same": b"s", "data/mine": b"m"}
    again = storage.pull("data", out, force=True)
    assert (again.synced_files, len(again.on_target_eq_md5)) == ([], 4)
    assert done.synced_files[0].local_path == str(out / "data/empty")


@row("accsr", "pull: without local_base_dir the current directory is the target; it may be a path object")
def test_the_current_directory_is_the_default(remote, home):
    remote.put("base/sample.txt", b"1")
    storage = remote.storage("base")
    summary = storage.pull("sample.txt")
    assert (names(summary.synced_files), tree(home)) == (["base/sample.txt"], {"sample.txt": b"1"})
    assert storage.pull("sample.txt", force=False).synced_files == []
    storage.pull("sample.txt", local_base_dir=home / "x")
    assert (home / "x/sample.txt").read_bytes() == b"1"


@row("accsr", "pull: a path selects exactly itself, or what is below it; file.txt is not file.txt.collision")
def test_a_path_selects_itself_or_what_is_below(s3, home):
    for key in ("dir/file.txt", "dir_collision/file.txt", "file.txt", "file.txt.collision", "dir-x"):
        s3.put(f"base/{key}", key.encode())
    storage = s3.storage("base")
    storage.pull("file.txt", "out")
    storage.pull("dir", "out")
    assert sorted(tree("out")) == ["dir/file.txt", "file.txt"]
    storage.pull("dir_collision/", "out")
    storage.pull("/file.txt.collision", "out")
    assert sorted(tree("out")) == ["dir/file.txt", "dir_collision/file.txt", "file.txt", "file.txt.collision"]
    storage.pull("", "all")
    assert len(tree("all")) == 5


@row(
    "accsr", "pull and delete: './data', 'data//a' and '.'", "kept and fixed",
    "paths without dots and doubled slashes, as in a push; the original's './data' found only what it pushed like that",
)  # fmt: skip
@pytest.mark.parametrize("path", ["./data", "data/.", "data//", ".//data/./", "/./data"])
def test_dots_in_remote_paths_mean_nothing(s3, home, path):
    s3.put("base/data/a", b"1")
    s3.put("base/database", b"2")
    storage = s3.storage("base")
    assert names(storage.pull(path).synced_files) == ["base/data/a"]
    assert names(storage.delete(path)) == ["base/data/a"]
    assert names(storage.pull(".").synced_files) == ["base/database"]


def test_what_accsr_called_with_dots_is_deleted_by_expressions(s3):
    for key in ("base/./a", "base//b", "base/a", "base/b"):
        s3.put(key, b"1")
    storage = s3.storage("base")
    assert sorted(names(storage.delete("", include_regex=r"\./|/"))) == ["base/./a", "base//b"]
    assert sorted(s3.objects()) == ["base/a", "base/b"]


@row("accsr", "pull: convert_to_linux_path turns backslashes of the path into slashes, unless it is False")
def test_backslashes(s3, home):
    s3.put("data/my/path", b"1")
    s3.put("data\\my", b"2")
    storage = s3.storage()
    assert names(storage.pull("data\\my\\path").synced_files) == ["data/my/path"]
    assert names(storage.pull("data\\my", convert_to_linux_path=False).synced_files) == ["data\\my"]
    assert tree(home) == {"data/my/path": b"1", "data\\my": b"2"}


@row("accsr", "pull: nothing found is a warning and an empty summary, no error")
@pytest.mark.parametrize("path", ["non_existing_file.txt", "non_existing_dir/", "../base/a"])
def test_nothing_found(remote, home, caplog, path):
    remote.put("base/a", b"1")
    with caplog.at_level(logging.WARNING):
        summary = remote.storage("base").pull(path)
    assert (summary.synced_files, summary.all_files_analyzed) == ([], [])
    assert "No files found in remote storage under path:" in caplog.text


@row("accsr", "RemoteStorageConfig: log_level")
def test_messages_below_the_level_are_not_logged(remote, home, caplog):
    remote.conf.log_level = logging.ERROR
    with caplog.at_level(logging.WARNING):
        remote.storage().pull("nothing")
    assert not caplog.text


@row("accsr", "pull: regular expressions on the path relative to the base path")
def test_expressions(remote, home):
    for key in ("sample.txt", "sample_2.txt", "dir/sample.txt"):
        remote.put(f"base/{key}", b"1")
    storage = remote.storage("base")
    summary = storage.pull("", include_regex="sample.*txt", exclude_regex="sample_2.*")
    assert (names(summary.matched_source_files), sorted(tree(home))) == (["base/sample.txt"], ["sample.txt"])
    assert sorted(names(summary.skipped_source_files)) == ["base/dir/sample.txt", "base/sample_2.txt"]
    with pytest.warns(DeprecationWarning, match="include_regex"):
        assert len(storage.pull("dir", path_regex="dir/").synced_files) == 1


@row("accsr", "pull: an absolute path below local_base_dir, or below strip_abspath_prefix, is the relative one")
def test_absolute_paths(remote, home):
    remote.put("data/a", b"1")
    remote.put(f"{str(home).lstrip('/')}/data/a", b"whole path")
    storage = remote.storage()
    assert names(storage.pull(str(home / "out/data/a"), home / "out").synced_files) == ["data/a"]
    assert names(storage.pull(home / "x/data/a", "y", strip_abspath_prefix=home / "x").synced_files) == ["data/a"]
    with pytest.raises(ValueError, match="strip_abspath_prefix"):
        storage.pull("/elsewhere/a", "y", strip_abspath_prefix=home / "x")
    kept = storage.pull(str(home / "data/a"), home, strip_abs_local_base_dir=False)
    assert tree(home) == {
        "out/data/a": b"1", "y/data/a": b"1", f"{str(home).lstrip('/')}/data/a": b"whole path",
    }  # fmt: skip
    assert len(kept.synced_files) == 1


# ---------------------------------------------------------------------- what is in the way
@row("accsr", "gap: pull's unresolvable_collisions can never be filled", "kept and fixed", "a dry run fills them")
@row(
    "accsr", "pull onto a directory: FileExistsError with 'directory:'", "kept and fixed",
    "a dry run tells it in unresolvable_collisions; the original raised there too",
)  # fmt: skip
def test_a_directory_in_the_way(remote, home):
    remote.put("sample.txt", b"1")
    remote.put("other", b"2")
    (home / "out/sample.txt").mkdir(parents=True)
    storage = remote.storage()
    with pytest.raises(FileExistsError, match=r".*directory:.*out/sample\.txt"):
        storage.pull("", "out", force=True)
    assert tree("out") == {}
    summary = storage.pull("", "out", dryrun=True)
    assert list(summary.unresolvable_collisions) == ["sample.txt"]
    assert names(summary.not_on_target) == ["other"]
    assert summary.matched_source_files[1].local_path is None


@row("accsr", "pull: unresolvable_collisions of every kind are found before anything is written")
def test_other_things_in_the_way(remote, home, tmp_path):
    for key in ("a/b", "c", "d", "e/f", "fine"):
        remote.put(key, b"1")
    out, outside = home / "out", tmp_path / "outside"
    outside.mkdir()
    write(out, a="a file where a directory must be")
    (out / "c").symlink_to(outside / "c")
    os.mkfifo(out / "d")
    (out / "e").symlink_to(outside)
    with pytest.raises(FileExistsError) as raised:
        remote.storage().pull("", out, force=True)
    for key, what in {"a/b": "file", "c": "symlink", "d": "no regular file", "e/f": "symlink"}.items():
        assert f"{key}: " in str(raised.value)
        assert what in str(raised.value)
    assert list(outside.iterdir()) == []
    assert sorted(remote.storage().pull("", out, dryrun=True).unresolvable_collisions) == ["a/b", "c", "d", "e/f"]
    remote.storage().pull("", out, include_regex="fine")
    assert (out / "fine").exists()


def test_a_symlink_on_the_way_is_not_followed(remote, home, tmp_path):
    remote.put("data/a", b"1")
    (tmp_path / "outside").mkdir()
    (home / "data").symlink_to(tmp_path / "outside")
    for options in ({"force": True}, {}):
        with pytest.raises(e.InvalidKey, match="its directory at the target is a symlink"):
            remote.storage().pull("data", **options)
    assert list((tmp_path / "outside").iterdir()) == []
    (home / "base").symlink_to(tmp_path / "outside")  # named, so it is meant
    remote.storage().pull("data", "base")
    assert (tmp_path / "outside/data/a").read_bytes() == b"1"


@pytest.mark.parametrize("dryrun", [False, True])
def test_a_file_is_no_local_base_dir(remote, home, dryrun):
    remote.put("data/a", b"1")
    write(home, out="mine")
    with pytest.raises(FileExistsError, match="local_base_dir has to be a directory"):
        remote.storage().pull("data", "out", force=True, dryrun=dryrun)
    assert tree(home) == {"out": b"mine"}


@row("accsr", "gap: an object named ../../x is written outside local_base_dir", "kept and fixed", "it is refused")
@row(
    "accsr", "pull: names that lead out of local_base_dir", "kept and fixed",
    "they are refused, and nothing is pulled; the original wrote '../../x' wherever that is",
)  # fmt: skip
@pytest.mark.parametrize(
    "key", ["../evil", "a/../../evil", "/etc/evil", "a//b", "..", "./x", "nul\0byte", ".holdfast/x"]
)
@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_written_outside(make_remote, own_gcs, home, tmp_path, key, force):
    remote = make_remote("gcs")  # keeps any key
    remote.put(key, b"evil")
    remote.put("good", b"1")
    before = tree(tmp_path)
    storage = remote.storage()
    with pytest.raises(e.InvalidKey, match="unsafe name") as raised:
        storage.pull("", home / "out", force=force)
    assert "exclude_regex" in str(raised.value)
    assert {path: data for path, data in tree(tmp_path).items() if "cache" not in path} == before
    assert len(storage.pull("", home / "out", dryrun=True).unresolvable_collisions) == 1
    assert len(storage.pull("", home / "out", exclude_regex="(?!good)").synced_files) == 1
    assert (home / "out/good").read_bytes() == b"1"


def test_hostile_names_move_no_cursor(make_remote, home):
    remote = make_remote("gcs")
    remote.put("../\x1b[2Jevil", b"1")
    with pytest.raises(e.InvalidKey) as raised:
        remote.storage().pull("")
    assert "\\x1b[2Jevil" in str(raised.value)
    assert "\x1b" not in str(raised.value)
    remote.put("in\x1b[2Jway", b"1")
    (home / "in\x1b[2Jway").mkdir()
    with pytest.raises(FileExistsError) as caught:
        remote.storage().pull("", exclude_regex=r"\.\.")
    assert "\x1b" not in str(caught.value)


def test_an_object_and_a_directory_of_one_name_are_told(s3, home, caplog):
    s3.put("a", b"1")
    s3.put("a/b", b"2")
    with pytest.raises(e.InvalidKey, match="objects below it"):
        s3.storage().pull("", "out")
    s3.put("dir/", b"")  # a marker
    assert names(s3.storage().pull("a/", "out").synced_files) == ["a/b"]
    with caplog.at_level(logging.WARNING):
        assert s3.storage().pull("dir", "out").all_files_analyzed == []
    assert "No files found" in caplog.text


@row("accsr", "pull with dryrun only tells: no file, no directory, synced_files is empty")
def test_a_dry_run_makes_nothing(remote, home):
    remote.put("a", b"1")
    summary = remote.storage().pull("a", "out", dryrun=True)
    assert (names(summary.not_on_target), summary.synced_files) == (["a"], [])
    assert list(home.iterdir()) == []


def test_pulling_leaves_files_alone(remote, home):
    remote.put("data/a", b"1")
    remote.storage().pull("data", "out")
    assert list((home / "out").iterdir()) == [home / "out/data"], "no directory of the file store's own"
    assert list((home / "out/data").iterdir()) == [home / "out/data/a"]


def test_one_listing_for_a_pull(s3, home):
    for number in range(20):
        s3.put(f"base/data/{number}", b"1")
        s3.put(f"base/database/{number}", b"1")
    storage = s3.storage("base")
    counting = storage.bucket.store = CountingStore(storage.bucket.store)
    storage.pull("data")
    assert (counting.calls["scan"], counting.calls["read"]) == (1, 21)
    before = Counter(counting.calls)
    storage.pull("data")
    assert counting.calls - before == {"scan": 1, "read": 1, "locate": counting.calls["locate"] - before["locate"]}


@row(
    "accsr",
    "gap: downloads are not atomic and not verified",
    "kept and fixed",
    "they are whole and checked, or not there",
)
def test_damaged_objects_are_not_pulled(home):
    with FaultyS3() as server:
        port = int(server.endpoint.rpartition(":")[2])
        conf = RemoteStorageConfig("s3", "AK", server.make_bucket(), "SK", host="127.0.0.1", port=port, secure=False)
        storage = RemoteStorage(conf)
        write(home, a="what is stored", b="fine")
        storage.push("*")
        write(home, a="what was here", b="differs")
        server.inject(CORRUPT, lambda request: request.method == "GET" and request.key == "a")
        with pytest.raises(e.StoreError, match="1 of 2 files were not pulled") as raised:
            storage.pull("", force=True)
    assert isinstance(raised.value.cause, e.IntegrityError)
    assert tree(home) == {"a": b"what was here", "b": b"fine"}


def test_what_fails_is_told_and_the_next_pull_goes_on(s3, home):
    for number in range(5):
        s3.put(f"data/{number}", b"1")
    storage = s3.storage()
    inner = storage.bucket.store
    storage.bucket.store = faults = FaultStore(inner)
    faults.fail(e.StoreError("line is dead"), "read", key="data/3", times=99)
    with pytest.raises(e.StoreError, match=r"1 of 5 files were not pulled: data/3: .*line is dead"):
        storage.pull("data")
    assert len(tree(home)) == 4
    storage.bucket.store = inner
    assert names(storage.pull("data").synced_files) == ["data/3"]


def test_nothing_stays_open(remote, home, no_leaks):
    write(home, data__a="1", data__b="2")
    storage = remote.storage()
    for turn in range(3):
        storage.push("data", force=True, include_regex="data")
        storage.pull("data", f"out{turn}", exclude_regex=".*b")
        if turn == 0:
            no_leaks.baseline()  # the engine keeps its threads, the bucket its directories


# ---------------------------------------------------------------------- delete
@row("accsr", "delete: the objects that were deleted, by exact path or everything below it")
@row("accsr", "delete and list_objects with a base path: names are whole")
@pytest.mark.parametrize("provider", SERVED)
def test_delete(make_remote, home, provider):
    remote = make_remote(provider)
    for key in ("dir/a", "dir/b", "dir_collision/a", "file.txt", "file.txt.collision"):
        remote.put(f"base/{key}", b"1")
    storage = remote.storage("base")
    assert names(storage.delete("file.txt")) == ["base/file.txt"]
    assert sorted(names(storage.delete("dir"))) == ["base/dir/a", "base/dir/b"]
    assert sorted(remote.objects()) == ["base/dir_collision/a", "base/file.txt.collision"]
    assert sorted(names(storage.list_objects(""))) == sorted(remote.objects())


@row("accsr", "delete: nothing found is [] and a warning with 'Not deleting anything'")
def test_nothing_to_delete(remote, caplog):
    with caplog.at_level(logging.WARNING):
        assert remote.storage().delete("there is no such file") == []
    assert "Not deleting anything" in caplog.text


@row("accsr", "delete: include_regex and exclude_regex, also with an empty path")
def test_delete_by_expressions(remote):
    for key in ("sample.txt", "sample_2.txt", "other"):
        remote.put(key, b"1")
    storage = remote.storage()
    assert names(storage.delete("", include_regex="sample.*txt", exclude_regex="sample_2.*")) == ["sample.txt"]
    with pytest.warns(DeprecationWarning, match="include_regex"):
        assert names(storage.delete("", path_regex="sample")) == ["sample_2.txt"]
    assert remote.objects() == {"other": b"1"}


@row("accsr", "gap: delete('') empties the base path", "kept and fixed", "it asks")
@row(
    "accsr", "delete(''): everything below the base path", "different",
    "without an include_regex it needs confirm=True, or a function that confirms the number of objects",
)  # fmt: skip
@pytest.mark.parametrize("path", ["", "/", ".", "./", "//"])
def test_deleting_everything_is_confirmed(remote, path):
    for key in ("base/a", "base/b", "c"):
        remote.put(key, b"1")
    storage = remote.storage("base")
    for arguments in ({}, {"exclude_regex": "a"}, {"confirm": lambda count: count == 3}, {"confirm": lambda _: None}):
        with pytest.raises(ValueError, match="confirm"):
            storage.delete(path, **arguments)
    assert len(remote.objects()) == 3
    assert len(storage.delete(path, confirm=lambda count: count == 2)) == 2
    assert remote.objects() == {"c": b"1"}
    assert names(remote.storage().delete(path, confirm=True)) == ["c"]


@pytest.mark.parametrize("path", ["..", "../base", "a/..", "base/.."])
def test_nothing_above_the_base_path_is_deleted(remote, path):
    remote.put("base/a", b"1")
    remote.put("b", b"1")
    assert remote.storage("base").delete(path) == []
    assert len(remote.objects()) == 2


@pytest.mark.parametrize("confirm", [None, 0, 1, "", "no", "yes"])
def test_only_true_confirms(remote, confirm):
    remote.put("a", b"1")
    with pytest.raises(ValueError, match="confirm=True"):
        remote.storage().delete("", confirm=confirm)
    assert remote.objects() == {"a": b"1"}


@pytest.mark.parametrize("nothing", ["", re.compile("")])
def test_an_empty_expression_chooses_nothing_to_delete(remote, nothing):
    remote.put("a", b"1")
    with pytest.raises(ValueError, match="confirm=True"):
        remote.storage().delete("", include_regex=nothing)
    assert remote.objects() == {"a": b"1"}
    assert names(remote.storage().delete("", include_regex=nothing, confirm=True)) == ["a"]


def test_many_are_deleted_in_batches(s3, monkeypatch):
    storage = s3.storage()
    monkeypatch.setattr(type(storage.bucket.store), "remove_batch", 2)
    counting = storage.bucket.store = CountingStore(storage.bucket.store)
    for number in range(5):
        s3.put(f"a/{number}", b"1")
    assert names(storage.delete("a")) == [f"a/{number}" for number in range(5)]
    assert counting.calls["remove"] == 3
    assert s3.objects() == {}


def test_what_cannot_be_deleted_is_told(remote):
    for key in ("a/1", "a/2"):
        remote.put(key, b"1")
    storage = remote.storage()
    storage.bucket.store = faults = FaultStore(storage.bucket.store)
    faults.fail(e.StoreError("not today"), "remove")
    with pytest.raises(e.StoreError, match=r"2 of 2 objects were not deleted: .*not today"):
        storage.delete("a")


# ---------------------------------------------------------------------- list_objects, bucket, driver
@row("accsr", "list_objects: a listing by string prefix, with all that begins alike")
@pytest.mark.parametrize("provider", SERVED)
def test_list_objects(make_remote, provider):
    remote = make_remote(provider)
    for key in ("base/sample.txt", "base/sample_2.txt", "base/x", "basement"):
        remote.put(key, b"12")
    storage = remote.storage("base")
    assert names(storage.list_objects("sample")) == ["base/sample.txt", "base/sample_2.txt"]
    assert names(storage.list_objects("sample.txt")) == ["base/sample.txt"]
    assert (len(storage.list_objects("")), len(remote.storage().list_objects("base"))) == (3, 4)
    assert {entry.size for entry in storage.list_objects("")} == {2}
