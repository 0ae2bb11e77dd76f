"""The storages of cloud-mappings 2.x, whose mappings pickle unless they are told otherwise."""

from __future__ import annotations

from typing import Any

from ...mapping import clouds
from ...mapping.clouds import AzureTableStorage
from ...mapping.serialisers import pickle

__all__ = ["AWSS3Storage", "AzureBlobStorage", "AzureTableStorage", "CloudStorage", "GoogleCloudStorage"]


class CloudStorage(clouds.CloudStorage):
    """A place that makes mappings of itself, of pickled values by default."""

    def _default_serialisation(self) -> Any:
        return pickle()


class AWSS3Storage(CloudStorage, clouds.AWSS3Storage):
    """A bucket of Amazon S3, to make mappings of."""


class AzureBlobStorage(CloudStorage, clouds.AzureBlobStorage):
    """A container of Azure Blob Storage, to make mappings of."""


class GoogleCloudStorage(CloudStorage, clouds.GoogleCloudStorage):
    """A bucket of Google Cloud Storage, to make mappings of."""
