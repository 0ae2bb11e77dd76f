"""Whole processes: trees copied from and to S3 servers, beside s5cmd, rclone and boto3; and the memory it takes."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.data import MIB, Tree, file_system, large_files, small_files, sparse_file
from benchmarks.measure import Measure, Setting, alternate, repeat, worker
from benchmarks.processes import ANYBODY, environment, program, run, s5cmd
from benchmarks.results import Bound, Comparison, Row
from tests.servers import Nginx, Rclone

BUCKET = "bucket"
RCLONE = "rclone serve s3"
#: Where there is one, a file system in memory: there the disk is not what is measured.
MEMORY = Path("/dev/shm")

#: From where to copy to, the command that copies there.
Copy = Callable[[Path], Sequence[str]]


class _Copies:
    """One tree, copied again and again to places below ``targets`` where nothing is, each copy checked."""

    def __init__(self, tree: Tree, targets: Path, env: Mapping[str, str]) -> None:
        self.tree = tree
        self.targets = targets
        self.env = env
        self._serial = itertools.count()

    def seconds(self, copy: Copy, *, terminal: bool = False) -> Measure:
        """The wall time of one whole run of the command; the first run's copy is compared byte for byte."""
        runs = itertools.count()

        def once() -> float:
            os.sync()  # what the run before has left to be written shall not slow this one
            with self._target() as target:
                seconds = run(copy(target), self.env, terminal=terminal).seconds
                self.tree.verify(target, contents=next(runs) == 0)
            return seconds

        return once

    def peak(self, copy: Copy) -> Measure:
        """The peak resident memory, in bytes, of one whole run of the command."""

        def once() -> float:
            with self._target() as target:
                peak = run(copy(target), self.env, terminal=True).peak
                self.tree.verify(target)
            return float(peak)

        return once

    def compare(self, ours: Copy, theirs: Copy, rounds: int) -> tuple[list[float], list[float]]:
        """Seconds of both; ours on a terminal, where it draws its bar, theirs without one."""
        return alternate(self.seconds(ours, terminal=True), self.seconds(theirs), rounds)

    @contextlib.contextmanager
    def _target(self) -> Iterator[Path]:
        # A new name each time: nothing is there, not even in what a server remembers of its directories.
        target = self.targets / f"copy-{next(self._serial)}"
        try:
            yield target
        finally:
            shutil.rmtree(target, ignore_errors=True)


@contextlib.contextmanager
def file_systems(setting: Setting, names: Sequence[str]) -> Iterator[dict[str, Path]]:
    """An empty directory for copies on each kind of file system: ``disk`` and, where there is one, ``memory``."""
    found = {"disk": setting.directory / "copies"}
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > setting.size(4 << 30, 64 * MIB):
        found["memory"] = MEMORY / f"{setting.directory.parent.name}-{setting.directory.name}"
    try:
        for place in found.values():
            place.mkdir()
        yield {name: found.get(name, found["disk"]) for name in names}
    finally:
        for place in found.values():
            shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def _rclone(setting: Setting, directory: Path) -> Iterator[tuple[Rclone, dict[str, str]]]:
    """A server whose bucket is ``directory/bucket``, and the environment in which every program finds it."""
    (directory / BUCKET).mkdir(exist_ok=True)
    with Rclone(setting.directory / "rclone", directory) as server:
        remote = {"TYPE": "s3", "PROVIDER": "Rclone", "ENDPOINT": server.endpoint, "FORCE_PATH_STYLE": "true"}
        keys = {"ACCESS_KEY_ID": server.access_key, "SECRET_ACCESS_KEY": server.secret_key}
        configured = {f"RCLONE_CONFIG_HERE_{name}": value for name, value in {**remote, **keys}.items()}
        yield server, environment(setting.directory, {**server.environment, **configured, "RCLONE_CONFIG": os.devnull})


def _holdfast(*arguments: str) -> list[str]:
    return program("holdfast", "cp", *arguments)


# ------------------------------------------------------------------ reading
def copy_small(setting: Setting) -> Iterator[Row]:
    """Thousands of small files from S3 to a directory."""
    count = setting.size(5000, 200)
    with file_systems(setting, ("disk", "memory")) as places:
        served = setting.directory / "served-small"
        tree = small_files(served / BUCKET, count, 1 << 10, 16 << 10)
        with _rclone(setting, served) as (server, env):
            rivals: tuple[tuple[str, Copy, float], ...] = (
                ("s5cmd", lambda to: s5cmd(server.endpoint, "cp", f"s3://{BUCKET}/*", f"{to}/"), 1.3),
                ("rclone, 32 transfers", lambda to: _rclone_copy(f"here:{BUCKET}", str(to)), 1.2),
            )
            for place in dict.fromkeys(places.values()):
                copies = _Copies(tree, place, env)
                what = f"cp -r of {count:,} files of 1 to 16 KiB, S3 to {file_system(place)}, whole process"
                for name, theirs, target in rivals:
                    pairs = copies.compare(
                        lambda to: _holdfast("-r", server.url(BUCKET), str(to)), theirs, setting.rounds
                    )
                    yield Comparison(what, RCLONE, name, *pairs, "s", target)


def _rclone_copy(source: str, target: str) -> list[str]:
    return program("rclone", "copy", "--transfers", "32", "--checkers", "32", source, target)


