"""The path grammar of CloudFiles, as a table, and the aliases of this process, of the user, and built in."""

from __future__ import annotations

import json
import os
import threading

import pytest

from holdfast import CloudFiles, ConfigError, aliases
from holdfast.files import paths
from holdfast.files.paths import extract, normalize

#: What is written, and its format, protocol, bucket, path, host and alias.
TABLE = [
    ("gs://bucket/dataset/layer", ("precomputed", "gs", "bucket", "dataset/layer", None, None)),
    ("gs://bucket", ("precomputed", "gs", "bucket", "", None, None)),
    ("gs://bucket/", ("precomputed", "gs", "bucket", "", None, None)),
    ("s3://bucket/a/b/", ("precomputed", "s3", "bucket", "a/b/", None, None)),
    ("s3://b//c", ("precomputed", "s3", "b", "/c", None, None)),
    ("s3://b/ü x", ("precomputed", "s3", "b", "ü x", None, None)),
    ("s3://b/../x", ("precomputed", "s3", "b", "../x", None, None)),
    ("s3://https://host.com:9000/bucket/a", ("precomputed", "s3", "bucket", "a", "https://host.com:9000", None)),
    ("s3://http://localhost:123/b", ("precomputed", "s3", "b", "", "http://localhost:123", None)),
    ("file:///tmp/x/y", ("precomputed", "file", None, "/tmp/x/y", None, None)),
    ("file:///", ("precomputed", "file", None, "/", None, None)),
    ("http://a.com/b/c", ("precomputed", "http", None, "b/c", "http://a.com", None)),
    ("https://a.com", ("precomputed", "https", None, "", "https://a.com", None)),
    ("https://a.com/b?x=y", ("precomputed", "https", None, "b?x=y", "https://a.com", None)),
    ("mem://b/c", ("precomputed", "mem", "b", "c", None, None)),
    ("matrix://bucket/x", ("precomputed", "s3", "bucket", "x", "https://s3-hpcrc.rc.princeton.edu", "matrix")),
    ("tigerdata://b/x", ("precomputed", "s3", "b", "x", "https://td.princeton.edu", "tigerdata")),
    ("nokura://b/x", ("precomputed", "s3", "b", "x", "https://c10s.pni.princeton.edu", "nokura")),
    ("precomputed://gs://b/x", ("precomputed", "gs", "b", "x", None, None)),
    ("precomputed://https://x.com/y", ("precomputed", "https", None, "y", "https://x.com", None)),
    ("graphene://https://x.com/t", ("graphene", "https", None, "t", "https://x.com", None)),
    (
        "graphene://middleauth+https://x.com/t",
        ("graphene", "middleauth+https", None, "t", "https://x.com", None),
    ),
    ("middleauth+https://x.com/t", ("precomputed", "middleauth+https", None, "t", "https://x.com", None)),
    ("zarr://gs://b/x", ("zarr", "gs", "b", "x", None, None)),
    ("zarr2://s3://b/x", ("zarr2", "s3", "b", "x", None, None)),
    ("zarr3://file:///tmp/z", ("zarr3", "file", None, "/tmp/z", None, None)),
    ("n5://matrix://b/x", ("n5", "s3", "b", "x", "https://s3-hpcrc.rc.princeton.edu", "matrix")),
    ("gs://b/x|zarr2:", ("zarr2", "gs", "b", "x", None, None)),
    ("gs://b/x/|neuroglancer-precomputed:", ("precomputed", "gs", "b", "x/", None, None)),
    ("s3://https://h/b/|n5:", ("n5", "s3", "b", "", "https://h", None)),
    ("gs://b/x|unknown:", ("precomputed", "gs", "b", "x|unknown:", None, None)),
    ("az://container/x", ("precomputed", "az", "container", "x", None, None)),
    ("sqlite:///tmp/x.db/k", ("precomputed", "sqlite", "/tmp/x.db", "k", None, None)),
    ("", ("", "", "", "", "", "")),
]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home directory, and no aliases of this process but those of the test."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(aliases, "_of_this_process", {})
    return tmp_path


