"""kill -9 in the middle of a sync, again and again: nothing is torn, and nothing acknowledged is sent again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast import open_store

from .test_resume import body

PROJECT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
LARGE = 12 * MIB + 3


@pytest.fixture(scope="module")
def objects():
    chance = random.Random(1)
    small = {f"d{n % 5}/{n}": body(chance.choice([0, 1, 3000, 200_000]), seed=n % 200) for n in range(60)}
    return {**small, "large": body(LARGE)}


def run(source: str, target: str, state: Path, environment: dict[str, str], how: str, last: int) -> bool:
    """Run the sync, which is killed after so many things that it did (-1: never); whether it came to its end."""
    program = [sys.executable, str(PROJECT / "tests/sync/killed_program.py"), source, target, str(state), how]
    path = os.pathsep.join([str(PROJECT), str(PROJECT / "src")])
    done = subprocess.run(
        [*program, str(last)], env={**os.environ, **environment, "PYTHONPATH": path}, timeout=100, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode == 0


def check_log(log: Path) -> None:
    """Look through the log: AssertionError if something was written again after it was acknowledged."""
    acknowledged: set[str] = set()
    for line in log.read_text().splitlines():
        what, _, name = line.partition(" ")
        if what == "ack":
            acknowledged.add(name)
        elif what == "write":
            assert name not in acknowledged, f"{name} was sent again"
    assert acknowledged


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("way", ["push", "pull", "local", "resumable"])
def test_a_killed_sync_tears_nothing_and_sends_nothing_twice(way, moto, objects, tmp_path, soak):
    chance = random.Random(way)
    environment = moto.environment
    bucket = moto.make_bucket()
    remote, local = f"s3://{bucket}/r", str(tmp_path / "local")
    secrets = {"AWS_ACCESS_KEY_ID": moto.access_key, "AWS_SECRET_ACCESS_KEY": moto.secret_key}

    def opened(where: str):
        return open_store(f"s3://{moto.endpoint}/{bucket}/r", secrets=secrets) if where == remote else open_store(where)

    source = remote if way == "pull" else local
    with opened(source) as filled:
        for key, data in objects.items():
            filled.put(key, data)
    killed = 0
    for number in range(100 if soak else 2):
        state = tmp_path / f"state{number}"
        state.mkdir()
        how = "resumable" if way == "resumable" else ("anew", "kept")[number % 2]
        target = remote if way in {"push", "resumable"} else str(tmp_path / f"target{number}")
        if target == remote:
            with opened(remote) as emptied:
                assert emptied.remove(list(emptied.keys())) is not None
        for attempt in range(4):
            last = chance.randrange(60 if attempt else 100)
            if run(source, target, state, environment, how, last):
                break
            killed += 1
            with opened(target) as partly:
                for row in partly.list():
                    assert partly.get(row.key) == objects[row.key], f"torn: {row.key}"
        assert run(source, target, state, environment, how, -1)
        with opened(target) as whole:
            assert {row.key: whole.get(row.key) for row in whole.list()} == objects
        check_log(state / "log")
    assert killed
