"""Which object a pushed file becomes: the rules for ``path`` and ``local_path_prefix``, shown with a real push.

python -m examples.push_paths
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from holdfast import RemoteStorage, RemoteStorageConfig


def main() -> None:
    """Push one file in five ways, and print what it is called in the bucket."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory).resolve()
        home = root / "home/foo"
        home.mkdir(parents=True)
        (home / "bar").write_text("hello")
        os.chdir(root)
        storage = RemoteStorage(RemoteStorageConfig("local", str(root / "buckets"), "demo", "", base_path="base"))
        for path, prefix in (
            ("home/foo/bar", None),
            (home / "bar", None),
            ("bar", home),
            (home / "bar", home),
            (root / "home/baz/bar", home),
        ):
            try:
                shown = storage.push(path, prefix).matched_source_files[0].name
            except ValueError as error:
                shown = f"ValueError: {error}"
            print(f"{path!s} with the prefix {prefix} -> {shown}".replace(str(root), "ROOT"))
        os.chdir("/")
        assert all(data == b"hello" for entry in storage.list_objects() for data in entry.as_stream())


if __name__ == "__main__":
    main()
