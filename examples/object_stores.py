"""Stores by their constructors: objects as files, as rows of a database, as members of an archive."""

from __future__ import annotations

import tempfile
from pathlib import Path

from holdfast import DictStore, FilesystemStore, HashdirStore, ObjectStore, SqliteStore, ZipStore


def use(store: ObjectStore) -> str:
    """The five methods, on any store."""
    # Store an object
    store.put("my_object_key", b"my object data")

    # Retrieve an object
    data = store.get("my_object_key")

    # Check if an object exists
    exists = store.exists("my_object_key")

    # List all object keys, where the store can: from S3 they come page by page, as they are asked for
    keys = list(store.keys()) if store.capabilities.listing else "not listed"

    # Delete an object
    store.delete("my_object_key")
    return f"{data!r}, {exists}, {keys}; then {store.exists('my_object_key')}"


def main() -> None:
    """Use each store; those that hold something open are context managers."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for kind in ("files", "hashdir"):
            (directory / kind).mkdir()
        print("dict:", use(DictStore()))
        print("files:", use(FilesystemStore(directory / "files")))
        print("hashed directories:", use(HashdirStore(directory / "hashdir")))

        with SqliteStore(directory / "db.sqlite") as store:
            print("database:", use(store))
            # Many puts share a transaction, which makes them several times as fast.
            stored = list(store.put_many((f"object {number}", b"data") for number in range(1000)))
            print(f"database: {len(stored)} objects more")

        with ZipStore(directory / "archive.zip") as archive:
            archive.put("my_object_key", b"my object data")
            try:
                archive.put("my_object_key", b"other data")
            except KeyError as error:
                print(f"archive: {type(error).__name__}; still {archive.get('my_object_key')!r}")

        try:
            FilesystemStore(directory / "files").get("no such key")
        except KeyError as error:
            print(f"a missing key is a KeyError everywhere: {type(error).__name__}")


if __name__ == "__main__":
    main()
