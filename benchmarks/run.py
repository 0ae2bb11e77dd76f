"""Measure Holdfast beside what people use today, and write the table: `python -m benchmarks.run --help`."""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import cloud, cloudfiles, copies, mappings, service, small, startup, stores, syncs
from benchmarks.measure import Setting
from benchmarks.processes import ROOT
from benchmarks.results import Row, table
from tests.servers import Ceph, Moto, Nginx, Rclone, Server, ServerMissing

RESULTS = ROOT / "benchmarks" / "RESULTS.md"
ROUNDS = 5

BENCHMARKS: dict[str, Callable[[Setting], Iterator[Row]]] = {
    "startup": startup.startup,
    "local-read": small.local_read,
    "layers": small.layers,
    "wrappers": stores.wrappers,
    "sqlite": stores.sqlite,
    "zip-reads": stores.zip_reads,
    "awaited": stores.awaited,
    "cache-hits": stores.cache_hits,
    "small-get": small.small_get,
    "requests": cloud.requests,
    "listing": cloud.listing,
    "service": service.service,
    "cloudfiles": cloudfiles.cloudfiles,
    "mappings": mappings.mappings,
    "copy-small": copies.copy_small,
    "get-large": copies.get_large,
    "put-large": copies.put_large,
    "memory": copies.memory,
    "syncs": syncs.syncs,
}

METHOD = """\
Ours and theirs are measured alternately, A B A B, after one run of each that does not count; times are medians, the
ratio is the median of the pairs' ratios (with the lowest and the highest), and above 1 where Holdfast is faster.
Calls are timed inside processes of their own, one for each library, whole processes from start to end, on servers on
127.0.0.1 that share the machine. Every copy goes where nothing is, is counted afterwards in files and bytes, and the
first of each is compared byte for byte; `holdfast cp` runs on a pseudo-terminal, where it draws its bar, and makes all
its checks. Bounds show the median (lowest to highest). Servers with prepared answers store and look up nothing, so that
what a client costs is what is measured; on Ceph RGW and moto the service's own work is in every number. SQLite rows say
what their puts survive, because that is what the time buys. Members of zip archives are lines of JSON, each dropped
before the next is read. Syncs are of one tree with whole processes, tool after tool, step by step; requests and bytes
are counted by the proxy between them and the service, and memory by the system. CloudFiles' calls are those of one
process that has made one before, with 4 KiB documents, each library's default level of compression, and no locks asked
for; files below file:// are written whole or not at all by Holdfast, and in place by cloud-files. A layer costs the
difference between a GET with and one without it, in alternating blocks."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 if a target was missed, 0 otherwise."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers end and files go away
    directory = Path(tempfile.mkdtemp(prefix="holdfast-bench-"))
    rows: list[Row] = []
    try:
        for name in options.only or BENCHMARKS:
            setting = Setting(directory / name, options.quick, options.rounds)
            setting.directory.mkdir()
            started = time.monotonic()
            for row in BENCHMARKS[name](setting):
                rows.append(row)
                print(
                    f"{name} ({time.monotonic() - started:.0f} s): {' | '.join(filter(None, row.cells()))}", flush=True
                )
            shutil.rmtree(setting.directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    output = options.output or (None if options.quick or options.only else RESULTS)
    if output is not None:
        output.write_text(_document(rows, options))
        print(f"written to {output}")
    return int(any(row.reached is False for row in rows) and not options.quick)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description="Measure Holdfast beside what people use today."
    )
    only = f"just this one, printed and not written; may be repeated ({', '.join(BENCHMARKS)})"
    parser.add_argument("--only", action="append", choices=BENCHMARKS, metavar="NAME", help=only)
    parser.add_argument("--rounds", type=int, default=None, help=f"pairs for each row (default: {ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, and measures nothing")
    parser.add_argument("--output", type=Path, help=f"where to write the table (default, if all run: {RESULTS.name})")
    options = parser.parse_args(arguments)
    if options.rounds is None:
        options.rounds = 2 if options.quick else ROUNDS
    elif options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def _document(rows: Sequence[Row], options: argparse.Namespace) -> str:
    when = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    command = shlex.join(["python", "-m", "benchmarks.run", *sys.argv[1:]])
    versions = "\n".join(f"- {line}" for line in _versions())
    warning = " The sizes are tiny: this shows that everything runs, and measures nothing." if options.quick else ""
    return (
        f"# Benchmarks\n\nWritten by `{command}`, {options.rounds} pairs, {when}.{warning}\n\n"
        f"{METHOD}\n\n{table(rows)}\n\n## Versions\n\n{versions}\n"
    )


def _versions() -> Iterator[str]:
    yield f"holdfast {importlib.metadata.version('holdfast')}, commit {_commit()}"
    for name in ("obstore", "boto3", "cloud-files", "cloud-mappings", "gevent"):
        yield f"{name} {importlib.metadata.version(name)}"
    s5cmd = str(Path(sys.executable).parent / "s5cmd")
    yield f"s5cmd {subprocess.run([s5cmd, 'version'], capture_output=True, text=True, check=True).stdout.strip()}"
    if python := os.environ.get("HOLDFAST_BENCH_ACCSR"):
        asked = "import importlib.metadata; print(importlib.metadata.version('accsr'))"
        told = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
        yield f"accsr {told.stdout.strip()}"
    yield from (f"{server.name} {_version(server)}" for server in (Rclone, Nginx, Ceph, Moto))
    yield f"Python {platform.python_version()} ({platform.python_implementation()})"
    yield f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs: {_processor()}"


def _version(server: type[Server]) -> str:
    try:
        return server.version()
    except ServerMissing as missing:
        return str(missing)


def _commit() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "HEAD") or "none"
    changed = [line for line in git("status", "--porcelain").splitlines() if not line.endswith(RESULTS.name)]
    return f"{commit} with {len(changed)} changed files" if changed else commit


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
