"""The classes around RemoteStorage: SyncObject, TransactionSummary, the configuration, bucket, driver and objects."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import inspect
import json
import logging
import os
import pickle
from pathlib import Path

import pytest

import holdfast
from holdfast import (
    Provider,
    RemoteObjectProtocol,
    RemoteStorage,
    RemoteStorageConfig,
    SyncObject,
    TransactionSummary,
)
from holdfast import errors as e
from holdfast.remote_storage import Bucket, Driver, RemoteObject
from holdfast.remote_storage.configuration import open_bucket
from holdfast.store import READ, Wrapper
from tests.compat.rows import row
from tests.compat.test_accsr_push import SERVED, names, write

MD5 = hashlib.md5(b"1").hexdigest()


class Plain:
    """What satisfies RemoteObjectProtocol with nothing of ours."""

    def __init__(self, name: str, digest: str = MD5, size: int = 1) -> None:
        self.name, self.size, self.hash, self.provider = name, size, digest, "s3"

    def download(self, download_path, overwrite_existing=False):
        return self


# ---------------------------------------------------------------------- names and signatures
@row("accsr", "Provider: GOOGLE_STORAGE, S3 and AZURE_BLOBS, which are texts")
def test_providers():
    assert {one.name: one.value for one in Provider} == {
        "GOOGLE_STORAGE": "google_storage", "S3": "s3", "AZURE_BLOBS": "azure_blobs",
    }  # fmt: skip
    assert isinstance(Provider.S3, str)
    assert Provider.S3 == "s3"


@row("accsr", "every name and parameter of the seed, in its order")
def test_signatures():
    def parameters(function):
        return [name for name in inspect.signature(function).parameters if name not in {"self", "args", "kwargs"}]

    fields = ["provider", "key", "bucket", "secret", "region", "host", "port", "base_path", "secure"]
    assert [field.name for field in dataclasses.fields(RemoteStorageConfig)] == [*fields, "use_pbar", "log_level"]
    assert parameters(RemoteStorage.push)[:7] == [
        "path", "local_path_prefix", "force", "include_regex", "exclude_regex", "dryrun", "path_regex",
    ]  # fmt: skip
    assert parameters(RemoteStorage.pull)[:8] == [
        "remote_path", "local_base_dir", "force", "include_regex", "exclude_regex", "convert_to_linux_path", "dryrun",
        "path_regex",
    ]  # fmt: skip
    assert parameters(RemoteStorage.delete)[:4] == ["remote_path", "include_regex", "exclude_regex", "path_regex"]
    assert parameters(RemoteStorage.list_objects) == ["remote_path"]
    assert parameters(RemoteStorage)[0] == "conf"
    assert [field.name for field in dataclasses.fields(TransactionSummary)] == [
        "matched_source_files", "not_on_target", "on_target_eq_md5", "on_target_neq_md5", "unresolvable_collisions",
        "skipped_source_files", "synced_files", "sync_direction",
    ]  # fmt: skip
    assert parameters(TransactionSummary.add_entry) == ["synced_object", "collides_with", "skip"]
    assert parameters(RemoteObjectProtocol.download) == ["download_path", "overwrite_existing"]


# ---------------------------------------------------------------------- the configuration
@row("accsr", "RemoteStorageConfig: the order of its fields, and the secret in no repr")
def test_the_configuration_hides_its_secret():
    conf = RemoteStorageConfig("provider", "key", "bucket", "secretkey", "region", "host", 1234, "base_path")
    for text in (repr(conf), str(conf), repr(RemoteStorage(conf)), pickle.dumps(conf).decode("latin-1")):
        assert "secretkey" not in text
    assert (conf.region, conf.host, conf.port, conf.base_path) == ("region", "host", 1234, "base_path")
    least = RemoteStorageConfig("s3", "key", "bucket", "secret")
    assert (least.region, least.host, least.port, least.base_path) == (None, None, None, "")
    assert (least.secure, least.use_pbar, least.log_level) == (True, True, logging.INFO)
    assert copy.copy(conf) == copy.deepcopy(conf) == conf
    assert pickle.loads(pickle.dumps(conf)).secret == ""


def test_configurations_become_stores(tmp_path, monkeypatch):
    def name(*arguments, **options):
        return open_bucket(RemoteStorageConfig(*arguments, **options)).name

    assert name("s3", "k", "bucket", "s") == "s3://bucket"
    assert name(Provider.S3, "k", "bucket", "s", host="minio", port="9000") == "s3://https://minio:9000/bucket"
    assert name("azure_blobs", "me", "bucket", "c2VjcmV0") == "az://https://me.blob.core.windows.net/bucket"
    assert name("azure_blobs", "me", "bucket", "c2VjcmV0", host="me.blob.example.org", port=1) == (
        "az://https://me.blob.example.org:1/bucket"
    )
    assert name("google_storage", "GOOG1X", "bucket", "s") == "s3://https://storage.googleapis.com/bucket"
    assert name("google_storage", "", "bucket", "") == "gs://bucket"
    assert name("local", str(tmp_path), "bucket", "") == f"file://{tmp_path}/bucket"
    path = tmp_path / "account.json"
    path.write_text('{"type": "service_account", "client_email": "e", "private_key": "k"}')
    assert name("google_storage", "e", "bucket", str(path)) == "gs://bucket"
    store = open_bucket(RemoteStorageConfig("s3", "k", "bucket", "s", region="eu-west-1"))
    assert store.region == "eu-west-1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"provider": "minio"}, "what speaks S3"),
        ({"secret": ""}, "secret is missing"),
        ({"key": ""}, "key is missing"),
        ({"port": 9000}, "go with a host"),
        ({"secure": False}, "go with a host"),
        ({"host": "http://minio"}, "is no host"),
        ({"provider": "azure_blobs", "region": "eu"}, "means nothing"),
        ({"provider": "local", "host": "h"}, "means nothing"),
        ({"provider": "local", "bucket": "a/b"}, "name of a directory"),
        ({"provider": "google_storage", "secret": "{"}, "like JSON"),
        ({"provider": "google_storage", "secret": "-----BEGIN PRIVATE KEY-----"}, "bare private key"),
    ],
)
def test_configurations_that_cannot_be(arguments, message):
    conf = RemoteStorageConfig(**{"provider": "s3", "key": "k", "bucket": "bucket", "secret": "hidden", **arguments})
    with pytest.raises(e.ConfigError, match=message) as raised:
        open_bucket(conf)
    assert "hidden" not in str(raised.value)


# ---------------------------------------------------------------------- SyncObject
@row("accsr", "SyncObject: exists_on_target, exists_on_remote, equal_md5_hash_sum, set_local_path")
@row("accsr", "SyncObject: its fields, from a file and a remote object")
def test_a_sync_object(home):
    write(home, a="1", b="2")
    same = SyncObject("a", Plain("x/a"))
    assert (same.name, same.remote_path, same.local_path) == ("x/a", "x/a", str(home / "a"))
    assert (same.exists_locally, same.exists_on_remote, same.exists_on_target) == (True, True, True)
    assert (same.local_size, same.local_hash, same.remote_hash, same.equal_md5_hash_sum) == (1, MD5, MD5, True)
    same.set_local_path(home / "b")
    assert (same.local_path, same.equal_md5_hash_sum) == (str(home / "b"), False)
    same.set_local_path(None)
    assert (same.exists_locally, same.local_size, same.local_hash, same.exists_on_target) == (False, 0, None, False)
    absent = SyncObject(local_path="a", remote_path="/x/a")
    assert (absent.name, absent.exists_on_remote, absent.remote_hash, absent.equal_md5_hash_sum) == (
        "x/a", False, None, False,
    )  # fmt: skip


@row("accsr", "SyncObject: a local path that is a directory is a FileExistsError with 'directory:'")
def test_a_directory_is_no_sync_object(home):
    with pytest.raises(FileExistsError, match="directory:"):
        SyncObject(str(home), remote_path="a")
    entry = SyncObject(remote_path="a")
    with pytest.raises(FileExistsError, match="directory:"):
        entry.set_local_path(home)


@row("accsr", "SyncObject: names that differ in a slash at their start are one name, which has none")
@row("accsr", "SyncObject: ValueError without a remote side, and for two that disagree")
def test_a_sync_object_needs_one_remote_name():
    with pytest.raises(ValueError, match="needs a remote_obj or a remote_path"):
        SyncObject("a")
    with pytest.raises(ValueError, match="disagree"):
        SyncObject("a", Plain("x"), "y")
    assert SyncObject("a", Plain("/x"), "x").name == "x"


@row(
    "accsr", "SyncObject: the order of its arguments", "kept and fixed",
    "that of the seed, and also today's, which begins with the direction; what can be a file called 'push' is one",
)  # fmt: skip
def test_both_orders_of_arguments(home):
    write(home, a="1")
    remote = Plain("x", size=7)
    assert SyncObject("a", remote, "x").sync_direction is None
    entry = SyncObject("push", "a", remote, "x")
    assert (entry.sync_direction, entry.local_path, entry.remote_obj) == ("push", str(home / "a"), remote)
    assert SyncObject("pull", local_path="a", remote_obj=remote).sync_direction == "pull"
    with pytest.raises(ValueError, match="sync_direction"):
        SyncObject("a", remote, sync_direction="sideways")
    with pytest.raises(TypeError, match="by position and by name"):
        SyncObject("a", local_path="a", remote_path="x")
    with pytest.raises(TypeError, match="there are more"):
        SyncObject("a", remote, "x", 4)


@row("accsr", "SyncObject.get_bytes_transferred: the size at the source, by sync_direction")
def test_how_much_a_transfer_sends(home):
    write(home, a="1")
    remote = Plain("x", size=7)
    assert SyncObject("a", remote, sync_direction="push").get_bytes_transferred() == 1
    assert SyncObject("a", remote, sync_direction="pull").get_bytes_transferred() == 7
    assert SyncObject("a", remote_path="x", sync_direction="pull").get_bytes_transferred() == 0
    with pytest.raises(RuntimeError, match="sync_direction"):
        SyncObject("a", remote).get_bytes_transferred()


@pytest.mark.parametrize("word", ["push", "pull"])
def test_a_file_that_is_called_as_a_direction(home, word):
    remote, path = Plain("x"), str(home / word)
    files = [
        SyncObject(word, remote_path="x"), SyncObject(word, remote), SyncObject(word, remote, "x"),
        SyncObject(word, None, "x"), SyncObject(word, remote_obj=remote), SyncObject(local_path=word, remote_path="x"),
    ]  # fmt: skip
    assert {(entry.local_path, entry.sync_direction, entry.name) for entry in files} == {(path, None, "x")}
    directions = [
        SyncObject(word, "a", remote), SyncObject(word, Path("a"), None, "x"), SyncObject(word, "a", remote_path="x"),
        SyncObject(word, local_path="a", remote_obj=remote),
    ]  # fmt: skip
    assert {(entry.local_path, entry.sync_direction, entry.name) for entry in directions} == {
        (str(home / "a"), word, "x"),
    }  # fmt: skip
    without = [SyncObject(word, None, remote), SyncObject(word, None, remote_obj=remote)]
    assert {(entry.local_path, entry.sync_direction) for entry in without} == {(None, word)}


@row("accsr", "SyncObject.to_dict(make_serializable=True) is JSON, with False it holds the remote object itself")
def test_a_sync_object_as_dictionary(home):
    write(home, a="1")
    remote = Plain("x")
    entry = SyncObject("a", remote)
    assert 'local_hash": null' in repr(entry), "a repr reads no files"
    assert entry.to_dict() == {
        "name": "x", "sync_direction": None, "exists_locally": True, "exists_on_remote": True,
        "local_path": str(home / "a"), "local_size": 1, "local_hash": MD5, "remote_path": "x", "remote_hash": MD5,
        "remote_obj": {"name": "x", "size": 1, "hash": MD5, "provider": "s3"},
    }  # fmt: skip
    assert entry.to_dict(make_serializable=False)["remote_obj"] is remote
    assert json.loads(entry.to_json()) == json.loads(repr(entry)) == entry.to_dict()


@row("accsr", "gap: MD5 reads the whole file into memory", "kept and fixed", "it reads pieces")
@row("accsr", "SyncObject.local_hash", "kept and fixed", "the file is read in pieces; the original read it all at once")
def test_large_files_are_digested_in_pieces(home):
    import tracemalloc

    with open("large", "wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    assert SyncObject("large", remote_path="x").local_hash == hashlib.md5(bytes(64 << 20)).hexdigest()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80 << 20, "of which 64 MiB are this test's own"


# ---------------------------------------------------------------------- TransactionSummary
@row("accsr", "TransactionSummary.add_entry: where an entry belongs")
@row("accsr", "TransactionSummary: files_to_sync, requires_force, all_files_analyzed, has_unresolvable_collisions")
def test_entries_find_their_place(home):
    write(home, a="1", b="2", c="33", d="4")
    summary = TransactionSummary(sync_direction="push")
    same, other = SyncObject("a", Plain("a")), SyncObject("b", Plain("b"))
    absent, skipped = SyncObject("c", remote_path="c"), SyncObject("d", remote_path="d")
    blocked = SyncObject("d", remote_path="d2")
    assert not summary.requires_force
    for entry in (same, other, absent):
        summary.add_entry(entry)
    summary.add_entry(skipped, skip=True)
    assert not summary.has_unresolvable_collisions
    summary.add_entry(blocked, collides_with=[Plain("d2/x")])
    summary.add_entry(SyncObject(remote_path="e"), collides_with="a directory")
    assert (summary.on_target_eq_md5, summary.on_target_neq_md5, summary.not_on_target) == ([same], [other], [absent])
    assert summary.skipped_source_files == [skipped]
    assert summary.matched_source_files[:4] == [same, other, absent, blocked]
    assert names(summary.unresolvable_collisions["d2"]) == ["d2/x"]
    assert summary.unresolvable_collisions["e"] == "a directory"
    assert summary.files_to_sync == [absent, other]
    assert summary.all_files_analyzed == [skipped, *summary.matched_source_files]
    assert summary.requires_force
    assert summary.has_unresolvable_collisions
    assert summary.size_files_to_sync() == 3


@row("accsr", "TransactionSummary.add_entry takes the path of a local file, too")
def test_a_path_as_entry(home):
    write(home, data__a="1")
    summary = TransactionSummary()
    summary.add_entry("data/a")
    summary.add_entry("data/b", skip=True)
    assert (names(summary.not_on_target), names(summary.skipped_source_files)) == (["data/a"], ["data/b"])
    assert summary.not_on_target[0].local_path == str(home / "data/a")


@row("accsr", "TransactionSummary: a sync_direction that is none is a ValueError")
@row("accsr", "TransactionSummary.size_files_to_sync: by direction; RuntimeError without one")
def test_the_size_of_what_is_to_sync(home):
    write(home, a="1")
    entry = SyncObject("a", Plain("a", digest="other", size=7))
    assert TransactionSummary(on_target_neq_md5=[entry], sync_direction="push").size_files_to_sync() == 1
    assert TransactionSummary(on_target_neq_md5=[entry], sync_direction="pull").size_files_to_sync() == 7
    with pytest.raises(RuntimeError, match="sync_direction"):
        TransactionSummary(on_target_neq_md5=[entry]).size_files_to_sync()
    assert TransactionSummary(sync_direction="pull").size_files_to_sync() == 0
    with pytest.raises(ValueError, match="sync_direction"):
        TransactionSummary(sync_direction="sideways")


@row("accsr", "TransactionSummary: get_short_summary_dict, print_short_summary, to_json, to_dict; repr is JSON")
def test_summaries_are_shown(home, remote, capsys):
    write(home, a="1", b="22")
    remote.put("a", b"other")
    summary = remote.storage().push("*", dryrun=True)
    short = {
        "sync_direction": "push",
        "files_to_sync": 2,
        "total_size": 3,
        "unresolvable_collisions": 0,
        "synced_files": 0,
    }
    assert summary.get_short_summary_dict() == short
    summary.print_short_summary()
    assert json.loads(capsys.readouterr().out) == short
    shown = json.loads(summary.to_json())
    assert shown == summary.to_dict()
    assert [entry["name"] for entry in shown["not_on_target"]] == ["b"]
    assert shown["on_target_neq_md5"][0]["remote_obj"]["size"] == 5
    assert json.loads(repr(summary)).keys() == shown.keys() == summary.to_dict(make_serializable=False).keys()
    assert summary.to_dict(make_serializable=False)["not_on_target"] == summary.not_on_target
    assert TransactionSummary().get_short_summary_dict()["total_size"] is None
    blocked = TransactionSummary(unresolvable_collisions={"a": [Plain("a/b")], "c": "why"})
    assert json.loads(blocked.to_json())["unresolvable_collisions"]["a"][0]["name"] == "a/b"


@row("accsr", "JSON and repr of a summary show no secret")
def test_summaries_hold_no_secret(s3, home):
    write(home, a="1")
    summary = s3.storage().push("a")
    for text in (repr(summary), summary.to_json(), repr(summary.synced_files[0]), repr(s3.storage().bucket)):
        assert s3.conf.secret not in text


# ---------------------------------------------------------------------- objects, bucket, driver
@row(
    "accsr", "RemoteObjectProtocol.hash: int", "different",
    "it is a text: the ETag, which of most objects is the MD5 in hexadecimal, as libcloud has it",
)  # fmt: skip
@row(
    "accsr", "RemoteObjectProtocol: name, size, hash, provider, download", "kept and fixed",
    "what RemoteStorage gives satisfies it, also at runtime; libcloud's objects have no provider",
)  # fmt: skip
def test_remote_objects(s3, home):
    s3.put("data/a", b"1")
    found = s3.storage().list_objects("data/a")[0]
    assert isinstance(found, RemoteObjectProtocol)
    assert (found.name, found.size, found.hash, found.provider) == ("data/a", 1, MD5, "s3")
    assert found.download("x/copy") is found
    assert Path("x/copy").read_bytes() == b"1"
    with pytest.raises(FileExistsError, match="overwrite_existing=True"):
        found.download("x/copy")
    s3.put("data/a", b"22")
    found.download("x/copy", overwrite_existing=True)
    assert Path("x/copy").read_bytes() == b"22"
    found.download("x")
    assert Path("x/a").read_bytes() == b"22"
    assert b"".join(found.as_stream()) == b"22"
    assert found.extra["last_modified"].tzinfo is not None
    assert found.delete() is True
    assert s3.objects() == {}


def test_a_download_goes_where_it_is_sent(own_gcs, make_remote, home):
    remote = make_remote("gcs")
    remote.put("a/..", b"evil")
    remote.put("b", b"1")
    storage = remote.storage()
    evil, good = storage.list_objects("")
    with pytest.raises(e.InvalidKey, match="cannot name a file"):
        evil.download(home)
    (home / "link").symlink_to(home / "elsewhere")
    with pytest.raises(FileExistsError):
        good.download("link")
    good.download("link", overwrite_existing=True)
    assert not (home / "elsewhere").exists()
    assert (home / "link").read_bytes() == b"1"


def test_a_download_does_not_replace_what_appears_meanwhile(remote, home):
    class Late(Wrapper):
        def _read(self, key, options=READ):
            Path("copy").write_text("somebody else's")
            return super()._read(key, options)

    remote.put("a", b"1")
    storage = remote.storage()
    found = storage.list_objects("a")[0]
    storage.bucket.store = Late(storage.bucket.store)
    with pytest.raises(FileExistsError):
        found.download("copy")
    assert Path("copy").read_text() == "somebody else's"


@row(
    "accsr", "RemoteStorage: conf, provider, remote_base_path, bucket, driver", "different",
    "bucket and driver are Holdfast's own objects with the attributes of libcloud's that people use",
)  # fmt: skip
def test_bucket_and_driver(s3, home, moto):
    write(home, a="1")
    storage = s3.storage("base")
    assert (storage.conf.bucket, storage.provider, storage.remote_base_path) == (s3.conf.bucket, "s3", "base")
    bucket, driver = storage.bucket, storage.driver
    assert isinstance(bucket, Bucket)
    assert isinstance(driver, Driver)
    assert (bucket.name, bucket.driver, driver.name, driver.key) == (s3.conf.bucket, driver, "s3", s3.conf.key)
    assert not [value for value in vars(driver).values() if value == s3.conf.secret]
    new = bucket.upload_object("a", "x/a", extra={"meta_data": {"who": "me"}, "content_type": "text/plain"})
    assert isinstance(new, RemoteObject)
    assert bucket.get_object("x/a").meta_data == {"who": "me"}
    assert names(bucket.list_objects("x/")) == names(bucket.iterate_objects()) == ["x/a"]
    assert driver.get_object(s3.conf.bucket, "x/a").size == 1
    assert bucket.download_object(new, "copy") is True
    assert Path("copy").read_text() == "1"
    with pytest.raises(KeyError):
        bucket.get_object("nothing")
    with pytest.raises(ValueError, match="'acl'"):
        bucket.upload_object("a", "b", extra={"acl": "public-read"})
    assert bucket.delete_object(new) is True
    assert s3.objects() == {}


@row("accsr", "RemoteStorageConfig and push: use_pbar")
def test_progress_is_drawn_on_terminals_and_where_wanted(remote):
    assert remote.storage()._progress(None) is None  # where standard error is a terminal
    assert remote.storage()._progress(False) is False
    remote.conf.use_pbar = False
    assert remote.storage()._progress(None) is False
    assert remote.storage()._progress(True) is None


@row("accsr", "Provider.GOOGLE_STORAGE with an HMAC key, as libcloud takes it")
def test_an_hmac_key_of_google_speaks_s3(s3, home):
    s3.conf.provider, s3.conf.key = Provider.GOOGLE_STORAGE, "GOOG1EXAMPLE"  # moto checks no signatures
    write(home, a="1")
    storage = s3.storage()
    storage.push("a")
    assert s3.objects() == {"a": b"1"}
    assert storage.list_objects("")[0].provider == "google_storage"


@row("accsr", "create_bucket(exist_ok=True)")
@pytest.mark.parametrize("provider", SERVED)
def test_create_bucket(make_remote, provider, home):
    remote = make_remote(provider)
    remote.conf.bucket = f"another-{os.getpid()}"
    storage = remote.storage()
    write(home, a="1")
    storage.create_bucket()
    storage.create_bucket()
    with pytest.raises(FileExistsError):
        storage.create_bucket(exist_ok=False)
    with pytest.raises(FileExistsError):
        storage.driver.create_container(remote.conf.bucket)
    storage.push("a")
    assert names(storage.list_objects()) == ["a"]
    assert storage.driver.create_container(f"third-{os.getpid()}").list_objects() == []


def test_the_names_are_public():
    for name in ("RemoteStorage", "RemoteStorageConfig", "Provider", "SyncObject", "TransactionSummary"):
        assert name in holdfast.__all__


def test_a_secret_that_is_no_service_account_is_not_shown(home):
    with pytest.raises(e.ConfigError) as caught:
        _ = RemoteStorage(RemoteStorageConfig("google_storage", "me@project", "bucket", "hidden-secret")).bucket
    assert "hidden" not in str(caught.value) + repr(caught.value)
    assert "neither the JSON of a service account" in str(caught.value)
