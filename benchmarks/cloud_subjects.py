"""What workers measure of an S3 service beside reads: small writes, listings, existence and deletes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.subjects import RIVAL_THREADS, Arguments, Sample, Subject, boto3_client

#: The most keys that a request of deletes may name.
BATCH = 1000


def _clocked(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    value = call()
    return time.perf_counter() - started, value


def _contents(arguments: Arguments) -> tuple[list[tuple[str, bytes]], int]:
    size = arguments["nbytes"] // arguments["items"]
    return [(key, os.urandom(size)) for key in arguments["keys"]], size


# ------------------------------------------------------------------ many small writes
def put_small_holdfast(arguments: Arguments) -> Subject:
    """``CloudFiles.puts`` of bytes."""
    from holdfast import CloudFiles

    files, (contents, size) = CloudFiles(arguments["url"]), _contents(arguments)

    def measure() -> Sample:
        seconds, count = _clocked(lambda: files.puts(contents))
        return Sample(seconds, count, count * size)

    return measure


def put_small_boto3(arguments: Arguments) -> Subject:
    """boto3's ``put_object`` in a pool of 20 threads that share one client."""
    client, bucket, (contents, size) = boto3_client(arguments["endpoint"]), arguments["bucket"], _contents(arguments)
    pool = ThreadPoolExecutor(RIVAL_THREADS)

    def put(entry: tuple[str, bytes]) -> str:
        return str(client.put_object(Bucket=bucket, Key=entry[0], Body=entry[1])["ETag"])

    def measure() -> Sample:
        seconds, etags = _clocked(lambda: list(pool.map(put, contents)))
        return Sample(seconds, len(etags), len(etags) * size)

    return measure


def put_small_obstore(arguments: Arguments) -> Subject:
    """obstore's ``put`` in 16 bare threads: no digest is noted, nothing is checked."""
    import obstore

    from benchmarks.subjects import bare_threads, obstore_client

    store, (contents, size) = obstore_client(arguments), _contents(arguments)

    def put(entry: tuple[str, bytes]) -> Any:
        return obstore.put(store, entry[0], entry[1], use_multipart=False)

    def measure() -> Sample:
        seconds, answers = _clocked(lambda: bare_threads(put, contents))
        return Sample(seconds, len(answers), len(answers) * size)

    return measure


# ------------------------------------------------------------------ listings
def list_holdfast(arguments: Arguments) -> Subject:
    """``CloudFiles.list`` with sizes, to its end."""
    from holdfast import CloudFiles

    files, prefix = CloudFiles(arguments["url"]), arguments.get("prefix", "")

    def measure() -> Sample:
        seconds, rows = _clocked(lambda: list(files.list(prefix, size=True)))
        return Sample(seconds, len(rows), sum(size for _, size in rows))

    return measure


def list_boto3(arguments: Arguments) -> Subject:
    """boto3's paginator of ``list_objects_v2``, with keys and sizes."""
    client, bucket = boto3_client(arguments["endpoint"]), arguments["bucket"]
    pages = client.get_paginator("list_objects_v2")

    def rows() -> list[tuple[str, int]]:
        found = pages.paginate(Bucket=bucket, Prefix=arguments.get("prefix", ""))
        return [(row["Key"], row["Size"]) for page in found for row in page["Contents"]]

    def measure() -> Sample:
        seconds, listed = _clocked(rows)
        return Sample(seconds, len(listed), sum(size for _, size in listed))

    return measure


# ------------------------------------------------------------------ existence
def exists_holdfast(arguments: Arguments) -> Subject:
    """``CloudFiles.exists`` of a list of keys."""
    from holdfast import CloudFiles

    return _exists(CloudFiles(arguments["url"]), arguments)


def exists_cloudfiles(arguments: Arguments) -> Subject:
    """The same call of cloud-files, with the 20 threads that it uses by default."""
    os.environ["AWS_SESSION_TOKEN"] = ""  # without it cloud-files does not take credentials from the environment
    from cloudfiles import CloudFiles  # type: ignore[import-untyped]

    return _exists(CloudFiles(arguments["url"], num_threads=RIVAL_THREADS), arguments)


def _exists(files: Any, arguments: Arguments) -> Subject:
    keys = arguments["keys"]

    def measure() -> Sample:
        seconds, found = _clocked(lambda: files.exists(keys))
        return Sample(seconds, sum(found.values()), 0)

    return measure


# ------------------------------------------------------------------ deletes
def delete_holdfast(arguments: Arguments) -> Subject:
    """``CloudFiles.delete`` of a list of keys; with ``fill`` they are there before."""
    from holdfast import CloudFiles

    files, keys, fill = CloudFiles(arguments["url"]), arguments["keys"], filling(arguments)

    def measure() -> Sample:
        fill()
        seconds, count = _clocked(lambda: files.delete(keys))
        return Sample(seconds, count, 0)

    return measure


def delete_boto3(arguments: Arguments) -> Subject:
    """boto3's ``delete_objects`` of a thousand keys at a time, in a pool of 20 threads that share one client."""
    client, bucket, keys = boto3_client(arguments["endpoint"]), arguments["bucket"], arguments["keys"]
    pool, fill = ThreadPoolExecutor(RIVAL_THREADS), filling(arguments)

    batches = [keys[start : start + BATCH] for start in range(0, len(keys), BATCH)]

    def delete(batch: list[str]) -> int:
        objects = [{"Key": key} for key in batch]
        answer = client.delete_objects(Bucket=bucket, Delete={"Objects": objects})
        if answer.get("Errors"):
            raise OSError(f"not deleted: {answer['Errors'][:3]}")
        return len(objects)

    def measure() -> Sample:
        fill()
        seconds, counts = _clocked(lambda: list(pool.map(delete, batches)))
        return Sample(seconds, sum(counts), 0)

    return measure


def filling(arguments: Arguments) -> Callable[[], object]:
    """What puts the keys there that are to be deleted, if ``fill`` asks for it: the same objects for everybody."""
    return put_small_boto3({**arguments, "nbytes": 0}) if arguments.get("fill") else lambda: None


SUBJECTS: dict[str, Callable[[Arguments], Subject]] = {
    "put-small-holdfast": put_small_holdfast,
    "put-small-boto3": put_small_boto3,
    "put-small-obstore": put_small_obstore,
    "list-holdfast": list_holdfast,
    "list-boto3": list_boto3,
    "exists-holdfast": exists_holdfast,
    "exists-cloudfiles": exists_cloudfiles,
    "delete-holdfast": delete_holdfast,
    "delete-boto3": delete_boto3,
}
