"""The provider of Azure Blob Storage of cloud-mappings 0.7, with its order of arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....mapping import clouds

__all__ = ["AzureBlobStorageProvider"]


class AzureBlobStorageProvider(clouds.AzureBlobStorageProvider):
    """The provider over a container of Azure, which is created with that metadata if it is not there."""

    def __init__(
        self,
        account_url: str,
        container_name: str,
        credential: Any = None,
        create_container_metadata: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            container_name, credential, account_url, create_container_metadata=create_container_metadata, **options
        )
