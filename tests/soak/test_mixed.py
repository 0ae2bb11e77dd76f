"""Nothing grows in a process that works for long with a service that fails: no threads, descriptors or memory.

HOLDFAST_SOAK_SECONDS says for how long; it is 20 seconds by default, and 20 minutes in `make soak`.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.servers import faults
from tests.servers.faults import Fault, Request
from tests.servers.faulty_s3 import FaultyS3

PROGRAM = Path(__file__).with_name("mixed_program.py")
SECONDS = float(os.environ.get("HOLDFAST_SOAK_SECONDS") or ("1200" if os.environ.get("HOLDFAST_SOAK") == "1" else "20"))
#: What may come on top between the first and the second half of the time after warm-up: kept connections come and go.
SLACK = {"threads": 4, "descriptors": 24, "memory": 16 << 20}
#: How many of 1,000 requests fare so.
FAULTS = {
    "REFUSED": 10,
    "LOST_AS_500": 5,
    "RESET": 5,
    "CLOSE": 5,
    "LOST_BY_RESET": 3,
    "LOST_BY_CLOSE": 3,
    "BODY_RESET": 3,
    "BODY_CLOSE": 3,
    "SHORT": 2,
    "CORRUPT_ARRIVAL": 2,
    "STALL": 1,
}
#: So many requests are kept to look at, and so many uploads that nobody will end.
KEPT = 50


class Trouble:
    """Decides what happens to each request of a server, and lets it forget the old ones."""

    def __init__(self, server: FaultyS3) -> None:
        self._server = server
        self._chance = random.Random(7)
        self.befell: Counter[str] = Counter()

    def __call__(self, request: Request) -> Fault | None:
        del self._server.requests[:-KEPT]
        for upload in list(self._server.uploads)[:-KEPT]:
            self._server.uploads.pop(upload, None)
        drawn = self._chance.randrange(1000)
        for name, share in FAULTS.items():
            drawn -= share
            if drawn < 0:
                if name == "STALL" and "/storage/" in request.key:
                    return None  # a Storage has the default timeout, which is too long to wait for here
                self.befell[name] += 1
                return getattr(faults, name)
        return None


def grown(samples: list[dict[str, int]]) -> dict[str, tuple[float, float]]:
    """What there is more of in the second half of the time after warm-up (a third) than in the first, beyond slack."""
    after = samples[len(samples) // 3 :]
    middle = len(after) // 2
    found = {}
    for name, slack in SLACK.items():
        first = statistics.median(sample[name] for sample in after[:middle])
        second = statistics.median(sample[name] for sample in after[middle:])
        if second > first + slack:
            found[name] = (first, second)
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="what a process has is read from /proc")
@pytest.mark.timeout(SECONDS + 300)
def test_nothing_grows_while_bulk_calls_meet_faults(tmp_path):
    pytest.importorskip("gevent")
    with FaultyS3() as server:
        server.fault = trouble = Trouble(server)
        environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_REGION": server.region,
            "HOLDFAST_RETRY_WAIT": "0.02",
            "MALLOC_ARENA_MAX": "2",  # or what glibc keeps for each thread hides what leaks
        }
        cloudpath = f"s3://{server.endpoint}/{server.make_bucket()}"
        command = [sys.executable, str(PROGRAM), cloudpath, str(tmp_path / "here"), str(SECONDS)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS + 240)
    assert done.returncode == 0, done.stderr[-4000:]
    samples = [json.loads(line) for line in done.stdout.splitlines()]
    calls, errors = (sum(sample[name] for sample in samples) for name in ("calls", "errors"))
    print(f"{len(samples)} rounds, {calls} bulk calls, {errors} errors, {trouble.befell.total()} faults")
    print("first, after warm-up and last:", samples[0], samples[len(samples) // 3], samples[-1])
    assert trouble.befell.total() > 20
    assert errors < calls / 2, "hardly anything worked"
    assert grown(samples) == {}


def test_growth_is_seen_and_ups_and_downs_are_not():
    steady = [{"threads": 20, "descriptors": 40 + number % 7, "memory": 100 << 20} for number in range(60)]
    warming = [{**sample, "memory": sample["memory"] - (90 << 20)} for sample in steady[:20]]
    assert grown(steady) == grown(warming + steady[20:]) == {}
    leaking = [{**sample, "threads": 20 + number // 4} for number, sample in enumerate(steady)]
    assert list(grown(leaking)) == ["threads"]
    leaking = [{**sample, "memory": sample["memory"] + number * (1 << 20)} for number, sample in enumerate(steady)]
    assert list(grown(leaking)) == ["memory"]
    leaking = [{**sample, "descriptors": 40 + 2 * number} for number, sample in enumerate(steady)]
    assert list(grown(leaking)) == ["descriptors"]
