"""Whole syncs, beside `rclone sync`, `s5cmd sync` and accsr: time, requests, bytes on the wire and peak memory.

All of them go through one nginx to one Ceph, which counts what each asks and how much it moves. Each tool has a prefix,
a home and a directory of its own, so that nothing it remembers is another's, and what it synced is compared with the
source after every step. accsr pins versions that others here do not bear, so it runs where ``HOLDFAST_BENCH_ACCSR``
names the Python of an environment that has it (``pip install accsr``), and has no rows without.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.data import Tree, mixed_files
from benchmarks.measure import Setting
from benchmarks.prepared import SETTLE
from benchmarks.processes import environment, program, run, s5cmd
from benchmarks.results import Comparison, Row, Tally
from tests.servers import Ceph, Nginx, ServerMissing

SERVER = "Ceph RGW behind nginx"
BUCKET = "synced"
ROUNDS = 3
FORMAT = "log_format counted '$request_length $bytes_sent';\n"
COUNTER = """\
location /{bucket} {{
    proxy_pass {endpoint};
    proxy_set_header Host $http_host;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_request_buffering off;
    access_log {directory}/counted.log counted;
}}
"""
#: What accsr is asked: the whole contents of a directory, there or back.
ACCSR = """
import os, sys
from accsr.remote_storage import RemoteStorage, RemoteStorageConfig
way, bucket, prefix, here, host, port = sys.argv[1:]
config = RemoteStorageConfig(
    "s3", os.environ["AWS_ACCESS_KEY_ID"], bucket, os.environ["AWS_SECRET_ACCESS_KEY"],
    host=host, port=int(port), base_path=prefix, secure=False,
)
storage = RemoteStorage(config)
if way == "push":
    storage.push(".", local_path_prefix=here, force=True)
else:
    storage.pull("", local_base_dir=here, force=True)
