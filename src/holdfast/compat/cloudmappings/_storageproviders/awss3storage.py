"""The provider of Amazon S3, where cloud-mappings 2.x has it."""

from ....mapping.clouds import AWSS3StorageProvider

__all__ = ["AWSS3StorageProvider"]
