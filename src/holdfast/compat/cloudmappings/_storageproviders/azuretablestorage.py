"""The provider of Azure Table Storage, where cloud-mappings 2.x has it: Unsupported."""

from __future__ import annotations

from typing import Any

from ....errors import Unsupported

__all__ = ["AzureTableStorageProvider"]


class AzureTableStorageProvider:
    """Unsupported: a table of Azure holds rows, not objects."""

    def __init__(self, table_name: str, *arguments: Any, **options: Any) -> None:
        raise Unsupported(
            f"cannot map the table {table_name!r}: tables are no object store; use AzureBlobStorageProvider"
        )
