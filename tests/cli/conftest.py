"""A command line to be run in this process or in one of its own."""

from __future__ import annotations

import io
import itertools
import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from holdfast import cli, open_store

_serial = itertools.count(1)

TREE = {
    "run1/a": b"one",
    "run1/sub/b": b"two!",
    "run10/a": b"not run1",
    "run1.txt": b"nor this",
    "run1-": b"sorts before the slash",
}


@dataclass
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def lines(self):
        return self.out.splitlines()

    @property
    def rows(self):
        return [json.loads(line) for line in self.lines]


@pytest.fixture(autouse=True)
def memory_of_its_own(tmp_path_factory, monkeypatch):
    """No test reads, or fills, the index and the journal of whoever runs it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def stdin(monkeypatch):
    """Have these bytes on standard input."""

    def put(text):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(os.fsencode(text))))

    return put


@pytest.fixture
def holdfast(capsysbinary):
    """Run one command line in this process."""

    def run(*arguments):
        capsysbinary.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        sys.stdout.flush()
        captured = capsysbinary.readouterr()
        return Result(code, captured.out.decode("utf-8", "surrogateescape"), captured.err.decode())

    return run


@pytest.fixture
def process(tmp_path):
    """Run one command line in a process of its own."""

    def run(*arguments, stdin=b"", environment=None, **kwargs):
        done = subprocess.run(
            [sys.executable, "-m", "holdfast", *map(os.fsencode, arguments)],
            input=stdin, capture_output=True, timeout=60, cwd=tmp_path, env={**os.environ, **(environment or {})},
            **kwargs,
        )  # fmt: skip
        return Result(done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode())

    return run


class Place:
    """A directory or bucket with a known content, and how to look into it."""

    def __init__(self, base):
        self.base = base

    def __truediv__(self, key):
        return f"{self.base}/{key}"

    @property
    def store(self):
        return open_store(self.base)

    def put(self, objects):
        for key, data in objects.items():
            self.store.put(key, data)
        return self

    @property
    def objects(self):
        with self.store as store:
            return {row.key: store.get(row.key) for row in store.list()}


def _bucket():
    return Place(f"mem://cli-{os.getpid()}-{next(_serial)}")


@pytest.fixture
def bucket():
    """An empty bucket in memory."""
    return _bucket()


@pytest.fixture
def folder(tmp_path):
    """An empty local directory."""
    path = tmp_path / "folder"
    path.mkdir()
    return Place(str(path))


@pytest.fixture
def backup(tmp_path):
    """Another local directory, which is not there yet."""
    return Place(str(tmp_path / "backup"))


@pytest.fixture(params=["mem", "file", pytest.param("s3", marks=pytest.mark.server)])
def place(request):
    """A place of each kind, filled with run1 and the siblings that must never be taken for it."""
    if request.param == "s3":
        moto = request.getfixturevalue("moto")
        for name, value in moto.environment.items():
            request.getfixturevalue("monkeypatch").setenv(name, value)
        filled = Place(f"s3://{moto.make_bucket()}")
    elif request.param == "file":
        filled = request.getfixturevalue("folder")
    else:
        filled = _bucket()
    return filled.put(TREE)
