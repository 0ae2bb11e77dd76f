"""RemoteStorage.push: the rules for paths, globs, expressions, force, collisions, and what it asks of the bucket."""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from pathlib import Path

import pytest

from holdfast import RemoteStorage, sync
from holdfast import errors as e
from holdfast.store import READ, WRITE, Wrapper
from holdfast.sync import Regex
from holdfast.testing.stores import CountingStore, FaultStore
from tests.compat.conftest import PROVIDERS
from tests.compat.rows import row

SERVED = [pytest.param(name, marks=[] if name in {"local", "gcs"} else [pytest.mark.server]) for name in PROVIDERS]
#: Those that are no directory.
SERVICES = [provider for provider in SERVED if provider.values != ("local",)]


def write(directory: Path, **files: str) -> None:
    """Write files, whose names have "__" for a slash and "_dot_" for a dot."""
    for name, text in files.items():
        path = directory / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(entries) -> list[str]:
    return [entry.name for entry in entries]


# ---------------------------------------------------------------------- what became of it
def test_files_of_which_nobody_knows_what_became_are_an_error(remote, home, monkeypatch):
    write(home, a="1")
    applied = sync.apply

    def lossy(*arguments, **options):
        summary = applied(*arguments, **options)
        summary.unaccounted = 1
        return summary

    monkeypatch.setattr(sync, "apply", lossy)
    with pytest.raises(e.StoreError, match="nobody knows what became of 1 of them"):
        remote.storage().push("a")


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
@row("accsr", "push: the order of synced_files is that of not_on_target, then of on_target_neq_md5")
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


@row("accsr", "push and pull: stored bytes are compared, whatever their Content-Encoding is")
@pytest.mark.parametrize("path", ["data", "data/a", "data/*"])
def test_encodings_make_no_difference(s3, home, moto, path):
    write(home, data__a="1", data__b="2")
    for key, body in (("data/a", b"1"), ("data/b", b"2")):
        moto.client().put_object(Bucket=s3.conf.bucket, Key=key, Body=body, ContentEncoding="gzip")
    storage = s3.storage()
    assert storage.push(path, force=True).synced_files == []
    assert storage.pull(path.rstrip("*"), force=True).synced_files == []
    (home / "data/a").unlink()
    assert names(storage.pull("data/a").synced_files) == ["data/a"]
    assert (home / "data/a").read_bytes() == b"1"
    assert names(storage.push("data").on_target_eq_md5) == ["data/a", "data/b"]


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


@row("accsr", "push: skipped_source_files tell whether there is an object, too")
@pytest.mark.parametrize("left_out", ["data/(aa|bb|new)$", "data/zz", "data/"])
def test_what_is_skipped_is_looked_for(s3, home, left_out):
    write(home, data__aa="1", data__bb="2", data__zz="3", data__new="4")
    for key in ("data/aa", "data/bb", "data/zz"):
        s3.put(key, b"x")
    (home / "data/link").symlink_to(home / "data/aa")
    s3.put("data/link", b"x")
    summary = s3.storage().push("data", exclude_regex=left_out, dryrun=True)
    found = {entry.name: entry.exists_on_remote for entry in summary.all_files_analyzed}
    assert found == {"data/aa": True, "data/bb": True, "data/zz": True, "data/new": False, "data/link": True}


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


# ---------------------------------------------------------------------- collisions
@row(
    "accsr",
    "gap: one object below the name of a pushed file ends the whole push",
    "kept and fixed",
    "it is a collision like any other",
)
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


@row(
    "accsr", "push: below a name that is an object in the bucket", "kept and fixed",
    "an unresolvable collision however the path is written; the original left both, which no directory can hold",
)  # fmt: skip
@pytest.mark.parametrize("path", ["name", "*", ".", "name/sub", "name/sub/a", "name/sub/*", "name/*/a", "name/s*"])
@pytest.mark.parametrize("provider", SERVICES)
def test_a_directory_over_an_object(make_remote, home, provider, path):
    write(home, name__sub__a="1")
    remote = make_remote(provider)
    remote.put("base/name", b"x")
    with pytest.raises(FileExistsError, match="base/name/sub/a: there is 'base/name'"):
        remote.storage("base").push(path, force=True)
    assert remote.objects() == {"base/name": b"x"}
    summary = remote.storage("base").push(path, dryrun=True)
    assert names(summary.unresolvable_collisions["base/name/sub/a"]) == ["base/name"]


def test_an_object_above_an_absolute_path(s3, home):
    write(home, data__a="1")
    above = str(home.parent).strip("/")
    s3.put(above, b"x")
    for path in (home / "data/a", home / "data", str(home / "d*")):
        with pytest.raises(FileExistsError, match=f"there is '{above}'"):
            s3.storage().push(path)
    assert s3.objects() == {above: b"x"}


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


# ---------------------------------------------------------------------- requests, failures
@row("accsr", "gap: a listing for each pushed file", "kept and fixed", "one for all")
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


@row("accsr", "remote_hash_extractor: the MD5 of a remote object, instead of its hash")
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


@row(
    "accsr", "remote_hash_extractor may read the object's meta_data", "kept and fixed",
    "in every service, also where listings do not tell it; where it finds None the planner decides",
)  # fmt: skip
@pytest.mark.parametrize("provider", SERVED)
def test_hashes_from_meta_data(make_remote, home, provider):
    asked = []

    def extract(found):
        asked.append(found.name)
        return found.meta_data.get("digest")

    remote = make_remote(provider)
    marked = remote.storage("base", add_extra_to_upload=lambda entry: {"meta_data": {"digest": entry.local_hash}})
    storage = remote.storage("base", remote_hash_extractor=extract)
    write(home, data__a="1", data__b="2", data__unmarked="3", data__new="4")
    remote.storage("base").push("data/unmarked")
    for name in "ab":
        marked.push(f"data/{name}")
    done = storage.push("data")
    assert names(done.synced_files) == ["base/data/new"]
    assert names(done.on_target_eq_md5) == sorted(asked) == ["base/data/a", "base/data/b", "base/data/unmarked"]
    assert done.on_target_eq_md5[0].remote_obj.meta_data["digest"] == done.on_target_eq_md5[0].local_hash
    assert storage.pull("data").synced_files == []
    write(home, data__a="9")
    for call in (storage.push, storage.pull):
        with pytest.raises(FileExistsError, match="'base/data/a'; force=True"):
            call("data")
    assert names(storage.pull("data", force=True).synced_files) == ["base/data/a"]
    assert (home / "data/a").read_text() == "1"


def test_nothing_is_extracted_from_what_is_gone(s3, home):
    class Vanishing(Wrapper):
        def _read(self, key, options=READ):
            if key == "gone":
                s3.storage().bucket.store.delete(key)
            return super()._read(key, options)

    write(home, gone="1", there="2")
    s3.put("gone", b"2")
    s3.put("there", b"2")
    storage = s3.storage(remote_hash_extractor=lambda found: None)
    storage.bucket.store = Vanishing(storage.bucket.store)
    with pytest.raises(e.Conflict, match="1 of 1 files were not pushed: gone"):
        storage.push("*", force=True)
    assert s3.objects() == {"there": b"2"}


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
