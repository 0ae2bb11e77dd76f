"""Databases, archives, hashed directories and Redis on the command line, and under CloudFiles."""

from __future__ import annotations

import pytest

from holdfast import CloudFiles

from .conftest import TREE


@pytest.fixture
def tree(tmp_path):
    for key, data in TREE.items():
        path = tmp_path / "tree" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "tree"


@pytest.fixture(params=["zip", "sqlite", pytest.param("redis", marks=pytest.mark.server)])
def container(request, tmp_path):
    if request.param == "redis":
        client = pytest.importorskip("redis").Redis.from_url(request.getfixturevalue("redis").endpoint)
        client.flushdb()
        client.close()
        return f"{request.getfixturevalue('redis').endpoint}/"
    return {"zip": f"zip://{tmp_path}/x.zip/", "sqlite": f"sqlite://{tmp_path}/x.db/"}[request.param]


def test_a_tree_goes_in_and_comes_out(holdfast, container, tree, tmp_path):
    assert holdfast("cp", "-r", tree, container.rstrip("/")).code == 0
    assert sorted(holdfast("ls", "-r", container).lines) == sorted(TREE)
    assert sorted(holdfast("ls", container).lines) == ["run1-", "run1.txt", "run1/", "run10/"]
    assert holdfast("cat", f"{container}run1/sub/b").out == "two!"
    assert holdfast("verify", tree, container).code == 0
    assert holdfast("cp", "-r", f"{container}run1", tmp_path / "out").code == 0
    assert (tmp_path / "out/a").read_bytes() == b"one"
    assert not (tmp_path / "out/run10").exists()
    rows = holdfast("cp", "--json", "-r", f"{container}run1/sub", tmp_path / "out2").rows
    assert rows[0]["source"] == f"{container}run1/sub/b"
    assert holdfast("head", f"{container}run1/a").code == 0
    assert holdfast("du", container).code == 0


def test_what_an_archive_cannot_do_is_said(holdfast, tree, tmp_path):
    archive = f"zip://{tmp_path}/x.zip"
    assert holdfast("cp", "-r", tree, archive).code == 0
    again = holdfast("cp", "-r", tree, archive)
    assert again.code != 0
    assert "already" in again.err
    removed = holdfast("rm", f"{archive}/run1/a")
    assert removed.code != 0
    assert "members of an archive stay" in removed.err
    assert holdfast("cat", f"{archive}/run1/a").out == "one"
    assert holdfast("ls", f"zip://{tmp_path}/missing.zip").code == 0


def test_a_doctor_leaves_nothing_in_an_archive(holdfast, tree, tmp_path):
    archive = f"zip://{tmp_path}/x.zip"
    assert holdfast("cp", "-r", tree, archive).code == 0
    examined = holdfast("doctor", archive)
    assert "members of an archive stay" in examined.out
    assert sorted(holdfast("ls", "-r", archive).lines) == sorted(TREE)
    assert holdfast("doctor", f"sqlite://{tmp_path}/x.db").code == 0
    assert holdfast("ls", f"sqlite://{tmp_path}/x.db").out == ""


def test_an_object_of_a_hashed_directory_has_two_slashes(holdfast, tree, tmp_path):
    place = f"hashdir://{tmp_path}/hashed"
    assert holdfast("cp", "-r", tree, place).code == 0
    assert holdfast("cat", f"{place}//run1/a").out == "one"
    listed = holdfast("ls", place)
    assert listed.code != 0
    assert "its files tell no keys" in listed.err


@pytest.mark.parametrize("place", ["zip://{}/x.zip", "sqlite://{}/x.db", "hashdir://{}/tree"])
def test_cloudfiles_reach_them_and_compress(tmp_path, place):
    files = CloudFiles(place.format(tmp_path))
    wanted = {f"d/{number}": b"%d" % number * 100 for number in range(30)}
    assert files.puts(list(wanted.items()), compress="gzip") == 30
    assert files.get(list(wanted), return_dict=True) == wanted
    assert files.get("missing") is None
    assert files.exists(["d/1", "d/99"]) == {"d/1": True, "d/99": False}
    if not place.startswith("hashdir"):
        assert sorted(files.list("d/1")) == sorted(key for key in wanted if key.startswith("d/1"))
