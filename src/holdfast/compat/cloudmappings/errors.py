"""The errors of cloud-mappings: KeySyncError is a ValueError as in 0.7 and a KeyError as in 2.x."""

from __future__ import annotations

from ...errors import HoldfastError, KeySyncError

__all__ = ["KeySyncError", "ValueSizeError"]


class ValueSizeError(HoldfastError, ValueError):
    """A value is too large for the place; for providers of one's own to raise."""

    def __init__(
        self,
        storage_provider_name: str = "",
        key: str | None = None,
        size: int | None = None,
        *,
        storageprovider_safe_name: str = "",
    ) -> None:
        self.storage_provider_name = storage_provider_name or storageprovider_safe_name
        self.size = size
        told = "" if size is None else f" ({size} bytes)"
        super().__init__(f"the value of {key!r} is too big{told}", key=key, store=self.storage_provider_name or None)
