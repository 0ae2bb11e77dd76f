"""The provider of Google Cloud Storage of cloud-mappings 0.7, with its order of arguments."""

from __future__ import annotations

from typing import Any

from ....mapping import clouds

__all__ = ["GoogleCloudStorageProvider"]


class GoogleCloudStorageProvider(clouds.GoogleCloudStorageProvider):
    """The provider over a bucket of Google Cloud Storage, which is created in the project if it is not there."""

    def __init__(self, project: str | None, bucket_name: str, credentials: Any = None, **options: Any) -> None:
        super().__init__(bucket_name, project, credentials, **options)
