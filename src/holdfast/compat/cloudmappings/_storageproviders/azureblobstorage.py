"""The provider of Azure Blob Storage, where cloud-mappings 2.x has it."""

from ....mapping.clouds import AzureBlobStorageProvider

__all__ = ["AzureBlobStorageProvider"]
