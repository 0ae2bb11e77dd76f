"""The provider of Google Cloud Storage, where cloud-mappings 2.x has it."""

from ....mapping.clouds import GoogleCloudStorageProvider

__all__ = ["GoogleCloudStorageProvider"]