@pytest.mark.parametrize(("written", "fields"), TABLE)
def test_a_path_is_taken_apart_into_six_fields(written, fields):
    found = extract(written)
    assert tuple(found) == fields
    assert found._fields == ("format", "protocol", "bucket", "path", "host", "alias")


@pytest.mark.parametrize("written", [row[0] for row in TABLE if row[0]])
def test_a_path_that_is_put_together_again_says_the_same(written):
    parts = extract(written)
    assert extract(paths.ascloudpath(parts)) == parts
    assert extract(normalize(written)) == parts


@pytest.mark.parametrize(("written", "local"), [("file://./rel", "rel"), ("file://rel/x", "rel/x"), ("file://", "")])
def test_relative_local_paths_belong_to_the_working_directory(written, local, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert extract(written).path == str(tmp_path / local)


def test_a_tilde_is_the_home_directory(home):
    assert extract("file://~/x").path == f"{home}/x"
    assert normalize("~/x") == f"file://{home}/x"


@pytest.mark.parametrize(("windows", "path"), [(True, "C:/x"), (False, "/C:/x"), (None, "/C:/x")])
def test_drives_are_drives_on_windows(windows, path):
    assert extract("file:///C:/x", windows=windows).path == path


@pytest.mark.parametrize(
    "wrong",
    ["/tmp/abs", "rel/x", ".", "ftp://x/", "gs:/b/x", "precomputed://", "gs://", "boss://collection/x", "s3+x://h/b"],
)
def test_what_names_no_known_protocol_is_refused(wrong):
    with pytest.raises(ConfigError):
        extract(wrong)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("gs://b/x", "gs://b/x"),
        ("gs://b/x|zarr2:", "zarr2://gs://b/x"),
        ("gs://b/x/|neuroglancer-precomputed:", "gs://b/x/"),
        ("precomputed://gs://b/x", "precomputed://gs://b/x"),
        ("matrix://b/x", "matrix://b/x"),
        ("middleauth+https://x.com/t", "middleauth+https://x.com/t"),
        ("/tmp/x/", "file:///tmp/x/"),
        ("/", "file:///"),
    ],
)
def test_normal_paths(written, normal):
    assert normalize(written) == normal


@pytest.mark.parametrize("wrong", ["", "ftp://x/", "gs:/b/x", "precomputed://"])
def test_an_unknown_protocol_never_becomes_a_local_directory(wrong):
    with pytest.raises(ConfigError):
        normalize(wrong)


def test_the_other_forms_of_a_path():
    parts = extract("zarr2://matrix://b/x/y")
    assert paths.ascloudpath(parts) == "zarr2://matrix://b/x/y"
    assert paths.asprotocolpath(parts) == "matrix://b/x/y"
    assert paths.asbucketpath(parts) == paths.asbucketpath("zarr2://matrix://b/x/y") == "zarr2://matrix://b"
    assert paths.asbucketpath("file:///tmp/x") == "precomputed://file://"
    assert paths.asbucketpath("https://a.com/x") == "precomputed://https://a.com"
    assert paths.asfilepath(extract("file:///tmp/x")) == "/tmp/x"
    with pytest.raises(ValueError, match="not a local path"):
        paths.asfilepath("gs://b/x")
    assert paths.get_protocol("precomputed://matrix://b/x") == "matrix"
    assert paths.get_protocol("/tmp/x") is None
    assert paths.basename("gs://b/x/y") == "y"
    assert paths.dirname("gs://b/x/y") == "gs://b/x"


@pytest.mark.parametrize(
    ("written", "public"),
    [
        ("gs://b/x", "https://storage.googleapis.com/b/x"),
        ("s3://b/x/y", "https://s3.amazonaws.com/b/x/y"),
        ("s3://https://h/b/x", "https://h/b/x"),
        ("matrix://b/x", "https://s3-hpcrc.rc.princeton.edu/b/x"),
        ("file:///tmp/x", "file:///tmp/x"),
        ("https://a.com/x", "https://a.com/x"),
    ],
)
def test_public_objects_have_an_address_on_the_web(written, public):
    assert paths.asprotocolpath(paths.to_https_protocol(written)) == public


