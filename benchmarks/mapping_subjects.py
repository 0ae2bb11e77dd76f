"""What workers measure of dicts in the cloud: Holdfast's CloudMapping, and the original of cloud-mappings 2.1."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.subjects import Arguments, Sample, Subject

COUNTER = "counter"
#: Small values: what a dict of settings or results holds.
OBJECT_BYTES = 100
#: The original keeps its ETags there; what lacks them it cannot list.
ORIGINAL_ETAG = "cloud-mappings-etag"

Opened = Callable[[Arguments], Any]


def _holdfast(arguments: Arguments) -> Any:
    from holdfast import CloudMapping

    return CloudMapping(arguments["url"], sync_initially=False)


def _original(arguments: Arguments) -> Any:
    from cloudmappings import AWSS3Storage

    storage = AWSS3Storage(arguments["bucket"], silence_warning=True)
    return storage.create_mapping(sync_initially=False, serialisation=None)


# ------------------------------------------------------------------ one call for each key, or one for all
def _get(mapping: Any, keys: Sequence[str]) -> Iterable[bytes]:
    return [mapping[key] for key in keys]


def _set(mapping: Any, keys: Sequence[str]) -> Iterable[bytes]:
    data = os.urandom(OBJECT_BYTES)
    for key in keys:
        mapping[key] = data
    return [data for _ in keys]


def _contains(mapping: Any, keys: Sequence[str]) -> Iterable[bytes]:
    return [b"" for key in keys if key in mapping]


def _iterate(mapping: Any, _: Sequence[str]) -> Iterable[bytes]:
    return [value for _, value in mapping.items()]


def _sync(mapping: Any, _: Sequence[str]) -> Iterable[bytes]:
    mapping.sync_with_cloud()
    return [b""] * len(mapping)


def _known(opened: Opened, action: Callable[[Any, Sequence[str]], Iterable[bytes]], **flags: bool) -> Any:
    """The subject that does this with a mapping that knows the keys below the directory ``within``."""

    def subject(arguments: Arguments) -> Subject:
        mapping, keys = opened(arguments), arguments["keys"]
        if within := arguments.get("within"):
            mapping.sync_with_cloud(within)
        for name, value in flags.items():
            setattr(mapping, name, value)

        def measure() -> Sample:
            started = time.perf_counter()
            values = action(mapping, keys)
            seconds = time.perf_counter() - started
            lengths = [len(value) for value in values]
            return Sample(seconds, len(lengths), sum(lengths))

        return measure

    return subject


# ------------------------------------------------------------------ threads that count in one key
def modify_holdfast(arguments: Arguments) -> Subject:
    """``modify`` of one key in a mapping that all threads share."""
    mapping = _holdfast(arguments)

    def increment(_: int) -> None:
        mapping.modify(COUNTER, lambda data: b"%d" % (int(data) + 1), default=b"0")

    return _counting(arguments, increment)


def modify_original(arguments: Arguments) -> Subject:
    """Sync, get and set, again after every KeySyncError: what the original has for it, with a mapping for each thread.

    A key that the original finds changed is lost to nobody; one that changes between its look and its write is.
    """
    from cloudmappings.errors import KeySyncError

    mappings = [_original(arguments) for _ in range(arguments["threads"])]
    mappings[0][COUNTER] = b"0"

    def increment(number: int) -> None:
        mapping = mappings[number % len(mappings)]
        while True:
            try:
                mapping.sync_with_cloud(COUNTER)
                mapping[COUNTER] = b"%d" % (int(mapping[COUNTER]) + 1)
            except KeySyncError:
                continue
            return

    return _counting(arguments, increment)


def _counting(arguments: Arguments, increment: Callable[[int], None]) -> Subject:
    threads, items = arguments["threads"], arguments["items"]
    pool = ThreadPoolExecutor(threads)

    def work(number: int) -> int:
        for _ in range(items // threads):
            increment(number)
        return items // threads

    def measure() -> Sample:
        started = time.perf_counter()
        done = sum(pool.map(work, range(threads)))
        return Sample(time.perf_counter() - started, done, 0)

    return measure


_ACTIONS = {"get": _get, "set": _set, "contains": _contains, "iterate": _iterate, "sync": _sync}

SUBJECTS: dict[str, Callable[[Arguments], Subject]] = {
    **{f"mapping-{name}-holdfast": _known(_holdfast, action) for name, action in _ACTIONS.items()},
    **{f"mapping-{name}-original": _known(_original, action) for name, action in _ACTIONS.items()},
    "mapping-blind-holdfast": _known(_holdfast, _contains, read_blindly=True),
    "mapping-blind-original": _known(_original, _contains, read_blindly=True),
    "mapping-modify-holdfast": modify_holdfast,
    "mapping-modify-original": modify_original,
}
