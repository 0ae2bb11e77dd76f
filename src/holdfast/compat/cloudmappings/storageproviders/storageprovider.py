"""What providers of cloud-mappings 0.7 derive from."""

from __future__ import annotations

from abc import abstractmethod
from typing import NoReturn

from ....mapping import providers
from ..errors import ValueSizeError

__all__ = ["StorageProvider"]


class StorageProvider(providers.StorageProvider):
    """A place for objects under keys, with conditions that are exact; it is called by its ``safe_name``."""

    @abstractmethod
    def safe_name(self) -> str:
        """What errors and reprs call this place."""

    def logical_name(self) -> str:
        """The same, by its newer name."""
        return self.safe_name()

    def raise_value_size_error(self, key: str, size: int) -> NoReturn:
        """Raise the error for a value that is too large for this place."""
        raise ValueSizeError(self.safe_name(), key, size)
