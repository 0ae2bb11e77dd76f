"""What providers of cloud-mappings 2.x derive from."""

from ...mapping.providers import StorageProvider

__all__ = ["StorageProvider"]
