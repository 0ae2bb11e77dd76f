"""kill -9 in the middle of a push or pull: whatever is there is whole, and the next one does the rest."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest

from holdfast import RemoteStorage, RemoteStorageConfig
from tests.compat.rows import row
from tests.compat.test_accsr_pull import tree
from tests.compat.test_accsr_push import names

FILES = 60
SIZE = 200_000

PROGRAM = """
import sys
from holdfast import RemoteStorage, RemoteStorageConfig
from holdfast.store import READ, WRITE, Wrapper

class Telling(Wrapper):
    def _write(self, key, body, options=WRITE):
        print("write", flush=True)
        return super()._write(key, body, options)
    def _copy(self, source, src, dst, options=WRITE):
        print("copy", flush=True)
        return super()._copy(source, src, dst, options)
    def _read(self, key, options=READ):
        if not options.head:
            print("read", flush=True)
        return super()._read(key, options)

direction, root = sys.argv[1:]
storage = RemoteStorage(RemoteStorageConfig("local", root, "bucket", ""))
storage.bucket.store = Telling(storage.bucket.store)
if direction == "push":
    storage.push("data", root + "/source", force=True)
else:
    storage.pull("data", root + "/target", force=True)
"""


def body(number: int, turn: int) -> bytes:
    return f"{number} {turn} ".encode() * (SIZE // 8)


@row("accsr", "push and pull survive kill -9: no torn file, and the same call goes on")
@pytest.mark.slow
@pytest.mark.parametrize("direction", ["push", "pull"])
def test_killed_transfers(tmp_path, monkeypatch, soak, direction):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    begun = tmp_path / ("source" if direction == "push" else "bucket")
    ended = tmp_path / ("bucket" if direction == "push" else "target")
    storage = RemoteStorage(RemoteStorageConfig("local", str(tmp_path), "bucket", ""))
    chance, killed = random.Random(7), 0
    for turn in range(100 if soak else 8):
        (begun / "data").mkdir(parents=True, exist_ok=True)
        for number in range(FILES):
            (begun / f"data/{number}").write_bytes(body(number, turn))
        command = [sys.executable, "-c", PROGRAM, direction, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(chance.randrange(1, FILES)):
                assert process.stdout.readline()
            time.sleep(chance.uniform(0, 0.003))  # somewhere within the write that was told of, not only before it
            process.kill()
            process.communicate()
            killed += process.returncode == -9
        for name, data in tree(ended).items():
            number = int(name.rpartition("/")[2])
            assert data in {body(number, turn), body(number, turn - 1)}, f"{name} is torn"
        there = sum(data.endswith(f" {turn} ".encode()) for data in tree(ended).values())
        if direction == "push":
            summary = storage.push("data", begun, force=True)
        else:
            summary = storage.pull("data", ended, force=True)
        assert len(names(summary.synced_files)) == FILES - there, "what was there already is not sent again"
        assert tree(ended) == {f"data/{number}": body(number, turn) for number in range(FILES)}
    assert killed
