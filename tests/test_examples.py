"""The examples run as they are; what the demonstration would say if something were wrong is shown by breaking it."""

from __future__ import annotations

import gzip
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from examples import demo, photos
from holdfast import CloudFiles

PROJECT = Path(__file__).resolve().parent.parent
EXAMPLES = PROJECT / "examples"
ARGUMENTS = {"demo": ("--chunks", "100")}
#: Examples that have a test of their own, because they need a server.
SERVED = {"async_bucket", "photos", "s3_to_disk"}


def run(name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"examples.{name}", *arguments]
    environment = {**os.environ, "COLUMNS": "100", **variables}
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=100)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({path.stem for path in EXAMPLES.glob("[!_]*.py")} - SERVED))
def test_an_example_runs_and_says_what_it_did(name):
    done = run(name, *ARGUMENTS.get(name, ()))
    assert (done.returncode, done.stderr) == (0, "")
    expected = {
        "demo": "identical\n",
        "five_methods": "listed: 1000",
        "counter": "the counter is at 200; 200 different values",
        "object_stores": "archive: AlreadyExists; still b'my object data'\na missing key is a KeyError everywhere",
        "stores_from_yaml": "awaited: b'my object data'\nbucket_store: s3://http://test/defaultbucket",
        "shared_scores": "ada: 100, grace: 100\nrefused: 'ada'",
        "push_paths": "ROOT/home/foo/bar with the prefix ROOT/home/foo -> base/bar\n",
    }
    assert expected[name] in done.stdout


def test_the_copy_from_s3_to_disk_copies_everything(moto, tmp_path):
    bucket = moto.make_bucket()
    bodies = {f"run1/{number}": b"%d" % number for number in range(20)}
    for key, body in {**bodies, "run10/no": b"not below run1"}.items():
        moto.client().put_object(Bucket=bucket, Key=key, Body=body)
    done = run("s3_to_disk", moto.url(bucket, "run1"), f"file://{tmp_path}", **moto.environment)
    assert (done.returncode, done.stdout) == (0, "20 objects copied, 30 bytes; 0 failed\n"), done.stderr
    found = {f"run1/{path.name}": path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert found == bodies


def test_a_bucket_is_awaited(moto):
    bucket = moto.make_bucket()
    done = run("async_bucket", moto.endpoint, bucket, **moto.environment)
    assert (done.returncode, done.stderr) == (0, "")
    answer = "100 objects written, read, listed and deleted; there are ['my_object_key']"
    assert done.stdout.splitlines() == ["b'my object data'", answer]
    assert moto.client().get_object(Bucket=bucket, Key="my_object_key")["Body"].read() == b"my object data"


@pytest.fixture(params=["moto", "ceph"])
def s3(request):
    return request.getfixturevalue(request.param)


@pytest.mark.server
def test_a_mirrored_cached_compressed_bucket_is_built_in_python_and_yaml_called_and_awaited(s3, azurite, tmp_path):
    bucket, container = s3.make_bucket(), azurite.make_container()
    variables = {**s3.environment, **azurite.environment, "CACHE_DIR": str(tmp_path / "cache")}
    done = run("photos", S3_URL=s3.url(bucket), AZURE_URL=azurite.url(container), **variables)
    assert (done.returncode, done.stderr) == (0, "")
    answer = "15000 bytes read, and cannot do a delete: this store is read-only"
    for how in ("called, from Python", "called, from YAML", "awaited, from Python", "awaited, from YAML"):
        assert f"{how}: {answer}\n" in done.stdout
    assert done.stdout.count("log: photos get 2026/beach.txt: ") == 8
    # Around Holdfast: the same compressed object in both services, under its hash, and a copy on the disk.
    (name,) = {row["Key"] for row in s3.client().list_objects_v2(Bucket=bucket)["Contents"]}
    assert re.fullmatch(r"[0-9a-f]{8}/2026/beach\.txt", name)
    stored = s3.client().get_object(Bucket=bucket, Key=name)["Body"].read()
    assert azurite.objects(container) == {name: stored}
    assert gzip.decompress(stored) == photos.PICTURE
    assert any(path.is_file() for path in (tmp_path / "cache").rglob("entries/**/*"))


def test_the_composed_bucket_takes_six_lines_of_python_and_ten_of_yaml():
    lines = [line for line in photos.CONFIG.read_text().splitlines() if line.strip()]
    assert len(lines) == 10
    for build in (photos.in_python, photos.awaited_in_python):
        body = inspect.getsource(build).partition('"""')[2].partition('"""')[2]
        assert len([line for line in body.splitlines() if line.strip()]) < 6  # and one that imports


def test_the_demonstration_copies_thousands_of_files_of_the_standard_library():
    sources = dict(demo.library_files())
    assert len(sources) > 500
    assert sources["python/this.py"].read_text().startswith('s = """')


def make_store(directory: Path) -> tuple[CloudFiles, dict[str, Path]]:
    (directory / "chunks").mkdir()
    sources = dict(demo.make_chunks(directory / "chunks", 20))
    files = CloudFiles((directory / "store").as_uri())
    demo.upload(files, sources, show=False)
    return files, sources


def test_the_demonstration_finds_nothing_wrong_where_nothing_is(tmp_path):
    files, sources = make_store(tmp_path)
    assert demo.list_all(files, sources)[1] == set()
    assert demo.read_ranges(files, sources)[1] == set()
    assert demo.verify(files, sources, show=False)[1] == set()


def test_the_demonstration_names_what_differs(tmp_path):
    files, sources = make_store(tmp_path)
    files.put("chunks/00/10", b"something else")
    files.delete("chunks/00/03")
    files.put("chunks/unexpected", b"")
    assert demo.list_all(files, sources)[1] == {"chunks/00/03", "chunks/unexpected"}
    assert demo.read_ranges(files, sources)[1] == {"chunks/00/10"}
    assert demo.verify(files, sources, show=False)[1] == {"chunks/00/03", "chunks/00/10"}


def test_the_demonstration_fails_when_anything_differs(tmp_path, monkeypatch, capsys):
    store = tmp_path / "store"
    put = demo.upload

    def upload_and_damage(files, sources, *, show):
        step = put(files, sources, show=show)
        files.put("chunks/00/07", b"damaged")
        return step

    monkeypatch.setattr(demo, "library_files", lambda: iter(()))
    monkeypatch.setattr(demo, "upload", upload_and_damage)
    assert demo.main(["--chunks", "10", "--keep", str(store)]) == 1
    printed = capsys.readouterr()
    assert "verified: 9 of 10 identical" in printed.out
    assert "differs: chunks/00/07" in printed.err


@pytest.mark.slow
def test_the_demonstration_keeps_a_store_on_which_the_commands_that_it_prints_work(tmp_path):
    store = tmp_path / "store"
    done = run("demo", "--chunks", "10", "--keep", str(store))
    assert done.returncode == 0, done.stderr
    commands = done.stdout.partition("Try:\n")[2].splitlines()
    assert len(commands) == 4
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in commands:
        tried = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        assert tried.returncode == 0, f"{command}\n{tried.stderr}"
    assert (tmp_path / "json-copy").is_dir()
    assert "Zen" not in tried.stdout  # the module spells it in rot13
    assert "Gur Mra bs Clguba" in tried.stdout


def test_the_demonstration_refuses_a_directory_that_is_not_empty(tmp_path):
    (tmp_path / "precious").write_text("mine")
    done = run("demo", "--keep", str(tmp_path))
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert (tmp_path / "precious").read_text() == "mine"
