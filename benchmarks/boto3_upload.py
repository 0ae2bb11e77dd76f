"""What a boto3 user writes to upload a directory; its arguments are ENDPOINT BUCKET DIRECTORY PREFIX."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.subjects import boto3_client


def main() -> None:
    """Upload every file of the directory, eight at a time."""
    endpoint, bucket, directory, prefix = sys.argv[1:]
    client = boto3_client(endpoint)
    with ThreadPoolExecutor(8) as pool:
        for upload in [
            pool.submit(client.upload_file, str(path), bucket, f"{prefix}/{path.name}")
            for path in Path(directory).iterdir()
        ]:
            upload.result()


if __name__ == "__main__":
    main()
