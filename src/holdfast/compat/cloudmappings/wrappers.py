"""The mappings of cloud-mappings 0.7, by cloud."""

from __future__ import annotations

from ...mapping import clouds
from .cloudstoragemapping import CloudMapping

__all__ = ["AWSS3Mapping", "AzureBlobMapping", "GoogleCloudStorageMapping"]


class AWSS3Mapping(clouds.AWSS3Mapping, CloudMapping):
    """A mapping over a bucket of Amazon S3."""


class AzureBlobMapping(clouds.AzureBlobMapping, CloudMapping):
    """A mapping over a container of Azure Blob Storage."""


class GoogleCloudStorageMapping(clouds.GoogleCloudStorageMapping, CloudMapping):
    """A mapping over a bucket of Google Cloud Storage."""