def get_large(setting: Setting) -> Iterator[Row]:
    """A few large objects from S3 to a directory: listed by rclone's server, and by name from nginx."""
    with file_systems(setting, ("memory",)) as places:
        served, targets = setting.directory / "served-large", places["memory"]
        tree = large_files(served / BUCKET, 8, setting.size(64, 2) * MIB)
        what = f"GET 8 x {setting.size(64, 2)} MiB, S3 to {file_system(targets)}, whole process"
        with _rclone(setting, served) as (server, env):
            theirs: Copy = lambda to: s5cmd(server.endpoint, "cp", f"s3://{BUCKET}/*", f"{to}/")  # noqa: E731
            copies = _Copies(tree, targets, env)
            pairs = copies.compare(lambda to: _holdfast("-r", server.url(BUCKET), str(to)), theirs, setting.rounds)
            yield Comparison(what, RCLONE, "s5cmd", *pairs, "s", 1.3)
        with Nginx(setting.directory / "nginx", served) as web:
            copies = _Copies(tree, targets, environment(setting.directory, ANYBODY))
            urls = [f"s3://{web.endpoint}/{BUCKET}/{key}" for key in tree.keys]
            script = setting.directory / "s5cmd.txt"
            pairs = copies.compare(
                lambda to: _holdfast(*urls, f"{to}/"),
                lambda to: s5cmd(web.endpoint, "run", _s5cmd_script(script, tree, to)),
                setting.rounds,
            )
            yield Comparison(f"{what}, by name", "nginx, S3 path style", "s5cmd run", *pairs, "s", 1.3)


def _s5cmd_script(script: Path, tree: Tree, target: Path) -> str:
    script.write_text("".join(f"cp s3://{BUCKET}/{key} {target}/{key}\n" for key in tree.keys))
    return str(script)


# ------------------------------------------------------------------ writing
def put_large(setting: Setting) -> Iterator[Row]:
    """A few large files to S3: whole processes beside s5cmd and boto3, and the calls alone beside boto3's."""
    with file_systems(setting, ("memory",)) as places:
        served = places["memory"] / "served"
        tree = large_files(setting.directory / "source-large", 8, setting.size(64, 2) * MIB)
        served.mkdir()
        with _rclone(setting, served) as (server, env):
            copies = _Copies(tree, served / BUCKET, env)
            where = f"{RCLONE} over {file_system(served)}"
            what = f"PUT 8 x {setting.size(64, 2)} MiB"
            boto3 = [sys.executable, "-m", "benchmarks.boto3_upload", server.endpoint, BUCKET, str(tree.root)]
            rivals: tuple[tuple[str, Copy, float], ...] = (
                ("s5cmd", lambda to: s5cmd(server.endpoint, "cp", f"{tree.root}/*", f"s3://{BUCKET}/{to.name}/"), 1.3),
                ("boto3 upload_file, 8 threads", lambda to: [*boto3, to.name], 1.1),
            )
            for name, theirs, target in rivals:
                pairs = copies.compare(
                    lambda to: _holdfast("-r", str(tree.root), server.url(BUCKET, to.name)), theirs, setting.rounds
                )
                yield Comparison(f"{what}, cp -r, whole process", where, name, *pairs, "s", target)
            calls = _compare_calls(setting, tree, server, env)
            name = "boto3 upload_file, 8 threads"
            yield Comparison(f"{what}, CloudFiles.puts of paths, time per file", where, name, *calls, "s", 1.1)


def _compare_calls(
    setting: Setting, tree: Tree, server: Rclone, env: Mapping[str, str]
) -> tuple[list[float], list[float]]:
    paths = [str(tree.root / key) for key in tree.keys]
    address = {"url": server.url(BUCKET), "endpoint": server.endpoint, "bucket": BUCKET}
    common = {**address, "paths": paths, "items": tree.items, "nbytes": tree.nbytes}
    log = setting.directory / "put.log"
    with (
        worker("put-holdfast", {**common, "prefix": "ours"}, env, log) as ours,
        worker("put-boto3", {**common, "prefix": "theirs"}, env, log) as theirs,
    ):
        return alternate(_emptied(ours, server.root), _emptied(theirs, server.root), setting.rounds)


def _emptied(measure: Measure, root: Path) -> Measure:
    """The measure, after which what it has uploaded is removed: room in memory is not endless."""

    def once() -> float:
        seconds = measure()
        for uploaded in (root / BUCKET).iterdir():
            shutil.rmtree(uploaded)
        return seconds

    return once


# ------------------------------------------------------------------ memory
def memory(setting: Setting) -> Iterator[Row]:
    """The peak memory of the whole process that copies one very large object, down and up."""
    size, rounds = setting.size(4096, 160) * MIB, min(setting.rounds, 3)
    with file_systems(setting, ("disk",)) as places:
        served = setting.directory / "served-sparse"
        tree = sparse_file(served / BUCKET / "source", size)
        what = f"peak memory (RSS) of cp of {size >> 20:,} MiB, whole process"
        # From nginx, because rclone answers ranges with status 200: obstore takes that for the whole object.
        with Nginx(setting.directory / "nginx", served) as web:
            down = _Copies(tree, places["disk"], environment(setting.directory, ANYBODY))
            url = f"s3://{web.endpoint}/{BUCKET}/source/{tree.keys[0]}"
            values = repeat(down.peak(lambda to: _holdfast(url, f"{to}/")), rounds, warm_up=False)
            yield Bound(f"{what}, S3 to {file_system(places['disk'])}", "nginx, S3 path style", values, "MB", 400e6)
        with _rclone(setting, served) as (server, env):
            up = _Copies(tree, served / BUCKET, env)
            source = str(tree.root)
            values = repeat(
                up.peak(lambda to: _holdfast("-r", source, server.url(BUCKET, to.name))), rounds, warm_up=False
            )
            yield Bound(f"{what}, file to S3", RCLONE, values, "MB", 400e6)
