"""What workers measure of the bulk calls of CloudFiles: the same call of Holdfast and of cloud-files."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cloud_subjects import filling
from benchmarks.subjects import RIVAL_THREADS, Arguments, Sample, Subject

HOLDFAST, RIVAL = "holdfast", "cloud-files"
#: The bytes of an object before it is encoded, and how many different ones there are.
DOCUMENT_SIZE = 4096
DOCUMENTS = 100
LOCAL = "file://"


def documents(count: int) -> Iterator[bytes]:
    """So many JSON documents of DOCUMENT_SIZE bytes, the same ones every time."""
    generator = random.Random(6)
    made = [_document(generator) for _ in range(min(count, DOCUMENTS))]
    return itertools.islice(itertools.cycle(made), count)


def _document(generator: random.Random) -> bytes:
    lines, room = list[str](), DOCUMENT_SIZE
    while room > 200:
        record = {
            "id": generator.randrange(10**9),
            "name": f"object-{generator.randrange(10**5)}",
            "position": [generator.randrange(10**4) for _ in range(3)],
            "state": generator.choice(["new", "done", "failed"]),
        }
        lines.append(json.dumps(record))
        room -= len(lines[-1]) + 2
    text = f"[{', '.join(lines)}]"
    return text.encode().ljust(DOCUMENT_SIZE)


# ------------------------------------------------------------------ the two libraries
def opened(arguments: Arguments) -> Any:
    """The CloudFiles of the library that is asked for; cloud-files with the 20 threads that it uses by default.

    ``patched`` lets gevent patch what it can; ``options`` are arguments of the constructor.
    """
    ours, options = arguments["library"] == HOLDFAST, dict(arguments.get("options", {}))
    if arguments.get("patched"):
        import gevent.monkey

        gevent.monkey.patch_all(thread=ours)  # cloud-files is to be used with threads as they are
    if ours:
        from holdfast import CloudFiles

        return CloudFiles(arguments["url"], **options)
    os.environ["AWS_SESSION_TOKEN"] = ""  # without it cloud-files does not take credentials from the environment
    from cloudfiles import CloudFiles as Original  # type: ignore[import-untyped]

    return Original(arguments["url"], num_threads=RIVAL_THREADS, **options)


def _clocked(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    value = call()
    return time.perf_counter() - started, value


# ------------------------------------------------------------------ reads
def get(arguments: Arguments) -> Subject:
    """``get`` of a list of keys; bytes are counted decoded."""
    files, keys = opened(arguments), arguments["keys"]

    def measure() -> Sample:
        seconds, rows = _clocked(lambda: files.get(keys))
        return Sample(seconds, len(rows), sum(len(row["content"]) for row in rows))

    return measure


def get_json(arguments: Arguments) -> Subject:
    """``get_json`` of a list of keys; what comes is not counted in bytes."""
    files, keys = opened(arguments), arguments["keys"]

    def measure() -> Sample:
        seconds, values = _clocked(lambda: files.get_json(keys))
        return Sample(seconds, sum(isinstance(value, list) for value in values), 0)

    return measure


def exists(arguments: Arguments) -> Subject:
    """``exists`` of a list of keys."""
    files, keys = opened(arguments), arguments["keys"]

    def measure() -> Sample:
        seconds, found = _clocked(lambda: files.exists(keys))
        return Sample(seconds, sum(found.values()), 0)

    return measure


def size(arguments: Arguments) -> Subject:
    """``size`` of a list of keys: the bytes as they are stored."""
    files, keys = opened(arguments), arguments["keys"]

    def measure() -> Sample:
        seconds, sizes = _clocked(lambda: files.size(keys))
        return Sample(seconds, len(sizes), sum(sizes.values()))

    return measure


def list_keys(arguments: Arguments) -> Subject:
    """``list`` to its end, with ``sizes`` or without."""
    files, sizes = opened(arguments), arguments["sizes"]
    if sizes and (local := _local_path(arguments)) is not None:
        os.chdir(local)  # where cloud-files looks for the sizes, wherever the files are

    def measure() -> Sample:
        seconds, rows = _clocked(lambda: list(files.list(size=sizes)))
        return Sample(seconds, len(rows), sum(number for _, number in rows) if sizes else 0)

    return measure


# ------------------------------------------------------------------ writes and deletes
def puts(arguments: Arguments) -> Subject:
    """``puts`` of documents under keys that are new each time; where they are ``stored``, one is read back."""
    files, keys, codec = opened(arguments), arguments["keys"], arguments["codec"]
    places = _places(arguments)

    def measure() -> Sample:
        place = next(places)
        contents = [(f"{place}/{key}", body) for key, body in zip(keys, documents(len(keys)), strict=True)]
        seconds, count = _clocked(lambda: files.puts(contents, compress=codec))
        if arguments["stored"] and files.get(contents[-1][0]) != contents[-1][1]:
            raise OSError(f"{contents[-1][0]} does not read as it was written")
        if (local := _local_path(arguments)) is not None:
            count = sum(len(names) for _, _, names in os.walk(local / place))
            shutil.rmtree(local / place)
        elif count is None:
            count = len(keys)  # cloud-files does not say it of its processes
        return Sample(seconds, count, count * DOCUMENT_SIZE)

    return measure


def delete(arguments: Arguments) -> Subject:
    """``delete`` of a list of keys; where they are ``stored``, they are put there before, by others."""
    files, keys = opened(arguments), arguments["keys"]
    places, local = _places(arguments), _local_path(arguments)
    fill = filling({**arguments, "fill": arguments["stored"] and local is None})

    def measure() -> Sample:
        fill()
        wanted = keys
        if local is not None:
            place = next(places)
            wanted = [f"{place}/{key}" for key in keys]
            write(local, dict(zip(wanted, documents(len(keys)), strict=True)))
        seconds, count = _clocked(lambda: files.delete(wanted))
        if local is not None:
            if any(names for _, _, names in os.walk(local / place)):
                raise OSError(f"something is left in {local / place}")
            shutil.rmtree(local / place, ignore_errors=True)  # cloud-files leaves the directories
        # In batches, cloud-files counts those.
        return Sample(seconds, len(wanted) if count else 0, 0)

    return measure


def write(root: Path, contents: Mapping[str, bytes]) -> None:
    """Put plain files below the root."""
    for directory in {os.path.dirname(key) for key in contents}:
        (root / directory).mkdir(parents=True, exist_ok=True)
    for key, body in contents.items():
        (root / key).write_bytes(body)


def _places(arguments: Arguments) -> Iterator[str]:
    """Prefixes under which nothing is, another for each measurement."""
    return (f"{arguments['library']}-{os.getpid()}-{number}" for number in itertools.count())


def _local_path(arguments: Arguments) -> Path | None:
    url: str = arguments["url"]
    return Path(url.removeprefix(LOCAL)) if url.startswith(LOCAL) else None


def spread(root: Path, keys: Sequence[str], encode: Callable[[bytes], bytes], suffix: str) -> None:
    """Put encoded documents below the root, under these keys with the suffix."""
    encoded = itertools.cycle([encode(body) for body in documents(DOCUMENTS)])
    write(root, {key + suffix: body for key, body in zip(keys, encoded, strict=False)})


SUBJECTS: dict[str, Callable[[Arguments], Subject]] = {
    "bulk-get": get,
    "bulk-get-json": get_json,
    "bulk-exists": exists,
    "bulk-size": size,
    "bulk-list": list_keys,
    "bulk-puts": puts,
    "bulk-delete": delete,
}
