"""Where the compatibility tests keep their objects: buckets of every provider, looked at and filled around Holdfast."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from holdfast import RemoteStorage, RemoteStorageConfig
from holdfast.compat import cloudfiles
from tests.servers import Gcs

#: Every provider, real servers where there are some; "gcs" is our own fake.
PROVIDERS = ("moto", "ceph", "azurite", "gcs", "local")


@dataclass
class Remote:
    """An empty bucket: its configuration, what it holds, and how to put something there without Holdfast."""

    conf: RemoteStorageConfig
    objects: Callable[[], dict[str, bytes]]
    put: Callable[[str, bytes], Any]

    def storage(self, base_path: str = "", **options: Any) -> RemoteStorage:
        """A storage in the bucket."""
        conf = self.conf.__copy__()
        conf.base_path = base_path
        return RemoteStorage(conf, **options)


def s3_remote(server: Any) -> Remote:
    """A bucket on a server that speaks S3."""
    bucket, client = server.make_bucket(), server.client()

    def objects() -> dict[str, bytes]:
        rows = client.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {row["Key"]: client.get_object(Bucket=bucket, Key=row["Key"])["Body"].read() for row in rows}

    def put(key: str, body: bytes) -> None:
        client.put_object(Bucket=bucket, Key=key, Body=body)

    conf = RemoteStorageConfig(
        "s3", server.access_key, bucket, server.secret_key, host="127.0.0.1", port=server.port, secure=False
    )
    return Remote(conf, objects, put)


def azure_remote(server: Any) -> Remote:
    """A container on Azurite."""
    container = server.make_container()
    conf = RemoteStorageConfig(
        "azure_blobs", server.account, container, server.account_key, host="127.0.0.1", port=server.port, secure=False
    )
    return Remote(conf, lambda: server.objects(container), functools.partial(server.put, container))


@functools.cache
def service_account() -> str:
    """The JSON of a service account that nobody has."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "me@project",
            "private_key": key.private_bytes(*pem).decode(),
            "private_key_id": "1",
            "token_uri": "http://127.0.0.1:9/never-asked",
        }
    )


def google_remote(server: Gcs) -> Remote:
    """A bucket of the fake of Google Cloud Storage, which takes any token."""
    server.accepts = lambda token: True
    bucket = server.make_bucket()
    port = int(server.endpoint.rpartition(":")[2])
    conf = RemoteStorageConfig(
        "google_storage", "me@project", bucket, service_account(), host="127.0.0.1", port=port, secure=False
    )
    return Remote(conf, lambda: server.objects(bucket), functools.partial(server.put, bucket))


def local_remote(directory: str) -> Remote:
    """A directory as a bucket."""
    root = os.path.join(directory, "bucket")

    def objects() -> dict[str, bytes]:
        found = {}
        for folder, folders, files in os.walk(root):
            if ".holdfast" in folders:
                folders.remove(".holdfast")
            for name in files:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, root)] = file.read()
        return found

    def put(key: str, body: bytes) -> None:
        path = os.path.join(root, key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(body)

    os.makedirs(root)
    return Remote(RemoteStorageConfig("local", directory, "bucket", ""), objects, put)


@pytest.fixture
def make_remote(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Remote]:
    """A function that makes an empty bucket at the provider of that name."""

    def make(provider: str) -> Remote:
        if provider == "local":
            return local_remote(str(tmp_path_factory.mktemp("remote")))
        server = request.getfixturevalue(provider) if provider != "gcs" else request.getfixturevalue("own_gcs")
        makers = {"azurite": azure_remote, "gcs": google_remote}
        return makers.get(provider, s3_remote)(server)

    return make


@pytest.fixture
def own_gcs() -> Iterator[Gcs]:
    """A fake of Google Cloud Storage for one test."""
    with Gcs() as server:
        yield server


@pytest.fixture
def remote(make_remote: Callable[[str], Remote]) -> Remote:
    """An empty bucket, which is a directory."""
    return make_remote("local")


@pytest.fixture
def s3(make_remote: Callable[[str], Remote], moto: Any) -> Remote:
    """An empty bucket on moto, which is named here so that the test is marked."""
    return make_remote("moto")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Any:
    """The current directory: an empty one, with a cache of its own."""
    directory = tmp_path / "home"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return directory


@pytest.fixture(params=["file", "mem", pytest.param("moto", marks=pytest.mark.server)])
def cloudpath(request, tmp_path, monkeypatch):
    """Where one test's objects are; credentials are in the environment."""
    cloudfiles.clear_memory()
    if request.param == "file":
        return f"file://{tmp_path}/root"
    if request.param == "mem":
        return "mem://compat-tests/prefix"
    moto = request.getfixturevalue("moto")
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    return moto.url(moto.make_bucket(), "prefix")


@pytest.fixture
def cf(cloudpath):
    """A CloudFiles as a program of cloud-files makes it."""
    return cloudfiles.CloudFiles(cloudpath)
