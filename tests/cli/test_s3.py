"""What only a service can show: endpoints, missing buckets, both directions, awkward names."""

from __future__ import annotations

import os

import pytest

from .conftest import TREE, Place


@pytest.fixture
def s3(moto, monkeypatch):
    """An empty bucket that is found through its address alone."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto.secret_key)
    monkeypatch.setenv("AWS_REGION", moto.region)
    return Place(moto.url(moto.make_bucket()))


def keys(moto, place):
    rows = moto.client().list_objects_v2(Bucket=place.base.rpartition("/")[2]).get("Contents", [])
    return sorted(row["Key"] for row in rows)


def test_a_tree_goes_up_and_comes_back(holdfast, moto, s3, folder, tmp_path):
    folder.put(TREE)
    assert holdfast("cp", "-r", folder.base, s3 / "x").code == 0
    assert keys(moto, s3) == sorted(f"x/{key}" for key in TREE)
    assert holdfast("verify", folder.base, s3 / "x").code == 0
    assert holdfast("cp", "-r", s3 / "x/run1", tmp_path / "back").code == 0
    assert Place(tmp_path / "back").objects == {"a": b"one", "sub/b": b"two!"}
    assert holdfast("rm", "-r", s3 / "x/run1").code == 0
    assert keys(moto, s3) == ["x/run1-", "x/run1.txt", "x/run10/a"]


def test_between_buckets(holdfast, moto, s3):
    other = Place(moto.url(moto.make_bucket()))
    s3.put(TREE)
    assert holdfast("cp", "-r", s3 / "run1", other / "copy").code == 0
    assert keys(moto, other) == ["copy/a", "copy/sub/b"]
    assert holdfast("cp", "-r", s3 / "run1", s3 / "run2").code == 0
    assert holdfast("verify", s3 / "run1", s3 / "run2").code == 0


def test_the_endpoint_as_an_option(holdfast, moto, s3):
    s3.put(TREE)
    plain = "s3://" + s3.base.rpartition("/")[2]
    assert holdfast("ls", "-r", "--endpoint", moto.endpoint, plain + "/run1").lines == ["a", "sub/b"]


def test_anonymous_needs_no_credentials(holdfast, moto, s3, monkeypatch):
    s3.put(TREE)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert holdfast("ls", s3 / "run1").code == 1
    assert holdfast("ls", "-r", "--anonymous", s3 / "run1").lines == ["a", "sub/b"]


@pytest.mark.parametrize(
    "arguments", [["ls", "B"], ["cat", "B/x"], ["du", "B/x"], ["rm", "-r", "B/x/"], ["cp", "-r", "B", "t"]]
)
def test_a_missing_bucket_is_said_once_and_exit_4(holdfast, moto, s3, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nowhere = moto.url("there-is-no-such-bucket")
    result = holdfast(*(text.replace("B", nowhere) for text in arguments))
    assert (result.code, result.out) == (4, "")
    assert result.err.count("\n") == 1
    assert "there-is-no-such-bucket" in result.err


def test_a_missing_target_bucket_is_said_once_not_for_every_object(holdfast, moto, s3, folder):
    folder.put({str(number): b"x" for number in range(100)})
    result = holdfast("cp", "-r", folder.base, moto.url("there-is-no-such-bucket"))
    assert (result.code, result.err.count("\n")) == (5, 1)


@pytest.mark.parametrize("command", ["sync", "mv", "diff", "cp", "sync one", "mv one", "diff one"])
def test_a_missing_target_bucket_has_a_code_and_a_cure_of_its_own(holdfast, moto, s3, folder, command):
    name, one = command.partition(" ")[::2]
    folder.put({"a": b"1", "b": b"2"})
    source = folder / "a" if one or name == "cp" else folder.base
    result = holdfast(name, "--json", source, moto.url("there-is-no-such-bucket") + "/x")
    assert (result.code, result.err.count("\n"), folder.objects) == (5, 1, {"a": b"1", "b": b"2"})
    assert "make it first (aws s3 mb s3://there-is-no-such-bucket)" in result.err
    assert (result.rows[-1]["status"], "no such bucket" in result.rows[-1]["error"]) == ("summary", True)
    assert result.rows[-1].get("exit_code", 5) == 5


@pytest.mark.parametrize("command", ["sync", "mv", "diff"])
def test_a_missing_source_bucket_is_nothing_there_also_where_the_target_is_in_it(holdfast, moto, s3, tmp_path, command):
    nowhere = moto.url("there-is-no-such-bucket")
    for target in (f"{nowhere}/two", tmp_path / "two"):
        assert holdfast(command, f"{nowhere}/one", target).code == 4


def test_directory_markers_made_by_a_console(holdfast, moto, s3, tmp_path):
    bucket = s3.base.rpartition("/")[2]
    for key in ("run1/", "run1/empty/", "run1/a"):
        moto.client().put_object(Bucket=bucket, Key=key, Body=b"x" if key.endswith("a") else b"")
    assert sorted(holdfast("ls", s3 / "run1").lines) == ["a", "empty/"]
    assert holdfast("du", s3 / "run1").lines[0].split()[:2] == ["1", "1"]
    assert holdfast("cp", "-r", s3 / "run1", tmp_path / "x").code == 0
    assert Place(tmp_path / "x").objects == {"a": b"x"}
    assert holdfast("verify", s3 / "run1", tmp_path / "x").code == 0


@pytest.mark.parametrize("hostile", ["../escaped", "a/../../escaped", "/absolute", "a//b"])
def test_hostile_names_in_a_bucket_write_nothing_outside(holdfast, moto, s3, tmp_path, hostile):
    bucket = s3.base.rpartition("/")[2]
    moto.client().put_object(Bucket=bucket, Key=f"run1/{hostile}", Body=b"evil")
    s3.put({"run1/good": b"fine"})
    result = holdfast("cp", "-r", s3 / "run1", tmp_path / "deep/target")
    assert result.code == 1
    assert result.err.count("\n") == 1
    files = {os.path.relpath(path, tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert {path for path in files if ".holdfast" not in path} <= {"deep/target/good"}
