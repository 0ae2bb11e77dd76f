"""The three clouds as cloud-mappings names them: each a server, a bucket that does not exist yet, and its arguments."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from google.oauth2.credentials import Credentials

from holdfast import ObjectStore, open_store
from holdfast.compat import cloudmappings
from holdfast.compat.cloudmappings.storageproviders.awss3 import AWSS3Provider
from holdfast.compat.cloudmappings.storageproviders.azureblobstorage import AzureBlobStorageProvider
from holdfast.compat.cloudmappings.storageproviders.googlecloudstorage import GoogleCloudStorageProvider

_numbers = itertools.count(1)


class Cloud:
    """One cloud.

    ``names`` are the arguments of its mapping and provider in the order of 0.7, ``storage_names`` those of its storage;
    ``creating`` is what is said about a bucket that is created. ``etags_change`` tells whether the same bytes get
    another ETag when they are written again.
    """

    marks: Any = ()
    mapping: Any
    storage: Any
    provider: Any
    names: dict[str, Any]
    storage_names: dict[str, Any]
    creating: dict[str, Any]
    logical_name: str
    etags_change = False

    def store(self) -> ObjectStore:
        """A store over the bucket, whose keys are the names of the objects."""
        raise NotImplementedError

    def exists(self) -> bool:
        """Whether there is the bucket."""
        raise NotImplementedError

    def check_created(self) -> None:
        """Assert that the bucket was created as was said."""

    def objects(self) -> dict[str, bytes]:
        """What the bucket holds, by the names of the objects."""
        store = self.store()
        return {info.key: store.get(info.key) for info in store.list()}


class Amazon(Cloud):
    """Amazon S3, on moto."""

    marks = pytest.mark.server
    mapping, storage, provider = cloudmappings.AWSS3Mapping, cloudmappings.AWSS3Storage, AWSS3Provider

    def __init__(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = request.getfixturevalue("moto")
        for name, value in self.server.environment.items():
            monkeypatch.setenv(name, value)
        self.bucket = f"cloud-mappings-{next(_numbers)}"
        self.names = self.storage_names = {"bucket_name": self.bucket}
        self.creating = {}
        self.logical_name = f"CloudStorageProvider=AWSS3,BucketName={self.bucket}"

    def store(self) -> ObjectStore:
        return open_store(f"s3://{self.bucket}")

    def exists(self) -> bool:
        return any(bucket["Name"] == self.bucket for bucket in self.server.client().list_buckets()["Buckets"])


class Google(Cloud):
    """Google Cloud Storage, on the fake."""

    mapping, storage = cloudmappings.GoogleCloudStorageMapping, cloudmappings.GoogleCloudStorage
    provider = GoogleCloudStorageProvider

    def __init__(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = request.getfixturevalue("gcs")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", self.server.endpoint)
        self.bucket = f"cloud-mappings-{next(_numbers)}"
        credentials = Credentials(self.server.token)
        self.names = {"project": "my-project", "bucket_name": self.bucket, "credentials": credentials}
        self.storage_names, self.creating = self.names, {}
        self.logical_name = f"CloudStorageProvider=GoogleCloudStorage,Project=my-project,BucketName={self.bucket}"

    def store(self) -> ObjectStore:
        return open_store(f"gs://{self.bucket}", token=self.server.token)

    def exists(self) -> bool:
        return self.bucket in self.server.buckets

    def check_created(self) -> None:
        assert self.server.buckets[self.bucket].project == "my-project"


class Azure(Cloud):
    """Azure Blob Storage, on Azurite."""

    marks = pytest.mark.server
    mapping, storage = cloudmappings.AzureBlobMapping, cloudmappings.AzureBlobStorage
    provider = AzureBlobStorageProvider
    etags_change = True

    def __init__(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = request.getfixturevalue("azurite")
        self.bucket = f"cloud-mappings-{next(_numbers)}"
        # What azure-core calls an AzureNamedKeyCredential.
        credential = SimpleNamespace(named_key=SimpleNamespace(name=self.server.account, key=self.server.account_key))
        self.names = {"account_url": self.server.endpoint, "container_name": self.bucket, "credential": credential}
        self.storage_names = self.names
        self.creating = {"create_container_metadata": {"owner": "me"}}
        where = f"StorageAccountName={self.server.account},ContainerName={self.bucket}"
        self.logical_name = f"CloudStorageProvider=AzureBlobStorage,{where}"

    def store(self) -> ObjectStore:
        return open_store(f"az://{self.server.endpoint}/{self.bucket}", account_key=self.server.account_key)

    def exists(self) -> bool:
        return self.server.metadata(self.bucket) is not None

    def check_created(self) -> None:
        assert self.server.metadata(self.bucket) == {"owner": "me"}


CLOUDS: dict[str, type[Any]] = {"s3": Amazon, "gs": Google, "az": Azure}
