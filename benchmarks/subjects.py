"""What workers measure: each subject is set up once from its arguments and then called once a measurement.

Set-up, imports and the check of what came back are outside the measured time; the call alone is inside.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

Arguments = Mapping[str, Any]


class Sample(NamedTuple):
    """One measurement: how long it took, and what came out of it."""

    seconds: float
    items: int
    nbytes: int


Subject = Callable[[], Sample]

RIVAL_THREADS = 20
BARE_THREADS = 16
LAYERS = 5


def _timed(call: Callable[[], Iterable[bytes]]) -> Sample:
    started = time.perf_counter()
    bodies = call()
    seconds = time.perf_counter() - started
    lengths = [len(body) for body in bodies]
    return Sample(seconds, len(lengths), sum(lengths))


# ------------------------------------------------------------------ many small reads from an S3 endpoint
def get_holdfast(arguments: Arguments) -> Subject:
    """``CloudFiles.get`` of a list of keys, with everything that it checks."""
    from holdfast import CloudFiles

    files, keys = CloudFiles(arguments["url"]), arguments["keys"]

    def measure() -> Sample:
        started = time.perf_counter()
        rows = files.get(keys)
        seconds = time.perf_counter() - started
        return Sample(seconds, len(rows), sum(len(row["content"]) for row in rows))

    return measure


def get_cloudfiles(arguments: Arguments) -> Subject:
    """The same call of cloud-files, with the 20 threads that it uses by default."""
    os.environ["AWS_SESSION_TOKEN"] = ""  # without it cloud-files does not take credentials from the environment
    from cloudfiles import CloudFiles  # type: ignore[import-untyped]

    files, keys = CloudFiles(arguments["url_without_etags"], num_threads=RIVAL_THREADS), arguments["keys"]

    def measure() -> Sample:
        started = time.perf_counter()
        rows = files.get(keys)
        seconds = time.perf_counter() - started
        return Sample(seconds, len(rows), sum(len(row["content"]) for row in rows))

    return measure


def get_boto3(arguments: Arguments) -> Subject:
    """boto3's ``get_object`` in a pool of 20 threads that share one client."""
    client, keys, bucket = boto3_client(arguments["endpoint"]), arguments["keys"], arguments["bucket"]
    pool = ThreadPoolExecutor(RIVAL_THREADS)

    def get(key: str) -> bytes:
        return bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())

    return lambda: _timed(lambda: list(pool.map(get, keys)))


def get_obstore(arguments: Arguments) -> Subject:
    """obstore in bare threads that share a deque of keys: nothing is checked, and results lose their keys."""
    import obstore

    store, keys = obstore_client(arguments), arguments["keys"]
    return lambda: _timed(lambda: bare_threads(lambda key: obstore.get(store, key).bytes(), keys))