def test_requests_are_grouped_by_bucket():
    found = paths.find_common_buckets(
        ["gs://b/x", {"path": "gs://b/y/z", "start": 1, "end": 5, "tags": 7}, "file:///tmp/a"]
    )
    assert found == {
        "precomputed://gs://b": [
            {"path": "x", "start": None, "end": None},
            {"path": "y/z", "start": 1, "end": 5, "tags": 7},
        ],
        "file:///tmp": [{"path": "a", "start": None, "end": None}],
    }
    assert paths.find_common_buckets({"path": "mem://b/k", "byte_range": (2, 3)}) == {
        "precomputed://mem://b": [{"path": "k", "start": 2, "end": 3}]
    }


# ---------------------------------------------------------------------- aliases
def test_an_alias_of_this_process_works_everywhere_a_location_does():
    aliases.add_alias("lab", "mem://lab-bucket/data")
    CloudFiles("mem://lab-bucket/data/run1").put("a", b"1")
    assert CloudFiles("lab://run1").get("a") == b"1"
    aliases.add_alias("minio", "s3://https://minio.example:9000/")
    assert tuple(extract("minio://bucket/x"))[1:] == ("s3", "bucket", "x", "https://minio.example:9000", "minio")
    aliases.remove_alias("minio")
    with pytest.raises(ConfigError, match="unknown scheme"):
        extract("minio://bucket/x")


def test_a_persistent_alias_is_in_the_file_that_other_programs_share(home):
    aliases.add_persistent_alias("per", "s3://https://per.example/")
    stored = json.loads((home / ".cloudfiles" / "aliases.json").read_text())
    assert stored == {"per": {"host": "s3://https://per.example/"}}
    assert extract("per://b/x").host == "https://per.example"
    (home / ".cloudfiles" / "aliases.json").write_text('{"other": {"host": "s3://https://other.example/"}}')
    os.utime(home / ".cloudfiles" / "aliases.json", (1, 1))
    assert extract("other://b/x").alias == "other"
    aliases.remove_persistent_alias("other")
    with pytest.raises(ConfigError, match="unknown scheme"):
        extract("other://b/x")
    aliases.remove_persistent_alias("never-there")


def test_this_process_comes_before_the_file_and_the_file_before_what_is_built_in(home):
    aliases.add_persistent_alias("matrix", "s3://https://file.example/")
    assert extract("matrix://b/x").host == "https://file.example"
    aliases.add_alias("matrix", "s3://https://process.example/")
    assert extract("matrix://b/x").host == "https://process.example"
    assert aliases.known()["nokura"] == "s3://https://c10s.pni.princeton.edu/"


def test_no_alias_is_lost_when_many_are_added_at_once():
    threads = [
        threading.Thread(target=aliases.add_persistent_alias, args=(f"alias{n}", "s3://https://h/")) for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {f"alias{n}" for n in range(12)} <= aliases.known().keys()


@pytest.mark.parametrize(("name", "host"), [("A b", "s3://https://h/"), ("x", "s3://https://h/"), ("ok", "no-host")])
def test_what_cannot_be_an_alias_is_refused(name, host):
    with pytest.raises(ConfigError, match="alias"):
        aliases.add_alias(name, host)


def test_a_scheme_is_never_an_alias_and_aliases_do_not_chain():
    aliases.add_alias("gs", "s3://https://trap.example/")
    assert extract("gs://b/x").protocol == "gs"
    aliases.add_alias("one", "two://x/")
    aliases.add_alias("two", "one://x/")
    with pytest.raises(ConfigError, match="unknown scheme"):
        extract("one://b")


def test_a_broken_alias_file_is_named(home):
    (home / ".cloudfiles").mkdir()
    (home / ".cloudfiles" / "aliases.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"aliases\.json"):
        extract("lab://b/x")
