"""The same commands on Google Cloud Storage (the fake) and Azure (Azurite): trees, counts, names, logins."""

from __future__ import annotations

import gzip

import pytest

from holdfast import CloudFiles

from .conftest import TREE, Place

AWKWARD = ("a b", "a%20b", "a#b?c", "a+b&c=d", "ü/é", "\U0001f600")


class Cloud(Place):
    """An empty bucket, and what is in it as the server itself tells."""

    def __init__(self, base, server, bucket):
        super().__init__(base)
        self.server, self.bucket = server, bucket

    @property
    def truth(self):
        return self.server.objects(self.bucket)

    def another(self):
        make = getattr(self.server, "make_bucket", None) or self.server.make_container
        bucket = make()
        return Cloud(self.base.removesuffix(self.bucket) + bucket, self.server, bucket)


@pytest.fixture
def gs(gcs, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.endpoint)
    monkeypatch.setattr(gcs, "accepts", lambda token: token == "anonymous")
    bucket = gcs.make_bucket()
    return Cloud(f"gs://{bucket}", gcs, bucket)


@pytest.fixture
def az(azurite, monkeypatch):
    for name, value in azurite.environment.items():
        monkeypatch.setenv(name, value)
    container = azurite.make_container()
    return Cloud(azurite.url(container), azurite, container)


@pytest.fixture(params=["gs", pytest.param("az", marks=pytest.mark.server)])
def cloud(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("command", ["sync", "mv", "diff", "cp -r"])
def test_a_missing_target_bucket_has_a_code_and_a_cure_of_its_own(holdfast, cloud, folder, command):
    folder.put({"a": b"1"})
    missing = f"{cloud.base.removesuffix(cloud.bucket)}there-is-none"
    result = holdfast(*command.split(), folder.base, f"{missing}/x")
    assert (result.code, result.err.count("\n"), folder.objects) == (5, 1, {"a": b"1"})
    assert "make it first (" in result.err
    assert "there-is-none)" in result.err
    assert holdfast(*command.split(), f"{missing}/x", folder / "new").code == 4


def test_a_tree_goes_up_and_comes_back(holdfast, cloud, folder, tmp_path):
    folder.put(TREE)
    up = holdfast("cp", "-r", "--json", folder.base, cloud / "x")
    assert (up.code, len(up.rows)) == (0, len(TREE) + 1)
    assert cloud.truth == {f"x/{key}": data for key, data in TREE.items()}
    assert holdfast("verify", folder.base, cloud / "x").code == 0
    assert holdfast("cp", "-r", cloud / "x/run1", tmp_path / "back").code == 0
    assert Place(tmp_path / "back").objects == {"a": b"one", "sub/b": b"two!"}
    assert holdfast("rm", "-r", cloud / "x/run1").code == 0
    assert sorted(cloud.truth) == ["x/run1-", "x/run1.txt", "x/run10/a"]


def test_a_location_is_looked_at(holdfast, cloud):
    cloud.put(TREE)
    assert holdfast("ls", cloud.base).lines == ["run1-", "run1.txt", "run1/", "run10/"]
    assert sorted(holdfast("ls", "-r", cloud / "run1").lines) == ["a", "sub/b"]
    assert holdfast("cat", cloud / "run1/a").out == "one"
    (row,) = holdfast("du", "--json", cloud / "run1").rows
    assert (row["count"], row["bytes"]) == (2, 7)
    assert holdfast("head", cloud / "run1/sub/b").code == 0
    assert holdfast("head", cloud / "run1/x").code == 4


def test_differences_are_counted(holdfast, cloud, folder):
    cloud.put({"x/same": b"1", "x/other": b"22", "x/theirs": b"3"})
    folder.put({"same": b"1", "other": b"33", "mine": b"4"})
    found = holdfast("verify", "--json", folder.base, cloud / "x")
    assert found.code == 1
    *differences, summary = found.rows
    told = {row["key"]: row["status"] for row in differences}
    assert told == {"mine": "missing", "theirs": "extra", "other": "different"}
    assert [summary[name] for name in ("same", "different", "missing", "extra", "failed")] == [1, 1, 1, 1, 0]


def test_awkward_names(holdfast, cloud, folder):
    folder.put({key: key.encode() for key in AWKWARD})
    assert holdfast("cp", "-r", folder.base, cloud / "x").code == 0
    assert cloud.truth == {f"x/{key}": key.encode() for key in AWKWARD}
    assert holdfast("cp", cloud / "x/a#b?c", cloud / "copy of a#b?c").code == 0
    assert cloud.truth["copy of a#b?c"] == b"a#b?c"
    assert holdfast("rm", "-r", cloud / "x").code == 0
    assert sorted(cloud.truth) == ["copy of a#b?c"]


def test_between_buckets_and_clouds(holdfast, cloud, folder):
    cloud.put(TREE)
    other = cloud.another()
    assert holdfast("cp", "-r", cloud / "run1", other / "copy").code == 0
    assert other.truth == {"copy/a": b"one", "copy/sub/b": b"two!"}
    assert holdfast("cp", "-r", cloud / "run1", cloud / "run2").code == 0
    assert holdfast("verify", cloud / "run1", cloud / "run2").code == 0


@pytest.mark.server
def test_from_one_cloud_to_the_other(holdfast, gs, az):
    gs.put(TREE)
    assert holdfast("cp", "-r", gs / "run1", az / "copy").code == 0
    assert az.truth == {"copy/a": b"one", "copy/sub/b": b"two!"}
    assert holdfast("cp", "-r", az / "copy", gs / "back").code == 0
    assert holdfast("verify", gs / "run1", gs / "back").code == 0


def test_many_files(cloud):
    files = CloudFiles(cloud / "run")
    files.puts(((f"{n:03}.json", b'{"n": %d}' % n) for n in range(200)), compress="gzip")
    assert gzip.decompress(cloud.truth["run/007.json"]) == b'{"n": 7}'
    assert files.get("007.json") == b'{"n": 7}'
    assert files["007.json", 0:4] == b'{"n"'
    assert [row["content"] for row in files.get(["001.json", "no"])] == [b'{"n": 1}', None]
    assert sorted(files.list()) == [f"{n:03}.json" for n in range(200)]
    assert files.exists(["001.json", "no"]) == {"001.json": True, "no": False}
    files.delete([f"{n:03}.json" for n in range(1, 200)])
    assert sorted(cloud.truth) == ["run/000.json"]


def test_a_missing_bucket_is_named(holdfast, cloud):
    missing = f"{cloud.base.removesuffix(cloud.bucket)}not-there"
    for command in (("ls",), ("ls", "-r"), ("cat",), ("du",), ("rm", "-r")):
        found = holdfast(*command, f"{missing}/x")
        assert (found.code, "bucket" in found.err) == (4, True), (command, found)


def test_a_public_bucket_needs_no_credentials(holdfast, gcs, azurite, monkeypatch):
    bucket, container = gcs.make_bucket(public=True), azurite.make_container(public=True)
    gcs.put(bucket, "key", b"data")
    azurite.put(container, "key", b"data")
    for location in (gcs.url(bucket), azurite.url(container)):
        assert holdfast("cat", f"{location}/key").code == 1
        assert holdfast("cat", "--anonymous", f"{location}/key").out == "data"
    plain = f"gs://{bucket}/key"
    assert holdfast("cat", "--anonymous", "--endpoint", gcs.endpoint, plain).out == "data"
