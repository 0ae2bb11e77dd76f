"""A counter that loses no increment, however many write it: create it once, replace it only as it was read."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor

from holdfast import AlreadyExists, Conflict, ObjectStore, open_store

TRIES = 10_000


def increment(store: ObjectStore, key: str) -> int:
    """The counter's new value, written over exactly the value that it was made from."""
    for _ in range(TRIES):
        with store.read(key) as blob:
            value, version = int(blob.bytes()) + 1, blob.info.etag
        assert version is not None
        try:
            store.replace_if(key, b"%d" % value, version)
        except Conflict:
            continue  # somebody else was faster: read again
        return value
    raise TimeoutError(f"{key} changed {TRIES} times in a row")


def main() -> None:
    """Let four threads count to 200 together."""
    with tempfile.TemporaryDirectory() as directory, open_store(f"file://{directory}") as store:
        for _ in range(2):
            try:
                store.create("counter", b"0")
            except AlreadyExists:
                print("the counter is there already, and was left as it is")
        with ThreadPoolExecutor(4) as pool:
            values = sorted(pool.map(lambda _: increment(store, "counter"), range(200)))
        print(f"the counter is at {int(store.get('counter'))}; {len(set(values))} different values were seen")


if __name__ == "__main__":
    main()
