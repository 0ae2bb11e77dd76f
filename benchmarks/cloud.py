"""What S3 clients cost beyond plain reads: digests, small writes, listings, existence and deletes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks import prepared
from benchmarks.data import Tree, small_files
from benchmarks.measure import Setting, alternate, worker
from benchmarks.prepared import Prepared
from benchmarks.processes import ANYBODY, environment
from benchmarks.results import Comparison, Count, Row

OBJECT_SIZE = 4096
NGINX = "nginx, prepared answers"
#: A hundred thousand keys take boto3 so long that fewer pairs must do.
LISTING_ROUNDS = 3


class Bench:
    """One service, and the workers that use its buckets."""

    def __init__(self, setting: Setting, endpoint: str, env: Mapping[str, str]) -> None:
        self.setting = setting
        self.endpoint = endpoint
        self.env = environment(setting.directory, env)

    def worker(self, subject: str, bucket: str, items: int, nbytes: int, **more: Any) -> Any:
        """A worker that must move so many items and bytes in each measurement; its seconds are for each item."""
        address = {"url": f"s3://{self.endpoint}/{bucket}", "endpoint": self.endpoint, "bucket": bucket}
        arguments = {**address, "items": items, "nbytes": nbytes, **more}
        return worker(subject, arguments, self.env, self.setting.directory / f"{subject}.log")

    def compare(
        self,
        ours: str,
        theirs: str,
        bucket: str,
        keys: Sequence[str],
        *,
        size: int = 0,
        fewer: int | None = None,
        **more: Any,
    ) -> tuple[list[float], list[float]]:
        """Seconds for each object of ``size`` bytes: ours of all keys, theirs of ``fewer`` if they take so long."""
        some = keys[:fewer]
        with (
            self.worker(ours, bucket, len(keys), len(keys) * size, keys=keys, **more) as our_measure,
            self.worker(theirs, bucket, len(some), len(some) * size, keys=some, **more) as their_measure,
        ):
            return alternate(our_measure, their_measure, self.setting.rounds)

    def compare_lists(self, bucket: str, items: int, nbytes: int) -> tuple[list[float], list[float]]:
        """Seconds for each row of a listing, ours and boto3's."""
        with (
            self.worker("list-holdfast", bucket, items, nbytes) as ours,
            self.worker("list-boto3", bucket, items, nbytes) as theirs,
        ):
            return alternate(ours, theirs, self.setting.rounds)


def names(count: int) -> list[str]:
    """So many keys, in directories of a thousand."""
    return [f"{number // 1000:03}/object-{number:06}" for number in range(count)]


# ------------------------------------------------------------------ what the client costs
def requests(setting: Setting) -> Iterator[Row]:
    """What a client spends on each request, beside what others spend on the same."""
    tree = small_files(setting.directory / "web", setting.size(5000, 200), OBJECT_SIZE, OBJECT_SIZE)
    with Prepared(setting.directory / "nginx", tree) as server:
        bench = Bench(setting, server.endpoint, ANYBODY)
        yield from _small_reads(bench, tree)
        yield from _small_writes(bench)
        yield from _existence(bench, tree)
        yield from _deletes(bench)


def _small_reads(bench: Bench, tree: Tree) -> Iterator[Row]:
    for bucket, digests, target in ((prepared.STAMPED, "stamps", 0.85), (prepared.DIGESTS, "MD5s", None)):
        pairs = bench.compare("get-holdfast", "get-obstore", bucket, tree.keys, size=OBJECT_SIZE)
        what = f"GET {tree.items:,} x 4 KiB with their {digests} verified, CloudFiles.get, time per object"
        yield Comparison(what, NGINX, "bare obstore, 16 threads, nothing verified", *pairs, "us", target)


def _small_writes(bench: Bench) -> Iterator[Row]:
    keys, fewer = names(bench.setting.size(5000, 200)), bench.setting.size(1000, 50)
    rivals = (
        ("put-small-boto3", f"boto3 put_object of {fewer:,}, 20 threads", fewer, 15.0),
        ("put-small-obstore", "bare obstore, 16 threads, no digest noted", None, None),
    )
    for subject, rival, some, target in rivals:
        pairs = bench.compare("put-small-holdfast", subject, prepared.DISCARD, keys, size=OBJECT_SIZE, fewer=some)
        what = f"PUT {len(keys):,} x 4 KiB, CloudFiles.puts, time per object"
        yield Comparison(what, f"{NGINX}, nothing stored", rival, *pairs, "us", target)


def _existence(bench: Bench, tree: Tree) -> Iterator[Row]:
    fewer = bench.setting.size(1000, 50)
    pairs = bench.compare("exists-holdfast", "exists-cloudfiles", prepared.DIGESTS, tree.keys, fewer=fewer)
    what = f"existence of {tree.items:,} objects, CloudFiles.exists, time per object"
    yield Comparison(what, NGINX, f"cloud-files, {fewer:,} objects, 20 threads", *pairs, "us", 12.0)


def _deletes(bench: Bench) -> Iterator[Row]:
    keys = names(bench.setting.size(50_000, 2000))
    pairs = bench.compare("delete-holdfast", "delete-boto3", prepared.DELETED, keys)
    what = f"delete of {len(keys):,} keys, CloudFiles.delete, time per key"
    yield Comparison(what, NGINX, "boto3 delete_objects of 1,000, 20 threads", *pairs, "us", 5.0)


# ------------------------------------------------------------------ listings
def listing(setting: Setting) -> Iterator[Row]:
    """A long listing from pages that are ready, in time and in requests."""
    setting, count = replace(setting, rounds=min(setting.rounds, LISTING_ROUNDS)), setting.size(100_000, 3000)
    nbytes = sum(map(prepared.listed_size, range(count)))
    with Prepared(setting.directory / "nginx", Tree(setting.directory / "web", [], 0), listed=count) as server:
        bench = Bench(setting, server.endpoint, ANYBODY)
        what = f"list of {count:,} keys with their sizes, CloudFiles.list"
        pairs = bench.compare_lists(prepared.LISTED, count, nbytes)
        yield Comparison(f"{what}, time per key", NGINX, "boto3 paginator", *pairs, "us", 10.0)
        with bench.worker("list-holdfast", prepared.LISTED, count, nbytes) as measure:
            before = server.listing_requests()
            measure()
            yield Count(what, NGINX, "requests", server.listing_requests() - before, -(-count // prepared.PAGE))
