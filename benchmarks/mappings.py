"""Dicts in the cloud: CloudMapping beside the original of cloud-mappings, in time and in requests, on one server."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from benchmarks.cloud import Bench, names
from benchmarks.mapping_subjects import COUNTER, OBJECT_BYTES, ORIGINAL_ETAG
from benchmarks.measure import Measure, Setting, alternate
from benchmarks.results import Comparison, Count, Row
from holdfast import Engine, open_store
from holdfast.types import WriteOptions
from tests.servers import Moto

MOTO = "moto"
ORIGINAL = "cloud-mappings 2.1"
#: The original asks for every key, one at a time: fewer pairs say as much.
ROUNDS = 3
PAGE = 1000
THREADS = 8


def mappings(setting: Setting) -> Iterator[Row]:
    """Every operation that makes requests, on moto, which spends most of the time itself; and a contended counter."""
    setting = replace(setting, rounds=min(setting.rounds, ROUNDS))
    with Moto(setting.directory) as server:
        both = Both(setting, server)
        keys = names(setting.size(10_000, 1100))
        bucket = both.fill(keys)
        yield from both.sync(bucket, keys)
        yield from both.reads(bucket, keys, setting.size(200, 20))
        yield from both.writes(names(setting.size(200, 20)))
        yield from both.contention(setting.size(200, 40))


class Both:
    """Ours and theirs on one server, which says what was asked of it."""

    def __init__(self, setting: Setting, server: Moto) -> None:
        self.server = server
        self.bench = Bench(setting, server.endpoint, server.environment)

    def bucket(self) -> str:
        """A new bucket, with versions, without which the original does nothing."""
        bucket = self.server.make_bucket()
        versions = {"Status": "Enabled"}
        self.server.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration=versions)
        return bucket

    def fill(self, keys: list[str]) -> str:
        """A bucket of objects that both can read."""
        bucket = self.bucket()
        account = {"access_key_id": self.server.access_key, "secret_access_key": self.server.secret_key}
        store = open_store(self.server.url(bucket), region=self.server.region, **account)

        def put(key: str) -> None:
            store.write(key, bytes(OBJECT_BYTES), WriteOptions(metadata={ORIGINAL_ETAG: str(uuid.uuid4())}))

        with Engine() as engine:
            for _ in engine.run(put, keys):
                pass
        return bucket

    def asked(self, bucket: str) -> int:
        """How many requests about this bucket have come until now; the log colours those that were refused."""
        log = self.server.logs[0].read_text(errors="replace")
        return len(re.findall(rf'"(?:\x1b\[\d+m)*[A-Z]+ /{bucket}[/? ]', log))

    def counted(self, bucket: str, measure: Measure) -> int:
        """How many requests one measurement makes."""
        before = self.asked(bucket)
        measure()
        return self.asked(bucket) - before

    def workers(self, subject: str, ours: str, theirs: str, items: int, size: int, **more: Any) -> Any:
        """A worker for each, in a bucket for each."""
        moved = (items, items * size)
        return (
            self.bench.worker(f"mapping-{subject}-holdfast", ours, *moved, **more),
            self.bench.worker(f"mapping-{subject}-original", theirs, *moved, **more),
        )

    # -------------------------------------------------------------- what is measured
    def sync(self, bucket: str, keys: list[str]) -> Iterator[Row]:
        """All keys; the original takes most of a minute for it, so its requests warm it up well enough."""
        what = f"sync of {len(keys):,} keys, CloudMapping.sync_with_cloud"
        ours, theirs = self.workers("sync", bucket, bucket, len(keys), 0, keys=[])
        with ours as our_measure, theirs as their_measure:
            our_measure()
            times, requests = [], (0, 0)
            for _ in range(self.bench.setting.rounds):
                before = self.asked(bucket)
                our_time = our_measure()
                between = self.asked(bucket)
                times.append((our_time, their_measure()))
                requests = (between - before, self.asked(bucket) - between)
        our_times, their_times = zip(*times, strict=True)
        yield Comparison(f"{what}, time per key", MOTO, ORIGINAL, our_times, their_times, "us", 20.0)
        yield Count(what, MOTO, "requests", requests[0], -(-len(keys) // PAGE), _rival(requests[1]))

    def reads(self, bucket: str, keys: list[str], count: int) -> Iterator[Row]:
        """So many keys, one at a time, and all values, of mappings that know the last directory."""
        within, _, _ = keys[-1].partition("/")
        known = [key for key in keys if key.startswith(f"{within}/")]
        some, one_by_one = known[:count], f"{count} keys, one by one"
        questions = (
            ("get", f"get of {one_by_one}, mapping[key]", some, OBJECT_BYTES, count),
            ("contains", f"in of {one_by_one}, key in mapping", some, 0, 0),
            ("blind", f"in of {one_by_one}, read_blindly=True", some, 0, count),
            ("iterate", f"all {len(known):,} values, mapping.items()", known, OBJECT_BYTES, len(known)),
        )
        for subject, what, wanted, size, enough in questions:
            pair = self.workers(subject, bucket, bucket, len(wanted), size, keys=wanted, within=within)
            yield from self._rows(pair, (bucket, bucket), what, enough)

    def writes(self, keys: list[str]) -> Iterator[Row]:
        """Keys that each wrote before, in a bucket of its own; what is known for over a second is looked at first."""
        buckets = (self.bucket(), self.bucket())
        pair = self.workers("set", *buckets, len(keys), OBJECT_BYTES, keys=keys)
        what = f"set of {len(keys)} keys, one by one, mapping[key] = value"
        yield from self._rows(pair, buckets, what, 2 * len(keys))

    def contention(self, increments: int) -> Iterator[Row]:
        """Threads that count in one key, and how many of the increments that they were told of are not there."""
        buckets = (self.bucket(), self.bucket())
        what = f"{increments} increments of one key by {THREADS} threads, CloudMapping.modify"
        ours, theirs = self.workers("modify", *buckets, increments, 0, threads=THREADS)
        with ours as our_measure, theirs as their_measure:
            pairs = alternate(our_measure, their_measure, self.bench.setting.rounds)
        yield Comparison(f"{what}, time per increment", MOTO, f"{ORIGINAL}, sync, get and set", *pairs, "ms", None)
        told = increments * (self.bench.setting.rounds + 1)
        our_lost, their_lost = (told - self._counter(bucket) for bucket in buckets)
        rival = f"{ORIGINAL}: {their_lost:,} of {told:,}"
        yield Count(f"{what}, lost of {told:,}", MOTO, "increments", our_lost, 0, rival)

    def _rows(self, pair: Any, buckets: tuple[str, str], what: str, enough: int) -> Iterator[Row]:
        ours, theirs = pair
        with ours as our_measure, theirs as their_measure:
            times = alternate(our_measure, their_measure, self.bench.setting.rounds)
            asked, theirs_asked = self.counted(buckets[0], our_measure), self.counted(buckets[1], their_measure)
        yield Comparison(f"{what}, time per key", MOTO, ORIGINAL, *times, "us", None)
        yield Count(what, MOTO, "requests", asked, enough, _rival(theirs_asked))

    def _counter(self, bucket: str) -> int:
        return int(self.server.client().get_object(Bucket=bucket, Key=COUNTER)["Body"].read())


def _rival(requests: int) -> str:
    return f"{ORIGINAL}: {requests:,} requests"
