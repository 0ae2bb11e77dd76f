"""The same calls and commands on a real S3 service, which does its own work for each request: rows without targets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from benchmarks.cloud import OBJECT_SIZE, Bench, names
from benchmarks.data import Tree, small_files
from benchmarks.measure import Measure, Setting, alternate
from benchmarks.prepared import logged
from benchmarks.processes import BenchmarkFailed, environment, program, run, s5cmd
from benchmarks.results import Comparison, Count, Row
from holdfast import CloudFiles
from tests.servers import Ceph, Nginx, ServerMissing

CEPH = "Ceph RGW"
BOTO3 = "boto3, 20 threads"
#: Every request takes milliseconds there: fewer pairs say as much.
ROUNDS = 3

Before = Callable[[], None] | None

#: nginx before the service counts what is asked of this bucket.
COUNTED = "counted"
COUNTER = """\
location /counted {{
    proxy_pass {endpoint};
    proxy_set_header Host $http_host;
    access_log {directory}/counted.log;
}}
"""


def service(setting: Setting) -> Iterator[Row]:
    """Small objects on Ceph: calls beside boto3's, whole processes beside s5cmd, and the requests of listings."""
    try:
        Ceph.version()
    except ServerMissing as missing:
        print(f"no rows on {CEPH}: {missing}")
        return
    setting = replace(setting, rounds=min(setting.rounds, ROUNDS))
    tree = small_files(setting.directory / "tree", setting.size(500, 50), OBJECT_SIZE, OBJECT_SIZE)
    with Ceph(setting.directory / "ceph") as server:
        yield from _calls(setting, server, tree)
        yield from _programs(setting, server, tree)
        yield from _requests(setting, server)


# ------------------------------------------------------------------ calls beside boto3's
def _calls(setting: Setting, server: Ceph, tree: Tree) -> Iterator[Row]:
    bench, bucket = Bench(setting, server.endpoint, server.environment), server.make_bucket()
    small = f"{tree.items:,} x 4 KiB"
    put = bench.compare("put-small-holdfast", "put-small-boto3", bucket, tree.keys, size=OBJECT_SIZE)
    yield Comparison(f"PUT {small}, CloudFiles.puts, time per object", CEPH, BOTO3, *put, "us", None)
    get = bench.compare("get-holdfast", "get-boto3", bucket, tree.keys, size=OBJECT_SIZE)
    yield Comparison(f"GET {small}, CloudFiles.get, time per object", CEPH, BOTO3, *get, "us", None)
    listed = bench.compare_lists(bucket, tree.items, tree.nbytes)
    yield Comparison(
        f"list of {tree.items:,} keys, CloudFiles.list, time per key", CEPH, "boto3 paginator", *listed, "us", None
    )
    gone = bench.compare("delete-holdfast", "delete-boto3", bucket, tree.keys, fill=True)
    yield Comparison(
        f"delete of {tree.items:,} keys, CloudFiles.delete, time per key",
        CEPH,
        "boto3 delete_objects of 1,000",
        *gone,
        "us",
        None,
    )


# ------------------------------------------------------------------ whole processes beside s5cmd
def _programs(setting: Setting, server: Ceph, tree: Tree) -> Iterator[Row]:
    bucket, target = server.make_bucket(), setting.directory / "copy"
    keys = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
    files = CloudFiles(server.url(bucket), secrets=keys)
    here, there, address = str(tree.root), server.url(bucket), f"s3://{bucket}"

    def fill() -> None:
        files.puts([(key, tree.root / key) for key in tree.keys])

    def empty() -> None:
        files.delete(files.list())

    def remove() -> None:
        shutil.rmtree(target, ignore_errors=True)

    steps: tuple[tuple[str, Before, list[str], list[str]], ...] = (
        ("cp -r of {} files of 4 KiB to S3", empty, ["cp", "-r", here, there], ["cp", f"{here}/", f"{address}/"]),
        (
            "cp -r of {} files of 4 KiB from S3",
            remove,
            ["cp", "-r", there, str(target)],
            ["cp", f"{address}/*", f"{target}/"],
        ),
        ("ls -r of {} objects", None, ["ls", "-r", there], ["ls", f"{address}/*"]),
        ("rm -r of {} objects", fill, ["rm", "-r", there], ["rm", f"{address}/*"]),
    )
    for what, before, ours, theirs in steps:
        env = environment(setting.directory, server.environment)
        pairs = alternate(
            _seconds(program("holdfast", *ours), env, before),
            _seconds(s5cmd(server.endpoint, *theirs), env, before),
            setting.rounds,
        )
        yield Comparison(f"{what.format(f'{tree.items:,}')}, whole process", CEPH, "s5cmd", *pairs, "s", None)
    tree.verify(target, contents=True)
    if any(files.list()):
        raise BenchmarkFailed("something is left of what was removed")


def _seconds(command: Sequence[str], env: Mapping[str, str], before: Before) -> Measure:
    def once() -> float:
        if before is not None:
            before()
        return run(command, env).seconds

    return once


# ------------------------------------------------------------------ requests of listings
def _requests(setting: Setting, server: Ceph) -> Iterator[Row]:
    """What a listing costs that wants few of many keys: requests as the matches, not as the keys around them."""
    count = setting.size(3000, 1100)
    nginx = Nginx(setting.directory / "nginx")
    nginx.directory.mkdir()
    location = COUNTER.format(endpoint=server.endpoint, directory=nginx.directory)
    (nginx.directory / "counter.server").write_text(location)
    bucket = server.make_bucket(COUNTED)
    secrets = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
    with nginx:
        files = CloudFiles(f"s3://{nginx.endpoint}/{bucket}", secrets=secrets)
        files.puts([(key, b"") for key in names(count)])
        log = nginx.directory / "counted.log"
        questions: tuple[tuple[str, Callable[[], Iterator[str]], int, int], ...] = (
            (f"list of all {count:,} keys", files.list, count, -(-count // 1000)),
            ("list of a prefix, 100 matches", lambda: files.list("000/object-0001"), 100, 1),
            ("list of one level", lambda: files.list(flat=True), -(-count // 1000), 1),
        )
        for what, ask, matches, enough in questions:
            before = logged(log)
            if (found := sum(1 for _ in ask())) != matches:
                raise BenchmarkFailed(f"{what} found {found} rows instead of {matches}")
            asked = logged(log) - before
            yield Count(f"{what}, of {count:,} in the bucket, CloudFiles.list", CEPH, "requests", asked, enough)