def bare_threads(call: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """What the calls return, in no order, from 16 threads that are started for it: the cheapest way there is."""

    def work() -> None:
        while True:
            try:
                item = wanted.popleft()
            except IndexError:
                return
            results.append(call(item))

    wanted, results = deque(items), list[Any]()
    threads = [threading.Thread(target=work) for _ in range(BARE_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def obstore_client(arguments: Arguments) -> Any:
    """obstore's own client for this bucket, with the credentials of the environment."""
    from obstore.store import S3Store

    return S3Store(
        arguments["bucket"],
        endpoint=arguments["endpoint"],
        region="us-east-1",
        client_options={"allow_http": True},
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    )


def boto3_client(endpoint: str) -> Any:
    """A client for this server with the credentials of the environment."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        config=Config(
            s3={"addressing_style": "path"},
            max_pool_connections=RIVAL_THREADS,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


# ------------------------------------------------------------------ a few large writes
def put_holdfast(arguments: Arguments) -> Subject:
    """``CloudFiles.puts`` of local files, each time under a prefix where nothing is."""
    from holdfast import CloudFiles

    paths, serial = [Path(path) for path in arguments["paths"]], iter(range(1 << 30))

    def measure() -> Sample:
        with CloudFiles(f"{arguments['url']}/{arguments['prefix']}-{next(serial)}") as files:
            started = time.perf_counter()
            count = files.puts([(path.name, path) for path in paths])
            seconds = time.perf_counter() - started
            return Sample(seconds, count, files.subtree_size()["num_bytes"])

    return measure


def put_boto3(arguments: Arguments) -> Subject:
    """boto3's ``upload_file`` of the same files, as many at a time as there are files, 8 MiB parts, its defaults."""
    client, paths = boto3_client(arguments["endpoint"]), [Path(path) for path in arguments["paths"]]
    serial, pool = iter(range(1 << 30)), ThreadPoolExecutor(8)

    def measure() -> Sample:
        prefix = f"{arguments['prefix']}-{next(serial)}/"
        started = time.perf_counter()
        list(pool.map(lambda path: client.upload_file(str(path), arguments["bucket"], prefix + path.name), paths))
        seconds = time.perf_counter() - started
        stored = client.list_objects_v2(Bucket=arguments["bucket"], Prefix=prefix)["Contents"]
        return Sample(seconds, len(stored), sum(row["Size"] for row in stored))

    return measure


# ------------------------------------------------------------------ local reads
def read_open(arguments: Arguments) -> Subject:
    """``open(path, "rb").read()`` of each file, one after the other: what there is to beat."""
    paths = [os.path.join(arguments["root"], key) for key in arguments["keys"]]

    def read(path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    return lambda: _timed(lambda: [read(path) for path in paths])


def read_file_store(arguments: Arguments) -> Subject:
    """The file store's verb for each key, one after the other."""
    from holdfast import open_store

    store, keys = open_store(f"file://{arguments['root']}"), arguments["keys"]

    def read(key: str) -> bytes:
        with store._read(key) as blob:
            return blob.bytes()

    return lambda: _timed(lambda: [read(key) for key in keys])


def read_bulk(arguments: Arguments) -> Subject:
    """``CloudFiles.get`` of all of them."""
    return get_holdfast({**arguments, "url": f"file://{arguments['root']}"})


# ------------------------------------------------------------------ the price of a layer
def layers_serial(arguments: Arguments) -> Subject:
    """The extra time that five forwarding wrappers add to a read of an object in memory, for each layer."""
    from holdfast import open_store

    store = open_store("mem://benchmark-layers")
    store.put("key", bytes(arguments["nbytes"] // arguments["items"]))
    stack = _stack(store)
    keys = ["key"] * arguments["items"]

    def block(read: Callable[[str], Any]) -> Sample:
        return _timed(lambda: [read(key).bytes() for key in keys])

    return lambda: _for_each_layer(lambda: block(store._read), lambda: block(stack._read))


def layers_bulk(arguments: Arguments) -> Subject:
    """The same in a bulk read over S3."""
    from holdfast import CloudFiles, open_store

    store = open_store(arguments["url"])
    bare, stacked, keys = CloudFiles(store), CloudFiles(_stack(store)), arguments["keys"]

    def block(files: Any) -> Sample:
        started = time.perf_counter()
        rows = files.get(keys)
        seconds = time.perf_counter() - started
        return Sample(seconds, len(rows), sum(len(row["content"]) for row in rows))

    return lambda: _for_each_layer(lambda: block(bare), lambda: block(stacked))


def _stack(store: Any) -> Any:
    from holdfast import Wrapper

    for _ in range(LAYERS):
        store = Wrapper(store)
    return store


def _for_each_layer(without: Subject, within: Subject, pairs: int = 21) -> Sample:
    """The median difference of alternating pairs, divided by the number of layers."""
    measured = [(without(), within()) for _ in range(pairs)]
    difference = statistics.median(stacked.seconds - bare.seconds for bare, stacked in measured)
    return measured[-1][1]._replace(seconds=difference / LAYERS)


SUBJECTS: dict[str, Callable[[Arguments], Subject]] = {
    "get-holdfast": get_holdfast,
    "get-cloudfiles": get_cloudfiles,
    "get-boto3": get_boto3,
    "get-obstore": get_obstore,
    "put-holdfast": put_holdfast,
    "put-boto3": put_boto3,
    "read-open": read_open,
    "read-file-store": read_file_store,
    "read-bulk": read_bulk,
    "layers-serial": layers_serial,
    "layers-bulk": layers_bulk,
}
