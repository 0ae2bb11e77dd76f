"""holdfast doctor: what it finds is true of the servers that we know, and it leaves nothing behind."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from holdfast import open_store, register
from holdfast.cli.checks import CHECKS
from holdfast.cli.doctor import SCRATCH
from holdfast.stores.memory import MemoryStore
from tests.user_stores import FiveMethods

from .conftest import Place

EVERYTHING = ["write and read", *CHECKS]


def verdicts(result):
    return {row["check"]: row["verdict"] for row in result.rows if "check" in row}


@pytest.fixture
def s3(request, monkeypatch):
    """A bucket that holds one object, and how to see all of it."""
    server = request.getfixturevalue(request.param)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOLDFAST_RETRY_WAIT", "0")
    bucket = f"doctor-{os.getpid()}-{request.param.partition('_')[0]}"
    if bucket not in [row["Name"] for row in server.client().list_buckets()["Buckets"]]:
        server.make_bucket(bucket)
    place = Place(f"s3://{bucket}")
    server.client().put_object(Bucket=bucket, Key="mine", Body=b"untouched")
    yield place
    rows = server.client().list_objects_v2(Bucket=bucket)["Contents"]
    assert [row["Key"] for row in rows] == ["mine"]
    assert not server.client().list_multipart_uploads(Bucket=bucket).get("Uploads")


# What each server lacks, and nothing else.
KNOWN = {
    "moto": {"large if match"},  # it obeys the one condition on Complete, and not the other
    "ceph": {"delete if match", "large if match"},
    "rclone_s3": {"create", "replace if match", "delete if match", "large if match", "ranges", "awkward keys"},
}


@pytest.mark.server
@pytest.mark.parametrize("s3", KNOWN, indirect=True)
@pytest.mark.parametrize("below", ["", "/some/where"])
def test_each_server_lacks_what_it_is_known_to_lack(holdfast, request, s3, below):
    result = holdfast("doctor", "--json", f"{s3.base}{below}")
    found = verdicts(result)
    assert list(found) == EVERYTHING
    server = request.node.callspec.params["s3"]
    assert {check for check, verdict in found.items() if verdict != "works"} == KNOWN[server], result.out
    assert result.code == (1 if "wrong" in found.values() else 0)
    assert result.rows[-1]["status"] == "summary"
    assert result.rows[-1]["location"] == f"{s3.base}{below}"


@pytest.mark.parametrize("kind", ["bucket", "folder"])
def test_stores_of_our_own_do_all_they_promise(holdfast, request, kind):
    place = request.getfixturevalue(kind)
    place.put({"mine": b"untouched"})
    before = sorted(os.listdir(place.base)) if kind == "folder" else []
    result = holdfast("doctor", "--json", place.base)
    assert result.code == 0
    assert "wrong" not in verdicts(result).values()
    assert place.objects == {"mine": b"untouched"}
    assert kind == "bucket" or sorted(os.listdir(place.base)) == before


@pytest.mark.server
@pytest.mark.parametrize("s3", ["moto"], indirect=True)
def test_uploads_that_were_never_completed_are_counted(holdfast, moto, s3):
    def told():
        return {row["check"]: row["detail"] for row in holdfast("doctor", "--json", s3.base).rows if "check" in row}

    bucket = s3.base.rpartition("/")[2]
    assert told()["pending uploads"] == "none was begun and not completed"
    upload = moto.client().create_multipart_upload(Bucket=bucket, Key="large")["UploadId"]
    try:
        assert told()["pending uploads"].startswith("1 were begun and not completed ('holdfast uploads' shows them)")
    finally:
        moto.client().abort_multipart_upload(Bucket=bucket, Key="large", UploadId=upload)


def test_a_store_of_five_methods_lacks_what_cannot_be_emulated(holdfast):
    objects = {}

    class Five(FiveMethods):
        def __init__(self):
            super().__init__(objects)  # one for all that the command opens

        def keys(self):
            return iter(sorted(self.objects))

    register("five", Five)
    result = holdfast("doctor", "--json", "five://")
    found = verdicts(result)
    lacks = {check for check, verdict in found.items() if verdict == "lacks"}
    assert {"attributes", "create", "replace if match", "delete if match", "server-side copy"} <= lacks
    assert "wrong" not in found.values()
    assert not objects


class Overwriting(MemoryStore):
    """A store that takes options and ignores them."""

    def _write(self, key, body, options=None):
        return super()._write(key, body)


def test_a_store_that_ignores_what_it_is_told_is_found_out(holdfast):
    register("overwriting", Overwriting)
    result = holdfast("doctor", "--json", "overwriting://x")
    found = verdicts(result)
    assert result.code == 1
    assert {check for check, verdict in found.items() if verdict == "wrong"} == {
        "attributes",
        "create",
        "replace if match",
    }
    assert list(open_store("overwriting://x").keys()) == []


def test_a_web_server_is_not_written(holdfast, nginx):
    result = holdfast("doctor", nginx.url if hasattr(nginx, "url") else f"http://127.0.0.1:{nginx.port}/")
    assert result.code == 1
    assert "web servers are read" in result.out
    assert result.err == ""


#: What can be found out about a store without writing, where all of it works.
READABLE = {"read": "works", "ranges": "works", "exact listing": "works"}


def assert_examined_by_reading(result, first, readable):
    found = verdicts(result)
    assert list(found) == ["write and read", "read", *CHECKS]
    assert found.pop("write and read") == first
    assert {name: verdict for name, verdict in found.items() if verdict != "unknown"} == readable
    details = {row["check"]: row["detail"] for row in result.rows if "check" in row}
    assert details["create"] == "needs write access to be tried"
    assert result.code == 0
    assert result.err == ""


@pytest.mark.server
@pytest.mark.parametrize("cloud", ["gs", "az"])
def test_a_bucket_that_may_only_be_read_is_examined_by_reading(holdfast, request, cloud, monkeypatch):
    monkeypatch.setenv("HOLDFAST_RETRY_WAIT", "0")
    if cloud == "gs":
        server = request.getfixturevalue("gcs")
        name = server.make_bucket(public=True)
    else:
        server = request.getfixturevalue("azurite")
        name = server.make_container(public=True)
    sorts = {} if cloud == "gs" else {"exact listing": "lacks"}  # Azurite's are in no order
    for key in ("run1/a", "run1/b", "run10"):
        server.put(name, key, b"0123456789")
    before = server.objects(name)
    for below in ("", "/run1", "/run1/a"):
        result = holdfast("doctor", "--json", "--anonymous", f"{server.url(name)}{below}")
        assert_examined_by_reading(result, "unknown", READABLE | sorts)
    assert server.objects(name) == before


@pytest.mark.server
@pytest.mark.parametrize("cloud", ["gs", "az"])
def test_clouds_do_all_they_promise_and_are_left_as_they_were(holdfast, request, cloud, monkeypatch):
    if cloud == "gs":
        server = request.getfixturevalue("gcs")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.endpoint)
        monkeypatch.setattr(server, "accepts", lambda token: token == "anonymous")
        name = server.make_bucket()
        location = f"gs://{name}"
    else:
        server = request.getfixturevalue("azurite")
        for variable, value in server.environment.items():
            monkeypatch.setenv(variable, value)
        name = server.make_container()
        location = server.url(name)
    server.put(name, "mine", b"untouched")
    result = holdfast("doctor", "--json", f"{location}/scratch")
    found = verdicts(result)
    assert list(found) == EVERYTHING
    assert "wrong" not in found.values(), result.out
    assert [found[name] for name in ("create", "replace if match", "delete if match")] == ["works"] * 3
    assert found["awkward keys"] == "lacks"
    details = {row["check"]: row["detail"] for row in result.rows if "check" in row}
    assert found["digests"] == "works"
    assert "CRC32C" in details["digests"]
    assert ("MD5" in details["digests"]) is (cloud == "gs")
    assert found["large if match"] == "lacks"
    assert "256 MiB" in details["large if match"]
    assert result.code == 0
    assert server.objects(name) == {"mine": b"untouched"}


@pytest.mark.server
def test_an_object_on_a_web_server_is_read(holdfast, nginx):
    (nginx.root / "doctor").mkdir()
    (nginx.root / "doctor" / "file").write_bytes(b"0123456789")
    result = holdfast("doctor", "--json", f"{nginx.endpoint}/doctor/file")
    assert_examined_by_reading(result, "lacks", {"read": "works", "ranges": "works", "exact listing": "lacks"})
    found = holdfast("doctor", f"{nginx.endpoint}/doctor/missing")
    assert found.code == 1
    assert "give the location of one" in found.out


@pytest.mark.server
def test_a_missing_bucket_or_login_is_one_line(holdfast, moto, monkeypatch):
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    result = holdfast("doctor", "s3://there-is-no-such-bucket")
    assert (result.code, result.err.count("\n")) == (4, 1)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    result = holdfast("doctor", "s3://bucket")
    assert result.code == 1


def test_on_a_terminal_lines_are_wrapped_under_their_column(tmp_path):
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": "60"}
    command = [sys.executable, "-m", "holdfast", "doctor", str(tmp_path)]
    with subprocess.Popen(command, stdout=follower, env=environment) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                piece = os.read(leader, 4096)
            except OSError:
                break
            if not piece:
                break
            shown += piece
    os.close(leader)
    assert process.returncode == 0
    lines = shown.decode().splitlines()
    assert lines[0] == str(tmp_path)
    assert all(len(line) <= 60 for line in lines[1:])
    assert sum(line.startswith("   ") for line in lines) > 3
    assert not [name for name in os.listdir(tmp_path) if name.startswith(SCRATCH)]
