"""The provider of Amazon S3, by its name in cloud-mappings 0.7."""

from ....mapping.clouds import AWSS3StorageProvider as AWSS3Provider

__all__ = ["AWSS3Provider"]
