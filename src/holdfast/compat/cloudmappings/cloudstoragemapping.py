"""``CloudMapping`` of cloud-mappings 0.7: raw, over a provider."""

from __future__ import annotations

from typing import Any

from ...mapping import cloudmapping
from ...mapping.providers import StorageProvider

__all__ = ["CloudMapping"]


class CloudMapping(cloudmapping.CloudMapping[Any]):
    """A mapping over a provider: raw, or made ``with_json``, ``with_pickle`` and so on."""

    def __init__(self, storageprovider: StorageProvider, sync_initially: bool = True, **options: Any) -> None:
        super().__init__(storageprovider, sync_initially=sync_initially, **options)