"""

#: Source and target, a directory and a location or the other way round, to the command.
Command = Callable[[str, str, bool], Sequence[str]]
STEPS = ("first", "nothing changed", "1 % changed")


@dataclass(frozen=True)
class Cost:
    """What one run took: seconds, requests, bytes on the wire, peak memory in bytes."""

    seconds: float
    requests: int
    wire: int
    peak: int


def syncs(setting: Setting) -> Iterator[Row]:
    """Pushes and pulls of a mixed tree: the first, one of nothing, and one of the hundredth part."""
    try:
        Ceph.version()
    except ServerMissing as missing:
        print(f"no rows on {SERVER}: {missing}")
        return
    setting = replace(setting, rounds=min(setting.rounds, ROUNDS))
    tree = mixed_files(setting.directory / "tree", setting.size(20_000, 300))
    nginx = Nginx(setting.directory / "nginx")
    nginx.directory.mkdir()
    with Ceph(setting.directory / "ceph") as server:
        (nginx.directory / "format.http").write_text(FORMAT)
        location = COUNTER.format(bucket=BUCKET, endpoint=server.endpoint, directory=nginx.directory)
        (nginx.directory / "counter.server").write_text(location)
        server.make_bucket(BUCKET)
        _warm_up(server)
        with nginx:
            bench = _Bench(setting, server, nginx, tree)
            for number in range(setting.rounds):
                bench.round(number)
            yield from bench.rows()


def _warm_up(server: Ceph) -> None:
    """Have the service do once what takes it seconds the first time: Ceph makes a pool for uploads in parts."""
    client = server.client()
    upload = client.create_multipart_upload(Bucket=BUCKET, Key="warm")["UploadId"]
    part = client.upload_part(Bucket=BUCKET, Key="warm", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    client.complete_multipart_upload(Bucket=BUCKET, Key="warm", UploadId=upload, MultipartUpload=parts)
    client.delete_object(Bucket=BUCKET, Key="warm")


class _Bench:
    """All tools, step by step, on one tree that changes in between."""

    def __init__(self, setting: Setting, server: Ceph, nginx: Nginx, tree: Tree) -> None:
        self._setting = setting
        self._server = server
        self._nginx = nginx
        self._tree = tree
        self._log = nginx.directory / "counted.log"
        self._generator = random.Random(3)
        self._costs: dict[tuple[str, str], dict[str, list[Cost]]] = defaultdict(lambda: defaultdict(list))
        self._tools: dict[str, Command] = {"holdfast": _holdfast, "rclone sync": _rclone, "s5cmd sync": self._s5cmd}
        if os.environ.get("HOLDFAST_BENCH_ACCSR"):
            self._tools["accsr"] = self._accsr

    def round(self, number: int) -> None:
        """Every step of every tool, from nothing at the target."""
        homes = {tool: self._setting.directory / f"home-{number}-{index}" for index, tool in enumerate(self._tools)}
        for way, step in itertools.product(("push", "pull"), STEPS):
            if step == "1 % changed":
                self._change()
                if way == "pull":
                    for tool, home in homes.items():
                        self._run(tool, "push", home)  # what is to be pulled
            for tool, home in homes.items():
                home.mkdir(exist_ok=True)
                cost = self._run(tool, way, home)
                self._costs[way, step][tool].append(cost)
                print(f"round {number + 1}, {way}, {step}, {tool}: {cost}", flush=True)  # a round takes many minutes
                if way == "pull":
                    self._tree.verify(home / "copy", contents=True)
        for home in homes.values():
            shutil.rmtree(home)

    def rows(self) -> Iterator[Row]:
        """The rows of each step, against each of the others: seconds, requests, bytes and memory."""
        for (way, step), costs in self._costs.items():
            what = f"{way} of {self._tree.items:,} mixed files, {step}"
            ours = costs["holdfast"]
            for tool, theirs in costs.items():
                if tool != "holdfast":
                    seconds = [[cost.seconds for cost in side] for side in (ours, theirs)]
                    yield Comparison(f"{what}, whole process", SERVER, tool, *seconds, "s", 1.0)
            for name, pick, unit in (
                ("requests", lambda cost: cost.requests, "requests"),
                ("on the wire", lambda cost: cost.wire, "MiB"),
                ("peak memory (RSS)", lambda cost: cost.peak, "MiB"),
            ):
                sides = {tool: statistics.median(map(pick, side)) for tool, side in costs.items()}
                yield Tally(f"{what}, {name}", SERVER, unit, sides.pop("holdfast"), sides)

    def _run(self, tool: str, way: str, home: Path) -> Cost:
        here = str(self._tree.root) if way == "push" else str(home / "copy")
        there = f"{BUCKET}/{home.name}"
        command = self._tools[tool](here, there, way == "push")
        keys = {"ACCESS_KEY_ID": self._server.access_key, "SECRET_ACCESS_KEY": self._server.secret_key}
        remote = {"TYPE": "s3", "PROVIDER": "Ceph", "ENDPOINT": self._nginx.endpoint, "FORCE_PATH_STYLE": "true"}
        configured = {f"RCLONE_CONFIG_HERE_{name}": value for name, value in {**remote, **keys}.items()}
        extra = {
            **self._server.environment, **configured, "RCLONE_CONFIG": os.devnull,
            "AWS_ENDPOINT_URL": self._nginx.endpoint, "XDG_CACHE_HOME": str(home),
        }  # fmt: skip
        self._log.write_bytes(b"")
        finished = run(command, environment(home, extra))
        time.sleep(SETTLE)
        lines = [line.split() for line in self._log.read_text().splitlines()]
        wire = sum(int(sent) + int(received) for sent, received in lines)
        return Cost(finished.seconds, len(lines), wire, finished.peak)

    def _change(self) -> None:
        """Other bytes, of the same length, in every hundredth file."""
        time.sleep(2.1)  # seconds are all that some of them look at
        for key in self._generator.sample(self._tree.keys, max(1, self._tree.items // 100)):
            path = self._tree.root / key
            path.write_bytes(self._generator.randbytes(path.stat().st_size))

    def _s5cmd(self, here: str, there: str, push: bool) -> Sequence[str]:
        sides = (f"{here}/", f"s3://{there}/") if push else (f"s3://{there}/*", f"{here}/")
        return s5cmd(self._nginx.endpoint, "sync", *sides)

    def _accsr(self, here: str, there: str, push: bool) -> Sequence[str]:
        bucket, _, prefix = there.partition("/")
        host, _, port = self._nginx.endpoint.removeprefix("http://").partition(":")
        python = os.environ["HOLDFAST_BENCH_ACCSR"]
        return [python, "-c", ACCSR, "push" if push else "pull", bucket, prefix, here, host, port]


def _holdfast(here: str, there: str, push: bool) -> Sequence[str]:
    return program("holdfast", "sync", "--yes", *((here, f"s3://{there}") if push else (f"s3://{there}", here)))


def _rclone(here: str, there: str, push: bool) -> Sequence[str]:
    sides = (here, f"here:{there}") if push else (f"here:{there}", here)
    return program("rclone", "sync", "--transfers", "32", "--checkers", "32", *sides)
